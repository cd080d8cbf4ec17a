package measure

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// Machine tells where and with what a run was made.
type Machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Go    string `json:"go"`
	// Load is the load average when the run began, where the system tells it.
	Load string `json:"load,omitempty"`
	// Libraries are the modules that are compared, with their versions.
	Libraries []string `json:"libraries"`
}

// ThisMachine describes the machine, and those of the named modules that the
// program is built with.
func ThisMachine(modules ...string) Machine {
	m := Machine{
		CPU:   lineOf("/proc/cpuinfo", "model name"),
		Cores: runtime.NumCPU(),
		OS:    runtime.GOOS + "/" + runtime.GOARCH,
		Go:    runtime.Version(),
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return m
	}
	for _, name := range modules {
		for _, dep := range info.Deps {
			if dep.Path == name {
				m.Libraries = append(m.Libraries, name+" "+dep.Version)
			}
		}
	}
	return m
}

// lineOf returns the value of a line "key : value" of a file, or "unknown".
func lineOf(name, key string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// String is the note below the tables.
func (m Machine) String() string {
	note := fmt.Sprintf("Machine: %s, %d cores, %s, %s", m.CPU, m.Cores, m.OS, m.Go)
	if m.Load != "" {
		note += ", load average at the beginning " + m.Load
	}
	return note + ".\nLibraries: " + strings.Join(m.Libraries, ", ") + "."
}
