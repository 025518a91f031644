package app

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/gen/cases/align"
	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/gpt"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/labelvae"
	"github.com/gradsmith/gradsmith/gen/cases/sentence"
	"github.com/gradsmith/gradsmith/gen/cases/tapped"
	"github.com/gradsmith/gradsmith/gen/cases/verses"
	"github.com/gradsmith/gradsmith/gen/cases/wgan"
)

// programs are one of each kind, whose commands differ.
func programs() []Program {
	return []Program{bigramProgram(nil), align.Program(), bert.Program(), gpt.Program(), labeltext.Program(),
		labelvae.Program(), sentence.Program(), verses.Program(), wgan.Program(), tapped.Program()}
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
var hurtful = []string{"", "-1", "0", "1", "NaN", "-Inf", "1e-300", "9223372036854775807", "99999999999999999999",
	"\x00", "text", "labels", "none", "é", "[\"a\"]", "1,2,3", "%s%n", "--", "\n"}

// trainedPrograms makes a folder for each of programs, named by its number, with data that it can read and a
// checkpoint.
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
			data = map[string]string{"labels": fuzzData["labels"],
				"vectors": strings.Repeat(row("0.5")+row("0.25"), 40)}
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
		args = append([]string{"train", "--steps", "1", "--out", filepath.Join(dir, p.Info.Name+".safetensors")},
			args...)
		if status := Run(context.Background(), p, args, &out, &errOut); status != 0 {
			t.Fatalf("%s: %s", p.Info.Name, errOut.String())
		}
	}
	return base
}

// calls are the commands of a program, each with the arguments and flags that it needs to succeed, and what it reads
// from the standard input.
func calls(p Program) map[string]call {
	all := map[string]call{}
	for _, cmd := range newRoot(p).Commands() {
		c := call{flags: cmd.Flags(), args: []string{cmd.Name()}, input: "ab\nbc\n"}
		if cmd.Flags().Lookup("data") != nil && cmd.Name() != "score" || cmd.Flags().Lookup("source") != nil ||
			p.Info.Vector != nil && cmd.Name() == "score" {
			c.args = append(c.args, dataOf(p)...)
		}
		labels, two := cmd.Flags().Lookup("label"), cmd.Flags().Lookup("steps") != nil
		switch cmd.Name() {
		case "train":
			c.args = append(c.args, "--steps", "2", "--overwrite")
		case "explain":
			switch c.args = []string{cmd.Name(), "--text", "ab"}; {
			case p.Info.Vector != nil:
				c.args = []string{cmd.Name(), "--data", "vectors"}
			case p.Info.Adversary != nil:
				c.args = []string{cmd.Name(), "--text", "1 2 3 4 5 6"}
			}
			if labels != nil {
				c.args = append(c.args, "--label", "1")
			}
			if cmd.Flags().Lookup("find") != nil { // of a long text
				long := c
				long.args = []string{cmd.Name(), "--find", "a+b", "--data", "text", "--positions", "200"}
				all[cmd.Name()+" --find"] = long
			}
		case "align":
			c.args = append(c.args, "ab")
		case "fill":
			c.args = append(c.args, "a[MASK]b")
		case "perplexity":
			c.args = append(c.args, "text")
		case "choose":
			c.input = `{"prompt":"ab","continuations":["c","a"]}` + "\n"
		case "interpolate":
			ends := []string{"ab", "bc"}
			if p.Info.Vector != nil {
				ends = []string{"1", "2"}
				c.args = slices.DeleteFunc(c.args, func(s string) bool { return s == "--labels" || s == "labels" })
			}
			c.args = append(c.args, ends...)
		case "move":
			c.args = append(c.args, "--toward", "lines", "--from", "lines")
		case "score":
			if p.Info.Vector == nil {
				c.input = "1 2 3 4 5 6\n"
			}
		case "serve":
			c.args = append(c.args, "--address", "localhost:0")
		case "eval":
			c.args = append(c.args, few(cmd.Flags())...)
		}
		if labels != nil && (two || cmd.Name() == "reconstruct" || cmd.Name() == "encode") && !slices.Contains(c.args,
			"--labels") {
			c.args = append(c.args, "--label", "1")
		}
		all[cmd.Name()] = c
	}
	return all
}

