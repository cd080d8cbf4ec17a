package measure

import (
	"fmt"
	"io"
)

// Result is what a Case has shown.
type Result struct {
	Case *Case
	// Work is what every side has done in every round.
	Work Work
	// Sides are in the order of the Case.
	Sides []SideResult
}

// SideResult is what one library has shown: its figures, in the order in which it
// names them.
type SideResult struct {
	Library string
	Figures []Series
}

// Series is one figure over all rounds.
type Series struct {
	Name, Unit string
	More       bool
	Values     []float64
}

// Run runs all cases, round by round; within a round all sides of a case run one
// after the other, and every round another one begins. What it does, it tells
// progress. It returns an error when a side fails, or has done other work than the
// first.
func Run(cases []Case, rounds int, progress io.Writer) ([]Result, error) {
	results := make([]Result, len(cases))
	for i := range cases {
		results[i] = Result{Case: &cases[i], Sides: make([]SideResult, len(cases[i].Sides))}
	}
	for round := range rounds {
		for i := range results {
			fmt.Fprintf(progress, "round %d of %d: %s: %s\n", round+1, rounds, cases[i].Group, cases[i].Name)
			if err := results[i].round(round); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", cases[i].Group, cases[i].Name, err)
			}
		}
	}
	return results, nil
}

func (r *Result) round(round int) error {
	sides := r.Case.Sides
	for k := range sides {
		i := (k + round) % len(sides)
		sample, err := sides[i].Run()
		if err != nil {
			return fmt.Errorf("%s: %w", sides[i].Library, err)
		}
		if first := k == 0 && round == 0; first {
			r.Work = sample.Work
		} else if sample.Work != r.Work {
			return fmt.Errorf("%s has done %+v, another library %+v", sides[i].Library, sample.Work, r.Work)
		}
		r.Sides[i].Library = sides[i].Library
		r.Sides[i].add(sample.Figures)
	}
	return nil
}

func (s *SideResult) add(figures []Figure) {
	for _, f := range figures {
		series := s.Series(f.Name)
		if series == nil {
			s.Figures = append(s.Figures, Series{Name: f.Name, Unit: f.Unit, More: f.More})
			series = &s.Figures[len(s.Figures)-1]
		}
		series.Values = append(series.Values, f.Value)
	}
}

// Series returns the figure of that name, or nil.
func (s *SideResult) Series(name string) *Series {
	for i := range s.Figures {
		if s.Figures[i].Name == name {
			return &s.Figures[i]
		}
	}
	return nil
}

// side returns the result of a library, or nil.
func (r *Result) side(library string) *SideResult {
	for i := range r.Sides {
		if r.Sides[i].Library == library {
			return &r.Sides[i]
		}
	}
	return nil
}
