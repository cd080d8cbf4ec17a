package member_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
)

// mouse presses a button of the mouse on the middle of an element, or lets it go there.
func (k *keyboard) mouse(kind, id string) {
	k.t.Helper()
	var at struct{ X, Y float64 }
	require.NoError(k.t, json.Unmarshal([]byte(k.see(fmt.Sprintf(`((e) => {
		e.scrollIntoView({block: 'nearest'});
		const box = e.getBoundingClientRect();
		return JSON.stringify({x: box.x + box.width / 2, y: box.y + box.height / 2});
	})(document.getElementById('%s'))`, id))), &at))
	k.call("Input.dispatchMouseEvent",
		map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
}

// refreshed waits until the page has asked for the members twice more: it has then shown
// what it was told the first time.
func (k *keyboard) refreshed() {
	k.t.Helper()
	const asked = `performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/cluster')).length`
	var before int
	_, err := fmt.Sscan(k.see(asked), &before)
	require.NoError(k.t, err)
	k.until(fmt.Sprintf("%s >= %d", asked, before+2))
}

// click presses the mouse on an element and lets it go, with a refresh in between.
func (k *keyboard) click(id string) {
	k.t.Helper()
	k.mouse("mousePressed", id)
	k.refreshed()
	k.mouse("mouseReleased", id)
}

func TestARefreshTakesNeitherAClickNorASelection(t *testing.T) {
	findBrowser(t)
	c := newCluster(t, 3, member.Config{})
	leader := c.leader()
	next := 1 + leader%3
	k := sitDown(t, "http://"+c.members[leader].ClientAddr()+"/")

	k.see(fmt.Sprintf(`getSelection().selectAllChildren(document.querySelector('#member-%d .who .small:last-child'))`, leader))
	require.Equal(t, c.url(leader), k.see(`getSelection()`))
	c.put(leader, "a", "changes what is shown")
	k.refreshed()
	require.Equal(t, c.url(leader), k.see(`getSelection()`))

	remove := fmt.Sprint("remove-", next)
	k.click(remove)
	k.until(fmt.Sprintf(`document.getElementById('%s').textContent === 'Really remove'`, remove))
	k.until(fmt.Sprintf(`document.getElementById('%s').textContent === 'Remove'`, remove)) // it was not meant
	k.click(fmt.Sprint("lead-", next))
	k.until(fmt.Sprintf(`document.getElementById('member-%d').dataset.role === 'leader'`, next))
	k.click(remove)
	k.until(fmt.Sprintf(`document.getElementById('%s').textContent === 'Really remove'`, remove))
	k.mouse("mousePressed", remove)
	k.mouse("mouseReleased", remove)
	k.until(fmt.Sprintf(`!document.getElementById('member-%d')`, next))
}
