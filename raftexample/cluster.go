package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"sync"
	"text/tabwriter"

	"github.com/seed-289bd6ac/raft/raftexample/client"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

const membersUsage = `raftexample members prints the members, or changes them:

  members add ID URL    URL is where its peers reach it; also moves and promotes
  members remove ID     it stops, and its id cannot be used again
  members lead ID       it becomes the leader

  --learner    add or make it one without a vote
  --force      add or remove also where that may cost the cluster its majority
` + remoteUsage

func membersCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	learner, force := set.Bool("learner", false, ""), set.Bool("force", false, "")
	return asking(set, func(ctx context.Context, c *client.Client, args []string, s streams) error {
		if len(args) == 0 {
			return printMembers(ctx, c, s)
		}
		if len(args) < 2 {
			return usagef("%s what?", args[0])
		}
		id, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil || id == 0 {
			return usagef("%q is no id of a member", args[1])
		}
		safety := raftnode.Checked
		if *force {
			safety = raftnode.Forced
		}
		switch {
		case args[0] == "add" && len(args) == 2:
			return c.SetMember(ctx, id, "", *learner, safety)
		case args[0] == "add" && len(args) == 3:
			return c.SetMember(ctx, id, args[2], *learner, safety)
		case args[0] == "remove" && len(args) == 2:
			return c.RemoveMember(ctx, id, safety)
		case args[0] == "lead" && len(args) == 2:
			return c.TransferLeader(ctx, id)
		}
		return usagef("unexpected arguments: %q", args)
	})
}

func printMembers(ctx context.Context, c *client.Client, s streams) error {
	members, err := c.Members(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tROLE\tURL")
	for _, m := range members {
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\n", m.ID, m.Role, m.URL)
	}
	return w.Flush()
}

const healthUsage = `raftexample health fails unless a member serves: for health checks.

  --endpoints 127.0.0.1:12380   is the default here; each one that is given must
                                be healthy
` + remoteUsage

func healthCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	work := asking(set, func(ctx context.Context, c *client.Client, args []string, s streams) error {
		if len(args) > 0 {
			return usagef("unexpected argument %q", args[0])
		}
		var sick []error
		for _, endpoint := range c.Endpoints() {
			if err := c.Health(ctx, endpoint); err != nil {
				sick = append(sick, fmt.Errorf("%s: %w", endpoint, err))
				continue
			}
			s.printf("%s is healthy\n", endpoint)
		}
		return errors.Join(sick...)
	})
	if err := set.Set("endpoints", "127.0.0.1:12380"); err != nil {
		panic(err) // it is a text
	}
	return work
}

const statusUsage = `raftexample status asks each endpoint, and fails if no leader answers.
` + remoteUsage

func statusCommand(set *flag.FlagSet) func(context.Context, []string, streams) error {
	return asking(set, func(ctx context.Context, c *client.Client, args []string, s streams) error {
		if len(args) > 0 {
			return usagef("unexpected argument %q", args[0])
		}
		endpoints := c.Endpoints()
		states, errs := make([]raftnode.Status, len(endpoints)), make([]error, len(endpoints))
		var all sync.WaitGroup
		for i, endpoint := range endpoints {
			all.Go(func() { states[i], errs[i] = c.Status(ctx, endpoint) })
		}
		all.Wait()
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "ENDPOINT\tID\tROLE\tTERM\tLEADER\tAPPLIED\tCOMMIT\tFIRST\tLAST")
		led := false
		for i, st := range states {
			if errs[i] != nil {
				_, _ = fmt.Fprintf(w, "%s\t%v\n", endpoints[i], errs[i])
				continue
			}
			led = led || st.Role == "leader"
			_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n", endpoints[i],
				st.ID, st.Role, st.Term, st.Leader, st.Applied, st.Commit, st.FirstIndex, st.LastIndex)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if !led {
			return errors.New("no leader answers")
		}
		return nil
	})
}
