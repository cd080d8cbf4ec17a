//go:build !linux

package main

import "errors"

func mountSmall(string) (unmount func() error, err error) {
	return nil, errors.New("a small file system is mounted on Linux only")
}
