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
	// Command made the table.
	Command string `json:"command"`
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

// writeMarkdown writes the table as a document for people.
func (t *killTable) writeMarkdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# Broken copies, and what noticed them\n\nMade by `%s`.\n\n", t.Command)
	fmt.Fprintf(out, "Each was simulated for at most %.0f s%s, on %d cores (%s).\n", t.Limit, t.explored(), t.Parallel, t.Machine)
	if c := t.Control; c != nil {
		fmt.Fprintf(out, "The library as it is, %d seeds in %.0f s: %s.\n", c.Runs, c.Seconds, c.verdict())
	}
	writeSection(out, "Those that the checks were made for", t.where(false))
	writeSection(out, "Others, kept apart while the checks were made", t.where(true))
	return out.Flush()
}

func (t *killTable) explored() string {
	if t.ExploreLimit == 0 {
		return ""
	}
	return fmt.Sprintf(" and explored for at most %.0f s", t.ExploreLimit)
}

// where returns those that are held out, or those that are not.
func (t *killTable) where(heldOut bool) []kill {
	var kills []kill
	for _, k := range t.Kills {
		if k.HeldOut == heldOut {
			kills = append(kills, k)
		}
	}
	return kills
}

func writeSection(w io.Writer, title string, kills []kill) {
	if len(kills) == 0 {
		return
	}
	noticed := 0
	for _, k := range kills {
		if k.noticed() {
			noticed++
		}
	}
	fmt.Fprintf(w, "\n## %s\n\n%d of %d were noticed.\n\n", title, noticed, len(kills))
	fmt.Fprintln(w, "| # | change | expected | first checker | seeds | seconds | shrunk to | explorer |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, k := range kills {
		fmt.Fprintln(w, k.row())
	}
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
	return fmt.Sprintf("| %s | %s | %s | %s | %d | %.1f | %s | %s |", k.Number, escape(k.Name+": "+k.Change),
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
