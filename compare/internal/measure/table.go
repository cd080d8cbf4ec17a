package measure

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// WriteTables writes one Markdown table for each group. A cell has the median and,
// in parentheses, the least and the greatest value; a ratio says how many times
// better the first library is.
func WriteTables(w io.Writer, results []Result) error {
	var b strings.Builder
	for len(results) > 0 {
		n := 1
		for n < len(results) && results[n].Case.Group == results[0].Case.Group {
			n++
		}
		writeTable(&b, results[:n])
		results = results[n:]
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeTable(b *strings.Builder, results []Result) {
	libraries := librariesOf(results)
	fmt.Fprintf(b, "\n## %s\n\n| | |", results[0].Case.Group)
	for i, library := range libraries {
		fmt.Fprintf(b, " %s |", library)
		if i > 0 {
			b.WriteString(" ratio |")
		}
	}
	b.WriteString(" to reach |\n|---|---|" + strings.Repeat("---:|", 2*len(libraries)-1) + "---|\n")
	for _, r := range results {
		name := r.Case.Name
		for _, figure := range figuresOf(&r) {
			fmt.Fprintf(b, "| %s | %s |", name, figure)
			for i, library := range libraries {
				writeCells(b, &r, figure, library, i > 0)
			}
			fmt.Fprintf(b, " %s |\n", goals(&r, figure))
			name = ""
		}
	}
}

// librariesOf returns all libraries of the results in the order of their first
// appearance.
func librariesOf(results []Result) (names []string) {
	for _, r := range results {
		for _, s := range r.Sides {
			names = appendNew(names, s.Library)
		}
	}
	return names
}

func figuresOf(r *Result) (names []string) {
	for _, s := range r.Sides {
		for _, f := range s.Figures {
			names = appendNew(names, f.Name)
		}
	}
	return names
}

func appendNew(names []string, name string) []string {
	for _, n := range names {
		if n == name {
			return names
		}
	}
	return append(names, name)
}

func writeCells(b *strings.Builder, r *Result, figure, library string, ratio bool) {
	var series *Series
	if s := r.side(library); s != nil {
		series = s.Series(figure)
	}
	fmt.Fprintf(b, " %s |", cell(series))
	if ratio {
		fmt.Fprintf(b, " %s |", times(Ratio(r.Sides[0].Series(figure), series)))
	}
}

func cell(s *Series) string {
	if s == nil {
		return ""
	}
	text := number(s.Median())
	if s.Unit != "" {
		text += " " + s.Unit
	}
	if len(s.Values) > 1 {
		text += fmt.Sprintf(" (%s–%s)", number(s.Min()), number(s.Max()))
	}
	return text
}

// times writes a ratio; the ratio to nothing is left out.
func times(ratio float64) string {
	if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return ""
	}
	return number(ratio) + "×"
}

// number writes three digits or so, with thousands apart.
func number(x float64) string {
	switch {
	case math.IsNaN(x):
		return ""
	case x == math.Trunc(x) && x < 1000:
		return fmt.Sprintf("%.0f", x)
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	}
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func goals(r *Result, figure string) string {
	var texts []string
	for _, g := range r.Case.Goals {
		if g.Figure != figure {
			continue
		}
		text := fmt.Sprintf("%s× %s", number(g.Ratio), g.Against)
		if g.Against == "" {
			text = "at most " + number(g.AtMost)
		}
		if reached, _ := r.Reached(g); reached {
			text += ": yes"
		} else {
			text += ": **no**"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}
