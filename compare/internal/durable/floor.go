package durable

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/seed-289bd6ac/raft/compare/internal/load"
	"github.com/seed-289bd6ac/raft/compare/internal/measure"
)

// overFloor is the name of the figure that says how much longer a write takes than
// what it cannot do without.
const overFloor = "p50 over one sync and one round trip"

// floor is what no durable write can do without, as this machine is just now: one
// synced write to a file, and one round trip over loopback TCP.
type floor struct{ sync, roundTrip time.Duration }

// floorSamples is how often each is measured.
const floorSamples = 100

func measureFloor(name string) (f floor, err error) {
	if f.sync, err = measureSync(name); err != nil {
		return f, err
	}
	f.roundTrip, err = measureRoundTrip()
	return f, err
}

func (f floor) figures(measured []measure.Figure) []measure.Figure {
	least := float64(f.sync+f.roundTrip) / float64(time.Microsecond)
	i := slices.IndexFunc(measured, func(m measure.Figure) bool { return m.Name == load.P50 })
	return []measure.Figure{
		{Name: "one sync and one round trip", Unit: "µs", Value: least},
		{Name: overFloor, Value: measured[i].Value / least},
	}
}

func measureSync(name string) (median time.Duration, err error) {
	file, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(name)) }()
	block := make([]byte, valueSize)
	return medianOf(floorSamples, func() error {
		if _, err := file.Write(block); err != nil {
			return err
		}
		return file.Sync()
	})
}

func measureRoundTrip() (median time.Duration, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.Copy(conn, conn) // until the other side closes
			_ = conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	message := make([]byte, valueSize)
	return medianOf(floorSamples, func() error {
		if _, err := conn.Write(message); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, message)
		return err
	})
}

func medianOf(n int, f func() error) (time.Duration, error) {
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[n/2], nil
}
