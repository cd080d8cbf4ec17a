package main

import (
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

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
	args := os.Expand(strings.ReplaceAll(line[1], "%i", "2"), func(name string) string {
		value, known := env[name]
		require.True(t, known, name)
		return value
	})
	o, err := parse(strings.Fields(args), io.Discard)
	require.NoError(t, err)
	require.EqualValues(t, 2, o.member.ID)
	require.Len(t, o.member.Cluster, 3)
	require.False(t, o.member.Insecure)
	require.Equal(t, "/etc/raftexample/certs/member-2.key", o.member.TLS.Key)
}

func TestTheComposeFileStartsMembers(t *testing.T) {
	text := deployed(t, "compose.yml")
	cluster := regexp.MustCompile(`&cluster "(.*)"`).FindStringSubmatch(text)[1]
	commands := regexp.MustCompile(`(?m)^ *command: \[(.*)\]$`).FindAllStringSubmatch(text, -1)
	require.Len(t, commands, 3)
	for i, command := range commands {
		var args []string
		for arg := range strings.SplitSeq(command[1], ", ") {
			args = append(args, strings.ReplaceAll(strings.Trim(arg, `"`), "*cluster", cluster))
		}
		o, err := parse(args, io.Discard)
		require.NoError(t, err)
		require.EqualValues(t, i+1, o.member.ID)
		require.Len(t, o.member.Cluster, 3)
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
		Transport: func() rafthttp.Stats { return rafthttp.Stats{Peers: make([]rafthttp.PeerStats, 1)} },
	}))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestAlertsAreAboutWhatIsTold(t *testing.T) {
	all := told(t)
	alerts, guide := deployed(t, "alerts.yml"), readGuide(t)
	names := regexp.MustCompile(`raftexample_\w+`).FindAllString(alerts+guide, -1)
	require.Greater(t, len(names), 10)
	for _, name := range names {
		require.Regexp(t, regexp.MustCompile(`(?m)^`+name+`(_count)?[{ ]`), all)
	}
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(alerts, -1) {
		require.Contains(t, guide, alert[1], "the guide says what to do")
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
	require.Zero(t, run(t.Context(), []string{"-h"}, io.Discard, &known))
	for name := range commands() {
		require.Zero(t, run(t.Context(), []string{name, "-h"}, io.Discard, &known))
	}
	for _, name := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(readGuide(t), -1) {
		require.Contains(t, known.String(), name)
	}
}
