// Package certs proves who is at the other end of a connection: it makes
// certificates, reads them from files, again whenever those change, and says which
// member of which cluster one belongs to.
//
// The certificate of a member names it as a URI among its alternative names:
// urn:raft:{cluster}:member:{id}. Between members that is what counts, and not the
// name of a host, so a member that moves keeps its certificate, and nobody who has
// a certificate for a host, or for a client, is taken for a member.
package certs
