package trace_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	. "github.com/seed-289bd6ac/raft/rafttest/trace"
)

func TestThePageShowsWhatBreaksTheRule(t *testing.T) {
	t.Parallel()
	var got struct {
		Result, Banner, Details, Place string
		Cells, Members, Causes         []string
		Dimmed                         int
	}
	look(t, small(), visit{height: 1400, script: `
		const first = {
			result: document.documentElement.dataset.result, banner: $('banner').textContent, place: detail(),
			details: $('details').textContent, cells: all('#grid .cell.broken').map((c) => c.getAttribute('aria-label')),
			members: texts('.who.broken .chip'),
		};
		press('Home');
		if (all('#grid .cell.broken').length > 0) throw 'broken before it broke';
		$('jump').click();
		if (detail() !== '20') throw 'the button leads to ' + detail();
		press('c');
		const lit = all('.row:not(.dim)').map((r) => r.dataset.place);
		const dimmed = all('.row.dim').length;
		press('ArrowLeft');
		press('ArrowLeft');
		return {...first, causes: [...lit, detail()], dimmed};
	`}, &got)
	assert.Equal(t, "broken", got.Result)
	assert.Contains(t, got.Banner, "leader completeness1/1 is committed, and leader 2 of term 2 holds 2/1 there")
	assert.Equal(t, "20", got.Place)
	assert.Contains(t, got.Details, "leader completeness")
	assert.Contains(t, got.Details, "MsgApp 2→3")
	assert.Equal(t, []string{
		"entry 1 on 1: term 1, empty, compacted away, part of the snapshot",
		"entry 1 on 2: term 2, <script>alert(1)</script>, not durable yet, not known as committed, not applied",
	}, got.Cells)
	assert.Equal(t, []string{"2"}, got.Members)
	// Back from each event to the last change of its member, and to what sent its message.
	assert.Equal(t, strings.Fields("0 1 4 6 7 9 10 11 14 15 16 19 20 16"), got.Causes)
	assert.Equal(t, 8, got.Dimmed)
}

func TestAnAddressLeadsToAnEvent(t *testing.T) {
	t.Parallel()
	var got struct{ Details, Selected, Clock, Slider, Row string }
	look(t, small(), visit{hash: "#event=7", script: `
		return {
			details: $('details').textContent, selected: $('timeline').getAttribute('aria-activedescendant'),
			clock: $('clock').textContent, slider: $('slider').getAttribute('aria-valuetext'),
			row: document.querySelector('.row[aria-selected=true]').textContent,
		};
	`}, &got)
	for _, want := range []string{
		"Event 7: deliver at member 1", "110.000 ms", "MsgVoteResp 2→1", "sent by event 6, arrived after 5.0 ms",
		"MsgApp 1→2 arrived after 2.0 ms", "MsgApp 1→3 refused after 4.0 ms", "rolecandidate→leader", "leadernobody→1",
		"Log from index 1 on1 empty",
	} {
		assert.Contains(t, got.Details, want)
	}
	assert.Equal(t, "row-7", got.Selected)
	assert.Equal(t, "110.000 ms", got.Clock)
	assert.Equal(t, "event 7 of 21, 110.000 milliseconds", got.Slider)
	assert.Equal(t, "7110.0001deliverVoteResp2→15.0 msleaderleader is 1entry 1 of term 1term:1", got.Row)
}

func TestAnAddressLeadsToAMessage(t *testing.T) {
	t.Parallel()
	var got struct{ Details, Place string }
	look(t, small(), visit{hash: "#message=6", script: `
		return {details: $('details').textContent, place: detail()};
	`}, &got)
	assert.Contains(t, got.Details, "Message 6: MsgApp from 1 to 2")
	assert.Contains(t, got.Details, "sentevent 8fatedelivered: arrived after 5.5 ms event 17copy ofMsgApp 1→2")
	assert.Equal(t, "17", got.Place)
}

