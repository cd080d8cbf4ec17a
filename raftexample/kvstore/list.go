package kvstore

import (
	"bytes"
	"errors"
	"slices"
)

// ListRequest asks for keys in ascending order of their bytes.
type ListRequest struct {
	// Prefix is what the keys begin with; empty: all.
	Prefix []byte
	// After is the key before the first; empty: none.
	After []byte
	// Limit is the most keys to return, and MaxBytes is from how many bytes of keys
	// and values no more are added; both are positive.
	Limit, MaxBytes int
	// WithoutValues leaves Data empty.
	WithoutValues bool
}

// Item is a key and what it holds. It belongs to the caller.
type Item struct {
	Key []byte
	Value
}

// List is an answer to a ListRequest.
type List struct {
	Items []Item
	// More says that keys follow: ask again After the last one.
	More bool
	// Applied is the index that the answer is as of.
	Applied uint64
}

// List returns keys as of one moment, that of Applied. Applied may have moved when
// it is asked for more.
func (s *Store) List(rq ListRequest) (list List, err error) {
	view, err := s.st.View()
	if err != nil {
		return List{}, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	list.Applied = view.Metadata().GetIndex()
	start := dataKey(rq.Prefix)
	if len(rq.After) > 0 {
		if after := append(dataKey(rq.After), 0); bytes.Compare(after, start) > 0 {
			start = after
		}
	}
	size := 0
	err = view.Scan(start, prefixEnd(dataKey(rq.Prefix)), func(key, record []byte) (bool, error) {
		if len(list.Items) >= rq.Limit || size >= rq.MaxBytes {
			list.More = true
			return false, nil
		}
		v, err := decodeValue(record)
		if err != nil {
			return false, err
		}
		if v.Data = slices.Clone(v.Data); rq.WithoutValues {
			v.Data = nil
		}
		list.Items = append(list.Items, Item{Key: slices.Clone(key[1:]), Value: v})
		size += len(key) + len(v.Data)
		return true, nil
	})
	return list, err
}

// prefixEnd returns the first key behind all that begin with prefix, which begins
// with a byte below 255.
func prefixEnd(prefix []byte) []byte {
	end := bytes.TrimRight(prefix, "\xff")
	end[len(end)-1]++
	return end
}
