package storage

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configures a Store. The zero value of every field but Dir, ClusterID
// and MemberID is safe in production.
type Options struct {
	// Dir is the member's own directory; it is created where absent.
	Dir string

	// ClusterID and MemberID, not 0, are written when the directory is created and
	// compared at every later Open.
	ClusterID, MemberID uint64

	// FS is the file system. Default: that of the machine, where nobody else may read what
	// is created.
	FS vfs.FS

	// Logger gets what goes wrong at Error, and Pebble's own messages at Debug.
	// Default: none.
	Logger *slog.Logger

	// TailCacheBytes is how many bytes of the log's last entries are kept in memory.
	// Default 16 MiB; -1: none.
	TailCacheBytes int64

	// CacheBytes is the size of Pebble's block cache. Default 32 MiB.
	CacheBytes int64

	// MemTableBytes is the size of one of Pebble's write buffers, in [64 KiB, 1 GiB].
	// They begin small and double up to it, there are four at most, and a few files of
	// its size are reserved for the log from the start. More of it makes a member that
	// writes all the time faster. Default 32 MiB.
	MemTableBytes int64
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("%w: Dir is empty", ErrOptions)
	}
	if o.ClusterID == 0 || o.MemberID == 0 {
		return o, fmt.Errorf("%w: ClusterID %d and MemberID %d must not be 0", ErrOptions, o.ClusterID, o.MemberID)
	}
	if o.FS == nil || o.FS == vfs.Default {
		o.FS = privateFS{vfs.Default}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = o.Logger.With("member", o.MemberID)
	switch {
	case o.TailCacheBytes == 0:
		o.TailCacheBytes = 16 << 20
	case o.TailCacheBytes < 0:
		o.TailCacheBytes = 0
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 32 << 20
	}
	if o.CacheBytes < 0 {
		return o, fmt.Errorf("%w: CacheBytes %d is negative", ErrOptions, o.CacheBytes)
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 32 << 20
	}
	if o.MemTableBytes < 64<<10 || o.MemTableBytes > 1<<30 {
		return o, fmt.Errorf("%w: MemTableBytes %d is not in [64 KiB, 1 GiB]", ErrOptions, o.MemTableBytes)
	}
	return o, nil
}

func (o Options) path(elem ...string) string {
	return o.FS.PathJoin(append([]string{o.Dir}, elem...)...)
}

// slowDisk is how long a write may take before it is logged.
const slowDisk = 5 * time.Second

// watched returns o with a file system that reports what takes long.
func (o Options) watched() (Options, io.Closer) {
	fs, closer := vfs.WithDiskHealthChecks(o.FS, slowDisk, nil, func(info vfs.DiskSlowInfo) {
		o.Logger.Warn("slow disk", "path", info.Path, "operation", info.OpType.String(), "duration", info.Duration)
	})
	o.FS = fs
	return o, closer
}

// bloomBits is the size of the filters per key: about one in a hundred keys that
// are not there is looked for in vain.
const bloomBits = 10

func (o Options) pebble(f *failure, cache *pebble.Cache) *pebble.Options {
	listener := &pebble.EventListener{
		BackgroundError: func(err error) { f.stopHere("background job of the database", err) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			f.set("read", corrupt(info.Path, "Pebble found a damaged file", info.Details))
		},
	}
	options := &pebble.Options{
		FS:                 &stopFS{o.FS, f},
		Cache:              cache,
		Logger:             &pebbleLogger{log: o.Logger, failure: f},
		EventListener:      listener,
		MemTableSize:       uint64(o.MemTableBytes),
		FormatMajorVersion: pebble.FormatNewest,
		// Four buffers are filled before writes wait for the flush of the first.
		MemTableStopWritesThreshold: 4,
		// Entries are dropped soon: a table of the log that is merged late is often
		// deleted instead.
		L0CompactionThreshold: 8,
		L0StopWritesThreshold: 24,
	}
	for i := range options.Levels {
		// A key that is not there is looked for in no table.
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	// The tables of staged snapshots are written with the same options.
	options.EnsureDefaults()
	return options
}
