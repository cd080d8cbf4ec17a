package raft_test

import (
	"go/ast"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The documents are tested as far as a program can read them: what they show is
// what is tested, and what they point to is there.

const maxLoopLines = 40

// documents returns the names and texts of all Markdown files of the repository.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	require.NoError(t, filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".md":
			return nil
		}
		text, err := os.ReadFile(name)
		docs[name] = string(text)
		return err
	}))
	require.Contains(t, docs, "README.md")
	return docs
}

// fence is a fenced block of a document.
type fence struct {
	language string
	lines    []string
}

// fences returns the fenced blocks of a document, and the document without them.
func fences(text string) (blocks []fence, rest string) {
	var prose strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch language, mark := strings.CutPrefix(line, "```"); {
		case mark && !inside:
			blocks = append(blocks, fence{language: language})
			inside = true
		case mark:
			inside = false
		case inside:
			last := &blocks[len(blocks)-1]
			last.lines = append(last.lines, line)
		default:
			prose.WriteString(line + "\n")
		}
	}
	return blocks, prose.String()
}

// function returns the lines of a function of a file, its comment included.
func function(t *testing.T, file, name string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	s := parse(t, file, text)
	i := slices.IndexFunc(s.file.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		return ok && fn.Name.Name == name
	})
	require.GreaterOrEqual(t, i, 0, "%s has no %s", file, name)
	fn := s.file.Decls[i].(*ast.FuncDecl)
	from, to := s.fset.Position(fn.Doc.Pos()).Offset, s.fset.Position(fn.End()).Offset
	return strings.Split(string(text[from:to]), "\n")
}

func TestTheReadmeShowsWhatIsTested(t *testing.T) {
	blocks, _ := fences(documents(t)["README.md"])
	var shown [][]string
	for _, b := range blocks {
		if b.language == "go" {
			shown = append(shown, b.lines)
		}
	}
	loop := function(t, "example_test.go", "drive")
	simulation := function(t, filepath.Join("rafttest", "example_test.go"), "TestAuction")
	assert.Equal(t, [][]string{simulation, loop}, shown)
	assert.LessOrEqual(t, len(loop), maxLoopLines)
}

func TestTheReadmeNamesTheCommandsOnce(t *testing.T) {
	blocks, _ := fences(documents(t)["README.md"])
	want := []string{"go run ./raftexample", "go test work"}
	n := 0
	for _, b := range blocks {
		if slices.Equal(b.lines, want) {
			n++
			continue
		}
		for _, line := range b.lines {
			assert.False(t, strings.HasPrefix(line, "go test "), "a second command that tests: %s", line)
		}
	}
	assert.Equal(t, 1, n, "fenced blocks with nothing but %q", want)
}

func TestTheReadmeTellsHowToImportAsATestDoes(t *testing.T) {
	blocks, _ := fences(documents(t)["README.md"])
	assert.True(t, slices.ContainsFunc(blocks, func(b fence) bool {
		return slices.Equal(b.lines, []string{
			"require " + modulePath + " v0.0.0", "", "replace " + modulePath + " => ../raft",
		})
	}))
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fileName = regexp.MustCompile("`([\\w./-]+\\.(?:go|proto|md|txt|mod|work))`")
)

// anchor returns the name that a heading has in links.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		default:
			return -1
		}
	}, heading)
}

func anchors(text string) (names []string) {
	_, prose := fences(text)
	for _, m := range heading.FindAllStringSubmatch(prose, -1) {
		names = append(names, anchor(m[1]))
	}
	return names
}

// brokenLinks returns the relative links of a document that lead nowhere.
func brokenLinks(name, text string, docs map[string]string) (broken []string) {
	_, prose := fences(text)
	for _, m := range link.FindAllStringSubmatch(prose, -1) {
		u, err := url.Parse(m[1])
		if err != nil {
			broken = append(broken, m[1])
			continue
		}
		if u.Scheme != "" {
			continue
		}
		target := name
		if u.Path != "" {
			target = filepath.Join(filepath.Dir(name), filepath.FromSlash(u.Path))
		}
		if _, err := os.Stat(target); err != nil {
			broken = append(broken, m[1])
		} else if u.Fragment != "" && !slices.Contains(anchors(docs[target]), u.Fragment) {
			broken = append(broken, m[1])
		}
	}
	return broken
}

func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	docs := documents(t)
	for name, text := range docs {
		assert.Empty(t, brokenLinks(name, text, docs), name)
	}
	assert.Equal(t, []string{"gone.md", "README.md#gone", "#gone"}, brokenLinks("README.md",
		"[a](gone.md) [b](README.md#gone) [c](#gone) [d](https://example.com/gone) [e](docs) [f](README.md#here-or-there)",
		map[string]string{"README.md": "# Here, or there\n"}))
}

func TestFilesNamedInDocumentsExist(t *testing.T) {
	known := map[string]bool{}
	require.NoError(t, filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if d != nil && name == ".git" {
			return fs.SkipDir
		}
		known[filepath.ToSlash(name)], known[filepath.Base(name)] = true, true
		return err
	}))
	for name, text := range documents(t) {
		for _, m := range fileName.FindAllStringSubmatch(text, -1) {
			assert.True(t, known[m[1]], "%s names %s", name, m[1])
		}
	}
}

// requirements returns the direct requirements and tools that a go.mod names.
func requirements(t *testing.T, name string) (paths []string) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	block := ""
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasSuffix(strings.TrimSpace(line), "// indirect"):
		case words[0] == ")":
			block = ""
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		case words[0] == "require":
			paths = append(paths, words[1])
		case block == "require":
			paths = append(paths, words[0])
		}
	}
	return paths
}

func TestEveryDependencyIsExplained(t *testing.T) {
	_, list, found := strings.Cut(documents(t)["ARCHITECTURE.md"], "\n## Dependencies\n")
	require.True(t, found)
	list, _, _ = strings.Cut(list, "\n## ")
	for _, mod := range []string{"go.mod", "raftexample/go.mod", "compare/go.mod", "tools/go.mod"} {
		_, section, found := strings.Cut(list, "]("+mod+")")
		require.True(t, found, mod)
		section, _, _ = strings.Cut(section, "](")
		direct := requirements(t, filepath.FromSlash(mod))
		require.NotEmpty(t, direct, mod)
		for _, path := range direct {
			assert.Contains(t, section, "`"+path+"`", "ARCHITECTURE.md, section of %s", mod)
		}
	}
}
