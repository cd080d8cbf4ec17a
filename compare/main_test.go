package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// onDisk are the kinds of work whose clusters take seconds to start: their own
// packages try them.
var onDisk = []string{"durable", "store"}

// The least of every kind of work. A run fails by itself when the libraries have
// not done the same.
func TestEveryKindOfWorkIsDoneAlikeByAllLibraries(t *testing.T) {
	for _, k := range kinds(t.TempDir()) {
		t.Run(k.name, func(t *testing.T) {
			if slices.Contains(onDisk, k.name) {
				require.NotEmpty(t, k.cases(1))
				return
			}
			results, err := measure.Run(k.cases(0.0005), 1, io.Discard)
			require.NoError(t, err)
			require.NotEmpty(t, results)
			for _, r := range results {
				assert.NotZero(t, r.Work.Done, r.Case.Name)
				assert.Greater(t, len(r.Sides), 1, r.Case.Name)
				for _, g := range r.Case.Goals {
					_, value := r.Reached(g)
					assert.False(t, value != value, "%s: the goal for %q is about no figure", r.Case.Name, g.Figure)
				}
			}
		})
	}
}

func TestARunWritesTablesAndFiles(t *testing.T) {
	dir := t.TempDir()
	jsonFile, plotFile := filepath.Join(dir, "figures.json"), filepath.Join(dir, "plot.svg")
	var out bytes.Buffer
	require.NoError(t, run([]string{
		"-only", "encoding,node", "-rounds", "2", "-scale", "0.001", "-json", jsonFile, "-plot", plotFile,
	}, &out, io.Discard))
	assert.Contains(t, out.String(), "## Node")
	assert.Contains(t, out.String(), "## Encoding")
	assert.NotContains(t, out.String(), "## Core")
	assert.Contains(t, out.String(), "Machine: ")

	var figures struct {
		Rounds int
		Rows   []struct {
			Library string
			Values  []float64
		}
	}
	text, err := os.ReadFile(jsonFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &figures))
	assert.Equal(t, 2, figures.Rounds)
	require.NotEmpty(t, figures.Rows)
	assert.Len(t, figures.Rows[0].Values, 2)

	text, err = os.ReadFile(plotFile)
	require.NoError(t, err)
	assert.Contains(t, string(text), "<polyline")
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for err == nil {
		_, err = decoder.Token()
	}
	assert.ErrorIs(t, err, io.EOF)
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "nothing"}, {"-rounds", "0"}, {"-scale", "0"}, {"-scale", "NaN"}, {"core"}, {"-unknown"},
	} {
		assert.Error(t, run(args, io.Discard, io.Discard), args)
	}
}

func TestAFailureNamesTheLibrary(t *testing.T) {
	broken := errors.New("broken")
	_, err := measure.Run([]measure.Case{{Group: "g", Name: "n", Sides: []measure.Side{
		{Library: "L", Run: func() (measure.Sample, error) { return measure.Sample{}, broken }},
	}}}, 1, io.Discard)
	require.ErrorIs(t, err, broken)
	assert.EqualError(t, err, "g: n: L: broken")
}
