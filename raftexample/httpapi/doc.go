// Package httpapi turns HTTP requests into calls of a replicated key-value store,
// and what becomes of them into status codes.
//
//	PUT    /kv/{key}             204 once applied; the value is the body
//	GET    /kv/{key}             200, linearizable; ?consistency=stale reads this member's own state
//	DELETE /kv/{key}             204 once applied, whether or not the key was there
//	GET    /members              200, the configuration that this member has applied
//	POST   /members/{id}         204 once applied; the body is the peer URL, ?learner=true adds a learner
//	DELETE /members/{id}         204 once applied
//	POST   /members/{id}/leader  204 once the member leads
//	GET    /status               200, what this member knows of itself
//	GET    /healthz              200 while this member knows a leader
//
// The key is everything after /kv/, percent-decoded once: it may hold any bytes.
//
// Every error is a JSON object {"error": "...", "code": "..."}: 400 for a request that makes no
// sense, 401 without the token that is asked for, 403 for what a page from elsewhere has
// a browser ask, 404 for a key that is not there, 405, 408 for a body that came too slowly,
// 409 for a change that the membership forbids, 413 for a value that is too long,
// 503 with Retry-After for what could not be served in time. The code "unknown_outcome"
// marks a 503 of a write that may have taken effect, or may still do so.
package httpapi
