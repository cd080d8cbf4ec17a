package member

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// roomPause is the time between looks at how much room there is on the disk.
const roomPause = time.Second

// room knows whether the disk is nearly full. A member stops when it is full: writes that
// add data are refused before, so that it goes on to serve reads and deletes, and to take
// part in the consensus.
type room struct {
	// reserve is how many bytes have to be free, 0 for any number.
	reserve uint64
	// free returns how many are; an error where nobody can tell.
	free func() (uint64, error)
	log  *slog.Logger
	low  atomic.Bool
}

// look finds out whether the disk is nearly full now.
func (r *room) look() {
	if r.reserve == 0 {
		return
	}
	free, err := r.free()
	low := err == nil && free < r.reserve
	switch was := r.low.Swap(low); {
	case low && !was:
		r.log.Warn("the disk is nearly full: writes that add data are refused", "free", free, "reserve", r.reserve)
	case was && !low:
		r.log.Info("the disk has room again", "free", free)
	}
}
