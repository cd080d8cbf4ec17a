package record

import (
	"encoding/binary"
	"math/bits"

	"github.com/seed-289bd6ac/raft"
	"github.com/seed-289bd6ac/raft/raftpb"
)

// digest is a hash of what a call returned. It is no defence against people: it
// tells a replay that went another way. What is equal on the wire has the same
// digest.
type digest uint64

const (
	spread = 0x9e3779b97f4a7c15
	mix    = 0xd6e8feb86659fd93
	step   = 0xa0761d6478bd642f
)

// word adds a number: different numbers, or different digests before, never give
// the same digest.
func (d digest) word(v uint64) digest {
	return digest(bits.RotateLeft64(uint64(d)^v*spread, 29)*mix + step)
}

// pair adds two numbers at the cost of one.
func (d digest) pair(v, w uint64) digest {
	hi, lo := bits.Mul64(v^spread, w^mix^uint64(d))
	return digest(hi ^ lo + step)
}

func (d digest) flag(b bool) digest {
	if b {
		return d.word(1)
	}
	return d.word(0)
}

func (d digest) bytes(b []byte) digest {
	d = d.word(uint64(len(b)))
	for ; len(b) >= 16; b = b[16:] {
		d = d.pair(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
	}
	if len(b) >= 8 {
		d, b = d.word(binary.LittleEndian.Uint64(b)), b[8:]
	}
	if len(b) > 0 {
		var rest [8]byte
		copy(rest[:], b)
		d = d.word(binary.LittleEndian.Uint64(rest[:]))
	}
	return d
}

func (d digest) ids(ids []uint64) digest {
	d = d.word(uint64(len(ids)))
	for _, id := range ids {
		d = d.word(id)
	}
	return d
}

func (d digest) error(err error) digest {
	if err == nil {
		return d.word(0)
	}
	return d.word(1).bytes([]byte(err.Error()))
}

func (d digest) entries(ents []*raftpb.Entry) digest {
	d = d.word(uint64(len(ents)))
	for _, e := range ents {
		d = d.entry(e)
	}
	return d
}

func (d digest) entry(e *raftpb.Entry) digest {
	return d.word(uint64(e.GetType())).pair(e.GetTerm(), e.GetIndex()).bytes(e.GetData())
}

func (d digest) hardState(hs *raftpb.HardState) digest {
	if hs == nil {
		return d.word(0)
	}
	return d.word(1).word(hs.Term).word(hs.Vote).word(hs.Commit).word(hs.Incarnation)
}

func (d digest) confState(cs *raftpb.ConfState) digest {
	if cs == nil {
		return d.word(0)
	}
	d = d.word(1).ids(cs.Voters).ids(cs.Learners).ids(cs.VotersOutgoing).ids(cs.LearnersNext)
	return d.flag(cs.AutoLeave)
}

func (d digest) snapshot(s *raftpb.Snapshot) digest {
	if s == nil {
		return d.word(0)
	}
	d = d.word(1).bytes(s.Data)
	if s.Metadata == nil {
		return d.word(0)
	}
	return d.word(1).confState(s.Metadata.ConfState).word(s.Metadata.Index).word(s.Metadata.Term)
}

func (d digest) message(m *raftpb.Message) digest {
	d = d.pair(uint64(m.GetType()), m.GetTo()).pair(m.GetFrom(), m.GetTerm())
	d = d.pair(m.GetLogTerm(), m.GetIndex()).entries(m.GetEntries()).word(m.GetCommit())
	d = d.snapshot(m.GetSnapshot()).flag(m.GetReject()).word(m.GetRejectHint()).bytes(m.GetContext())
	return d.pair(m.GetVote(), m.GetEpoch()).flag(m.GetNoAck())
}

func digestOf(err error) digest { return digest(0).error(err) }

func digestOfConf(cs *raftpb.ConfState, err error) digest { return digestOf(err).confState(cs) }

func digestOfReady(rd raft.Ready, err error) digest {
	d := digestOf(err)
	if rd.SoftState != nil {
		d = d.word(rd.SoftState.Lead).word(uint64(rd.SoftState.RaftState) + 1)
	} else {
		d = d.word(0)
	}
	d = d.hardState(rd.HardState).entries(rd.Entries).snapshot(rd.Snapshot).entries(rd.CommittedEntries)
	d = d.word(uint64(len(rd.Messages)))
	for _, m := range rd.Messages {
		d = d.message(m)
	}
	d = d.word(uint64(len(rd.ReadStates)))
	for _, s := range rd.ReadStates {
		d = d.word(s.ID).word(s.Index).error(s.Err)
	}
	d = d.word(uint64(len(rd.Transfers)))
	for _, t := range rd.Transfers {
		d = d.word(t.Target).error(t.Err)
	}
	return d.flag(rd.MustSync).word(rd.Mark)
}
