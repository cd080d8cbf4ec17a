package rafthttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// greeting is a handshake of member 1 to member 2 as an HTTP request.
func greeting() *http.Request { return greetingFrom(1, 2) }

func greetingFrom(from, to uint64) *http.Request {
	r := httptest.NewRequest(http.MethodGet, Path, nil)
	r.Header = hello{cluster: testCluster, from: from, to: to, kind: kindBulk}.header()
	return r
}

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestHandshakesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
		reason Reason
		says   string
	}{
		{"a version from the future", setHeader(headerVersion, "2"), 426, ReasonVersion, "version 2 of the protocol is asked for, this member speaks version 1"},
		{"a future version whose other headers mean something else", func(r *http.Request) {
			r.Header = http.Header{headerVersion: {"9"}}
		}, 426, ReasonVersion, "version 9"},
		{"no version", func(r *http.Request) { r.Header.Del(headerVersion) }, 400, ReasonBadRequest, headerVersion},
		{"version 0", setHeader(headerVersion, "0"), 400, ReasonBadRequest, headerVersion},
		{"a version that is no number", setHeader(headerVersion, "one"), 400, ReasonBadRequest, headerVersion},
		{"another cluster", setHeader(headerCluster, "78"), 412, ReasonWrongCluster, "the sender is in cluster 78, this member in 77"},
		{"no cluster", setHeader(headerCluster, "0"), 400, ReasonBadRequest, headerCluster},
		{"another receiver", setHeader(headerTo, "3"), 421, ReasonWrongReceiver, "member 3 is looked for, this is member 2"},
		{"no receiver", setHeader(headerTo, ""), 400, ReasonBadRequest, headerTo},
		{"a sender that was not added", setHeader(headerFrom, "4"), 403, ReasonUnknownSender, "member 4 is not known"},
		{"a sender that was removed", setHeader(headerFrom, "5"), 410, ReasonRemoved, "member 5 was removed"},
		{"a sender with our id", setHeader(headerFrom, "2"), 403, ReasonUnknownSender, "has the id of this member"},
		{"a sender that is no number", setHeader(headerFrom, "-1"), 400, ReasonBadRequest, headerFrom},
		{"an unknown kind of stream", setHeader(headerStream, "other"), 400, ReasonBadRequest, headerStream},
		{"no upgrade", func(r *http.Request) { r.Header.Del("Upgrade") }, 400, ReasonBadRequest, "upgrade"},
		{"an upgrade to something else", setHeader("Upgrade", "websocket"), 400, ReasonBadRequest, "upgrade"},
		{"an upgrade that is not for this hop", setHeader("Connection", "close"), 400, ReasonBadRequest, "upgrade"},
		{"a body", func(r *http.Request) { r.ContentLength = 5 }, 400, ReasonBadRequest, "body"},
		{"HEAD", func(r *http.Request) { r.Method = http.MethodHead }, 400, ReasonBadRequest, "HEAD"},
		{"an endless URL", setHeader(headerAdvertise, strings.Repeat("x", maxURLBytes+1)), 400, ReasonBadRequest, headerAdvertise},
		{"a server that cannot hand over the connection", func(*http.Request) {}, 400, ReasonBadRequest, "HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newCluster(t, false).start(2, "")
			require.NoError(t, b.AddPeer(1, "http://127.0.0.1:1"))
			b.raft.remove(5)
			r := greeting()
			c.change(r)
			w := httptest.NewRecorder()
			b.Handler().ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code, w.Body)
			require.Equal(t, string(c.reason), w.Header().Get(headerRefused))
			require.Equal(t, "1", w.Header().Get(headerVersion))
			require.Equal(t, "close", w.Header().Get("Connection"))
			require.Contains(t, w.Body.String(), c.says)
			require.Equal(t, map[Reason]uint64{c.reason: 1}, b.Stats().Refused)
		})
	}
}

