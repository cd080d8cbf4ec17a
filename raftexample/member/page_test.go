package member_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/member"
)

func TestThePageShowsTheCluster(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	leader := c.leader()
	for i := range 20 {
		c.put(leader, fmt.Sprint("key", i), "v")
	}
	var got struct {
		Summary, Activity string
		Roles             map[string]string
		Logs, Lags        []string
		Elections, Axes   []string
	}
	c.look(c.follower(), 0, `
		await until(() => all('.member .small').filter((e) => e.textContent.includes('has everything, 0 in flight, answers within')).length === 2);
		await until(() => $('throughput').querySelectorAll('path').length === 1);
		return {
			summary: $('summary').textContent, activity: $('throughput').getAttribute('aria-label'),
			roles: Object.fromEntries(all('.member').map((m) => [m.id, m.dataset.role])),
			logs: all('.member .log').map((l) => l.getAttribute('aria-label')),
			axes: ['throughput-most', 'throughput-start', 'latencies-most', 'latencies-start'].map((id) => $(id).textContent),
			elections: all('#elections li span').map((e) => e.textContent),
		};
	`, &got)
	require.Contains(t, got.Summary, fmt.Sprintf("Member %d leads in term ", leader))
	require.Len(t, got.Roles, 3)
	require.Equal(t, "leader", got.Roles[fmt.Sprint("member-", leader)])
	require.Len(t, got.Logs, 3)
	require.Regexp(t, `^log from 1 to \d+; committed up to \d+, applied up to \d+$`, got.Logs[0])
	require.NotEmpty(t, got.Elections)
	require.Regexp(t, fmt.Sprintf(`^member %d leads in term \d+$`, leader), got.Elections[0])
	for i, form := range []string{`^[\d,.]+ in a second$`, `^\d+ s ago$`, `^[\d,.]+ ms$`, `^\d+ s ago$`} {
		require.Regexp(t, form, got.Axes[i])
	}
	require.Contains(t, got.Activity, "requests in a second, at most ")
}

func TestThePageSaysWhoDoesNotAnswer(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	away := c.follower()
	c.shutdown(away)
	var got []string
	c.look(c.leader(), 0, fmt.Sprintf(`
		await until(() => $('member-%[1]d').textContent.includes('not heard from'));
		return [$('summary').textContent, $('member-%[1]d').textContent, $('member-%[1]d').dataset.role, $('summary').className,
			String($('lead-%[1]d').disabled)];
	`, away), &got)
	require.Contains(t, got[0], "1 of 3 voters do not answer")
	require.NotContains(t, got[1], "answers within")
	require.Equal(t, []string{"no answer", "bad", "true"}, got[2:])
}

func TestKeysAreReadAndWrittenOnThePage(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	c.leader()
	c.put(1, "other", "x")
	var got []string
	c.look(2, 0, `
		const f = $('kv').elements;
		const act = (what) => { $('answer').textContent = ''; document.querySelector('#kv button[value=' + what + ']').click(); };
		const seen = [];
		const after = async (what, text) => { act(what); seen.push((await said('answer', text)).replace(/\d+$/, 'N')); };
		f.key.value = '<b>a/b ü';
		f.value.value = 'one <i>';
		await after('write', 'Written');
		f.value.value = '';
		await after('read', 'Read');
		seen.push(f.value.value);
		f.unchanged.checked = true;
		await fetch('/kv/' + encodeURIComponent(f.key.value), {method: 'PUT', body: 'two'});
		await after('write', 'condition does not hold');
		await after('read', 'Read');
		seen.push(f.value.value);
		await after('delete', 'Deleted');
		await after('read', 'no such key');
		f.key.value = 'o';
		await after('list', 'keys');
		seen.push(all('#list button').map((b) => b.textContent).join());
		all('#list button')[0].click();
		await until(() => f.value.value === 'x');
		f.key.value = '..';
		await after('read', 'cannot ask');
		return seen;
	`, &got)
	require.Equal(t, []string{
		"Written: revision N", "Read: 7 bytes, revision N", "one <i>",
		"the condition does not hold: the key has revision N", "Read: 3 bytes, revision N", "two",
		"Deleted", "no such key", "1 keys", "other", "browsers cannot ask for this key",
	}, got)
	require.Equal(t, "x", c.get(1, "other"))
}

