package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// killTable is what became of all broken copies.
type killTable struct {
	Machine string `json:"machine"`
	// Limit is for how many seconds each copy was simulated, ExploreLimit explored, on
	// Parallel cores.
	Limit        float64 `json:"limit_seconds"`
	ExploreLimit float64 `json:"explore_limit_seconds"`
	Parallel     int     `json:"parallel"`
	Kills        []kill  `json:"kills"`
	// Control is of the library as it is, nil where it was left out.
	Control *kill `json:"control,omitempty"`
}

func (t *killTable) survivors() int {
	n := 0
	for _, k := range t.Kills {
		if !k.noticed() {
			n++
		}
	}
	return n
}

// writeMarkdown writes the table for people.
func (t *killTable) writeMarkdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%d of %d broken copies were noticed. Each was simulated for at most %.0f s and explored for at\n"+
		"most %.0f s, on %d cores (%s).\n\n",
		len(t.Kills)-t.survivors(), len(t.Kills), t.Limit, t.ExploreLimit, t.Parallel, t.Machine)
	fmt.Fprintln(out, "| # | change | expected | first checker | seeds | seconds | shrunk to | explorer |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|")
	for _, k := range t.Kills {
		fmt.Fprintln(out, k.row())
	}
	if c := t.Control; c != nil {
		fmt.Fprintf(out, "\nThe library as it is, %d seeds in %.0f s: %s.\n", c.Runs, c.Seconds, c.verdict())
	}
	return out.Flush()
}

func (k *kill) row() string {
	shrunk, shortest := "", ""
	if k.Shrunk > 0 {
		shrunk = strconv.Itoa(k.Shrunk)
	}
	if e := k.Explored; e != nil {
		shortest = fmt.Sprintf("%d (%s)", e.Actions, e.Model)
		if e.Rule != k.Rule {
			shortest = fmt.Sprintf("%d (%s, %s)", e.Actions, e.Model, e.Rule)
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %d | %.1f | %s | %s |", k.Number, escape(k.Change),
		escape(strings.Join(k.Expected, " or ")), escape(k.verdict()), k.Runs, k.Seconds, shrunk, shortest)
}

// verdict says in a few words what became of a copy.
func (k *kill) verdict() string {
	switch {
	case k.Problem != "":
		return "**not judged**: " + firstLines(k.Problem)
	case k.By == "explore":
		return k.Rule + " (explorer)"
	case k.noticed() && k.Number == "":
		return fmt.Sprintf("**%s** in seed %d", k.Rule, k.Seed)
	case k.noticed():
		return k.Rule
	case k.Number == "":
		return "no rule was broken"
	default:
		return "**survived**"
	}
}

// escape keeps a text inside of its cell.
func escape(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

func describeMachine() string {
	return fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
