package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-289bd6ac/raft/raftexample/client"
	"github.com/seed-289bd6ac/raft/raftexample/httpapi"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

const putUsage = `raftexample put KEY [VALUE] puts a value or standard input; prints the revision.

  --create           only if there is no such key
  --if-revision N    only if the key has that revision
` + encodedUsage + remoteUsage

// conditionFlags are the flags of a write that takes effect under a condition.
type conditionFlags struct {
	create   bool
	revision uint64
}

// declareRevision declares --if-revision. Zero is what a script passes on that has found
// no key, so it must not stand for no condition; notZero says what else to do.
func (f *conditionFlags) declareRevision(set *flag.FlagSet, notZero string) {
	set.Func("if-revision", "", func(text string) (err error) {
		if f.revision, err = strconv.ParseUint(text, 10, 64); err != nil {
			return errors.New("it must be a revision, as get --revision prints it")
		}
		if f.revision == 0 {
			return errors.New("no key has that revision" + notZero)
		}
		return nil
	})
}

// condition returns the condition of the flags: no revision is zero.
func (f *conditionFlags) condition() (kvstore.Condition, error) {
	switch {
	case f.create && f.revision != 0:
		return kvstore.Condition{}, usagef("--create and --if-revision: one must do")
	case f.create:
		return kvstore.Condition{Kind: kvstore.IfAbsent}, nil
	case f.revision != 0:
		return kvstore.Condition{Kind: kvstore.IfRevision, Revision: f.revision}, nil
	}
	return kvstore.Condition{}, nil
}

// encodedUsage describes --encoded.
const encodedUsage = `  --encoded          KEY is as list prints it: %0A stands for a byte
`

// encodedKey writes a key on a line of text: bytes that are no text, control characters
// and % itself become % and two digits, and everything else stays.
func encodedKey(key string) string {
	var line strings.Builder
	for len(key) > 0 {
		r, size := utf8.DecodeRuneInString(key)
		if r == '%' || r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) {
			for i := range size {
				fmt.Fprintf(&line, "%%%02X", key[i])
			}
		} else {
			line.WriteString(key[:size])
		}
		key = key[size:]
	}
	return line.String()
}

// keyOf returns the key that an argument stands for.
func keyOf(arg string, encoded bool) (string, error) {
	if !encoded {
		return arg, nil
	}
	key, err := url.PathUnescape(arg)
	if err != nil {
		return "", usagef("--encoded: %w", err)
	}
	return key, nil
}

func putCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	var flags conditionFlags
	set.BoolVar(&flags.create, "create", false, "")
	encoded := set.Bool("encoded", false, "")
	flags.declareRevision(set, ": --create puts a value only if there is no such key")
	return asking(set, func(ctx context.Context, c *client.Client, args []string, s streams) error {
		if len(args) != 1 && len(args) != 2 {
			return usagef("a key and at most one value are needed")
		}
		condition, err := flags.condition()
		if err != nil {
			return err
		}
		var value []byte
		if len(args) == 2 {
			value = []byte(args[1])
		} else if value, err = io.ReadAll(io.LimitReader(s.in, httpapi.MaxValueBytes+1)); err != nil {
			return err
		}
		key, err := keyOf(args[0], *encoded)
		if err != nil {
			return err
		}
		revision, err := c.Put(ctx, key, value, condition)
		if err == nil {
			s.printf("%d\n", revision)
		}
		return err
	})
}

const getUsage = `raftexample get KEY prints the value, as it is.

  --stale            as far as the member that answers knows
  --revision         print the revision instead of the value
` + encodedUsage + remoteUsage

func getCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	stale := set.Bool("stale", false, "")
	revision := set.Bool("revision", false, "")
	encoded := set.Bool("encoded", false, "")
	return asking(set, func(ctx context.Context, c *client.Client, args []string, s streams) error {
		if len(args) != 1 {
			return usagef("one key is needed")
		}
		key, err := keyOf(args[0], *encoded)
		if err != nil {
			return err
		}
		value, err := c.Get(ctx, key, *stale)
		if err != nil {
			return err
		}
		if *revision {
			s.printf("%d\n", value.Revision)
			return nil
		}
		_, err = s.out.Write(value.Data)
		return err
	})
}

const delUsage = `raftexample del KEY deletes a key, whether or not it is there.

  --if-revision N    only if the key has that revision
` + encodedUsage + remoteUsage

func delCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	var flags conditionFlags
	flags.declareRevision(set, "")
	encoded := set.Bool("encoded", false, "")
	return asking(set, func(ctx context.Context, c *client.Client, args []string, _ streams) error {
		if len(args) != 1 {
			return usagef("one key is needed")
		}
		condition, err := flags.condition()
		if err != nil {
			return err
		}
		key, err := keyOf(args[0], *encoded)
		if err != nil {
			return err
		}
		return c.Delete(ctx, key, condition)
	})
}

const listUsage = `raftexample list [PREFIX] prints revisions and keys, in order. %, and bytes that
are no printable text, become % and two digits: give such keys with --encoded.

  --values    values too, in quotes
` + remoteUsage

func listCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	values := set.Bool("values", false, "")
	return asking(set, func(ctx context.Context, c *client.Client, args []string, s streams) error {
		if len(args) > 1 {
			return usagef("at most one prefix is needed")
		}
		prefix := ""
		if len(args) == 1 {
			prefix = args[0]
		}
		return c.List(ctx, prefix, *values, func(item kvstore.Item) error {
			s.printf("%d\t%s", item.Revision, encodedKey(string(item.Key)))
			if *values {
				s.printf("\t%q", item.Data)
			}
			s.printf("\n")
			return nil
		})
	})
}
