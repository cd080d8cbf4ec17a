package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

func (h *Handler) getMembers(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	h.writeJSON(w, http.StatusOK, map[string][]raftnode.Member{"members": h.store.Members()})
	return nil
}

// memberID returns the id that the path names.
func memberID(r *http.Request) (uint64, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil || id == 0 {
		return 0, errorf(http.StatusBadRequest, "member id %q: it must be a number from 1 on", r.PathValue("id"))
	}
	return id, nil
}

// yes reads a parameter that is true or false, and false where it is left out.
func yes(q url.Values, name string) (bool, error) {
	v := q.Get(name)
	if q.Has(name) && v != "true" && v != "false" {
		return false, errorf(http.StatusBadRequest, "%s %q: say true or false", name, v)
	}
	return v == "true", nil
}

// SafetyQuery returns the parameters of a request that say so.
func SafetyQuery(safety raftnode.Safety) url.Values {
	if safety == raftnode.Forced {
		return url.Values{"force": {"true"}}
	}
	return url.Values{}
}

func safetyOf(q url.Values) (raftnode.Safety, error) {
	force, err := yes(q, "force")
	if force {
		return raftnode.Forced, nil
	}
	return raftnode.Checked, err
}

func (h *Handler) postMember(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	id, err := memberID(r)
	if err != nil {
		return err
	}
	q, err := query(r, "learner", "force")
	if err != nil {
		return err
	}
	learner, err := yes(q, "learner")
	if err != nil {
		return err
	}
	safety, err := safetyOf(q)
	if err != nil {
		return err
	}
	body, release, err := h.readBody(w, r, maxURLBytes)
	if err != nil {
		return err
	}
	defer release()
	peerURL := strings.TrimSpace(string(body))
	if peerURL != "" {
		if err := raftnode.CheckPeerURL(peerURL); err != nil {
			return err
		}
	}
	return h.change(ctx, w, func(ctx context.Context) error {
		return h.store.SetMember(ctx, id, peerURL, learner, safety)
	})
}

func (h *Handler) deleteMember(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	id, err := memberID(r)
	if err != nil {
		return err
	}
	q, err := query(r, "force")
	if err != nil {
		return err
	}
	safety, err := safetyOf(q)
	if err != nil {
		return err
	}
	return h.change(ctx, w, func(ctx context.Context) error { return h.store.RemoveMember(ctx, id, safety) })
}

func (h *Handler) postLeader(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	id, err := memberID(r)
	if err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	return h.change(ctx, w, func(ctx context.Context) error { return h.store.TransferLeader(ctx, id) })
}

// change makes a change within the time limit and answers 204.
func (h *Handler) change(ctx context.Context, w http.ResponseWriter, make func(context.Context) error) error {
	ctx, end, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := make(ctx); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) getStatus(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	h.writeJSON(w, http.StatusOK, h.store.Status())
	return nil
}

func (h *Handler) getHealth(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	if err := h.store.Health(); err != nil {
		return errorf(http.StatusServiceUnavailable, "%v", err)
	}
	h.writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}