func TestArrowsCanBePicked(t *testing.T) {
	t.Parallel()
	var got []string
	look(t, small(), visit{hash: "#event=6", script: `
		const lane = (i) => { const r = all('.head')[i - 1].getBoundingClientRect(); return r.left + r.width / 2; };
		const line = (i) => { const r = $('row-' + i).getBoundingClientRect(); return r.top + r.height / 2; };
		const click = (x, y) => {
			document.elementFromPoint(x, y).dispatchEvent(new MouseEvent('click', {clientX: x, clientY: y, bubbles: true}));
			const message = document.querySelector('[data-message]');
			return message ? message.querySelector('h3').textContent : 'event ' + detail();
		};
		return [
			click(lane(1) * 0.6 + lane(2) * 0.4, line(4) * 0.6 + line(6) * 0.4),
			click(lane(1) * 0.4 + lane(3) * 0.6, line(5)),
			click(lane(3), line(8)),
		];
	`}, &got)
	assert.Equal(t, []string{
		"Message 1: MsgVote from 1 to 2", "Message 2: MsgVote from 1 to 3", "event 8",
	}, got)
}

func TestThePageIsOperatedByKeys(t *testing.T) {
	t.Parallel()
	var got []string
	look(t, small(), visit{hash: "#event=4", script: `
		const seen = [];
		const after = (key, more) => { press(key, more); seen.push(key + ' ' + detail()); };
		after('ArrowRight'); after('ArrowDown'); after('ArrowLeft'); after('k'); after('j');
		after('ArrowRight', {shiftKey: true}); after('ArrowLeft', {shiftKey: true});
		after('Home'); after('ArrowLeft'); after('End'); after('ArrowRight'); after('Home'); after('v');
		press('/');
		seen.push('focus ' + document.activeElement.id);
		after('Home');
		press('Escape');
		after('Home');
		press('?');
		seen.push('legend ' + $('legend').open);
		$('close-legend').click();
		$('timeline').focus();
		press(' ');
		seen.push($('play').getAttribute('aria-label'));
		press(' ');
		seen.push($('play').getAttribute('aria-label'));
		$('grid').focus();
		press('v');
		press('ArrowLeft');
		seen.push(document.querySelector('[data-cell]').dataset.cell);
		return seen;
	`}, &got)
	assert.Equal(t, []string{
		"ArrowRight 5", "ArrowDown 6", "ArrowLeft 5", "k 4", "j 5", "ArrowRight 12", "ArrowLeft 5",
		"Home 0", "ArrowLeft 0", "End 20", "ArrowRight 20", "Home 0", "v 20",
		"focus search", "Home 20", "Home 0", "legend true", "pause", "play", "1/3",
	}, got)
}

func TestAFilterHidesEventsAndGivesWayToAnAddress(t *testing.T) {
	t.Parallel()
	tr := runCluster(t, 2, 3, 400)
	quiet := 0
	for _, e := range tr.Events {
		if e.Kind == Tick && e.State == nil && len(e.Sent) == 0 {
			quiet++
		}
	}
	require.Greater(t, quiet, 50)
	tick := 0
	for tr.Events[tick].Kind != Tick {
		tick++
	}
	var got struct {
		Shown         []int
		Revealed      string
		Kinds, Search []string
	}
	look(t, tr, visit{script: fmt.Sprintf(`
		const rows = () => Number($('slider').max) + 1;
		const shown = [rows()];
		$('quiet').click();
		shown.push(rows());
		all('.head')[0].click();
		all('.head')[1].click();
		shown.push(rows());
		all('.head')[0].click();
		all('.head')[1].click();
		shown.push(rows());
		$('kinds').querySelector('[data-kind=tick]').click();
		const kinds = [...new Set(texts('.row .kind'))];
		$('search').value = 'leader is';
		$('search').dispatchEvent(new Event('input'));
		const search = texts('.row').filter((text) => !text.includes('leader is'));
		shown.push(rows());
		location.hash = '#event=%d';
		dispatchEvent(new HashChangeEvent('hashchange'));
		shown.push(rows());
		return {shown, kinds, search, revealed: detail() + $('search').value + $('quiet').checked};
	`, tick)}, &got)
	assert.LessOrEqual(t, got.Shown[0], len(tr.Events)-quiet)
	assert.Equal(t, len(tr.Events), got.Shown[1])
	assert.Less(t, got.Shown[2], len(tr.Events)/2)
	assert.Equal(t, len(tr.Events), got.Shown[3])
	assert.NotContains(t, got.Kinds, "tick")
	assert.Empty(t, got.Search)
	assert.Less(t, got.Shown[4], 40)
	assert.Equal(t, len(tr.Events), got.Shown[5])
	assert.Equal(t, fmt.Sprintf("%dfalse", tick), got.Revealed)
}

