package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/seed-289bd6ac/raft/raftexample/metrics"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
	"github.com/seed-289bd6ac/raft/rafthttp"
)

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("deploy", name))
	require.NoError(t, err)
	return string(text)
}

func TestTheUnitStartsAMember(t *testing.T) {
	env := map[string]string{}
	for line := range strings.Lines(deployed(t, "member.env")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			env[name] = value
		}
	}
	unit := strings.ReplaceAll(deployed(t, "raftexample@.service"), "\\\n", " ")
	line := regexp.MustCompile(`(?m)^ExecStart=\S+ (.*)$`).FindStringSubmatch(unit)
	require.NotNil(t, line)
	require.Regexp(t, `(?m)^RestartPreventExitStatus=2$`, unit, "wrong use stays wrong")
	args := os.Expand(strings.ReplaceAll(line[1], "%i", "2"), func(name string) string {
		value, known := env[name]
		require.True(t, known, name)
		return value
	})
	o, err := parse(strings.Fields(args))
	require.NoError(t, err)
	require.EqualValues(t, 2, o.member.ID)
	require.Len(t, o.member.Cluster, 3)
	require.False(t, o.member.Insecure)
	require.Equal(t, "/etc/raftexample/certs/member-2.key", o.member.TLS.Key)
}

// parsed decodes a file of which every key must be known.
func parsed(t *testing.T, name string, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(deployed(t, name)))
	d.KnownFields(true)
	require.NoError(t, d.Decode(into), name)
}

// composeFile is what is used of Compose files.
type composeFile struct {
	Name     string
	Services map[string]struct {
		Build           struct{ Context, Dockerfile string }
		Image, Restart  string
		StopGracePeriod model.Duration `yaml:"stop_grace_period"`
		Healthcheck     struct {
			Test              []string
			Interval, Timeout model.Duration
			StartPeriod       model.Duration `yaml:"start_period"`
		}
		Command, Ports, Volumes []string
	}
	Volumes map[string]any
	Member  any `yaml:"x-member"`
	Cluster any `yaml:"x-cluster"`
}

func TestTheComposeFileStartsMembers(t *testing.T) {
	var file composeFile
	parsed(t, "compose.yml", &file)
	require.Len(t, file.Services, 3)
	for id := uint64(1); id <= 3; id++ {
		name := fmt.Sprint("member", id)
		service := file.Services[name]
		o, err := parse(service.Command)
		require.NoError(t, err)
		require.Equal(t, id, o.member.ID)
		require.Len(t, o.member.Cluster, 3)
		require.Equal(t, fmt.Sprintf("http://%s:12379", name), o.member.Cluster[id-1].URL, "members find each other by name")
		require.Equal(t, []string{name + ":/data"}, service.Volumes)
		require.Contains(t, service.Command, "/data")
		require.Contains(t, file.Volumes, name)
		require.Regexp(t, `^127\.0\.0\.1:\d+:12380$`, service.Ports[0], "only this machine is served")
		require.FileExists(t, filepath.Join("deploy", service.Build.Context, service.Build.Dockerfile))
		check := service.Healthcheck.Test
		require.Equal(t, []string{"CMD", "/raftexample", "health"}, check[:3], "of this member, not of the cluster")
		require.NotContains(t, check, "--endpoints")
		_, port, err := net.SplitHostPort(o.listenClient)
		require.NoError(t, err)
		require.Contains(t, asked(t, "help", "health"), "--endpoints 127.0.0.1:"+port, "the default")
		require.Contains(t, deployed(t, "Dockerfile"), `ENTRYPOINT ["/raftexample"]`)
	}
}

// told returns what a leader tells Prometheus.
func told(t *testing.T) string {
	t.Helper()
	reg := prometheus.NewRegistry()
	timings, err := metrics.NewTimings(reg)
	require.NoError(t, err)
	timings.Served("/kv/", "GET", 200, 1)
	require.NoError(t, metrics.Register(reg, metrics.Source{
		Status:    func() raftnode.Status { return raftnode.Status{Peers: make([]raftnode.PeerProgress, 1)} },
		Stats:     func() raftnode.Stats { return raftnode.Stats{} },
		DiskUsage: func() (uint64, error) { return 1, nil },
		DiskFree:  func() (uint64, error) { return 1, nil },
		Transport: func() rafthttp.Stats { return rafthttp.Stats{Peers: make([]rafthttp.PeerStats, 1)} },
	}))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// alertRules is a file of rules, as Prometheus reads it.
type alertRules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr         string
			For                 model.Duration
			Labels, Annotations map[string]string
		}
	}
}

func TestAlertsAreAboutWhatIsTold(t *testing.T) {
	var file alertRules
	parsed(t, "alerts.yml", &file)
	require.Len(t, file.Groups, 1)
	all, guide := told(t), readGuide(t)
	label := regexp.MustCompile(`(\w+)!?="(\w+)"|\$labels\.(\w+)`)
	for _, rule := range file.Groups[0].Rules {
		require.Contains(t, guide, rule.Alert, "the guide says what to do")
		require.Equal(t, strings.Count(rule.Expr, "("), strings.Count(rule.Expr, ")"), rule.Expr)
		require.Contains(t, []string{"page", "warn"}, rule.Labels["severity"])
		for _, name := range regexp.MustCompile(`raftexample_\w+`).FindAllString(rule.Expr, -1) {
			require.Regexp(t, regexp.MustCompile(`(?m)^`+name+`[{ ]`), all)
		}
		for _, found := range label.FindAllStringSubmatch(rule.Expr+rule.Annotations["summary"], -1) {
			switch name := found[1] + found[3]; name {
			case "job", "instance": // those that Prometheus adds
			default:
				require.Regexp(t, `[{,]`+name+`="`+found[2], all)
			}
		}
	}
	for _, name := range regexp.MustCompile(`raftexample_\w+`).FindAllString(guide, -1) {
		require.Regexp(t, regexp.MustCompile(`(?m)^`+name+`(_count)?[{ ]`), all)
	}
}

func readGuide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operating.md"))
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "`raftexample_`", "")
}

func TestTheGuideUsesFlagsThatExist(t *testing.T) {
	var known bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"help", "flags"}, &known, io.Discard))
	for name := range commands() {
		require.Zero(t, run(t.Context(), []string{"help", name}, &known, io.Discard))
	}
	for _, name := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(readGuide(t), -1) {
		require.Contains(t, known.String(), name)
	}
}
