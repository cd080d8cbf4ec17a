package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/seed-289bd6ac/raft/rafttest"
)

// typicalRates are those of faults that are switched on in seeds that leave them
// out, by the names of the fields of rafttest.Faults.
var typicalRates = rafttest.Faults{
	Drop: 0.1, Duplicate: 0.05, Reorder: 0.1, Late: 0.01,
	Delay: 5 * time.Millisecond, Uneven: true, SnapshotLoss: 0.2, Partition: 1, Flap: 1,
	Crash: 1, CrashLoop: 0.3, CrashAll: 0.3, CrashMidway: 0.01, Pause: 1, OtherOptions: 0.3,
	SlowDisk: 10 * time.Millisecond, SlowApply: 10 * time.Millisecond,
	WriteError: 0.3, LoseDisk: 0.2, CorruptDisk: 0.2,
	Drift: 0.1, Burst: 1, Starve: 1,
	Change: 5, Transfer: 2, Compact: 5, Poke: 1,
}

// faultChoice says which faults happen. It is a flag.Value; the zero value leaves
// them as each seed draws them.
type faultChoice struct {
	text string
	// only: none but those that are switched on.
	only     bool
	switches []faultSwitch
}

// faultSwitch switches one fault off, on, or to a rate.
type faultSwitch struct {
	field int // of rafttest.Faults
	off   bool
	rate  reflect.Value // invalid: none given
}

// String implements flag.Value.
func (c *faultChoice) String() string { return c.text }

// Set implements flag.Value.
func (c *faultChoice) Set(text string) error {
	chosen := faultChoice{text: text}
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "none" {
			chosen.only = true
			continue
		}
		s, err := parseSwitch(word)
		if err != nil {
			return err
		}
		chosen.switches = append(chosen.switches, s)
		chosen.only = chosen.only || (!s.off && !s.rate.IsValid())
	}
	*c = chosen
	return nil
}

func parseSwitch(word string) (faultSwitch, error) {
	name, off := strings.CutPrefix(word, "-")
	name, rate, hasRate := strings.Cut(name, "=")
	field := slices.Index(faultNames(), name)
	switch {
	case field < 0:
		return faultSwitch{}, fmt.Errorf("there is no fault %q; there are %s", name, strings.Join(faultNames(), " "))
	case off && hasRate:
		return faultSwitch{}, fmt.Errorf("%q is both off and at a rate", word)
	case !hasRate:
		return faultSwitch{field: field, off: off}, nil
	}
	var faults rafttest.Faults
	value, err := parseRate(rate, reflect.TypeFor[rafttest.Faults]().Field(field).Type)
	if err == nil {
		reflect.ValueOf(&faults).Elem().Field(field).Set(value)
		err = faults.Validate()
	}
	var wrong *rafttest.OptionError
	if errors.As(err, &wrong) {
		return faultSwitch{}, fmt.Errorf("%s: %s", name, wrong.Reason)
	}
	if err != nil {
		return faultSwitch{}, fmt.Errorf("%s: %w", name, err)
	}
	return faultSwitch{field: field, rate: value}, nil
}

func parseRate(text string, t reflect.Type) (reflect.Value, error) {
	switch t {
	case reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			return reflect.Value{}, fmt.Errorf("%q is no duration, such as 20ms", text)
		}
		return reflect.ValueOf(d), nil
	case reflect.TypeFor[float64]():
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return reflect.Value{}, fmt.Errorf("%q is no rate, such as 0.3", text)
		}
		return reflect.ValueOf(rate), nil
	default:
		return reflect.Value{}, errors.New("it is on or off, and has no rate")
	}
}

// faultNames returns the names of all faults: the fields of rafttest.Faults, written
// as flags are.
func faultNames() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[rafttest.Faults]()) {
		names = append(names, flagName(f.Name))
	}
	return names
}

// flagName turns CrashLoop into crash-loop.
func flagName(field string) string {
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// faults returns those of a run with this seed, nil to leave them to the seed.
func (c *faultChoice) faults(seed uint64) *rafttest.Faults {
	if c.text == "" {
		return nil
	}
	drawn := rafttest.DrawFaults(seed)
	res := *drawn
	if c.only {
		res = rafttest.Faults{}
	}
	to := reflect.ValueOf(&res).Elem()
	for _, s := range c.switches {
		field := to.Field(s.field)
		switch {
		case s.off:
			field.SetZero()
		case s.rate.IsValid():
			field.Set(s.rate)
		default:
			field.Set(reflect.ValueOf(*drawn).Field(s.field))
			if field.IsZero() {
				field.Set(reflect.ValueOf(typicalRates).Field(s.field))
			}
		}
	}
	return &res
}
