package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// mountSmall makes dir a file system of a few megabytes, until unmount is called.
func mountSmall(dir string) (unmount func() error, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("only root can mount a small file system")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=160m"); err != nil {
		return nil, fmt.Errorf("a small file system cannot be mounted: %w", err)
	}
	return func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) }, nil
}
