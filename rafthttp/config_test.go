package rafthttp

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigsThatCannotBeUsedAreRefused(t *testing.T) {
	valid := func() Config { return Config{ID: 1, ClusterID: 1, Raft: &fakeRaft{}} }
	for _, c := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"no id", func(c *Config) { c.ID = 0 }, "ID is not set"},
		{"no cluster", func(c *Config) { c.ClusterID = 0 }, "ClusterID is not set"},
		{"no raft", func(c *Config) { c.Raft = nil }, "Raft is not set"},
		{"certificates to verify without TLS", func(c *Config) { c.VerifyPeer = verifyName }, "VerifyPeer needs TLS"},
		{"no URL to advertise", func(c *Config) { c.AdvertiseURL = "host:1" }, "AdvertiseURL"},
		{"a plain URL to advertise with TLS", func(c *Config) {
			c.TLS, c.AdvertiseURL = &tls.Config{}, "http://host:1"
		}, "not https"},
		{"a negative frame size", func(c *Config) { c.MaxFrameSize = -1 }, "MaxFrameSize"},
		{"a frame size without bound", func(c *Config) { c.MaxFrameSize = 2 << 30 }, "MaxFrameSize"},
		{"a negative snapshot size", func(c *Config) { c.MaxSnapshotSize = -1 }, "MaxSnapshotSize"},
		{"a negative queue", func(c *Config) { c.QueueLength = -1 }, "QueueLength"},
		{"negative bytes", func(c *Config) { c.QueueBytes = -1 }, "QueueBytes"},
		{"a negative batch", func(c *Config) { c.BatchBytes = -1 }, "BatchBytes"},
		{"a negative time", func(c *Config) { c.WriteTimeout = -1 }, "WriteTimeout"},
		{"pings too rare to be missed", func(c *Config) { c.PingInterval, c.IdleTimeout = 2*time.Second, 3*time.Second }, "IdleTimeout"},
		{"backoffs that shrink", func(c *Config) { c.BackoffMin, c.BackoffMax = 2*time.Second, time.Second }, "BackoffMax"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := valid()
			c.change(&cfg)
			tr, err := New(cfg)
			require.Nil(t, tr)
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestDefaultsFitWhatIsSet(t *testing.T) {
	cfg, err := Config{ID: 1, ClusterID: 1, Raft: &fakeRaft{}}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, DefaultMaxFrameSize, cfg.MaxFrameSize)
	require.Equal(t, DefaultIdleTimeout, cfg.IdleTimeout)
	require.NotNil(t, cfg.Logger)

	cfg, err = Config{ID: 1, ClusterID: 1, Raft: &fakeRaft{}, PingInterval: time.Minute, BackoffMin: time.Hour}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, 2*time.Minute, cfg.IdleTimeout)
	require.Equal(t, time.Hour, cfg.BackoffMax)
}

func TestURLsOfPeers(t *testing.T) {
	for _, c := range []struct {
		url    string
		secure bool
		says   string
	}{
		{"http://host:1", false, ""},
		{"http://host", false, ""},
		{"http://[::1]:1/below/", false, ""},
		{"https://host:1", true, ""},
		{"http://host:1", true, "Config.TLS is set"},
		{"https://host:1", false, "Config.TLS is not set"},
		{"host:1", false, "neither"},
		{"", false, "neither"},
		{"ftp://host", false, "neither"},
		{"http://:1", false, "no host"},
		{"http://me:secret@host", false, "more than"},
		{"http://host?x=1", false, "more than"},
		{"http://host#x", false, "more than"},
		{"http://%zz", false, "%zz"},
	} {
		_, err := parseURL(c.url, c.secure)
		if c.says == "" {
			require.NoError(t, err, c.url)
			continue
		}
		require.ErrorIs(t, err, ErrURL, c.url)
		require.ErrorContains(t, err, c.says)
	}
}

func TestTheAddressToDialHasAPort(t *testing.T) {
	for url, want := range map[string]string{
		"http://host": "host:80", "https://host": "host:443", "http://host:9": "host:9", "http://[::1]:9": "[::1]:9",
	} {
		u, err := parseURL(url, url[4] == 's')
		require.NoError(t, err)
		require.Equal(t, want, dialAddress(u))
	}
}

func TestPeersThatCannotBe(t *testing.T) {
	m := newCluster(t, false).start(1, "")
	require.ErrorIs(t, m.AddPeer(0, "http://host:1"), ErrPeerID)
	require.ErrorIs(t, m.AddPeer(1, "http://host:1"), ErrPeerID)
	require.ErrorIs(t, m.AddPeer(2, "host:1"), ErrURL)
	require.ErrorIs(t, m.UpdatePeer(2, "http://host:1"), ErrUnknownPeer)
	require.ErrorIs(t, m.UpdatePeer(2, "host"), ErrURL)
	m.RemovePeer(2)
	m.Transport.Stop()
	require.ErrorIs(t, m.AddPeer(2, "http://host:1"), ErrStopped)
	require.ErrorIs(t, m.UpdatePeer(2, "http://host:1"), ErrStopped)
	m.RemovePeer(2)
}

func TestBackoffGrowsToItsBoundAndIsNeverLessThanHalf(t *testing.T) {
	b := backoff{min: 50 * time.Millisecond, max: time.Second}
	network := &RefusedError{Reason: ReasonUnknownSender}
	for _, want := range []time.Duration{50, 100, 200, 400, 800, 1000, 1000} {
		d := b.after(network)
		require.LessOrEqual(t, d, want*time.Millisecond)
		require.GreaterOrEqual(t, d, want*time.Millisecond/2)
	}
	b.reset()
	require.LessOrEqual(t, b.after(network), 50*time.Millisecond)
	require.GreaterOrEqual(t, b.after(&RefusedError{Reason: ReasonRemoved}), time.Second/2, "no use in asking again soon")
}