func TestPathsAndMethodsThatAreNotOurs(t *testing.T) {
	b := newCluster(t, false).start(2, "")
	for _, c := range []struct {
		method, path string
		status       int
	}{{http.MethodGet, "/", 404}, {http.MethodGet, Path + "/x", 404}, {http.MethodPost, Path, 405}} {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		require.Equal(t, c.status, w.Code)
	}
}

// awaitFailure waits until m's streams to a peer fail for a reason.
func (m *member) awaitFailure(id uint64, reason Reason) *RefusedError {
	m.t.Helper()
	var refused *RefusedError
	eventually(m.t, "refused by the peer: "+string(reason), func() bool {
		for _, s := range []StreamStats{m.peer(id).Control, m.peer(id).Bulk} {
			err, ok := s.LastError.(*RefusedError)
			if !ok || err.Reason != reason || s.Active {
				return false
			}
			refused = err
		}
		return true
	})
	return refused
}

func TestTheRefusedSideLearnsWhy(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		b := c.start(2, "")
		b.raft.remove(1)
		for _, s := range []struct {
			id, as uint64
			option option
			reason Reason
			status int
		}{
			{1, 2, nil, ReasonRemoved, 410},
			{3, 2, nil, ReasonUnknownSender, 403},
			{3, 4, nil, ReasonWrongReceiver, 421},
			{3, 2, func(cfg *Config, _ *fakeRaft) { cfg.ClusterID = 78 }, ReasonWrongCluster, 412},
		} {
			options := []option{func(cfg *Config, _ *fakeRaft) {
				if s.option != nil {
					s.option(cfg, nil)
				}
				if s.as != 2 && cfg.TLS != nil {
					cfg.VerifyPeer = nil // it would notice first
				}
			}}
			a := c.start(s.id, "", options...)
			require.NoError(t, a.AddPeer(s.as, b.url))
			refused := a.awaitFailure(s.as, s.reason)
			require.Equal(t, s.status, refused.Status)
			require.Equal(t, s.as, refused.By)
			require.NotEmpty(t, refused.Message)
			require.Positive(t, b.Stats().Refused[s.reason])
			eventually(t, "it is reported", func() bool { return a.raft.unreachableCount(s.as) > 0 })
			a.stop()
		}
	})
}

// countingHandler counts log records by level.
type countingHandler struct {
	mu     sync.Mutex
	levels map[slog.Level]int
}

func (h *countingHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *countingHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *countingHandler) WithGroup(string) slog.Handler            { return h }
func (h *countingHandler) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.levels == nil {
		h.levels = make(map[slog.Level]int)
	}
	h.levels[r.Level]++
	return nil
}

func (h *countingHandler) count(level slog.Level) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.levels[level]
}

func TestARemovedMemberIsToldOncePerStream(t *testing.T) {
	c := newCluster(t, false)
	aLog, bLog := &countingHandler{}, &countingHandler{}
	a := c.start(1, "", func(cfg *Config, _ *fakeRaft) { cfg.Logger = slog.New(aLog) })
	b := c.start(2, "", func(cfg *Config, _ *fakeRaft) { cfg.Logger = slog.New(bLog) })
	b.raft.remove(1)
	require.NoError(t, a.AddPeer(2, b.url))
	eventually(t, "it has asked many times", func() bool { return b.Stats().Refused[ReasonRemoved] > 20 })
	require.Equal(t, 2, aLog.count(slog.LevelError), "one for each stream")
	require.Equal(t, 1, bLog.count(slog.LevelWarn), "whoever is asked too often says so once")
}

