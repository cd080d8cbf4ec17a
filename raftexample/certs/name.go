package certs

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// memberName returns the URI that stands for a member in its certificate.
func memberName(cluster string, id uint64) *url.URL {
	return &url.URL{Scheme: "urn", Opaque: memberPrefix(cluster) + strconv.FormatUint(id, 10)}
}

func memberPrefix(cluster string) string {
	return "raft:" + url.PathEscape(cluster) + ":member:"
}

// MemberOf returns the id of the member of the cluster that the certificate is for.
// It does not say who has signed it.
func MemberOf(cert *x509.Certificate, cluster string) (uint64, error) {
	prefix := memberPrefix(cluster)
	for _, u := range cert.URIs {
		text, ok := strings.CutPrefix(u.Opaque, prefix)
		if u.Scheme != "urn" || !ok {
			continue
		}
		if id, err := strconv.ParseUint(text, 10, 64); err == nil && id != 0 {
			return id, nil
		}
	}
	return 0, fmt.Errorf("the certificate of %q names no member of cluster %q: a URI urn:%s{id} is missing",
		cert.Subject.CommonName, cluster, prefix)
}
