// Package httpapi turns HTTP requests into calls of a replicated key-value store,
// and what becomes of them into status codes.
//
//	PUT    /kv/{key}             204 once applied; the value is the body
//	GET    /kv/{key}             200, linearizable; ?consistency=stale reads this member's own state
//	DELETE /kv/{key}             204 once applied, whether or not the key was there
//	GET    /kv/?prefix=a         200, keys in order; also limit, continue, values=true, consistency=stale
//	GET    /members              200, the configuration that this member has applied
//	POST   /members/{id}         204 once applied; the body is the peer URL, ?learner=true adds a learner
//	DELETE /members/{id}         204 once applied
//	POST   /members/{id}/leader  204 once the member leads
//	GET    /backup               200, all keys and results, as of now, for raftexample restore
//	GET    /status               200, what this member knows of itself
//	GET    /                     200, a page that shows the cluster
//	GET    /cluster              200, what it shows: all members, as far as they answer
//	GET    /healthz              200 while this member knows a leader
//	GET    /metrics              200, for Prometheus
//	GET    /debug/pprof/         200 where profiling is on
//
// A change of the membership that may cost the cluster its majority is answered with 409:
// one after which the voters that the leader hears from would be no majority, and a new voter
// while another is silent. ?force=true makes it all the same.
//
// The key is everything after /kv/, percent-decoded once: it may hold any bytes.
//
// The ETag of a key is its revision, in quotes: GET and PUT tell it. A PUT or DELETE
// with If-Match takes effect only where the key has that revision (* for any), a PUT
// with If-None-Match: * only where there is no such key; else the answer is 412, with
// the ETag of what there is. A GET with If-None-Match is answered with 304 where the
// key still has that revision.
//
// A PUT or DELETE with an Idempotency-Key takes effect once, however often and to
// whatever member it is sent: later attempts get the first answer, marked with
// Idempotency-Replayed: true. The cluster remembers the last [kvstore.MaxReplies] of
// these keys; whoever waits longer sends a new request. An Idempotency-Key that
// belongs to another request is answered with 422.
//
// A list has the keys as of one moment, up to the limit (100; at most 1000) or about
// 1 MiB: {"keys": [{"key": "a%2Fb", "revision": 7}], "next": "...", "index": 9}. Keys are
// percent-encoded, values in base64. Where there is a "next", the same request with it
// as "continue" returns the keys that follow, as of a later moment.
//
// Every error is a JSON object {"error": "...", "code": "..."}: 400 for a request that makes no
// sense, 401 without the token that is asked for, 403 for what a page from elsewhere has
// a browser ask, 404 for a key that is not there, 405, 408 for a body that came too slowly,
// 409 for a change that the membership forbids, 412, 413 for a value that is too long,
// 421 for a name that this member is not known by, 422,
// 503 with Retry-After for what could not be served in time. The code "unknown_outcome"
// marks a 503 of a write that may have taken effect, or may still do so; a change of leaders
// is no reason for it. 507 is for a PUT, which has no effect then, at a member whose disk is
// nearly full; everything else is served.
package httpapi
