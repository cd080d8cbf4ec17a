package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxBackups is how many backups may be under way: each keeps the database from
	// dropping what was overwritten.
	maxBackups = 2
	// backupPieceTime is how long a client may take for each piece of a backup.
	backupPieceTime  = 30 * time.Second
	backupPieceBytes = 256 << 10
)

func (h *Handler) getBackup(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	if !h.backups.TryAcquire(1) {
		return errorf(http.StatusServiceUnavailable, "%d backups are under way, the limit: try again", maxBackups)
	}
	defer h.backups.Release(1)
	state, err := h.openBackup(ctx)
	if err != nil {
		return err
	}
	err = sendBackup(w, state)
	if err := errors.Join(err, state.Close()); err != nil {
		h.log.Warn("backup cut short", "err", err)
		// The status is sent: only a broken connection tells the client.
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (h *Handler) openBackup(ctx context.Context) (io.ReadCloser, error) {
	ctx, end, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return h.store.Backup(ctx)
}

func sendBackup(w http.ResponseWriter, state io.Reader) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	rc := http.NewResponseController(w)
	for {
		if err := rc.SetWriteDeadline(time.Now().Add(backupPieceTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		switch _, err := io.CopyN(w, state, backupPieceBytes); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