// shownCell is a cell of the grid as the page shows it.
type shownCell struct {
	Member, Index, Term                            uint64
	Durable, Committed, Applied, Compacted, Config bool
}

// expectedCells returns what the grid should show after an event, from a log that
// is kept without any of the page's shortcuts.
func expectedCells(tr *Trace, place int) map[string]shownCell {
	logs := map[uint64]map[uint64]Entry{}
	states := map[uint64]*State{}
	for _, e := range tr.Events[:place+1] {
		if e.State == nil {
			continue
		}
		s := e.State
		states[e.Member] = s
		if logs[e.Member] == nil {
			logs[e.Member] = map[uint64]Entry{}
		}
		for i, entry := range s.Log {
			logs[e.Member][s.LogFrom+uint64(i)] = entry
		}
	}
	cells := map[string]shownCell{}
	for id, s := range states {
		for index := uint64(1); index <= s.Last; index++ {
			c := shownCell{Member: id, Index: index, Compacted: index < s.First}
			if !c.Compacted {
				c.Term, c.Config = logs[id][index].Term, logs[id][index].Change
				c.Durable, c.Committed, c.Applied = index <= s.Durable, s.Up && index <= s.Commit, s.Up && index <= s.Applied
			}
			cells[fmt.Sprintf("%d/%d", id, index)] = c
		}
	}
	return cells
}

func TestTheLogsAreThoseOfTheMomentThatIsLookedAt(t *testing.T) {
	t.Parallel()
	tr := runCluster(t, 1, 5, 4_000)
	var got []struct {
		Place int
		Cells []shownCell
	}
	look(t, tr, visit{script: `
		const seen = [];
		const last = Number($('number').max);
		// Forward in steps, then back: the log of a moment does not depend on the way there.
		for (let i = 0; i <= 60; i++) {
			const place = i <= 40 ? Math.floor(last * i / 40) : Math.floor(last * (60 - i) / 20.5);
			$('number').value = place;
			$('number').dispatchEvent(new Event('change'));
			seen.push({place, cells: all('#grid .cell').map((c) => {
				const has = (name) => c.classList.contains(name);
				return {
					member: Number(c.dataset.member), index: Number(c.dataset.index), term: has('compacted') ? 0 : Number(c.textContent),
					durable: has('durable'), committed: has('committed'), applied: has('applied'), compacted: has('compacted'),
					config: has('config') && !has('compacted'),
				};
			})});
		}
		return seen;
	`}, &got)
	require.Len(t, got, 61)
	compared := 0
	for _, moment := range got {
		want := expectedCells(tr, moment.Place)
		for _, c := range moment.Cells {
			require.Equal(t, want[fmt.Sprintf("%d/%d", c.Member, c.Index)], c, "event %d", moment.Place)
			compared++
		}
	}
	assert.Greater(t, compared, 2_000)
}

func TestARunWithoutAViolationIsShownAsWell(t *testing.T) {
	t.Parallel()
	var got []string
	tr := small()
	tr.Violation = nil
	look(t, tr, visit{height: 1400, script: `
		$('causes').click();
		press('v');
		const before = $('causes').getAttribute('aria-pressed');
		all('.row')[7].click();
		document.querySelector('#details .buttons button').click();
		return [
			document.documentElement.dataset.result, String($('banner').hidden), before, $('causes-note').textContent,
			all('.row:not(.dim)').map((r) => r.dataset.place).join(' '),
		];
	`}, &got)
	assert.Equal(t, []string{"passed", "true", "false", "5 events led to event 7", "0 1 4 6 7"}, got)
}

