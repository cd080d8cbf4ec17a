package member_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The page is tested as people use it: in Chromium, on members that run. A proxy adds
// a script to the page, which acts and answers what is to be seen.

// findBrowser returns the path of Chromium. Without it a test is skipped, but not
// where CI is set: there it must have been installed.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("CI is set, and there is no Chromium on the path")
	}
	t.Skip("there is no Chromium on the path; with it, the page is tested as well")
	return ""
}

const (
	// watching collects all that goes wrong, from the first script on. A request that is
	// refused is told by the browser too, and expected.
	watching = `window.faults = [];
addEventListener('error', (e) => faults.push(e.message));
addEventListener('unhandledrejection', (e) => faults.push(String(e.reason)));
addEventListener('securitypolicyviolation', (e) => faults.push('blocked ' + e.blockedURI));
for (const kind of ['error', 'warn']) console[kind] = (...words) => faults.push(words.join(' '));`
	// acting runs the script of a test behind those of the page, and leaves its answer
	// in the document.
	acting = `const $ = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const until = async (holds, what) => {
  for (let i = 0; i < 200; i++) {
    const got = await holds();
    if (got) return got;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw 'never: ' + (what ?? holds);
};
const said = (id, text) => until(() => $(id).textContent.includes(text) && $(id).textContent, id + ' says ' + text);
let value = null;
try {
  await until(() => all('.member .log').length > 0, 'members');
  value = await (async () => {%s})();
} catch (e) {
  faults.push(String(e) + ' | ' + $('summary').textContent + ' | ' + $('said').textContent + ' | ' + $('answer').textContent);
}
const out = document.createElement('script');
out.id = 'answer-of-test';
out.type = 'application/json';
out.textContent = JSON.stringify({faults, value}).replace(/</g, '\\u003c');
(parent === window ? document : parent.document).body.append(out);`
)

var answerElement = regexp.MustCompile(`<script id="answer-of-test" type="application/json">(.*?)</script>`)

// withScripts serves the page of a member with the scripts of a test, also in a frame
// of the given width: windows cannot be as narrow as a phone.
func (c *cluster) withScripts(id uint64, script string, width int) *httptest.Server {
	target := &url.URL{Scheme: "http", Host: c.members[id].ClientAddr()}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(resp *http.Response) error {
		if resp.Request.URL.Path != "/" {
			return nil
		}
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		page = bytes.Replace(page, []byte("<head>"), []byte(`<head><script src="/test/watch.js"></script>`), 1)
		page = bytes.Replace(page, []byte("</body>"), []byte(`<script type="module" src="/test/act.js"></script></body>`), 1)
		resp.Body = io.NopCloser(bytes.NewReader(page))
		resp.Header.Set("Content-Length", strconv.Itoa(len(page)))
		resp.Header.Set("Content-Security-Policy", strings.Replace(resp.Header.Get("Content-Security-Policy"),
			"frame-ancestors 'none'", "frame-ancestors 'self'", 1))
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("/", proxy)
	for path, text := range map[string]string{
		"/test/watch.js": watching,
		"/test/act.js":   fmt.Sprintf(acting, script),
		"/test/frame":    fmt.Sprintf(`<!DOCTYPE html><body><iframe src="/" width="%d" height="800"></iframe></body>`, width),
	} {
		kind := "text/javascript"
		if path == "/test/frame" {
			kind = "text/html"
		}
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, text)
		})
	}
	server := httptest.NewServer(mux)
	c.t.Cleanup(server.Close)
	return server
}

// look opens the page of a member, in a frame if width is not 0, and returns in answer
// what the script returned. Anything that the browser complains of fails the test.
func (c *cluster) look(id uint64, width int, script string, answer any) {
	t := c.t
	t.Helper()
	browser := findBrowser(t)
	address := c.withScripts(id, script, width).URL
	if width != 0 {
		address += "/test/frame"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// Not t.TempDir: what the browser leaves running may still write there.
	profile, err := os.MkdirTemp("", "raft-page-")
	require.NoError(t, err)
	defer os.RemoveAll(profile) //nolint:errcheck // see above
	cmd := exec.CommandContext(ctx, browser,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--user-data-dir="+profile, "--window-size=1280,900", "--virtual-time-budget=30000", "--dump-dom", address)
	cmd.WaitDelay = 10 * time.Second
	var complaints strings.Builder
	cmd.Stderr = &complaints
	dump, err := cmd.Output()
	require.NoError(t, err, "%s", complaints.String())
	found := answerElement.FindSubmatch(dump)
	require.NotNil(t, found, "no answer in a page of %d bytes", len(dump))
	var got struct {
		Faults []string        `json:"faults"`
		Value  json.RawMessage `json:"value"`
	}
	require.NoError(t, json.Unmarshal(found[1], &got))
	require.Empty(t, got.Faults)
	require.NoError(t, json.Unmarshal(got.Value, answer), "%s", got.Value)
}
