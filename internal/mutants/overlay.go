package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrText is matched by the error of Overlay where a text to be replaced does not
// occur exactly once: the core has changed, and the mutant has to follow.
var ErrText = errors.New("mutants: the text to be replaced does not occur exactly once")

// Overlay writes into dir, which exists and lies outside of root, the files that m
// changes and an overlay for go build -overlay that puts them in place of those
// below root. It returns the path of the overlay.
func Overlay(root string, m Mutant, dir string) (overlayJSONPath string, err error) {
	if root, err = filepath.Abs(root); err != nil {
		return "", fmt.Errorf("mutants: %s: %w", m.Name, err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("mutants: %s: %w", m.Name, err)
	}
	replace := map[string]string{}
	for _, file := range m.Files() {
		original := filepath.Join(root, filepath.FromSlash(file))
		broken := filepath.Join(dir, filepath.FromSlash(file))
		if err := m.rewrite(file, original, broken); err != nil {
			return "", err
		}
		replace[original] = broken
	}
	content, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	if err != nil {
		return "", fmt.Errorf("mutants: %s: encoding the overlay: %w", m.Name, err)
	}
	overlayJSONPath = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayJSONPath, content, 0o600); err != nil {
		return "", fmt.Errorf("mutants: %s: %w", m.Name, err)
	}
	return overlayJSONPath, nil
}

// rewrite writes the broken copy of one file.
func (m Mutant) rewrite(file, original, broken string) error {
	content, err := os.ReadFile(original)
	if err != nil {
		return fmt.Errorf("mutants: %s: %w", m.Name, err)
	}
	text := string(content)
	for _, r := range m.Replacements {
		if r.File != file {
			continue
		}
		if n := strings.Count(text, r.Old); n != 1 {
			return fmt.Errorf("%w: %s: %s holds it %d times: %q", ErrText, m.Name, file, n, r.Old)
		}
		text = strings.Replace(text, r.Old, r.New, 1)
	}
	if err := os.MkdirAll(filepath.Dir(broken), 0o700); err != nil {
		return fmt.Errorf("mutants: %s: %w", m.Name, err)
	}
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		return fmt.Errorf("mutants: %s: %w", m.Name, err)
	}
	return nil
}

// Build builds pkg, as go build names it from root, with m in place. Everything
// that it writes lies in dir, which is as Overlay wants it. It returns the path of
// the binary.
func Build(ctx context.Context, root string, m Mutant, dir, pkg string) (binary string, err error) {
	overlay, err := Overlay(root, m, dir)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(filepath.Dir(overlay), "mutant.exe")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay="+overlay, "-o", binary, pkg)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutants: %s: building %s: %w\n%s", m.Name, pkg, err, out)
	}
	return binary, nil
}
