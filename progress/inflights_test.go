package progress_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-289bd6ac/raft/progress"
)

func TestAWindowIsFull(t *testing.T) {
	limits := progress.Limits{Msgs: 3, Bytes: 100}
	for _, tt := range []struct {
		name  string
		sizes []uint64
		want  bool
	}{
		{"not while nothing is under way", nil, false},
		{"not below both limits", []uint64{10, 10}, false},
		{"by number", []uint64{1, 1, 1}, true},
		{"by bytes", []uint64{40, 60}, true},
		{"by one append, however large", []uint64{1000}, true},
		{"not by appends of no size alone", []uint64{0, 0}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var in progress.Inflights
			for i, size := range tt.sizes {
				in.Add(uint64(i+1), size)
			}
			require.Equal(t, tt.want, in.Full(limits))
		})
	}
	t.Run("never by bytes without a limit, nor empty with the smallest one", func(t *testing.T) {
		var in progress.Inflights
		require.False(t, in.Full(progress.Limits{Msgs: 1, Bytes: 0}))
		in.Add(1, 1<<40)
		require.False(t, in.Full(progress.Limits{Msgs: 2, Bytes: 1 << 62}))
	})
}

func TestTheWindowOfOneThatIsEmptyTakesNoMemory(t *testing.T) {
	var in progress.Inflights
	require.Zero(t, testing.AllocsPerRun(100, func() {
		in.FreeTo(10)
		in.Reset()
	}))
	in.Add(1, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		in.FreeTo(10)
		in.Add(11, 1)
	}), "a window that has grown is used again")
}

type inflight struct{ last, bytes uint64 }

// The bytes under way are the sum of the window after every step: a count that is
// kept apart from it leaks.
func TestAWindowAgreesWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in progress.Inflights
		var model []inflight
		last, freed := uint64(0), uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				var bytes uint64
				for _, f := range model {
					bytes += f.bytes
				}
				require.Equal(t, len(model), in.Count())
				require.Equal(t, bytes, in.Bytes())
				require.True(t, in.Sound(freed, last+1))
				limits := progress.Limits{
					Msgs: rapid.IntRange(1, 20).Draw(t, "msgs"), Bytes: rapid.Uint64Range(0, 50).Draw(t, "limit"),
				}
				full := len(model) >= limits.Msgs || (len(model) > 0 && bytes >= limits.Bytes)
				require.Equal(t, full, in.Full(limits))
			},
			"add": func(t *rapid.T) {
				last += rapid.Uint64Range(1, 5).Draw(t, "entries")
				f := inflight{last: last, bytes: rapid.Uint64Range(0, 20).Draw(t, "bytes")}
				in.Add(f.last, f.bytes)
				model = append(model, f)
			},
			"free": func(t *rapid.T) {
				to := rapid.Uint64Range(0, last+2).Draw(t, "to")
				in.FreeTo(to)
				for len(model) > 0 && model[0].last <= to {
					freed = model[0].last
					model = model[1:]
				}
			},
			"reset": func(t *rapid.T) {
				in.Reset()
				model = nil
				freed = last
			},
		})
	})
}

func TestAWindowThatIsNotSoundIsSeen(t *testing.T) {
	var in progress.Inflights
	in.Add(5, 10)
	in.Add(7, 10)
	require.True(t, in.Sound(4, 8))
	require.False(t, in.Sound(5, 8), "5 is acknowledged")
	require.False(t, in.Sound(4, 7), "7 was not sent")
	in.Add(7, 10)
	require.False(t, in.Sound(4, 8), "7 twice")
}
