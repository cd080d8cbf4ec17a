package measure

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Sizes of a plot, in pixels.
const (
	panelWidth, panelHeight = 640, 320
	marginLeft, marginRight = 90, 190
	marginTop, marginBottom = 40, 50
)

var colours = []string{"#0b6e4f", "#c1440e", "#2e5eaa", "#8e44ad", "#b8860b"}

// point is the throughput at a concurrency.
type point struct {
	callers int
	median  float64
}

// panel is the throughput of one group of cases, by library.
type panel struct {
	title     string
	libraries []string
	points    map[string][]point
}

// panels returns what can be plotted: the cases with a concurrency and a
// throughput.
func panels(results []Result) (res []*panel) {
	for _, r := range results {
		if r.Case.Concurrency == 0 {
			continue
		}
		title := r.Case.Group
		if what, _, several := strings.Cut(r.Case.Name, ","); several {
			title += ": " + what
		}
		if len(res) == 0 || res[len(res)-1].title != title {
			res = append(res, &panel{title: title, points: map[string][]point{}})
		}
		p := res[len(res)-1]
		for _, side := range r.Sides {
			if f := side.Series(Throughput); f != nil {
				p.libraries = appendNew(p.libraries, side.Library)
				p.points[side.Library] = append(p.points[side.Library], point{r.Case.Concurrency, f.Median()})
			}
		}
	}
	return res
}

// WritePlot writes an SVG of throughput against concurrency, one panel for each
// group that has both.
func WritePlot(w io.Writer, results []Result) error {
	all := panels(results)
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n",
		marginLeft+panelWidth+marginRight, len(all)*(marginTop+panelHeight+marginBottom))
	b.WriteString("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n")
	for i, p := range all {
		fmt.Fprintf(&b, "<g transform=\"translate(%d,%d)\">\n", marginLeft, i*(marginTop+panelHeight+marginBottom)+marginTop)
		p.write(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// write draws both axes by powers: concurrency by 2, throughput by 10.
func (p *panel) write(b *strings.Builder) {
	maxX, minY, maxY := 1.0, math.Inf(1), 1.0
	for _, points := range p.points {
		for _, pt := range points {
			maxX, minY, maxY = max(maxX, float64(pt.callers)), min(minY, pt.median), max(maxY, pt.median)
		}
	}
	low, high := math.Floor(math.Log10(minY)), math.Ceil(math.Log10(maxY))
	x := func(callers int) float64 {
		return panelWidth * math.Log2(float64(callers)) / max(1, math.Log2(maxX))
	}
	y := func(value float64) float64 {
		return panelHeight * (1 - (math.Log10(value)-low)/max(1, high-low))
	}
	fmt.Fprintf(b, "<text x=\"0\" y=\"-16\" font-weight=\"bold\">%s</text>\n", html.EscapeString(p.title))
	for e := low; e <= high; e++ {
		at := y(math.Pow(10, e))
		fmt.Fprintf(b, "<line x1=\"0\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", panelWidth, at, at)
		fmt.Fprintf(b, "<text x=\"-8\" y=\"%.1f\" text-anchor=\"end\">%s/s</text>\n", at+4, number(math.Pow(10, e)))
	}
	for i, library := range p.libraries {
		p.writeLine(b, library, colours[i%len(colours)], i, x, y)
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">at a time</text>\n", panelWidth/2, panelHeight+38)
}

func (p *panel) writeLine(b *strings.Builder, library, colour string, i int, x func(int) float64, y func(float64) float64) {
	var path []string
	for _, pt := range p.points[library] {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x(pt.callers), y(pt.median)))
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"><title>%s, %d at a time: %s/s</title></circle>\n",
			x(pt.callers), y(pt.median), colour, html.EscapeString(library), pt.callers, number(pt.median))
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x(pt.callers), panelHeight+18, pt.callers)
	}
	fmt.Fprintf(b, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", strings.Join(path, " "), colour)
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", panelWidth+12, 12+18*i, colour, html.EscapeString(library))
}
