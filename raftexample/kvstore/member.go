package kvstore

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/seed-289bd6ac/raft/raftpb"
)

// MaxURLSize limits the address of a member, in bytes.
const MaxURLSize = 2 << 10

// Member is a member of the cluster.
type Member struct {
	ID uint64
	// URL is where the other members reach it; "" where no change ever told.
	URL string
	// Learner has no vote.
	Learner bool
}

// membersVersion is the version of the encoding of EncodeMembers.
const membersVersion = 1

// EncodeMembers returns the context of a configuration change, or of a raft.Peer:
// the request that it answers, zero for none, and the addresses of the members
// that it adds or updates. Learner is not part of it: the change itself says that.
func EncodeMembers(id RequestID, members ...Member) ([]byte, error) {
	b := appendID([]byte{membersVersion}, id)
	for _, m := range members {
		if m.ID == 0 || m.URL == "" || len(m.URL) > MaxURLSize {
			return nil, fmt.Errorf("kvstore: member %d with an address of %d bytes, not 1 to %d", m.ID, len(m.URL), MaxURLSize)
		}
		b = binary.AppendUvarint(b, m.ID)
		b = binary.AppendUvarint(b, uint64(len(m.URL)))
		b = append(b, m.URL...)
	}
	return b, nil
}

// DecodeMembers is the reverse of EncodeMembers. An empty context is one without
// a request and members. The error matches ErrMalformed or ErrUnknownCommand.
func DecodeMembers(context []byte) (RequestID, []Member, error) {
	if len(context) == 0 {
		return RequestID{}, nil, nil
	}
	if context[0] > membersVersion {
		return RequestID{}, nil, fmt.Errorf("%w: members of version %d", ErrUnknownCommand, context[0])
	}
	d := decoder{data: context[1:]}
	id := d.id()
	var members []Member
	for d.more() {
		m := Member{ID: d.number(), URL: string(d.bytes())}
		if m.ID == 0 || m.URL == "" || len(m.URL) > MaxURLSize {
			d.bad = true
		}
		members = append(members, m)
	}
	if d.bad || context[0] != membersVersion {
		return id, nil, fmt.Errorf("%w: members", ErrMalformed)
	}
	return id, members, nil
}

// memberIDs returns the ids in conf, ascending, each once.
func memberIDs(conf *raftpb.ConfState) []uint64 {
	ids := slices.Concat(conf.GetVoters(), conf.GetLearners(), conf.GetVotersOutgoing(), conf.GetLearnersNext())
	slices.Sort(ids)
	return slices.Compact(ids)
}

// isVoter reports whether id has a vote in conf.
func isVoter(conf *raftpb.ConfState, id uint64) bool {
	return slices.Contains(conf.GetVoters(), id) || slices.Contains(conf.GetVotersOutgoing(), id)
}
