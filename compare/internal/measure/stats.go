package measure

import (
	"math"
	"slices"
)

// Median returns the middle of the values; NaN where there are none.
func (s *Series) Median() float64 {
	if s == nil || len(s.Values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(s.Values))
	k := len(v) / 2
	if len(v)%2 == 1 {
		return v[k]
	}
	return (v[k-1] + v[k]) / 2
}

// Min returns the least of the values, of which there is at least one.
func (s *Series) Min() float64 { return slices.Min(s.Values) }

// Max returns the greatest of the values, of which there is at least one.
func (s *Series) Max() float64 { return slices.Max(s.Values) }

// Ratio returns how many times better ours is than theirs, by their medians; NaN
// where that cannot be said, as of two zeros.
func Ratio(ours, theirs *Series) float64 {
	if ours == nil || theirs == nil {
		return math.NaN()
	}
	if ours.More {
		return ours.Median() / theirs.Median()
	}
	return theirs.Median() / ours.Median()
}

// Reached reports whether the goal is reached, and the ratio or value that decides.
// It is not known where a side has no such figure.
func (r *Result) Reached(g Goal) (reached bool, value float64) {
	ours := r.Sides[0].Series(g.Figure)
	if g.Against == "" {
		value = ours.Median()
		return value <= g.AtMost, value
	}
	if theirs := r.side(g.Against); theirs != nil {
		value = Ratio(ours, theirs.Series(g.Figure))
	} else {
		value = math.NaN()
	}
	return value >= g.Ratio, value
}
