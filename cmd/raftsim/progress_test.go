package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestProgressIsALineNowAndThenWhereItIsKept(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	for passed := time.Duration(0); passed < 25*time.Second; passed += watchInterval {
		p.show(passed, "at "+passed.String())
	}
	p.clear()
	assert.Equal(t, "at 10s\nat 20s\n", out.String())
}

func TestProgressIsOneLineOnATerminal(t *testing.T) {
	var out strings.Builder
	p := &progress{out: &out, terminal: true}
	p.show(0, "long line")
	p.show(0, "short")
	p.clear()
	assert.Equal(t, "\rlong line\rshort    \r     \r", out.String())
}

func TestProgressTellsRateAndTimeLeft(t *testing.T) {
	ended := progressCount{seeds: 10, events: 20_000}
	b := &batch{seeds: seedRange{first: 1, last: 40}, parallel: 2}
	assert.Equal(t, "10/40 runs  20.0k events  10.0k/s, 5.0k/s per core  5 runs/s  0:06 left",
		b.progressLine(ended, 2*time.Second))
	b = &batch{seeds: seedRange{first: 1, last: open}, parallel: 2, limit: time.Minute}
	assert.Equal(t, "10 runs  20.0k events  10.0k/s, 5.0k/s per core  5 runs/s  0:58 left",
		b.progressLine(ended, 2*time.Second))
}
