package mutants_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/internal/mutants"
)

// root is the root of the module, from here.
var root = filepath.Join("..", "..")

var rules = []string{
	mutants.LeaderCompleteness, mutants.ElectionSafety, mutants.CommittedIsDurable, mutants.MatchTruth,
	mutants.StateMachineSafety, mutants.CommitOnlyGrows, mutants.TermOnlyGrows, mutants.LogMatching,
	mutants.PreVotePurity, mutants.Liveness, mutants.CommittedOnBoth, mutants.AdjacentQuorums,
	mutants.NoConfigGap, mutants.JointExits, mutants.Linearizability, mutants.BoundProposals,
}

func TestEveryMutantSaysWhatItIs(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutants.All() {
		t.Run(m.Name, func(t *testing.T) {
			assert.False(t, seen[m.Name] || seen[m.Number], "its name and its number are its own")
			seen[m.Name], seen[m.Number] = true, true
			assert.True(t, strings.HasSuffix(m.Change, "."), "the change is a sentence")
			assert.NotEmpty(t, m.Expected)
			assert.Subset(t, rules, m.Expected)
			assert.NotEmpty(t, m.Replacements)

			byName, ok := mutants.ByName(m.Name)
			require.True(t, ok)
			byNumber, ok := mutants.ByName(m.Number)
			require.True(t, ok)
			assert.Equal(t, m, byName)
			assert.Equal(t, m, byNumber)
		})
	}
	_, ok := mutants.ByName("no such mutant")
	assert.False(t, ok)
}

func TestEveryRowOfTheTableHasAMutantAndManyAreHeldOut(t *testing.T) {
	rows, heldOut := map[string]bool{}, 0
	for _, m := range mutants.All() {
		if m.HeldOut() {
			heldOut++
			continue
		}
		rows[strings.TrimRight(m.Number, "ab")] = true
	}
	for row := 1; row <= 26; row++ {
		assert.True(t, rows[strconv.Itoa(row)], "row %d", row)
	}
	assert.Len(t, rows, 26)
	assert.GreaterOrEqual(t, heldOut, 25)
}

// When this fails, the core has changed where a mutant breaks it: find the place
// where the rule of the mutant is kept now.
func TestEveryTextToBeReplacedOccursOnceAndTheResultIsGo(t *testing.T) {
	for _, m := range mutants.All() {
		t.Run(m.Name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := mutants.Overlay(root, m, dir)
			require.NoError(t, err)
			for _, file := range m.Files() {
				original, err := os.ReadFile(filepath.Join(root, file))
				require.NoError(t, err)
				broken, err := os.ReadFile(filepath.Join(dir, file))
				require.NoError(t, err)
				assert.NotEqual(t, string(original), string(broken))
				_, err = parser.ParseFile(token.NewFileSet(), file, broken, parser.SkipObjectResolution)
				assert.NoError(t, err)
			}
		})
	}
}

func TestOverlayRefusesATextThatDoesNotOccurExactlyOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		old  string
		says string
	}{
		{"a text that is not there", "no such text", "holds it 0 times"},
		{"a text that is there more than once", "raft", "holds it 7 times"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(tree, "a.go"), []byte(strings.Repeat("raft ", 7)), 0o600))
			m := mutants.Mutant{Name: "x", Replacements: []mutants.Replacement{{File: "a.go", Old: tt.old, New: "y"}}}
			_, err := mutants.Overlay(tree, m, t.TempDir())
			require.ErrorIs(t, err, mutants.ErrText)
			assert.ErrorContains(t, err, "x: a.go "+tt.says)
		})
	}
	m := mutants.Mutant{Name: "x", Replacements: []mutants.Replacement{{File: "missing.go"}}}
	_, err := mutants.Overlay(t.TempDir(), m, t.TempDir())
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestABuildThatFailsSaysWhichMutantAndWhy(t *testing.T) {
	m := mutants.Mutant{Name: "x", Replacements: []mutants.Replacement{
		{File: "types.go", Old: `return "follower"`, New: `return undeclared`},
	}}
	_, err := mutants.Build(t.Context(), root, m, t.TempDir(), ".")
	assert.ErrorContains(t, err, "x: building .")
	assert.ErrorContains(t, err, "undefined: undeclared")
}

// Packages are checked and not built, which would take minutes: a mutant changes no
// package that another one of its own needs.
func TestEveryMutantCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the compiled packages of the module")
	}
	exports := exportsOf(t)
	for _, m := range mutants.All() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			broken := t.TempDir()
			_, err := mutants.Overlay(root, m, broken)
			require.NoError(t, err)
			dirs := map[string]bool{}
			for _, file := range m.Files() {
				dirs[filepath.Dir(file)] = true
			}
			for dir := range dirs {
				assert.NoError(t, checkPackage(dir, broken, exports))
			}
		})
	}
}

// exportsOf returns the files that tell of each package that the module needs what it
// exports.
func exportsOf(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	return exports
}

// checkPackage checks the types of a package, some of whose files are in broken.
func checkPackage(dir, broken string, exports map[string]string) error {
	names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if other := filepath.Join(broken, dir, filepath.Base(name)); exists(other) {
			name = other
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(set, "gc", lookup)}
	_, err = config.Check(dir, set, files, nil)
	return err
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
