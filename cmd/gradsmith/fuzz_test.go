package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// FuzzFlags runs the commands with any arguments: none panics or ends the process, and one that fails says why in lines that
// begin with the program's name or with a place in a file. Arguments stand in lines.
func FuzzFlags(f *testing.F) {
	values := []string{"", "-1", "0", "1", "257", "NaN", "99999999999999999999", "\x00", "model.yaml", "text", "none", "é", ".", "--", "a,b", "%s"}
	arguments := map[string][]string{"vocab": {"text"}, "init": {"rnn", "made"}, "verify": {"."}, "check": {"model.yaml"}, "generate": {"model.yaml"}, "inspect": {"model.yaml"}}
	for _, cmd := range newRoot().Commands() {
		if cmd.Name() == "bench" {
			continue
		}
		f.Add(cmd.Name())
		n := 0
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			for k := range 3 {
				args := append([]string{cmd.Name()}, arguments[cmd.Name()]...)
				f.Add(strings.Join(append(args, "--"+flag.Name+"="+values[(n+5*k)%len(values)]), "\n"))
			}
			n++
		})
	}
	f.Add("chekc\nmodel.yaml")
	f.Add("check\nbroken.yaml")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		for _, a := range args {
			// Files of others are not to be written, and what is measured takes minutes.
			if strings.ContainsAny(a, `/\`) || strings.Contains(a, "..") || a == "bench" {
				t.Skip()
			}
		}
		dir := t.TempDir()
		for name, content := range map[string]string{"model.yaml": smallSpec, "broken.yaml": "kind: rnn\nlayers: [x, {y: -1}]\n\t\n", "text": "ab ab\nba", "go.mod": "module example.com/x\n\ngo 1.26\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Chdir(dir)
		var out, errOut bytes.Buffer
		status := run(args, &out, &errOut)
		said := errOut.String()
		if status != 0 && status != 1 || status == 1 && (said == "" || !strings.HasSuffix(said, "\n")) {
			t.Errorf("%q: status %d, %q", args, status, said)
		}
		if strings.Contains(said, "goroutine ") {
			t.Errorf("%q panics: %s", args, said)
		}
	})
}
