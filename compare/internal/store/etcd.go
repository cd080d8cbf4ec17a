package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/seed-289bd6ac/raft/compare/internal/load"
)

// clientsPerConnection is that of the benchmarks in etcd's documentation.
const clientsPerConnection = 10

type etcd struct {
	members []*embed.Etcd
	clients []*clientv3.Client
}

func startEtcd(dir string, clients int) (cluster, error) {
	c := &etcd{}
	peers, err := freeURLs(members)
	if err != nil {
		return nil, err
	}
	var all []string
	for i, u := range peers {
		all = append(all, fmt.Sprintf("m%d=%s", i, u.String()))
	}
	for i := range members {
		if err := c.startMember(filepath.Join(dir, fmt.Sprint(i)), i, peers[i], strings.Join(all, ",")); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	leader, err := c.waitLeader()
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	for range (clients + clientsPerConnection - 1) / clientsPerConnection {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{leader}, Logger: zap.NewNop()})
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		c.clients = append(c.clients, client)
	}
	return c, nil
}

func (c *etcd) startMember(dir string, i int, peer url.URL, all string) error {
	addresses, err := freeURLs(1)
	if err != nil {
		return err
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = fmt.Sprintf("m%d", i), dir
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = addresses, addresses
	cfg.InitialCluster = all
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	m, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	c.members = append(c.members, m)
	return nil
}

// waitLeader returns where the leader serves clients, once all members are ready.
func (c *etcd) waitLeader() (endpoint string, err error) {
	deadline := time.After(load.Patience)
	for _, m := range c.members {
		select {
		case <-m.Server.ReadyNotify():
		case err := <-m.Err():
			return "", err
		case <-deadline:
			return "", errors.New("a member is not ready")
		}
	}
	leader := c.members[0].Server.Leader()
	for _, m := range c.members {
		if m.Server.MemberID() == leader {
			return m.Config().AdvertiseClientUrls[0].String(), nil
		}
	}
	return "", errors.New("no leader")
}

func (c *etcd) client(i int) *clientv3.Client { return c.clients[i%len(c.clients)] }

func (c *etcd) put(ctx context.Context, client int, key string, value []byte) error {
	_, err := c.client(client).Put(ctx, key, string(value))
	return err
}

func (c *etcd) get(ctx context.Context, client int, key string) ([]byte, error) {
	rs, err := c.client(client).Get(ctx, key)
	if err != nil || len(rs.Kvs) == 0 {
		return nil, err
	}
	return rs.Kvs[0].Value, nil
}

// each reads some keys at a time.
func (c *etcd) each(ctx context.Context, visit func(value []byte)) error {
	const page = 1000
	from := "\x00"
	for {
		rs, err := c.clients[0].Get(ctx, from, clientv3.WithFromKey(), clientv3.WithLimit(page))
		if err != nil {
			return err
		}
		for _, kv := range rs.Kvs {
			visit(kv.Value)
			from = string(kv.Key) + "\x00"
		}
		if !rs.More {
			return nil
		}
	}
}

func (c *etcd) stop() (err error) {
	for _, client := range c.clients {
		err = errors.Join(err, client.Close())
	}
	for _, m := range c.members {
		m.Close()
	}
	return err
}

// freeURLs returns addresses that nobody listens at: etcd opens its listeners by
// itself.
func freeURLs(n int) (urls []url.URL, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		urls = append(urls, url.URL{Scheme: "http", Host: listener.Addr().String()})
	}
	return urls, nil
}
