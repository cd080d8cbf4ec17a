package rafthttp

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzHandshake checks that whatever asks for a stream is refused with a reason, or
// means the same when it is asked again.
func FuzzHandshake(f *testing.F) {
	for _, h := range []hello{
		{cluster: 7, from: 1, to: 2, kind: kindControl, url: "http://one.example:2380"},
		{cluster: 1<<64 - 1, from: 1, to: 1<<64 - 1, kind: kindSnapshot},
	} {
		var b bytes.Buffer
		r, err := http.NewRequest(http.MethodGet, "http://two.example"+Path, nil)
		require.NoError(f, err)
		r.Header = h.header()
		require.NoError(f, r.Write(&b))
		f.Add(b.Bytes())
		f.Add(bytes.Replace(b.Bytes(), []byte("Raft-Version: 1"), []byte("Raft-Version: 2"), 1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return // the server refuses it
		}
		if err := checkVersion(r.Header); err != nil {
			require.ErrorIs(t, err, ErrRefused)
			return
		}
		h, err := parseHello(r)
		if err != nil {
			require.ErrorIs(t, err, ErrRefused)
			return
		}
		again := &http.Request{Method: http.MethodGet, Header: h.header()}
		same, err := parseHello(again)
		require.NoError(t, err)
		require.Equal(t, h, same)
	})
}

// FuzzAnswer checks that whatever answers a handshake is no acceptance, unless it
// says all that a member says.
func FuzzAnswer(f *testing.F) {
	h := hello{cluster: 7, from: 1, to: 2, kind: kindBulk}
	f.Add(h.accepted())
	f.Add([]byte("HTTP/1.1 410 Gone\r\nRaft-Refused: removed\r\nContent-Length: 3\r\n\r\nwhy"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort"))
	f.Fuzz(func(t *testing.T, b []byte) {
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: http.MethodGet})
		if err != nil {
			return
		}
		defer resp.Body.Close() //nolint:errcheck // it is in memory
		if err := h.checkAnswer(resp); err != nil {
			require.Less(t, len(err.Error()), 8<<10)
			return
		}
		for line := range strings.Lines(string(h.accepted())) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && strings.HasPrefix(name, "Raft-") {
				require.Equal(t, value, resp.Header.Get(name))
			}
		}
	})
}
