// Package client talks to a cluster of raftexample over HTTP.
//
// A request goes to the endpoint that answered last. Where it is not served there,
// it is sent again, to the next one, until its context ends. Reads may always be
// repeated. Every write carries an idempotency key, so that it takes effect once
// however often it is sent; the cluster remembers the last kvstore.MaxReplies of
// these, so a context should end within seconds, not hours. Changes of the
// membership carry none: they are sent again only where it is known that they had no
// effect.
package client
