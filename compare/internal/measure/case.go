// Package measure runs the same work on several libraries, one after the other and
// round by round, and tells what each of them needed for it.
package measure

// Case is one piece of work, and the libraries that do it alike.
type Case struct {
	// Group is the table that the case belongs to.
	Group string
	Name  string
	// Concurrency is how many callers there are at a time; 0 where a plot over it
	// makes no sense.
	Concurrency int
	// Sides are the libraries; this one comes first.
	Sides []Side
	// Goals are what this library is to reach.
	Goals []Goal
}

// Side is one library at the work of a Case.
type Side struct {
	Library string
	// Run does the work once, from an empty beginning to the end.
	Run func() (Sample, error)
}

// Sample is the outcome of one run.
type Sample struct {
	Work    Work
	Figures []Figure
}

// Work is what was done. It must be the same on all sides of a Case, or their
// figures say nothing about each other.
type Work struct {
	// Done is how many proposals or reads or whatever the work consists of came to
	// their end, and Bytes how much they held.
	Done, Bytes uint64
	// Digest depends on the data and on their order.
	Digest uint64
}

// Add counts data as done.
func (w *Work) Add(data []byte) {
	w.Done++
	w.Bytes += uint64(len(data))
	w.Digest = w.Digest*prime + head(data)
}

const prime = 1099511628211

// head returns the first eight bytes as a number: the data of all cases begin with
// one that says which they are.
func head(data []byte) (x uint64) {
	for _, b := range data[:min(8, len(data))] {
		x = x<<8 | uint64(b)
	}
	return x
}

// Figure is one measured value.
type Figure struct {
	Name, Unit string
	Value      float64
	// More is better; otherwise less is.
	More bool
}

// Goal is what a figure of this library is to reach: a ratio to another library in
// the same run, or a bound that holds by itself.
type Goal struct {
	Figure string
	// Against names the other library; empty where AtMost is the goal.
	Against string
	// Ratio is how many times better than the other library's the figure is to be.
	Ratio float64
	// AtMost bounds the figure.
	AtMost float64
}
