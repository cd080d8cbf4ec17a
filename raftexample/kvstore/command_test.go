package kvstore

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestACommandComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := Command{
			Op:  rapid.SampledFrom([]Op{OpPut, OpDelete}).Draw(rt, "op"),
			ID:  RequestID{rapid.Uint64().Draw(rt, "member"), rapid.Uint64().Draw(rt, "seq")},
			Key: rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(rt, "key"),
		}
		if want.Op == OpPut {
			want.Value = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "value")
		}
		data, err := want.Encode()
		require.NoError(rt, err)
		got, err := DecodeCommand(data)
		require.NoError(rt, err)
		requireFields(rt, want, data)
		require.Equal(rt, want.Op, got.Op)
		require.Equal(rt, want.ID, got.ID)
		require.True(rt, bytes.Equal(want.Key, got.Key))
		require.True(rt, bytes.Equal(want.Value, got.Value))
		// Whatever is cut off the end, what is left is no other command. Without its
		// value alone a put would still be one, so its length is in front of it.
		cut := rapid.IntRange(0, len(data)-1).Draw(rt, "cut")
		if got, err := DecodeCommand(data[:cut]); err == nil {
			require.Empty(rt, got.Value)
			require.Equal(rt, cut, len(data)-len(want.Value)-1-len(varint(len(want.Value))))
		} else {
			require.ErrorIs(rt, err, ErrMalformed)
		}
	})
}

// requireFields checks that what only some commands carry comes back too.
func requireFields(rt *rapid.T, want Command, plain []byte) {
	want.If = rapid.SampledFrom([]Condition{{}, {Kind: IfAbsent}, {Kind: IfPresent}, {Kind: IfRevision, Revision: math.MaxUint64}}).Draw(rt, "if")
	want.Idempotency = rapid.SliceOfN(rapid.Byte(), 0, MaxIdempotencyKeySize).Draw(rt, "idempotency")
	data, err := want.Encode()
	require.NoError(rt, err)
	require.True(rt, bytes.HasPrefix(data, plain), "what all programs know comes first")
	got, err := DecodeCommand(data)
	require.NoError(rt, err)
	require.Equal(rt, want.If, got.If)
	require.True(rt, bytes.Equal(want.Idempotency, got.Idempotency))
}

func varint(n int) []byte { return appendField(nil, 0, make([]byte, n))[1 : 1+lengthOf(n)] }

func lengthOf(n int) int {
	size := 1
	for n >= 1<<7 {
		size, n = size+1, n>>7
	}
	return size
}

func TestACommandHasLimits(t *testing.T) {
	key, value := make([]byte, MaxKeySize), make([]byte, MaxValueSize)
	data, err := Command{Op: OpPut, ID: RequestID{math.MaxUint64, math.MaxUint64}, Key: key, Value: value}.Encode()
	require.NoError(t, err)
	_, err = DecodeCommand(data)
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		c    Command
		err  error
	}{
		{"no key", Command{Op: OpPut}, ErrKeySize},
		{"a long key", Command{Op: OpDelete, Key: make([]byte, MaxKeySize+1)}, ErrKeySize},
		{"a long value", Command{Op: OpPut, Key: key, Value: make([]byte, MaxValueSize+1)}, ErrValueSize},
		{"a long idempotency key", Command{Op: OpPut, Key: key, Idempotency: make([]byte, MaxIdempotencyKeySize+1)}, ErrIdempotencyKeySize},
		{"an unknown condition", Command{Op: OpPut, Key: key, If: Condition{Kind: IfRevision + 1}}, nil},
		{"no operation", Command{Key: key}, nil},
		{"an unknown operation", Command{Op: 3, Key: key}, nil},
		{"a delete with a value", Command{Op: OpDelete, Key: key, Value: []byte("v")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.c.Encode()
			require.Error(t, err)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
		})
	}
}

