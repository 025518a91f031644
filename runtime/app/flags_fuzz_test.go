package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/gen/cases/align"
	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/labelvae"
	"github.com/gradsmith/gradsmith/gen/cases/verses"
	"github.com/gradsmith/gradsmith/gen/cases/wgan"
)

// programs are one of each kind, whose commands differ.
func programs() []Program {
	return []Program{bigramProgram(nil), align.Program(), bert.Program(), labeltext.Program(), labelvae.Program(), verses.Program(), wgan.Program()}
}

// fuzzData is data that each kind of program can read.
var fuzzData = map[string]string{
	"text":    strings.Repeat("abcabcaabbccabcab", 40),
	"lines":   strings.Repeat("ab\nbc\nabc\nca\n", 20),
	"pairs":   strings.Repeat("ab\tba\nbc\tcb\n", 20),
	"numbers": strings.Repeat("1 2 3 4 5 6\n2 3 4 5 6 7\n", 40),
	"vectors": strings.Repeat(strings.TrimSuffix(strings.Repeat("0.5,0.25,", 10), ",")+"\n", 40),
	"labels":  strings.Repeat("0\n1\n2\n3\n", 20),
}

// dataOf names the data of a program.
func dataOf(p Program) []string {
	switch {
	case p.Info.Vector != nil && p.Info.Labels > 0:
		return []string{"--data", "vectors", "--labels", "labels"}
	case p.Info.Vector != nil:
		return []string{"--data", "vectors"}
	case p.Info.Adversary != nil:
		return []string{"--data", "numbers"}
	case p.Info.Latent != nil && p.Info.Labels > 0:
		return []string{"--data", "lines", "--labels", "labels"}
	case p.Info.Latent != nil:
		return []string{"--data", "lines"}
	case p.Info.Source != nil:
		return []string{"--source", "pairs"}
	}
	return []string{"--data", "text"}
}

// hurtful are values that flags do not expect.
var hurtful = []string{"", "-1", "0", "1", "NaN", "-Inf", "1e-300", "9223372036854775807", "99999999999999999999", "\x00", "text", "labels", "none", "é", "[\"a\"]", "1,2,3", "%s%n", "--", "\n"}

// trainedPrograms makes a folder for each of programs, named by its number, with data that it can read and a checkpoint.
func trainedPrograms(t testing.TB) string {
	t.Helper()
	base := t.TempDir()
	for i, p := range programs() {
		dir := filepath.Join(base, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		data := fuzzData
		if v := p.Info.Vector; v != nil {
			row := func(x string) string { return strings.TrimSuffix(strings.Repeat(x+",", v.Width), ",") + "\n" }
			data = map[string]string{"labels": fuzzData["labels"], "vectors": strings.Repeat(row("0.5")+row("0.25"), 40)}
		}
		for name, content := range data {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var out, errOut bytes.Buffer
		var args []string
		for _, arg := range dataOf(p) {
			if !strings.HasPrefix(arg, "-") {
				arg = filepath.Join(dir, arg)
			}
			args = append(args, arg)
		}
		args = append([]string{"train", "--steps", "1", "--out", filepath.Join(dir, p.Info.Name+".safetensors")}, args...)
		if status := Run(context.Background(), p, args, &out, &errOut); status != 0 {
			t.Fatalf("%s: %s", p.Info.Name, errOut.String())
		}
	}
	return base
}

// FuzzFlags runs commands of every kind of program with any arguments: none panics or ends the process, and one that fails
// says why, in a last line that begins with the name of the program. Arguments stand in lines.
func FuzzFlags(f *testing.F) {
	all := programs()
	base := trainedPrograms(f)
	for i, p := range all {
		// Each flag of each command, with values in turn.
		for _, cmd := range newRoot(p).Commands() {
			n := 0
			cmd.Flags().VisitAll(func(flag *pflag.Flag) {
				for k := range 3 {
					value := hurtful[(i+n+k*7)%len(hurtful)]
					if k == 2 && flag.Value.Type() == "int" {
						value = "9223372036854775807"
					}
					args := []string{cmd.Name()}
					if cmd.Flags().Lookup("data") != nil || cmd.Flags().Lookup("source") != nil {
						args = append(args, dataOf(p)...)
					}
					f.Add(byte(i), strings.Join(append(args, "--"+flag.Name+"="+value), "\n"))
				}
				n++
			})
		}
	}
	f.Add(byte(0), "sample\n--beam\n3\n--tokens\n-1")
	f.Add(byte(3), "interpolate\nab\nba\n--label\n1")
	f.Add(byte(4), "interpolate\n1\n2\n--label\n1\n--steps\n3")
	f.Fuzz(func(t *testing.T, kind byte, line string) {
		args := strings.Split(line, "\n")
		for _, a := range args {
			// Files of others are not to be written.
			if strings.ContainsAny(a, `/\`) || strings.Contains(a, "..") {
				t.Skip()
			}
		}
		i := int(kind) % len(all)
		p := all[i]
		dir := t.TempDir()
		entries, err := os.ReadDir(filepath.Join(base, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(base, fmt.Sprint(i), e.Name()))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, e.Name()), content, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Chdir(dir)
		in, err := os.Open(filepath.Join(dir, entries[0].Name()))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		keep := os.Stdin
		os.Stdin = in
		defer func() { os.Stdin = keep }()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		out := &limited{left: 1 << 12, end: cancel}
		var errOut bytes.Buffer
		status := Run(ctx, p, args, out, io.MultiWriter(&errOut, &limited{left: 1 << 10, end: cancel}))
		said := errOut.String()
		switch {
		case status == 0 || status == 130:
		case status != 1:
			t.Errorf("%q: status %d", args, status)
		default:
			lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
			if last := lines[len(lines)-1]; !strings.HasSuffix(said, "\n") || !strings.HasPrefix(last, p.Info.Name+": ") || len(last) < len(p.Info.Name)+5 {
				t.Errorf("%q fails and says %q", args, said)
			}
		}
		if strings.Contains(said, "goroutine ") {
			t.Errorf("%q panics: %s", args, said)
		}
	})
}

// limited is output that ends what writes it when it has become much.
type limited struct {
	left int
	end  context.CancelFunc
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		l.end()
	}
	return len(p), nil
}
