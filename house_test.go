package raft_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The rules of this repository about its own source. Each is a function from a
// file to complaints, so that a test can show that it complains.

const (
	modulePath       = "github.com/seed-289bd6ac/raft"
	maxFileLines     = 600
	maxFunctionLines = 70
)

// forbiddenImports would let a clock, a disk, a network, a log or a random source
// of the process into the core. An entry that ends in a slash stands for all
// packages below.
var forbiddenImports = []string{
	"net", "net/", "os", "os/", "log", "time", "math/rand", "crypto/rand", "hash/maphash", "syscall", "unsafe",
}

// randTypes may be named; besides them only constructors may be used: every
// other name at the top of math/rand/v2 draws from the source of the process.
var randTypes = []string{"Rand", "Source", "PCG", "ChaCha8", "Zipf"}

// source is one file as the rules see it.
type source struct {
	name string
	fset *token.FileSet
	file *ast.File
}

func parse(t *testing.T, name string, text any) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	return source{name: name, fset: fset, file: file}
}

// handWritten returns the files in dir that are neither tests nor generated.
func handWritten(t *testing.T, dir string) []source {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var res []source
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if s := parse(t, name, nil); !ast.IsGenerated(s.file) {
			res = append(res, s)
		}
	}
	return res
}

func (s source) imports() []string {
	var res []string
	for _, spec := range s.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // it was parsed
		}
		res = append(res, p)
	}
	return res
}

func (s source) complain(at token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%v: %s", s.fset.Position(at), fmt.Sprintf(format, args...))
}

// coreDirs returns the directories of the root package and of all packages of
// this repository that it imports, directly or not.
func coreDirs(t *testing.T) []string {
	t.Helper()
	dirs := []string{"."}
	for i := 0; i < len(dirs); i++ {
		for _, s := range handWritten(t, dirs[i]) {
			for _, p := range s.imports() {
				rel, ours := strings.CutPrefix(p, modulePath+"/")
				if dir := filepath.FromSlash(rel); ours && !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
			}
		}
	}
	return dirs
}

// libraryDirs returns the directories of all packages of this module.
func libraryDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	require.NoError(t, filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name != "." {
			_, statErr := os.Stat(filepath.Join(name, "go.mod"))
			if statErr == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
		}
		dirs = append(dirs, name)
		return nil
	}))
	return dirs
}

func impurities(s source) []string {
	var res []string
	for i, p := range s.imports() {
		for _, bad := range forbiddenImports {
			if p == bad || (strings.HasSuffix(bad, "/") && strings.HasPrefix(p, bad)) {
				res = append(res, s.complain(s.file.Imports[i].Pos(), "the core may not import %s", p))
			}
		}
		if p == "math/rand/v2" {
			res = append(res, globalDraws(s, s.file.Imports[i])...)
		}
	}
	return res
}

func globalDraws(s source, spec *ast.ImportSpec) []string {
	local := "rand"
	if spec.Name != nil {
		local = spec.Name.Name
	}
	if local == "." {
		return []string{s.complain(spec.Pos(), "math/rand/v2 has to be named where it is used")}
	}
	var res []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if !ok || pkg.Name != local {
			return true
		}
		if name := sel.Sel.Name; !strings.HasPrefix(name, "New") && !slices.Contains(randTypes, name) {
			res = append(res, s.complain(sel.Pos(), "%s.%s draws from the process", local, name))
		}
		return true
	})
	return res
}

func oversizes(s source) []string {
	var res []string
	if n := s.fset.File(s.file.FileStart).LineCount(); n > maxFileLines {
		res = append(res, s.complain(s.file.FileStart, "%d lines, more than %d", n, maxFileLines))
	}
	for _, decl := range s.file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		n := s.fset.Position(fn.End()).Line - s.fset.Position(fn.Pos()).Line + 1
		if n > maxFunctionLines {
			res = append(res, s.complain(fn.Pos(), "%s has %d lines, more than %d", fn.Name.Name, n, maxFunctionLines))
		}
	}
	return res
}

// selfExplaining methods implement interfaces that every reader knows.
var selfExplaining = []string{"Error", "String", "Unwrap"}

func undocumented(s source) []string {
	var res []string
	report := func(id *ast.Ident) {
		if id.IsExported() {
			res = append(res, s.complain(id.Pos(), "%s has no doc comment", id.Name))
		}
	}
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && receiverExported(d) && (d.Recv == nil || !slices.Contains(selfExplaining, d.Name.Name)) {
				report(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				undocumentedIn(spec, d.Doc != nil, report)
			}
		}
	}
	return res
}

func undocumentedIn(spec ast.Spec, groupDoc bool, report func(*ast.Ident)) {
	switch sp := spec.(type) {
	case *ast.TypeSpec:
		if sp.Doc == nil && !groupDoc {
			report(sp.Name)
		}
		if iface, ok := sp.Type.(*ast.InterfaceType); ok && sp.Name.IsExported() {
			for _, m := range iface.Methods.List {
				for _, name := range m.Names {
					if m.Doc == nil && m.Comment == nil {
						report(name)
					}
				}
			}
		}
	case *ast.ValueSpec:
		if sp.Doc != nil || sp.Comment != nil || groupDoc {
			return
		}
		for _, name := range sp.Names {
			report(name)
		}
	}
}

