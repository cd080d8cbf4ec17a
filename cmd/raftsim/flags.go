package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"
)

// newFlags returns a set of flags whose help is text.
func newFlags(name, text string, std streams) *flag.FlagSet {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(std.err)
	set.Usage = func() { std.sayf("%s", text) }
	return set
}

// parseFlags parses flags without saying anything but help: the error is shown once,
// by run.
func parseFlags(set *flag.FlagSet, args []string) error {
	usage := set.Usage
	set.Usage = func() {}
	set.SetOutput(io.Discard)
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		usage()
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return fmt.Errorf("%w; see raftsim %s -h", err, set.Name())
	}
	return err
}

// numberVar, countVar and durationVar define flags that say what is allowed where they are
// given anything else.
func numberVar(set *flag.FlagSet, to *uint64, name string, standard uint64) {
	*to = standard
	set.Func(name, "", func(text string) (err error) {
		if *to, err = strconv.ParseUint(text, 10, 64); err != nil {
			return fmt.Errorf("want a number from 0 to %d", uint64(open))
		}
		return nil
	})
}

func countVar(set *flag.FlagSet, to *int, name string, standard int) {
	*to = standard
	set.Func(name, "", func(text string) (err error) {
		if *to, err = strconv.Atoi(text); err != nil {
			return errors.New("want a number, such as 3")
		}
		return nil
	})
}

func durationVar(set *flag.FlagSet, to *time.Duration, name string, standard time.Duration) {
	*to = standard
	set.Func(name, "", func(text string) (err error) {
		if *to, err = time.ParseDuration(text); err != nil {
			return errors.New("want a duration, such as 90s or 5m")
		}
		return nil
	})
}