func TestTheClusterIsChangedOnThePage(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	leader := c.leader()
	next := 1 + leader%3
	listener := c.reserve(4)
	require.NoError(t, listener.Close())
	var got []string
	c.look(leader, 0, fmt.Sprintf(`
		const seen = [];
		const f = $('add').elements;
		f.id.value = '4';
		f.url.value = '%[2]s';
		f.learner.checked = true;
		$('add').requestSubmit();
		seen.push(await said('said', 'Add member 4: '));
		await until(() => $('said').textContent.includes('done'));
		await until(() => $('member-4'));
		seen.push($('member-4').textContent.includes('learner') ? 'a learner' : $('member-4').textContent);
		$('lead-%[1]d').click();
		await until(() => $('member-%[1]d').dataset.role === 'leader');
		seen.push('led by another');
		$('remove-4').click();
		await until(() => $('remove-4').textContent === 'Really remove');
		if (!$('member-4')) throw 'removed at the first click';
		$('remove-4').focus();
		document.activeElement.click();
		await until(() => !$('member-4'));
		seen.push('removed');
		return seen.slice(1);
	`, next, c.url(4)), &got)
	require.Equal(t, []string{"a learner", "led by another", "removed"}, got)
	require.Equal(t, next, c.leader())
}

func TestALearnerIsPromotedOnThePage(t *testing.T) {
	c := newCluster(t, 2, member.Config{})
	leader := c.leader()
	learner := 3 - leader
	c.must(204, leader, "POST", fmt.Sprintf("/members/%d?learner=true", learner), c.url(learner))
	var got []string
	c.look(leader, 0, fmt.Sprintf(`
		(await until(() => $('promote-%[1]d') && !$('promote-%[1]d').disabled && $('promote-%[1]d'))).click();
		await until(() => $('lead-%[1]d'));
		return [await said('said', 'done'), String(!!$('promote-%[1]d'))];
	`, learner), &got)
	require.Equal(t, []string{fmt.Sprintf("Promote member %d: done", learner), "false"}, got)
}

func TestThePageIsForPhonesAndKeys(t *testing.T) {
	c := newCluster(t, 3, member.Config{})
	leader := c.leader()
	c.put(leader, "a", "1")
	var got struct {
		Width, Wide int
		Unnamed     []string
		Focus       bool
		Paused      string
	}
	c.look(leader, 360, fmt.Sprintf(`
		const wide = Math.max(...all('main *').map((e) => Math.ceil(e.getBoundingClientRect().right)));
		const named = (e) => e.textContent.trim() || e.getAttribute('aria-label') || e.closest('label');
		const unnamed = all('button, input, textarea').filter((e) => !named(e) || e.tabIndex < 0).map((e) => e.outerHTML);
		const old = $('remove-%[1]d');
		old.focus();
		const asked = () => performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/cluster')).length;
		const before = asked();
		await until(() => asked() >= before + 2, 'a refresh');
		const focus = document.activeElement === $('remove-%[1]d') && old === $('remove-%[1]d');
		$('pause').click();
		return {width: innerWidth, wide, unnamed, focus, paused: $('pause').getAttribute('aria-pressed')};
	`, leader), &got)
	require.Equal(t, 360, got.Width)
	require.LessOrEqual(t, got.Wide, 360, "nothing is beyond the edge")
	require.Empty(t, got.Unnamed)
	require.True(t, got.Focus, "the focus survives a refresh")
	require.Equal(t, "true", got.Paused)
}

func TestNothingButThePageIsLoaded(t *testing.T) {
	c := newCluster(t, 1, member.Config{})
	page := c.must(200, 1, "GET", "/", "")
	require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, page.body, "http://www")
	for _, path := range []string{"/page/main.js", "/page/page.css", "/page/icon.svg"} {
		require.NotEmpty(t, c.must(200, 1, "GET", path, "").body, path)
	}
	c.must(404, 1, "GET", "/page/none.js", "")
	c.must(405, 1, "POST", "/", "")
}