func TestLabelsOfPhasesAreNotDrawnOverEachOther(t *testing.T) {
	t.Parallel()
	tr := &Trace{Members: []uint64{1}}
	phases := map[int]string{
		0: "faults begin, and go on for a while", 40: "faults end", 41: "member 1 stays down", 42: "member 2 stays down",
		80: "a phase whose name is much too long for the room has no room at the end",
	}
	for i := range 100 {
		e := Event{At: uint64(i), Kind: Propose, Member: 1}
		if text, ok := phases[i]; ok {
			e = Event{At: uint64(i), Kind: "phase", Text: text}
		}
		tr.Events = append(tr.Events, e)
	}
	var got []struct {
		Text       string
		Start, End float64
	}
	look(t, tr, visit{width: 600, script: `
		const [drawn, draw] = [[], CanvasRenderingContext2D.prototype.fillText];
		CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
			if (this.canvas.id === 'overview' && text) drawn.push({text, start: x, end: x + this.measureText(text).width});
			draw.call(this, text, x, y);
		};
		dispatchEvent(new Event('resize'));
		await settled();
		drawn.push({text: '', start: $('overview').clientWidth});
		return drawn;
	`}, &got)
	require.Len(t, got, 4)
	assert.Equal(t, phases[0], got[0].Text)
	assert.Equal(t, phases[42], got[1].Text)
	assert.Regexp(t, "^a .*…$", got[2].Text)
	for i := range got[:3] {
		assert.Less(t, got[i].End, got[i+1].Start, "%v", got[i])
	}
}

func TestARunInWhichNothingHappenedIsShownAsWell(t *testing.T) {
	t.Parallel()
	for _, tr := range []*Trace{{}, {Members: []uint64{1, 2}}} {
		var got []string
		look(t, tr, visit{script: `
			press('ArrowRight'); press('End'); press('c'); press('t'); press('h'); press('v'); press(' '); press(' ');
			return texts('.empty');
		`}, &got)
		assert.Equal(t, []string{"No event passes the filter.", "Nothing happened in this run."}, got)
	}
}

func TestThePageFitsAPhone(t *testing.T) {
	t.Parallel()
	tr := runCluster(t, 3, 5, 600)
	breakLogMatching(t, tr)
	var got struct {
		Width   int
		Visible map[string]string
		Wide    []string
	}
	look(t, tr, visit{width: 390, height: 844, framed: true, script: `
		const visible = {};
		const wide = [];
		for (const button of all('#views button')) {
			button.click();
			visible[button.dataset.view] = ['run', 'logs', 'details'].filter((id) => $(id).offsetHeight > 200).join(' ');
			if (document.documentElement.scrollWidth > innerWidth) wide.push(button.dataset.view);
			for (const e of all('button, input, summary, h1, #banner *')) {
				const r = e.getBoundingClientRect();
				if (r.width > 0 && (r.right > innerWidth + 1 || r.left < -1) && !e.closest('#timeline, #grid, #kinds')) wide.push(e.id || e.className);
			}
		}
		document.querySelector('#views button').click();
		document.querySelector('.row').click();
		all('#views button')[1].click();
		document.querySelector('#grid .cell').click();
		visible.cell = document.documentElement.dataset.view;
		return {width: innerWidth, visible, wide};
	`}, &got)
	assert.Equal(t, 390, got.Width)
	assert.Equal(t, map[string]string{"run": "run", "logs": "logs", "details": "details", "cell": "details"}, got.Visible)
	assert.Empty(t, got.Wide)
}

func TestEverythingHasANameAndCanBeReadInLightAndDark(t *testing.T) {
	t.Parallel()
	tr := runCluster(t, 2, 3, 1_500)
	breakLogMatching(t, tr)
	for _, dark := range []bool{false, true} {
		var got struct{ Nameless, Pale []string }
		look(t, tr, visit{dark: dark, script: contrastScript}, &got)
		assert.Empty(t, got.Nameless, "dark: %v", dark)
		assert.Empty(t, got.Pale, "dark: %v", dark)
	}
}

