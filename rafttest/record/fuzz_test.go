package record

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// samples are recordings of small members, kept with the tests.
func samples(tb testing.TB) (files [][]byte) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.raftrec"))
	require.NoError(tb, err)
	require.NotEmpty(tb, names)
	for _, name := range names {
		file, err := os.ReadFile(name)
		require.NoError(tb, err)
		files = append(files, file)
	}
	return files
}

// records returns what the blocks of a recording hold.
func records(tb testing.TB, file []byte) (all []byte) {
	in := newReader(bytes.NewReader(file))
	for {
		if err := in.readBlock(); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			require.NoError(tb, err)
		}
		all = append(all, in.block...)
	}
}

// Any file can be read to its end, or to where it is damaged.
func FuzzReader(f *testing.F) {
	for _, file := range samples(f) {
		f.Add(file)
		f.Add(file[:len(file)/2])
		f.Add(records(f, file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		readAll(t, data)
		readAll(t, framed(data)) // so that checksums keep nothing out
	})
}

func readAll(t *testing.T, file []byte) {
	in := newReader(bytes.NewReader(file))
	for {
		if _, err := in.next(); errors.Is(err, io.EOF) || errors.Is(err, ErrFormat) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Any records can be replayed and shown, or it is said why not: what a recording
// does to the core is no panic of the replay.
func FuzzReplay(f *testing.F) {
	for _, file := range samples(f) {
		f.Add(records(f, file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<13 {
			t.Skip("takes long")
		}
		tr, err := Trace(bytes.NewReader(framed(data)))
		if diff := (*DifferenceError)(nil); err != nil && !errors.As(err, &diff) && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
		require.NoError(t, tr.Check())
	})
}
