//go:build !race

package main

// raceOverhead is how many times its memory a process takes under the race detector.
const raceOverhead = 1