func TestWhatIsNoCommandIsMalformedAndWhatIsNewerIsUnknown(t *testing.T) {
	good, err := Command{Op: OpPut, ID: RequestID{1, 2}, Key: []byte("k"), Value: []byte("v")}.Encode()
	require.NoError(t, err)
	with := func(change func(b []byte) []byte) []byte { return change(slices.Clone(good)) }
	for _, c := range []struct {
		name string
		data []byte
		err  error
	}{
		{"nothing", nil, ErrMalformed},
		{"one byte", []byte{1}, ErrMalformed},
		{"text", []byte("\x00hello"), ErrMalformed},
		{"version 0", with(func(b []byte) []byte { b[0] = 0; return b }), ErrMalformed},
		{"operation 0", with(func(b []byte) []byte { b[1] = 0; return b }), ErrMalformed},
		{"a later version", with(func(b []byte) []byte { b[0] = 2; return b }), ErrUnknownCommand},
		{"a later operation", with(func(b []byte) []byte { b[1] = 3; return b }), ErrUnknownCommand},
		{"a field that may not be ignored", appendField(slices.Clone(good), 10, []byte("x")), ErrUnknownCommand},
		{"a field that may be ignored", appendField(slices.Clone(good), 7, []byte("x")), nil},
		{"a field cut short", append(slices.Clone(good), 10, 5, 'x'), ErrMalformed},
		{"a field without a length", append(slices.Clone(good), 6), ErrMalformed},
		{"a length without an end", append(slices.Clone(good), 7, 0xff, 0xff), ErrMalformed},
		{"a later condition", appendField(slices.Clone(good), fieldIf, []byte{byte(IfRevision) + 1, 0}), ErrUnknownCommand},
		{"no condition", appendField(slices.Clone(good), fieldIf, nil), ErrMalformed},
		{"a condition that always holds", appendField(slices.Clone(good), fieldIf, []byte{0, 0}), ErrMalformed},
		{"a condition without a revision", appendField(slices.Clone(good), fieldIf, []byte{byte(IfRevision)}), ErrMalformed},
		{"a condition with more behind it", appendField(slices.Clone(good), fieldIf, []byte{byte(IfRevision), 1, 1}), ErrMalformed},
		{"a long idempotency key", appendField(slices.Clone(good), fieldIdempotency, make([]byte, MaxIdempotencyKeySize+1)), ErrMalformed},
		{"no key", appendID([]byte{1, 1}, RequestID{1, 1}), ErrMalformed},
		{"an empty key", appendField(slices.Clone(good), fieldKey, nil), ErrMalformed},
		{"a long key", appendField(slices.Clone(good), fieldKey, make([]byte, MaxKeySize+1)), ErrMalformed},
		{"a long value", appendField(slices.Clone(good), fieldValue, make([]byte, MaxValueSize+1)), ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeCommand(c.data)
			require.ErrorIs(t, err, c.err)
		})
	}
}

func FuzzDecodeCommand(f *testing.F) {
	good, err := Command{Op: OpPut, ID: RequestID{1, 2}, Key: []byte("k"), Value: []byte("v")}.Encode()
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte{1, 2, 0, 0, 2, 1, 'k'})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeCommand(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownCommand) {
				t.Fatal(err)
			}
			return
		}
		if c.Op == OpDelete && len(c.Value) > 0 {
			return // ignored when applied
		}
		again, err := c.Encode()
		require.NoError(t, err)
		same, err := DecodeCommand(again)
		require.NoError(t, err)
		require.Equal(t, c.ID, same.ID)
	})
}

func TestRequestIDsAreNeverTheSame(t *testing.T) {
	const goroutines, each = 4, 500
	first, second := NewRequestIDs(7), NewRequestIDs(7)
	var mu sync.Mutex
	seen := make(map[RequestID]bool)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range each {
				a, b := first.Next(), second.Next()
				mu.Lock()
				seen[a], seen[b] = true, true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, 2*goroutines*each, "two lives of one member")
	require.NotContains(t, seen, RequestID{})
}

func TestARequestIDIsNotZero(t *testing.T) {
	r := NewRequestIDs(0)
	r.seq.Store(math.MaxUint64)
	require.Equal(t, RequestID{Seq: 1}, r.Next())
}

func TestMembersComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		id := RequestID{rapid.Uint64().Draw(rt, "member"), rapid.Uint64().Draw(rt, "seq")}
		var want []Member
		for range rapid.IntRange(0, 4).Draw(rt, "members") {
			want = append(want, Member{
				ID:  rapid.Uint64Range(1, math.MaxUint64).Draw(rt, "id"),
				URL: rapid.StringN(1, 60, MaxURLSize).Draw(rt, "url"),
			})
		}
		context, err := EncodeMembers(id, want...)
		require.NoError(rt, err)
		gotID, got, err := DecodeMembers(context)
		require.NoError(rt, err)
		require.Equal(rt, id, gotID)
		require.Equal(rt, want, got)
	})
}

func TestMembersThatCannotBeAreRefused(t *testing.T) {
	for name, m := range map[string]Member{
		"no id":      {URL: "http://a"},
		"no address": {ID: 1},
		"too long":   {ID: 1, URL: string(make([]byte, MaxURLSize+1))},
	} {
		_, err := EncodeMembers(RequestID{}, m)
		require.Error(t, err, name)
	}
	good, err := EncodeMembers(RequestID{1, 2}, Member{ID: 3, URL: "http://three"})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		context []byte
		err     error
	}{
		"version 0":       {append([]byte{0}, good[1:]...), ErrMalformed},
		"a later version": {append([]byte{2}, good[1:]...), ErrUnknownCommand},
		"cut short":       {good[:len(good)-1], ErrMalformed},
		"id 0":            {append(slices.Clone(good), 0, 1, 'u'), ErrMalformed},
		"no address":      {append(slices.Clone(good), 1, 0), ErrMalformed},
		"text":            {[]byte("\x01"), ErrMalformed},
	} {
		_, members, err := DecodeMembers(c.context)
		require.ErrorIs(t, err, c.err, name)
		require.Empty(t, members, name)
	}
	id, members, err := DecodeMembers(nil)
	require.NoError(t, err)
	require.Zero(t, id)
	require.Empty(t, members)
}