func TestAMemberThatIsNotKnownYetIsAdmitted(t *testing.T) {
	for name, byHand := range map[string]bool{"by its own URL": false, "by AdmitPeer itself": true} {
		t.Run(name, func(t *testing.T) {
			overTCPAndTLS(t, func(t *testing.T, c *cluster) {
				var a, b *member
				var asked sync.Map
				b = c.start(2, "", func(cfg *Config, _ *fakeRaft) {
					cfg.AdmitPeer = func(id uint64, url string) bool {
						asked.Store(id, url)
						if byHand && id == 1 {
							assert.NoError(t, b.AddPeer(id, url))
						}
						return id == 1
					}
				})
				free := freeAddress(t)
				scheme := map[bool]string{false: "http://", true: "https://"}[c.pki != nil]
				a = c.start(1, free, func(cfg *Config, _ *fakeRaft) { cfg.AdvertiseURL = scheme + free })
				require.NoError(t, a.AddPeer(2, b.url))
				a.awaitActive(2)
				b.awaitActive(1)
				url, _ := asked.Load(uint64(1))
				require.Equal(t, a.url, url)
				vote := &raftpb.Message{Type: raftpb.MsgVoteResp, From: 2, To: 1}
				b.Send([]*raftpb.Message{vote})
				a.awaitGot(raftpb.MsgVoteResp, 1)

				d := c.start(3, "")
				require.NoError(t, d.AddPeer(2, b.url))
				d.awaitFailure(2, ReasonUnknownSender)
				_, known := b.known(3)
				require.False(t, known)
			})
		})
	}
}

func TestAMemberWithoutURLIsNotAdmitted(t *testing.T) {
	c := newCluster(t, false)
	b := c.start(2, "", func(cfg *Config, _ *fakeRaft) {
		cfg.AdmitPeer = func(uint64, string) bool { return true }
	})
	a := c.start(1, "")
	require.NoError(t, a.AddPeer(2, b.url))
	a.awaitFailure(2, ReasonUnknownSender)
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestTLSProvesMembers(t *testing.T) {
	c := newCluster(t, true)
	checkGoroutines(t)
	b := c.start(2, "")
	require.NoError(t, b.AddPeer(1, "https://127.0.0.1:1"))

	t.Run("no TLS", func(t *testing.T) {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, greeting())
		require.Equal(t, 401, w.Code)
	})
	t.Run("no certificate, and a server that does not ask", func(t *testing.T) {
		r := greeting()
		r.TLS = &tls.ConnectionState{}
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, r)
		require.Equal(t, 401, w.Code)
		require.Equal(t, string(ReasonUnverified), w.Header().Get(headerRefused))
	})
	t.Run("no certificate, and a server that asks", func(t *testing.T) {
		a := c.start(1, "", func(cfg *Config, _ *fakeRaft) { cfg.TLS.Certificates = nil })
		require.NoError(t, a.AddPeer(2, b.url))
		eventually(t, "it fails", func() bool { return a.peer(2).Control.LastError != nil })
		require.False(t, a.peer(2).Control.Active)
	})
	t.Run("a certificate of another authority", func(t *testing.T) {
		other := newPKI(t)
		a := c.start(1, "", func(cfg *Config, _ *fakeRaft) { cfg.TLS.Certificates = other.client(1).Certificates })
		require.NoError(t, a.AddPeer(2, b.url))
		eventually(t, "it fails", func() bool { return a.peer(2).Control.LastError != nil })
		require.False(t, a.peer(2).Control.Active)
	})
	t.Run("a sender with the certificate of another member", func(t *testing.T) {
		a := c.start(1, "", func(cfg *Config, _ *fakeRaft) { cfg.TLS = c.pki.client(3) })
		require.NoError(t, a.AddPeer(2, b.url))
		refused := a.awaitFailure(2, ReasonUnverified)
		require.EqualValues(t, 2, refused.By)
		require.Contains(t, refused.Message, "member-3")
	})
	t.Run("a receiver with the certificate of another member", func(t *testing.T) {
		a := c.start(1, "")
		require.NoError(t, a.AddPeer(3, b.url))
		refused := a.awaitFailure(3, ReasonUnverified)
		require.EqualValues(t, 1, refused.By)
		require.Contains(t, refused.Message, "member-2")
		require.Positive(t, a.Stats().Refused[ReasonUnverified])
	})
}

