package raft_test

import (
	"testing"

	"github.com/seed-289bd6ac/raft/rafttest/script"
)

// Each script is an interaction of several members, told step by step.
func TestScriptsShowHowMembersInteract(t *testing.T) {
	script.Run(t, "testdata/scripts/*.txt")
}
