package httpapi

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
)

// minTokenBytes is the length of the shortest token accepted.
const minTokenBytes = 16

// Token is a secret that clients send to be served. It follows its file: what the
// file holds is in force from the next request on, and a file that cannot be used
// leaves the last good one in force.
type Token struct {
	path string
	log  *slog.Logger

	mu   sync.Mutex
	last string // the content of the file that was seen last, or why there was none
	sum  [sha256.Size]byte
}

// OpenToken reads the file, which holds the token, of at least 16 bytes, and
// perhaps white space around it.
func OpenToken(path string, log *slog.Logger) (*Token, error) {
	t := &Token{path: path, log: log}
	token, err := t.read()
	if err != nil {
		return nil, err
	}
	t.last, t.sum = token, sha256.Sum256([]byte(token))
	return t, nil
}

func (t *Token) read() (string, error) {
	data, err := os.ReadFile(t.path)
	if err != nil {
		return "", err
	}
	token := string(bytes.TrimSpace(data))
	if len(token) < minTokenBytes {
		return "", fmt.Errorf("%s holds a token of %d bytes, at least %d are needed", t.path, len(token), minTokenBytes)
	}
	return token, nil
}

func (t *Token) current() [sha256.Size]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, err := t.read()
	switch {
	case err != nil && err.Error() != t.last:
		t.last = err.Error()
		t.log.Error("the token cannot be read, the last good one stays in force", "err", err)
	case err == nil && token != t.last:
		t.last, t.sum = token, sha256.Sum256([]byte(token))
		t.log.Info("the token was read again", "file", t.path)
	}
	return t.sum
}

// allows tells whether the request has the token: as a bearer token, or, for the
// sake of browsers, as the password of whatever user.
func (t *Token) allows(r *http.Request) bool {
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if _, password, ok := r.BasicAuth(); ok {
		got = password
	} else if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	// Neither length nor first difference are told by the time that it takes.
	want, sum := t.current(), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(want[:], sum[:]) == 1
}

// openPath is served to whoever asks: what watches processes has no secrets.
const openPath = "/healthz"

// guard serves next to those who may ask: who has the token, and no browser at the
// behest of a page from elsewhere.
func (h *Handler) guard(next http.Handler) http.Handler {
	sameOrigin, strangers := http.NewCrossOriginProtection(), &refusals{log: h.log}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.checkHost(r); err != nil {
			h.fail(w, r, err)
			return
		}
		if token := h.opts.Token; token != nil && r.URL.Path != openPath && !token.allows(r) {
			strangers.warn("a request without the token was refused", "from", r.RemoteAddr)
			w.Header().Add("WWW-Authenticate", `Bearer realm="raftexample"`)
			w.Header().Add("WWW-Authenticate", `Basic realm="raftexample", charset="UTF-8"`)
			w.Header().Set("Connection", "close") // a body is not waited for
			h.fail(w, r, errorf(http.StatusUnauthorized, "the request needs the token of this cluster"))
			return
		}
		if err := sameOrigin.Check(r); err != nil {
			h.fail(w, r, errorf(http.StatusForbidden, "%v", err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Forbid answers that err forbids the request.
func Forbid(w http.ResponseWriter, err error) {
	body, _ := json.Marshal(ErrorBody{Error: err.Error(), Code: CodeForbidden}) // two strings
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(append(body, '\n')) // who does not read it does not learn why
}