func TestServerCertificatesAloneAreEnoughWhereClientsHaveNone(t *testing.T) {
	c := newCluster(t, true)
	c.pki.clientAuth = tls.NoClientCert
	noCert := func(cfg *Config, _ *fakeRaft) {
		cfg.TLS.Certificates, cfg.VerifyPeer = nil, nil
	}
	a, b := c.start(1, "", noCert), c.start(2, "", noCert)
	connect(t, a, b)
}

// answering listens and answers every request with the same bytes.
func answering(t *testing.T, answer string) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = c.Write([]byte(answer))
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return "http://" + l.Addr().String()
}

func TestAnswersThatNoMemberGives(t *testing.T) {
	valid := string(hello{cluster: testCluster, from: 1, to: 2}.accepted())
	for _, c := range []struct {
		name, answer, says string
	}{
		{"another cluster", strings.Replace(valid, "Raft-Cluster: 77", "Raft-Cluster: 78", 1), headerCluster},
		{"another member", strings.Replace(valid, "Raft-From: 2", "Raft-From: 3", 1), headerFrom},
		{"for another member", strings.Replace(valid, "Raft-To: 1", "Raft-To: 3", 1), headerTo},
		{"another version", strings.Replace(valid, "Raft-Version: 1", "Raft-Version: 2", 1), headerVersion},
		{"another protocol", strings.Replace(valid, "raft-stream", "websocket", 1), "Upgrade"},
		{"a web server", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 OK"},
		{"no HTTP", "220 mail.example ESMTP\r\n", "reading the answer"},
		{"nothing", "", "reading the answer"},
		{"an endless answer", "HTTP/1.1 101 Switching Protocols\r\nX: " + strings.Repeat("x", 2*maxAnswerBytes), "reading the answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newCluster(t, false).start(1, "")
			require.NoError(t, a.AddPeer(2, answering(t, c.answer)))
			eventually(t, "it is noticed", func() bool { return a.peer(2).Control.LastError != nil })
			require.ErrorContains(t, a.peer(2).Control.LastError, c.says)
			require.Zero(t, a.peer(2).Control.Connects)
		})
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	c := newCluster(t, false)
	for _, s := range []struct {
		name   string
		kind   streamKind
		m      *raftpb.Message
		reason Reason
	}{
		{"from another member", kindControl, &raftpb.Message{Type: raftpb.MsgVote, From: 3, To: 2}, ReasonForged},
		{"from nobody", kindBulk, &raftpb.Message{Type: raftpb.MsgApp, To: 2}, ReasonForged},
		{"for another member", kindControl, &raftpb.Message{Type: raftpb.MsgVote, From: 1, To: 3}, ReasonMisdirected},
		{"a snapshot among messages", kindBulk, snapshotOf(1), ReasonWrongStream},
	} {
		t.Run(s.name, func(t *testing.T) {
			b := c.start(2, "")
			require.NoError(t, b.AddPeer(1, "http://127.0.0.1:1"))
			stream := dialRaw(t, b, 1, s.kind)
			stream.send(s.m)
			stream.send(heartbeat(7))
			require.EqualValues(t, 7, b.awaitGot(raftpb.MsgHeartbeat, 1)[0].Commit, "the stream goes on")
			require.Empty(t, b.raft.got(s.m.Type))
			b.awaitRefused(s.reason, 1)
		})
	}
}

func TestBytesThatAreRefused(t *testing.T) {
	c := newCluster(t, false)
	for _, s := range []struct {
		name   string
		kind   streamKind
		bytes  []byte
		reason Reason
	}{
		{"garbage", kindControl, appendPayload(nil, []byte("garbage")), ReasonGarbage},
		{"a frame over the limit", kindBulk, binary.AppendUvarint(nil, DefaultMaxFrameSize+1), ReasonFrameTooLarge},
		{"a message larger in memory than on the wire", kindBulk,
			appendPayload(nil, bytes.Repeat([]byte{7<<3 | 2, 0}, 4<<20)), ReasonFrameTooLarge},
		{"garbage for a snapshot", kindSnapshot, appendPayload(nil, []byte("garbage")), ReasonGarbage},
	} {
		t.Run(s.name, func(t *testing.T) {
			b := c.start(2, "", func(cfg *Config, _ *fakeRaft) {
				if s.kind == kindBulk && len(s.bytes) > 100 {
					cfg.MaxFrameSize = len(s.bytes)
				}
			})
			require.NoError(t, b.AddPeer(1, "http://127.0.0.1:1"))
			stream := dialRaw(t, b, 1, s.kind)
			stream.write(s.bytes)
			requireRefused(t, s.reason, stream.verdict())
			require.Error(t, stream.verdict(), "the connection ends")
			b.awaitRefused(s.reason, 1)
			require.Zero(t, b.raft.callCount()-b.raft.unreachableCount(1))
		})
	}
}

func TestAVerdictIsNotLostBehindWhatIsStillOnItsWay(t *testing.T) {
	b := newCluster(t, false).start(2, "")
	require.NoError(t, b.AddPeer(1, "http://127.0.0.1:1"))
	stream := dialRaw(t, b, 1, kindBulk)
	stream.write(append(binary.AppendUvarint(nil, DefaultMaxFrameSize+1), make([]byte, 1<<20)...))
	requireRefused(t, ReasonFrameTooLarge, stream.verdict())
	_, err := stream.in.next()
	require.ErrorIs(t, err, io.EOF, "the connection ends, and is not reset")
}

func TestAnnouncedFramesOfManyConnectionsCostNoMemory(t *testing.T) {
	c := newCluster(t, false)
	const n = 8
	b := c.start(100, "")
	used := allocated(func() {
		for id := range uint64(n) {
			require.NoError(t, b.AddPeer(id+1, "http://127.0.0.1:1"))
			stream := dialRaw(t, b, id+1, kindBulk)
			stream.write(append(binary.AppendUvarint(nil, DefaultMaxFrameSize), make([]byte, 1000)...))
		}
		for id := range uint64(n) {
			eventually(t, "connected", func() bool { return b.peer(id + 1).Bulk.ReceiveActive })
		}
	})
	require.Less(t, used, uint64(DefaultMaxFrameSize), "%d frames of %d bytes are announced", n, DefaultMaxFrameSize)
}

func TestBytesBeforeTheAnswerAreRefused(t *testing.T) {
	b := newCluster(t, false).start(2, "")
	require.NoError(t, b.AddPeer(1, "http://127.0.0.1:1"))
	conn, err := net.Dial("tcp", b.addr)
	require.NoError(t, err)
	defer conn.Close()
	var request bytes.Buffer
	require.NoError(t, greeting().Write(&request))
	request.WriteString("early")
	_, err = conn.Write(request.Bytes())
	require.NoError(t, err)
	b.awaitRefused(ReasonBadRequest, 1)
}

func TestTheSenderLearnsWhyItsStreamWasEnded(t *testing.T) {
	overTCPAndTLS(t, func(t *testing.T, c *cluster) {
		a, b := c.start(1, ""), c.start(2, "", func(cfg *Config, _ *fakeRaft) { cfg.MaxFrameSize = 1000 })
		connect(t, a, b)
		a.Send([]*raftpb.Message{appendOf(1, 5000)})
		eventually(t, "the reason", func() bool {
			return strings.Contains(fmt.Sprint(a.peer(2).Bulk.LastError), "1000 is the limit")
		})
		requireRefused(t, ReasonFrameTooLarge, a.peer(2).Bulk.LastError)
		a.awaitActive(2)
	})
}
