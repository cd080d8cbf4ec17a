package rafthttp

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// protocolVersion is the only version that there is.
const protocolVersion = 1

// Headers of the handshake. Those of the answer are the answering member's view:
// its From is the one that was asked for.
const (
	upgradeToken    = "raft-stream"
	headerVersion   = "Raft-Version"
	headerCluster   = "Raft-Cluster"
	headerFrom      = "Raft-From"
	headerTo        = "Raft-To"
	headerStream    = "Raft-Stream"
	headerAdvertise = "Raft-Url"
	headerRefused   = "Raft-Refused"
)

// maxURLBytes limits the URL that a sender says it has.
const maxURLBytes = 2 << 10

// maxAnswerBytes limits what is read of the answer to a handshake.
const maxAnswerBytes = 16 << 10

// streamKind is what a connection carries.
type streamKind uint8

const (
	kindControl streamKind = iota
	kindBulk
	kindSnapshot
	streamKinds
)

func (k streamKind) String() string {
	return [streamKinds]string{"control", "bulk", "snapshot"}[k]
}

func parseKind(s string) (streamKind, bool) {
	for k := range streamKinds {
		if k.String() == s {
			return k, true
		}
	}
	return 0, false
}

// hello is what the dialling member says of a connection.
type hello struct {
	cluster, from, to uint64
	kind              streamKind
	// url is where the sender can be reached, or "".
	url string
}

func (h hello) header() http.Header {
	out := http.Header{}
	out.Set("Connection", "Upgrade")
	out.Set("Upgrade", upgradeToken)
	out.Set("User-Agent", "") // none
	out.Set(headerVersion, strconv.Itoa(protocolVersion))
	out.Set(headerCluster, formatID(h.cluster))
	out.Set(headerFrom, formatID(h.from))
	out.Set(headerTo, formatID(h.to))
	out.Set(headerStream, h.kind.String())
	if h.url != "" {
		out.Set(headerAdvertise, h.url)
	}
	return out
}

func formatID(id uint64) string { return strconv.FormatUint(id, 10) }

// checkVersion refuses what a later version of this protocol may mean otherwise,
// before anything else of it is believed.
func checkVersion(header http.Header) error {
	text := header.Get(headerVersion)
	version, err := strconv.ParseUint(text, 10, 32)
	switch {
	case err != nil || version == 0:
		return refusal(ReasonBadRequest, "header %s is %.20q, not a version", headerVersion, text)
	case version > protocolVersion:
		return refusal(ReasonVersion, "version %d of the protocol is asked for, this member speaks version %d: update it first", version, protocolVersion)
	}
	return nil
}

// parseHello reads a handshake of our version.
func parseHello(r *http.Request) (hello, error) {
	if r.Method != http.MethodGet {
		return hello{}, refusal(ReasonBadRequest, "the method is %s, not GET", r.Method)
	}
	if !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", upgradeToken) {
		return hello{}, refusal(ReasonBadRequest, "the request does not upgrade to %s", upgradeToken)
	}
	if r.ContentLength != 0 {
		return hello{}, refusal(ReasonBadRequest, "the request has a body")
	}
	h := hello{url: r.Header.Get(headerAdvertise)}
	if len(h.url) > maxURLBytes {
		return hello{}, refusal(ReasonBadRequest, "header %s has more than %d bytes", headerAdvertise, maxURLBytes)
	}
	ids := []struct {
		header string
		value  *uint64
	}{{headerCluster, &h.cluster}, {headerFrom, &h.from}, {headerTo, &h.to}}
	for _, f := range ids {
		text := r.Header.Get(f.header)
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil || id == 0 {
			return hello{}, refusal(ReasonBadRequest, "header %s is %.20q, not an id", f.header, text)
		}
		*f.value = id
	}
	kind, ok := parseKind(r.Header.Get(headerStream))
	if !ok {
		return hello{}, refusal(ReasonBadRequest, "header %s is %.20q, not a kind of stream", headerStream, r.Header.Get(headerStream))
	}
	h.kind = kind
	return h, nil
}

func hasToken(header http.Header, name, token string) bool {
	for _, line := range header.Values(name) {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(t), token) {
				return true
			}
		}
	}
	return false
}

// accepted is the answer to a handshake, as it goes over the wire.
func (h hello) accepted() []byte {
	return fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"+
		"%s: %d\r\n%s: %d\r\n%s: %d\r\n%s: %d\r\n\r\n", upgradeToken,
		headerVersion, protocolVersion, headerCluster, h.cluster, headerFrom, h.to, headerTo, h.from)
}

// checkAnswer tells whether the member that was looked for has accepted h, and if
// not, why.
func (h hello) checkAnswer(resp *http.Response) error {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return h.refusedBy(resp)
	}
	wrong := func(header, want string) error {
		return fmt.Errorf("the answer to a handshake has %s %.20q, not %s", header, resp.Header.Get(header), want)
	}
	for _, f := range []struct{ header, want string }{
		{headerVersion, strconv.Itoa(protocolVersion)},
		{headerCluster, formatID(h.cluster)},
		{headerFrom, formatID(h.to)},
		{headerTo, formatID(h.from)},
		{"Upgrade", upgradeToken},
	} {
		if resp.Header.Get(f.header) != f.want {
			return wrong(f.header, f.want)
		}
	}
	return nil
}

func (h hello) refusedBy(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		text = append(text, " (cut)"...)
	}
	reason := Reason(resp.Header.Get(headerRefused))
	if reason == "" {
		return fmt.Errorf("the answer to a handshake is %q, which no member gives: %.200q", resp.Status, text)
	}
	return &RefusedError{Reason: reason, By: h.to, Status: resp.StatusCode, Message: strings.TrimSpace(string(text))}
}

// statusOf is the HTTP status for each reason to refuse a handshake.
func statusOf(reason Reason) int {
	switch reason {
	case ReasonVersion:
		return http.StatusUpgradeRequired
	case ReasonWrongCluster:
		return http.StatusPreconditionFailed
	case ReasonWrongReceiver:
		return http.StatusMisdirectedRequest
	case ReasonUnverified:
		return http.StatusUnauthorized
	case ReasonUnknownSender:
		return http.StatusForbidden
	case ReasonRemoved:
		return http.StatusGone
	case ReasonBusy, ReasonStopped:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}