// receiverExported reports whether users can call fn at all.
func receiverExported(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	typ := fn.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			panic(fmt.Sprintf("receiver of type %T", x))
		}
	}
}

// assertRule applies a rule to all hand-written files of dirs.
func assertRule(t *testing.T, dirs []string, rule func(source) []string) {
	t.Helper()
	for _, dir := range dirs {
		for _, s := range handWritten(t, dir) {
			for _, complaint := range rule(s) {
				t.Error(complaint)
			}
		}
	}
}

func TestTheCoreHasNoClockDiskNetworkOrRandomSourceOfItsOwn(t *testing.T) {
	dirs := coreDirs(t)
	require.Subset(t, dirs, []string{
		".", "raftpb", "progress", filepath.Join("internal", "quorum"), filepath.Join("internal", "confchange"),
	})
	assertRule(t, dirs, impurities)
}

func TestFilesAndFunctionsOfTheCoreFitOnAScreen(t *testing.T) {
	assertRule(t, coreDirs(t), oversizes)
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, dir := range libraryDirs(t) {
		sources := handWritten(t, dir)
		if len(sources) == 0 || sources[0].file.Name.Name == "main" {
			continue
		}
		assertRule(t, []string{dir}, undocumented)
		described := slices.ContainsFunc(sources, func(s source) bool { return s.file.Doc != nil })
		assert.True(t, described, "package %s has no comment", path.Join(modulePath, filepath.ToSlash(dir)))
	}
}

func TestTheRulesComplainAboutWhatBreaksThem(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	for _, tt := range []struct {
		name string
		rule func(source) []string
		text string
		want []string
	}{
		{"a clock", impurities, `package p; import "time"`, []string{"x.go:1:19: the core may not import time"}},
		{"a socket, below net", impurities, `package p; import "net/http"`,
			[]string{"x.go:1:19: the core may not import net/http"}},
		{"a log of the process", impurities, `package p; import "log"`, []string{"x.go:1:19: the core may not import log"}},
		{"a structured log that the caller gives", impurities, `package p; import "log/slog"`, nil},
		{"a draw from the process", impurities, `package p; import "math/rand/v2"; var x = rand.IntN(3)`,
			[]string{"x.go:1:43: rand.IntN draws from the process"}},
		{"a draw under another name", impurities, `package p; import r "math/rand/v2"; var x = r.Uint64`,
			[]string{"x.go:1:45: r.Uint64 draws from the process"}},
		{"a draw under no name", impurities, `package p; import . "math/rand/v2"`,
			[]string{"x.go:1:19: math/rand/v2 has to be named where it is used"}},
		{"a generator of one's own", impurities,
			`package p; import "math/rand/v2"; var x *rand.Rand = rand.New(rand.NewPCG(1, 2))`, nil},

		{"a long file", oversizes, "package p" + lines(maxFileLines+1), []string{"x.go:1:1: 601 lines, more than 600"}},
		{"a file that just fits", oversizes, "package p" + lines(maxFileLines), nil},
		{"a long method", oversizes, "package p; func (t T) F() {" + lines(maxFunctionLines) + "}",
			[]string{"x.go:1:12: F has 71 lines, more than 70"}},
		{"a function that just fits", oversizes, "package p; func F() {" + lines(maxFunctionLines-1) + "}", nil},

		{"an undocumented function", undocumented, "package p; func F() {}", []string{"x.go:1:17: F has no doc comment"}},
		{"an undocumented method", undocumented, "package p; func (t *T[K]) F() {}",
			[]string{"x.go:1:27: F has no doc comment"}},
		{"an undocumented type", undocumented, "package p; type T int", []string{"x.go:1:17: T has no doc comment"}},
		{"undocumented values", undocumented, "package p; var A, b = 1, 2\nconst C = 1",
			[]string{"x.go:1:16: A has no doc comment", "x.go:2:7: C has no doc comment"}},
		{"an undocumented method of an interface", undocumented, "package p\n// T is.\ntype T interface { F() }",
			[]string{"x.go:3:20: F has no doc comment"}},
		{"documented values, one by one and as a group", undocumented,
			"package p\nconst (\n// A is.\nA = 1\nB = 2 // B is.\n)\n// These are.\nvar (\nC = 1\nD = 2\n)", nil},
		{"methods that nobody can call or everybody knows", undocumented,
			"package p; func (t t) F() {}; func (t T) String() string { return \"\" }; func f() {}", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, tt.rule(parse(t, "x.go", tt.text)))
		})
	}
}

// Whoever imports the library before it is published does it as this module does,
// which has no more than what a build of the library itself has downloaded.
func TestAModuleOutsideOfTheRepositoryBuildsAndRuns(t *testing.T) {
	root, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	goMod := fmt.Sprintf("module example.com/outside\n\ngo 1.26\n\nrequire %[1]s v0.0.0\n\nreplace %[1]s => %[2]s\n",
		modulePath, strconv.Quote(filepath.ToSlash(root)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o644))
	for from, to := range map[string]string{
		"go.sum": "go.sum",
		filepath.Join("testdata", "outside", "main.go"): "main.go",
	} {
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, to), content, 0o644))
	}
	program := filepath.Join(dir, "outside.exe")
	run := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s %v: %s", name, args, out)
		return string(out)
	}
	run("go", "build", "-o", program, ".")
	assert.Equal(t, "applied \"hello\"\n", run(program))
}
