package measure

import (
	"encoding/json"
	"io"
)

type document struct {
	Machine Machine `json:"machine"`
	Rounds  int     `json:"rounds"`
	Rows    []row   `json:"rows"`
}

// row is one figure of one library in one case.
type row struct {
	Group   string    `json:"group"`
	Case    string    `json:"case"`
	Library string    `json:"library"`
	Figure  string    `json:"figure"`
	Unit    string    `json:"unit,omitempty"`
	More    bool      `json:"more_is_better,omitempty"`
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Values  []float64 `json:"values"`
	// Ratio is how many times better the first library is.
	Ratio float64 `json:"ratio,omitempty"`
}

// WriteJSON writes all figures with the values of every round.
func WriteJSON(w io.Writer, m Machine, rounds int, results []Result) error {
	doc := document{Machine: m, Rounds: rounds}
	for _, r := range results {
		for i, side := range r.Sides {
			for _, f := range side.Figures {
				line := row{
					Group: r.Case.Group, Case: r.Case.Name, Library: side.Library,
					Figure: f.Name, Unit: f.Unit, More: f.More,
					Median: f.Median(), Min: f.Min(), Max: f.Max(), Values: f.Values,
				}
				if ratio := Ratio(r.Sides[0].Series(f.Name), &f); i > 0 && times(ratio) != "" {
					line.Ratio = ratio
				}
				doc.Rows = append(doc.Rows, line)
			}
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}
