package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-289bd6ac/raft/compare/internal/load"
	"github.com/seed-289bd6ac/raft/raftexample/client"
	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
	"github.com/seed-289bd6ac/raft/raftexample/member"
	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

type ours struct {
	members []*member.Member
	http    *http.Client
	leader  string
}

// startOurs gives each client a connection of its own, as HTTP/1.1 needs it.
func startOurs(dir string, clients int) (cluster, error) {
	c := &ours{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}}}
	all := make([]raftnode.Member, members)
	listeners := make([]net.Listener, members)
	for i := range all {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
		all[i] = raftnode.Member{ID: uint64(i + 1), URL: "http://" + listeners[i].Addr().String()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), load.Patience)
	defer cancel()
	c.members = make([]*member.Member, members)
	group, starting := errgroup.WithContext(ctx)
	for i, m := range all {
		group.Go(func() (err error) {
			c.members[i], err = member.Start(starting, member.Config{
				ID: m.ID, Dir: filepath.Join(dir, fmt.Sprint(m.ID)), Cluster: all,
				ClientAddr: "127.0.0.1:0", PeerListener: listeners[i],
				// More than the default, as the storage has it for members that write all the time.
				MemTableBytes: 64 << 20,
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	leader, err := c.members[0].WaitLeader(ctx)
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	c.leader = "http://" + c.members[leader-1].ClientAddr()
	return c, nil
}

func (c *ours) put(ctx context.Context, _ int, key string, value []byte) error {
	rq, err := http.NewRequestWithContext(ctx, http.MethodPut, c.leader+"/kv/"+key, bytes.NewReader(value))
	if err != nil {
		return err
	}
	_, err = c.do(rq)
	return err
}

func (c *ours) get(ctx context.Context, _ int, key string) ([]byte, error) {
	rq, err := http.NewRequestWithContext(ctx, http.MethodGet, c.leader+"/kv/"+key, nil)
	if err != nil {
		return nil, err
	}
	return c.do(rq)
}

func (c *ours) do(rq *http.Request) ([]byte, error) {
	rs, err := c.http.Do(rq)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(rs.Body)
	if closeErr := rs.Body.Close(); err == nil {
		err = closeErr
	}
	if err == nil && rs.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", rs.Status, body)
	}
	return body, err
}

func (c *ours) each(ctx context.Context, visit func(value []byte)) error {
	lister, err := client.New(client.Config{Endpoints: []string{c.leader}, HTTP: c.http})
	if err != nil {
		return err
	}
	return lister.List(ctx, "", true, func(item kvstore.Item) error {
		visit(item.Data)
		return nil
	})
}

func (c *ours) stop() error {
	c.http.CloseIdleConnections()
	errs := make([]error, len(c.members))
	var group sync.WaitGroup
	for i, m := range c.members {
		if m != nil {
			group.Go(func() { errs[i] = m.Close() })
		}
	}
	group.Wait()
	return errors.Join(errs...)
}
