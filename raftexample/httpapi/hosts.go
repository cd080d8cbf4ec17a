package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// checkHost refuses a request that names this member as nobody does who means it. A page
// from elsewhere can have its own name lead here once it is loaded, and is then of the same
// origin; what it cannot do is to be called by an address, or by a name that is known here.
func (h *Handler) checkHost(r *http.Request) error {
	if h.opts.Hosts == nil || r.URL.Path == openPath {
		return nil
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return nil
	}
	host = strings.TrimSuffix(host, ".")
	known := func(name string) bool { return name != "" && strings.EqualFold(name, host) }
	if known("localhost") || slices.ContainsFunc(h.opts.Hosts, known) {
		return nil
	}
	return errorf(http.StatusMisdirectedRequest,
		"this member is not known as %q: ask for it by address, or have it started with that name in --client-hosts, or with a token or TLS for clients", host)
}
