package trace

import (
	"embed"
	"encoding/json"
	"html"
	"io"
	"strings"
)

//go:embed page
var page embed.FS

// pageScripts are the parts of the page's program, in the order in which they go
// into it: each uses only what stands before it when it is loaded.
var pageScripts = []string{
	"dom.js", "run.js", "words.js", "explain.js", "rows.js", "diagram.js", "timeline.js", "overview.js",
	"logs.js", "details.js", "controls.js", "main.js",
}

// WriteHTML writes a trace as one page that shows it in a browser: everything is
// in it, and it asks no network for anything. The address may name what is to be
// seen first: #event=12, or #message=3.
func WriteHTML(w io.Writer, t *Trace) error {
	if err := t.Check(); err != nil {
		return err
	}
	// Marshal writes <, > and & as escapes, so nothing in the data ends its element.
	data, err := json.Marshal(newPageData(t))
	if err != nil {
		return err
	}
	title := html.EscapeString(oneLine(t.Title))
	if title == "" {
		title = "A run of a cluster"
	}
	var script strings.Builder
	for _, name := range pageScripts {
		script.WriteString(pagePart(name))
	}
	_, err = strings.NewReplacer(
		"{{title}}", title,
		"{{style}}", pagePart("page.css"),
		"{{trace}}", string(data),
		"{{script}}", script.String(),
	).WriteString(w, pagePart("page.html"))
	return err
}

func pagePart(name string) string {
	text, err := page.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return string(text)
}

// pageData is a trace as the page reads it: members are numbered from 1, because
// ids may be too big for the numbers of JavaScript. Names are those of Members,
// then of others that are spoken of; number n has the name Names[n-1].
type pageData struct {
	Trace
	Names []string `json:"names"`
}

// numbering gives ids their numbers.
type numbering struct {
	numbers map[uint64]uint64
	names   []string
}

func (n *numbering) number(id uint64) uint64 {
	if id == 0 {
		return 0
	}
	if n.numbers[id] == 0 {
		n.names = append(n.names, formatID(id))
		n.numbers[id] = uint64(len(n.names))
	}
	return n.numbers[id]
}

func (n *numbering) all(ids []uint64) []uint64 {
	numbers := make([]uint64, 0, len(ids))
	for _, id := range ids {
		numbers = append(numbers, n.number(id))
	}
	return numbers
}

func newPageData(t *Trace) pageData {
	n := &numbering{numbers: map[uint64]uint64{}}
	data := pageData{Trace: *t}
	data.Members = n.all(t.Members)
	data.Events = make([]Event, 0, len(t.Events))
	for _, e := range t.Events {
		e.Member = n.number(e.Member)
		if e.State != nil {
			s := *e.State
			s.Vote, s.Lead = n.number(s.Vote), n.number(s.Lead)
			e.State = &s
		}
		data.Events = append(data.Events, e)
	}
	data.Messages = make([]Message, 0, len(t.Messages))
	for _, m := range t.Messages {
		m.From, m.To = n.number(m.From), n.number(m.To)
		data.Messages = append(data.Messages, m)
	}
	if t.Violation != nil {
		v := *t.Violation
		v.Members = n.all(v.Members)
		v.Cells = nil
		for _, c := range t.Violation.Cells {
			v.Cells = append(v.Cells, Cell{Member: n.number(c.Member), Index: c.Index})
		}
		data.Violation = &v
	}
	data.Names = n.names
	return data
}
