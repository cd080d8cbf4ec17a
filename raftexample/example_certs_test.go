//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The example in the help of certs is run to the letter, by a shell.
func TestTheExampleOfCertsWorks(t *testing.T) {
	_, example, found := strings.Cut(certsUsage, "Example, for one machine:\n")
	require.True(t, found)
	setup, status, found := strings.Cut(example, "  raftexample status")
	require.True(t, found)

	program, err := os.Executable()
	require.NoError(t, err)
	bin, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "raftexample"),
		fmt.Appendf(nil, "#!/bin/sh\nexec '%s' \"$@\"\n", program), 0o700))
	shell := func(script string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), asProgram+"=1")
		return cmd
	}
	said := &process{}
	members := shell(setup + "wait")
	members.Stdout, members.Stderr = said, said
	members.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, members.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-members.Process.Pid, syscall.SIGKILL) // all that it has started
		_ = members.Wait()
	})
	var table string
	require.Eventually(t, func() bool {
		out, err := shell("raftexample status" + status).CombinedOutput()
		table = string(out)
		all := err == nil && strings.Count(table, "follower") == 2 && strings.Count(table, "leader") == 1
		return all || strings.Contains(said.said(), "address already in use")
	}, patience, 100*time.Millisecond)
	if strings.Contains(said.said(), "address already in use") {
		t.Skip("a default port is taken: ", said.said())
	}
	require.Contains(t, table, "https://127.0.0.1:32380")
}
