package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft/raftexample/kvstore"
)

const (
	// idempotencyHeader names a write over all its attempts.
	idempotencyHeader = "Idempotency-Key"
	// replayedHeader marks an answer that is that of an earlier attempt.
	replayedHeader = "Idempotency-Replayed"
)

// etag returns the entity tag of a revision.
func etag(revision uint64) string {
	return `"` + strconv.FormatUint(revision, 10) + `"`
}

// one returns the value of a header, "" where it is not given. Twice is once too
// often: it would not be clear which counts.
func one(h http.Header, name string) (string, error) {
	values := h.Values(name)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", errorf(http.StatusBadRequest, "%s is given %d times", name, len(values))
	case values[0] == "":
		return "", errorf(http.StatusBadRequest, "%s is empty", name)
	}
	return values[0], nil
}

// conditionOf returns the condition of a write: If-Match with one entity tag or *,
// or If-None-Match with *.
func conditionOf(h http.Header) (kvstore.Condition, error) {
	match, err := one(h, "If-Match")
	if err != nil {
		return kvstore.Condition{}, err
	}
	noneMatch, err := one(h, "If-None-Match")
	if err != nil {
		return kvstore.Condition{}, err
	}
	switch {
	case match != "" && noneMatch != "":
		return kvstore.Condition{}, errorf(http.StatusBadRequest, "If-Match and If-None-Match are given: one must do")
	case match == "*":
		return kvstore.Condition{Kind: kvstore.IfPresent}, nil
	case match != "":
		return revisionCondition(match)
	case noneMatch == "*":
		return kvstore.Condition{Kind: kvstore.IfAbsent}, nil
	case noneMatch != "":
		return kvstore.Condition{}, errorf(http.StatusBadRequest, "If-None-Match of a write must be *")
	}
	return kvstore.Condition{}, nil
}

func revisionCondition(tag string) (kvstore.Condition, error) {
	quoted, isQuoted := strings.CutPrefix(tag, `"`)
	number, ends := strings.CutSuffix(quoted, `"`)
	revision, err := strconv.ParseUint(number, 10, 64)
	if !isQuoted || !ends || err != nil || revision == 0 {
		return kvstore.Condition{}, errorf(http.StatusBadRequest,
			"If-Match must be * or the ETag of an answer, as in \"12\", with its quotes")
	}
	return kvstore.Condition{Kind: kvstore.IfRevision, Revision: revision}, nil
}
