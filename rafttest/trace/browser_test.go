package trace_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	. "github.com/seed-289bd6ac/raft/rafttest/trace"
)

// The page is tested as people use it: in Chromium, with clicks and keys. A test
// adds a script to the page, which acts and answers what is to be seen.

// browserTimeout is for machines that have a lot else to do.
const browserTimeout = 3 * time.Minute

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

// visit says how a page is looked at.
type visit struct {
	hash   string // with its #
	width  int    // 1280 by default
	height int    // 800 by default
	framed bool   // in a frame of this size: windows cannot be as narrow as a phone
	dark   bool
	// realTime leaves the clock of the browser alone; the script must not wait then,
	// because the browser stops when the page is loaded.
	realTime bool
	// script is the body of a function that returns the answer. It may await settled().
	script string
}

const (
	// watching collects all that goes wrong, from the first script on.
	watching = `<head><script>
window.faults = [];
addEventListener('error', (e) => faults.push(e.message));
addEventListener('unhandledrejection', (e) => faults.push(String(e.reason)));
addEventListener('securitypolicyviolation', (e) => faults.push('blocked ' + e.blockedURI));
for (const kind of ['error', 'warn']) console[kind] = (...words) => faults.push(words.join(' '));
</script>`
	// acting runs the script of a test behind those of the page, and leaves its answer
	// in the document.
	acting = `<script type="module">
const $ = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const texts = (selector) => all(selector).map((e) => e.textContent);
const press = (key, more) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true, ...more}));
const settled = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
const detail = () => document.querySelector('#details article:last-child')?.dataset.event;
let value = null;
try {
  value = await (async () => {%s})();
} catch (e) {
  faults.push(String(e));
}
const out = document.createElement('script');
out.id = 'answer';
out.type = 'application/json';
out.textContent = JSON.stringify({faults, value}).replace(/</g, '\\u003c');
(parent === window ? document : parent.document).body.append(out);
</script></body>`
)

var answerElement = regexp.MustCompile(`<script id="answer" type="application/json">(.*?)</script>`)

// look opens the page of a trace and returns in answer what the script returned.
// Anything that the browser complains of fails the test.
func look(t *testing.T, tr *Trace, v visit, answer any) {
	t.Helper()
	text := strings.Replace(asHTML(t, tr), "<head>", watching, 1)
	text = strings.Replace(text, "</body>", fmt.Sprintf(acting, v.script), 1)
	if v.framed {
		text = fmt.Sprintf(`<!DOCTYPE html><body><iframe style="width:%dpx;height:%dpx;border:0" srcdoc="%s"></iframe></body>`,
			v.width, v.height, html.EscapeString(text))
	}
	name := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	dump := browse(t, v, "file://"+filepath.ToSlash(name)+v.hash)
	found := answerElement.FindStringSubmatch(dump)
	require.NotNil(t, found, "no answer in a page of %d bytes", len(dump))
	var got struct {
		Faults []string        `json:"faults"`
		Value  json.RawMessage `json:"value"`
	}
	require.NoError(t, json.Unmarshal([]byte(found[1]), &got))
	require.Empty(t, got.Faults)
	require.NoError(t, json.Unmarshal(got.Value, answer), "%s", got.Value)
}

// browse returns the document as it is in the end.
func browse(t *testing.T, v visit, address string) string {
	t.Helper()
	browser := findBrowser(t)
	ctx, cancel := context.WithTimeout(t.Context(), browserTimeout)
	defer cancel()
	width, height := cmp.Or(v.width, 1280), cmp.Or(v.height, 800)
	// Not t.TempDir: what the browser leaves running may still write there.
	profile, err := os.MkdirTemp("", "raft-page-")
	require.NoError(t, err)
	defer os.RemoveAll(profile)
	// 0 is the dark scheme and 1 the light one.
	scheme := 1
	if v.dark {
		scheme = 0
	}
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--user-data-dir=" + profile, fmt.Sprintf("--window-size=%d,%d", width, height),
		fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme),
	}
	if !v.realTime {
		args = append(args, "--virtual-time-budget=20000")
	}
	cmd := exec.CommandContext(ctx, browser, append(args, "--dump-dom", address)...)
	cmd.WaitDelay = 10 * time.Second
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(t, err, "%s", complaints.String())
	return string(out)
}
