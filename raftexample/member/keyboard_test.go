package member_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
)

// keyboard is a page in Chromium that is used by keys only, as wide as a phone.
type keyboard struct {
	t       *testing.T
	in      io.Writer
	out     *bufio.Reader
	session string
	last    int
}

// devTools is a message of the protocol of that name, which Chromium speaks over two
// pipes: JSON, with a zero byte behind each message.
type devTools struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    map[string]any  `json:"params,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     json.RawMessage `json:"error,omitempty"`
}

// sitDown opens an address.
func sitDown(t *testing.T, address string) *keyboard {
	t.Helper()
	profile, err := os.MkdirTemp("", "raft-page-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(profile) }) // what is left running may still write there
	commands, in, err := os.Pipe()
	require.NoError(t, err)
	out, answers, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), findBrowser(t), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-dev-shm-usage", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{commands, answers} // 3 and 4
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // it ends with its pipe, or by force
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
	})
	require.NoError(t, commands.Close())
	require.NoError(t, answers.Close())
	require.NoError(t, out.SetReadDeadline(time.Now().Add(2*patience)))
	k := &keyboard{t: t, in: in, out: bufio.NewReader(out)}
	var target struct{ TargetID string }
	k.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	k.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	k.session = attached.SessionID
	k.call("Emulation.setDeviceMetricsOverride",
		map[string]any{"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true}, nil)
	k.call("Page.navigate", map[string]any{"url": address}, nil)
	k.until("document.querySelectorAll('.member .log').length === 3")
	return k
}

// call sends a command and waits for what it returns.
func (k *keyboard) call(method string, params map[string]any, result any) {
	k.t.Helper()
	k.last++
	text, err := json.Marshal(devTools{ID: k.last, Method: method, Params: params, SessionID: k.session})
	require.NoError(k.t, err)
	_, err = k.in.Write(append(text, 0))
	require.NoError(k.t, err)
	for {
		text, err := k.out.ReadBytes(0)
		require.NoError(k.t, err, method)
		var m devTools
		require.NoError(k.t, json.Unmarshal(text[:len(text)-1], &m))
		if m.ID != k.last {
			continue // an event
		}
		require.Empty(k.t, m.Error, method)
		if result != nil {
			require.NoError(k.t, json.Unmarshal(m.Result, result))
		}
		return
	}
}

// see returns the text that an expression comes to.
func (k *keyboard) see(expression string) string {
	k.t.Helper()
	var got struct{ Result struct{ Value any } }
	k.call("Runtime.evaluate", map[string]any{"expression": "String(" + expression + ")"}, &got)
	return fmt.Sprint(got.Result.Value)
}

func (k *keyboard) until(expression string) {
	k.t.Helper()
	require.Eventually(k.t, func() bool { return k.see(expression) == "true" }, patience, 20*time.Millisecond, expression)
}

// codes of the keys that are pressed.
var codes = map[string]int{"Tab": 9, "Enter": 13, " ": 32}

// press presses a key and lets it go.
func (k *keyboard) press(key string, modifiers int) {
	k.t.Helper()
	text := map[string]string{"Enter": "\r", " ": " "}[key]
	down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": modifiers}
	if text != "" {
		down["text"] = text
	}
	k.call("Input.dispatchKeyEvent", down, nil)
	k.call("Input.dispatchKeyEvent",
		map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": modifiers}, nil)
}

func (k *keyboard) typeIn(text string) {
	k.t.Helper()
	k.call("Input.insertText", map[string]any{"text": text}, nil)
}

// focused says what has the focus: its id, name, value or text.
func (k *keyboard) focused() string {
	k.t.Helper()
	return k.see(`(({activeElement: e}) => e.id || (e.name === 'do' ? e.value : e.name) || e.textContent)(document)`)
}

// tabTo presses Tab until the focus is where it is wanted, and returns where it has been.
// What has it must be on the screen, and be seen to have it.
func (k *keyboard) tabTo(wanted string) (passed []string) {
	k.t.Helper()
	for range 60 {
		k.press("Tab", 0)
		now := k.focused()
		require.Equal(k.t, "true", k.see(`(({activeElement: e}) => {
			const box = e.getBoundingClientRect(), style = getComputedStyle(e);
			return box.left >= 0 && box.right <= 360 && box.bottom > 0 && box.top < innerHeight && style.outlineStyle !== 'none';
		})(document)`), "the focus on %s is to be seen", now)
		if now == wanted {
			return passed
		}
		passed = append(passed, now)
	}
	require.FailNow(k.t, "no way by Tab", "to %s; passed %v", wanted, passed)
	return nil
}

func TestThePageIsUsedByKeysAlone(t *testing.T) {
	findBrowser(t)
	c := newCluster(t, 3, member.Config{})
	leader := c.leader()
	next := 1 + leader%3
	k := sitDown(t, "http://"+c.members[leader].ClientAddr()+"/")

	passed := k.tabTo("key")
	require.Equal(t, []string{"Skip to keys", "pause"}, passed[:2])
	for id := uint64(1); id <= 3; id++ {
		require.Contains(t, passed, fmt.Sprint("remove-", id))
	}
	require.Equal(t, []string{"id", "url", "learner", "Add"}, passed[len(passed)-4:], "nothing between forms")

	k.typeIn("fruit")
	require.Equal(t, []string{"value", "unchanged", "read"}, k.tabTo("write"))
	k.press("Tab", 8) // back
	require.Equal(t, "read", k.focused())
	for range 2 {
		k.press("Tab", 8)
	}
	require.Equal(t, "value", k.focused())
	k.typeIn("apple")
	k.tabTo("write")
	k.press("Enter", 0)
	k.until(`document.getElementById('answer').textContent.startsWith('Written')`)
	require.Equal(t, "apple", c.get(leader, "fruit"))
	require.Equal(t, "write", k.focused(), "the focus stays")
	k.tabTo("list")
	k.press(" ", 0)
	k.until(`document.querySelectorAll('#list button').length === 1`)
	k.tabTo("fruit")
	k.press("Enter", 0)
	k.until(`document.getElementById('answer').textContent.startsWith('Read: 5 bytes')`)

	// The way to the keys is short for those who do not want the members.
	k.see(`document.activeElement.blur() || scrollTo(0, 0)`)
	k.call("Page.reload", nil, nil)
	k.until("document.querySelectorAll('.member .log').length === 3")
	k.tabTo("Skip to keys")
	k.press("Enter", 0)
	k.press("Tab", 0)
	require.Equal(t, "key", k.focused())

	lead := fmt.Sprint("lead-", next)
	for i := 0; i < 60 && k.focused() != lead; i++ {
		k.press("Tab", 8)
	}
	require.Equal(t, lead, k.focused())
	k.press("Enter", 0)
	k.until(fmt.Sprintf(`document.getElementById('member-%d').dataset.role === 'leader'`, next))
	require.Equal(t, next, c.leader())
	require.True(t, strings.HasPrefix(k.see(`document.getElementById('said').textContent`), "Make member"),
		k.see(`document.getElementById('said').textContent`))
}
