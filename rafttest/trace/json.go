package trace

import (
	"encoding/json"
	"fmt"
	"io"
)

// WriteJSON writes a trace in the form that ReadJSON reads. Equal traces give
// equal bytes.
func WriteJSON(w io.Writer, t *Trace) error {
	if err := t.Check(); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(t)
}

// ReadJSON reads what WriteJSON wrote, and checks it.
func ReadJSON(r io.Reader) (*Trace, error) {
	var t Trace
	if err := json.NewDecoder(r).Decode(&t); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	return &t, nil
}
