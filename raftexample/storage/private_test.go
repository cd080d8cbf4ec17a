//go:build unix

package storage

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNobodyElseMayReadWhatIsCreated(t *testing.T) {
	o := Options{Dir: t.TempDir() + "/a/b", ClusterID: 1, MemberID: 1, MemTableBytes: 64 << 10}
	for range 2 {
		s := mustOpen(t, o)
		last, err := s.LastIndex()
		require.NoError(t, err)
		for i := last + 1; i <= last+400; i++ { // several logs and tables
			e := entriesOf(i, 1)
			e[0].Data = make([]byte, 1<<10)
			require.NoError(t, s.Save(ready(e, 1, i)))
		}
		require.NoError(t, apply(s, last+1, last+400, threeVoters))
		require.NoError(t, s.Close())
		requirePrivate(t, filepath.Dir(o.Dir))
	}
}

func requirePrivate(t *testing.T, dir string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, "%s: %v", path, info.Mode())
		files++
		return nil
	}))
	require.Greater(t, files, 8)
}
