package member

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-289bd6ac/raft/raftexample/raftnode"
)

// One bit must not make a member of one that was removed, nor another member of it.
func TestADamagedIdentityIsRefused(t *testing.T) {
	dir := t.TempDir()
	me := identity{Format: identityFormat, ID: 3, Cluster: "c", Joined: true, Removed: true}
	require.NoError(t, me.write(dir))
	_, err := claim(dir, 3, "c", false)
	require.ErrorIs(t, err, raftnode.ErrRemoved)
	path := filepath.Join(dir, identityFile)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for bit := range 8 * len(whole) {
		damaged := append([]byte(nil), whole...)
		damaged[bit/8] ^= 1 << (bit % 8)
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		_, err := claim(dir, 3, "c", false)
		require.Error(t, err, "bit %d: %s", bit, damaged)
	}
	for size := range whole {
		require.NoError(t, os.WriteFile(path, whole[:size], 0o600))
		_, err := claim(dir, 3, "c", false)
		require.Error(t, err, "%d bytes", size)
	}
}

func TestAnIdentityOfAFormerVersionIsRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, identityFile)
	for _, tt := range []struct {
		name, file string
		want       identity
		says       string // empty: it is taken
	}{
		{"without a checksum", `{"format":1,"id":3,"cluster":"c","joined":true,"removed":false,"stored":false}` + "\n",
			identity{Format: 1, ID: 3, Cluster: "c", Joined: true}, ""},
		{"with a field that is none", `{"format":1,"id":3,"cluster":"c","joined":true,"semoved":true,"stored":false}` + "\n",
			identity{}, "damaged"},
		{"with something behind", `{"format":1,"id":3,"cluster":"c"} {}` + "\n", identity{}, "damaged"},
		{"of a later version", `{"format":2,"id":3,"cluster":"c","region":"x"}` + "\n", identity{}, "format 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, []byte(tt.file), 0o600))
			me, err := claim(dir, 3, "c", false)
			if tt.says != "" {
				require.ErrorContains(t, err, tt.says)
				return
			}
			require.NoError(t, err)
			require.NotEmpty(t, me.Life, "former versions drew none")
			me.Life = ""
			require.Equal(t, tt.want, me)
		})
	}
}
