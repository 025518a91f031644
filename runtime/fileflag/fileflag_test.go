package fileflag

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// spell gives a path another spelling that leads to the same file, at random.
func spell(r *rand.Rand, path string) string {
	dir, base := "./", path
	for range r.IntN(4) {
		switch r.IntN(4) {
		case 0:
			dir = filepath.Join(dir) + "/./"
		case 1:
			dir += "sub/../"
		case 2:
			dir += "link/" // to the folder itself
		case 3:
			if abs, err := filepath.Abs(filepath.Join(dir, "x")); err == nil {
				dir = filepath.Dir(abs) + "/"
			}
		}
	}
	return dir + base
}

// TestSame tries names of one file and of others, whether they are there or not.
func TestSame(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("sub", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", "link"); err != nil {
		t.Skip("the file system has no links: ", err)
	}
	for name, data := range map[string]string{"a": "", "b": ""} {
		if err := os.WriteFile(name, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("new", "dangling"); err != nil {
		t.Fatal(err)
	}
	table := &Table{
		Flags: map[string]Role{"in": Input, "out": Output, "log": Output, "add": Update, "text": Text},
		Args:  map[string]Role{"do": Input},
	}
	check := func(args ...string) error {
		cmd := &cobra.Command{Use: "do FILE...", SilenceErrors: true, SilenceUsage: true, RunE: table.Check}
		for _, name := range []string{"out", "log", "add", "text"} {
			cmd.Flags().String(name, "", "")
		}
		cmd.Flags().StringSlice("in", nil, "")
		cmd.SetArgs(args)
		return cmd.Execute()
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		for _, name := range []string{"a", "new"} {
			one, two := spell(r, name), spell(r, name)
			if name == "new" && i%3 == 0 {
				two = "dangling"
			}
			if name == "new" && i%3 == 1 {
				two = strings.Replace(two, "new", "NEW", 1)
			}
			if err := check("--out", one, "--log", two); err == nil || !strings.Contains(err.Error(), "same file") {
				t.Fatalf("--out %s --log %s: %v", one, two, err)
			}
			if name == "new" {
				continue // which cannot be read
			}
			for _, args := range [][]string{{"--out", one, "--in", "b," + two}, {"--add", one, "--in", two},
				{"--out", one, two}, {"--out", one, "b", two}} {
				if err := check(args...); err == nil || !strings.Contains(err.Error(), "would be lost") {
					t.Fatalf("%v: %v", args, err)
				}
			}
		}
	}
	for _, args := range []string{
		"--out a --in b", "--out new --log a", "--out new --log new2", "--in a --in a", "--text a --in a", "b --add a",
		"--out " + os.DevNull + " --log " + os.DevNull, "--out none/a --log none/b", "", "--in none --out b",
	} {
		if err := check(strings.Fields(args)...); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestMissing(t *testing.T) {
	table := &Table{Flags: map[string]Role{"out": Output}}
	root := &cobra.Command{Use: "root"}
	cmd := &cobra.Command{Use: "do FILE", RunE: func(*cobra.Command, []string) error { return nil }}
	root.AddCommand(cmd)
	cmd.Flags().String("out", "", "")
	cmd.Flags().Int("number", 0, "")
	cmd.Flags().StringArray("new", nil, "")
	if err := table.Missing(root); err == nil || !strings.HasSuffix(err.Error(), ": --new, the arguments of do") {
		t.Error(err)
	}
	table.Flags["new"], table.Args = Text, map[string]Role{"do": Text}
	if err := table.Missing(root); err != nil {
		t.Error(err)
	}
	if written, all := table.Of(cmd); fmt.Sprint(written, all) != "[--out] [--out]" {
		t.Error(written, all)
	}
}