// few says that few samples are enough, where a command takes samples.
func few(flags *pflag.FlagSet) []string {
	if flags.Lookup("samples") == nil {
		return nil
	}
	return []string{"--samples", "7"}
}

type call struct {
	args  []string
	input string
	flags *pflag.FlagSet
}

// attempt runs a command in a copy of a folder: it does not panic, nor end the process, and where it fails it says
// why, in a last line that begins with the name of the program. What it would write without end is cut, and so is what
// it would do for long.
func attempt(t *testing.T, p Program, folder, input string, args []string) (status int, said string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "flags-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "input"), []byte(input), 0o644); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir(dir); err != nil {
		t.Fatal(err)
	}
	defer os.Chdir(here)
	in, err := os.Open("input")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	keep := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = keep }()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	out := &limited{left: 1 << 12, end: cancel}
	var errOut bytes.Buffer
	status = Run(ctx, p, args, out, io.MultiWriter(&errOut, &limited{left: 1 << 10, end: cancel}, served(cancel)))
	said = errOut.String()
	switch {
	case status == 0 || status == 130 || ctx.Err() != nil && status == 1:
	case status != 1:
		t.Errorf("%q: status %d", args, status)
	default:
		lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
		if last := lines[len(lines)-1]; !strings.HasSuffix(said, "\n") || !strings.HasPrefix(last, p.Info.Name+": ") ||
			len(last) < len(p.Info.Name)+5 {
			t.Errorf("%q fails and says %q", args, said)
		}
	}
	if strings.Contains(said, "goroutine ") {
		t.Errorf("%q panics: %s", args, said)
	}
	return status, said
}

// served is told when a server is up, and ends what has no end of its own.
type served func()

func (end served) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("msg=serving")) || bytes.Contains(p, []byte(`"msg":"serving"`)) {
		end()
	}
	return len(p), nil
}

var everyFlag = flag.Bool("every-flag", false,
	"TestEveryFlag gives each flag of each command each hurtful value, not one")

// TestEveryFlag gives the flags of all commands, of programs of every kind, the values that they do not expect: with
// -every-flag each of them, else one. Without them each command succeeds, of one program at least.
func TestEveryFlag(t *testing.T) {
	names, why := map[string]bool{}, map[string]string{}
	for _, p := range everyKind() {
		for _, cmd := range newRoot(p).Commands() {
			names[cmd.Name()] = true
		}
	}
	base := trainedPrograms(t)
	n := 0
	for i, p := range programs() {
		folder := filepath.Join(base, fmt.Sprint(i))
		all := calls(p)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			c := all[name]
			switch status, said := attempt(t, p, folder, c.input, c.args); status {
			case 0, 130: // 130 where it prints much
				delete(names, name)
			default:
				why[name] = said
			}
			c.flags.VisitAll(func(f *pflag.Flag) {
				n++
				for k, value := range hurtful {
					if *everyFlag || k == n*7%len(hurtful) {
						attempt(t, p, folder, c.input, append(slices.Clip(c.args), "--"+f.Name+"="+value))
					}
				}
			})
		}
	}
	for name := range names {
		t.Errorf("of no program does the command %s succeed: %s", name, why[name])
	}
}

// FuzzFlags is TestEveryFlag with any arguments, which stand in lines.
func FuzzFlags(f *testing.F) {
	all := programs()
	base := trainedPrograms(f)
	for i, p := range all {
		for _, c := range calls(p) {
			f.Add(byte(i), strings.Join(c.args, "\n"))
		}
	}
	f.Add(byte(0), "sample\n--beam\n3\n--tokens\n-1")
	f.Add(byte(4), "interpolate\nab\nba\n--label\n1")
	f.Add(byte(5), "interpolate\n1\n2\n--label\n1\n--steps\n3")
	f.Fuzz(func(t *testing.T, kind byte, line string) {
		args := strings.Split(line, "\n")
		for _, a := range args {
			// Files of others are not to be written.
			if strings.ContainsAny(a, `/\`) || strings.Contains(a, "..") {
				t.Skip()
			}
		}
		i := int(kind) % len(all)
		attempt(t, all[i], filepath.Join(base, fmt.Sprint(i)), "ab\nbc\n", args)
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
