//go:build !unix

package main

import (
	"fmt"
	"os"
)

func freeze(*os.Process) error {
	return fmt.Errorf("%w: this system cannot stop a process for a while", errSkipped)
}

func thaw(*os.Process) error { return nil }