// contrastScript looks for controls without a name, and for text with less than the
// contrast of 4.5 that WCAG asks for. What is dimmed on purpose counts as it is
// when it is not.
const contrastScript = `
	const nameless = all('button, input, select, summary, [role]:not([role=presentation])').filter((e) =>
		!(e.textContent.trim() || e.getAttribute('aria-label') || e.title || e.closest('label'))).map((e) => e.outerHTML.slice(0, 80));
	const dot = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
	const rgb = (colour, under) => {
		dot.fillStyle = under;
		dot.fillRect(0, 0, 1, 1);
		dot.fillStyle = colour;
		dot.fillRect(0, 0, 1, 1);
		const [r, g, b] = dot.getImageData(0, 0, 1, 1).data;
		return 'rgb(' + [r, g, b] + ')';
	};
	const light = (colour) => {
		const [r, g, b] = colour.match(/\d+/g).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ground = (e) => e ? rgb(getComputedStyle(e).backgroundColor, ground(e.parentElement)) : 'rgb(255,255,255)';
	const pale = new Map();
	const look = () => {
		for (const e of all('body *')) {
			const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
			if (!own || e.offsetHeight === 0 || e.closest('svg') || e.disabled) continue;
			const under = ground(e);
			const [a, b] = [light(rgb(getComputedStyle(e).color, under)), light(under)].sort((x, y) => y - x);
			const ratio = (a + 0.05) / (b + 0.05);
			if (ratio < 4.5) pale.set(e.tagName + '.' + e.className, e.textContent.slice(0, 20) + ' ' + ratio.toFixed(2));
		}
	};
	look();
	for (const part of [0.05, 0.1, 0.3, 0.6, 0.8]) {
		$('slider').value = $('slider').max * part;
		$('slider').dispatchEvent(new Event('input'));
		look();
	}
	$('show-legend').click();
	look();
	return {nameless, pale: [...pale].map((p) => p.join(': '))};
`

func TestTwentyThousandEventsStaySmooth(t *testing.T) {
	tr := runCluster(t, 5, 5, 20_000)
	breakLogMatching(t, tr)
	var got struct {
		Load, Step, Scrub, Worst, Causes, Filter float64
		Rows, Elements                           int
	}
	look(t, tr, visit{realTime: true, script: `
		const load = performance.now();
		const time = (n, act) => {
			const took = [];
			for (let i = 0; i < n; i++) {
				const start = performance.now();
				act(i);
				document.body.getBoundingClientRect();
				took.push(performance.now() - start);
			}
			return took.sort((a, b) => a - b);
		};
		const filter = time(1, () => $('quiet').click())[0];
		const scrubs = time(200, (i) => {
			$('slider').value = $('slider').max * ((i * 0.618) % 1);
			$('slider').dispatchEvent(new Event('input'));
		});
		const steps = time(200, () => press('ArrowLeft'));
		const causes = time(1, () => $('causes').click())[0];
		return {
			load, filter, causes, scrub: scrubs[100], worst: scrubs[199], step: steps[100],
			rows: Number($('slider').max) + 1, elements: all('*').length,
		};
	`}, &got)
	t.Logf("load %.0f ms; median step %.1f ms, scrub %.1f ms, worst scrub %.1f ms; causes %.0f ms, filter %.0f ms; %d elements",
		got.Load, got.Step, got.Scrub, got.Worst, got.Causes, got.Filter, got.Elements)
	assert.Equal(t, len(tr.Events), got.Rows)
	// The bounds are for a machine that has a lot else to do.
	assert.Less(t, got.Load, 20_000.0)
	assert.Less(t, got.Step, 150.0)
	assert.Less(t, got.Scrub, 150.0)
	assert.Less(t, got.Elements, 3_000, "only what is in the window is in the document")
}
