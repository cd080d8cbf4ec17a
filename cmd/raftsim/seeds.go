package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// seedRange is the seeds from first to last, both included. It is a flag.Value:
// 7, 1-1000 or 1000-.
type seedRange struct{ first, last uint64 }

// open is the last seed of a range without end.
const open = math.MaxUint64

// String implements flag.Value.
func (r *seedRange) String() string {
	first := strconv.FormatUint(r.first, 10)
	switch r.last {
	case r.first:
		return first
	case open:
		return first + "-"
	default:
		return first + "-" + strconv.FormatUint(r.last, 10)
	}
}

// Set implements flag.Value.
func (r *seedRange) Set(text string) error {
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.ParseUint(from, 10, 64)
	if err != nil {
		return errSeeds
	}
	last := first
	if isRange && to == "" {
		last = open
	} else if isRange {
		if last, err = strconv.ParseUint(to, 10, 64); err != nil {
			return errSeeds
		}
	}
	if last < first {
		return fmt.Errorf("the last seed, %d, is lower than the first, %d", last, first)
	}
	r.first, r.last = first, last
	return nil
}

var errSeeds = errors.New("want a seed (7), a range (1-1000) or all from one on (1000-)")

// count returns how many seeds there are, 0 for a range without end.
func (r *seedRange) count() uint64 {
	if r.last == open {
		return 0
	}
	return r.last - r.first + 1
}
