// Command adapt shows what a low-rank adapter gives beside training all parameters: a GPT that was trained on plays
// learns Go in both ways, in as many steps, and the loss on Go that neither has read is printed before and after.
//
//	make adapt DATA=tinyshakespeare.txt
//
// Go is the source of packages of the toolchain's own library, in the order below, without their tests; the last tenth
// of the text is kept for validation, and is of packages by themselves. The specs are play.yaml and the same with an
// adapter of rank 8 of the matrices of attention. Packages and checkpoints are written to demo/adapt in the root of
// the repository; what is there already is used again. At last the adapter is merged, and the logits of the two forms
// are compared; it is an error when they are further apart than 1e-5 of the largest.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

//go:embed play.yaml
var spec string

// packages are those of the standard library that Go is learnt from, and behind them those that it is validated on,
// which have more than a tenth of the bytes.
var packages = []string{
	"strings", "bytes", "strconv", "bufio", "sort", "fmt", "io", "slices", "path/filepath", "net/url", "text/template",
	"encoding/json", "html/template", "net/textproto", "flag",

	"log", "text/scanner", "text/tabwriter", "encoding/csv", "encoding/base64", "encoding/hex", "encoding/pem",
	"unicode/utf8", "container/list", "container/heap", "container/ring",
}

const program = `package main

import (
	"github.com/gradsmith/gradsmith/demo/adapt/NAME"
	"github.com/gradsmith/gradsmith/runtime/app"
)

func main() { app.Main(NAME.Program()) }
`

// logits is a program that compares the logits of a checkpoint with those of another one and an adapter.
const logits = `package main

import (
	"encoding/json"
	"log"
	"math"
	"os"

	"github.com/gradsmith/gradsmith/demo/adapt/code"
	"github.com/gradsmith/gradsmith/demo/adapt/play"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

func main() {
	merged, err := play.Load(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	adapted, err := code.Load(os.Args[2])
	if err == nil {
		err = checkpoint.LoadAdapter(os.Args[3], adapted)
	}
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	info := merged.Info()
	b := &model.Batch{Steps: info.Steps, Batch: info.Batch}
	n := b.Steps * b.Batch
	b.Tokens, b.Targets, b.Reset = make([]int32, n), make([]int32, n), make([]int32, n)
	for i := range n {
		b.Tokens[i] = int32(text[len(text)-n+i])
	}
	x, err := merged.Logits(b)
	if err != nil {
		log.Fatal(err)
	}
	y, err := adapted.Logits(b)
	if err != nil {
		log.Fatal(err)
	}
	var apart, largest float64
	for i := range x {
		apart = max(apart, math.Abs(float64(x[i])-float64(y[i])))
		largest = max(largest, math.Abs(float64(x[i])))
	}
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{"apart": apart, "largest": largest, "logits": len(x),
		"parameters": info.Params, "learnt": adapted.Info().Params - info.Params})
	if err != nil {
		log.Fatal(err)
	}
}
`

var (
	data  = flag.String("data", "", "`FILE` of the text that is learnt first")
	first = flag.Int("first", 2000, "steps on that text")
	then  = flag.Int("then", 1000, "steps on Go")
	rank  = flag.Int("rank", 8, "of the adapter")
	whole = flag.Float64("whole-rate", 5e-4, "learning rate of the training of all parameters on Go")
	part  = flag.Float64("part-rate", 1e-2, "learning rate of the adapter")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if *data == "" {
		log.Fatal("adapt: give --data")
	}
	if err := run(); err != nil {
		log.Fatal("adapt: ", err)
	}
}

func run() error {
	text, err := filepath.Abs(*data)
	if err != nil {
		return err
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", "gradsmith")); err != nil {
		return errors.New("run this in the folder bench of the repository")
	}
	dir := filepath.Join(root, "demo", "adapt")
	code := strings.Replace(spec, "name: play\n", "name: code\n", 1) + fmt.Sprintf(
		"adapter: {rank: %d, targets: ['*.wqkv', '*.wo']}\n", *rank)
	for name, spec := range map[string]string{"play": spec, "code": code} {
		if err := build(root, dir, name, spec); err != nil {
			return err
		}
	}
	source, held, err := sources(dir)
	if err != nil {
		return err
	}
	play, adapted := filepath.Join(dir, "play.exe"), filepath.Join(dir, "code.exe")
	in := func(name string) string { return filepath.Join(dir, name+".safetensors") }
	base, all, small, merged := in("plays"), in("all"), in("adapter"), in("merged")

	train := func(exe, out, data string, steps int, more ...string) error {
		if done(out) == steps {
			return nil
		}
		_, err := command(dir, exe, append([]string{"train", "--data", data, "--steps", strconv.Itoa(steps),
			"--samples", "0", "--log", strings.TrimSuffix(out, ".safetensors") + ".jsonl", "--out", out, "--overwrite"},
			more...)...)
		if n := done(out); err == nil && n != steps {
			return fmt.Errorf("%s was interrupted behind step %d of %d", out, n, steps)
		}
		return err
	}
	if err := train(play, base, text, *first); err != nil {
		return err
	}
	if err := train(adapted, small, source, *then, "--from", base, "--rate", fmt.Sprint(*part)); err != nil {
		return err
	}
	if err := train(play, all, source, *then, "--from", base, "--rate", fmt.Sprint(*whole)); err != nil {
		return err
	}
	if _, err := command(dir, adapted, "merge", "--model", base, "--adapter", small, "-o", merged); err != nil {
		return err
	}
	out, err := command(root, "go", "run", "./demo/adapt/logits", merged, base, small, source)
	if err != nil {
		return err
	}
	var forms struct {
		Apart, Largest             float64
		Logits, Parameters, Learnt int
	}
	if err := json.Unmarshal(out, &forms); err != nil {
		return fmt.Errorf("the logits: %w: %s", err, out)
	}
	fmt.Printf("%s of Go, the last tenth (of %s) for validation; %d steps on plays, %d on Go\n\n", size(source), held,
		*first, *then)
	fmt.Println("| | parameters that learn | file | Go | plays |")
	fmt.Println("|---|---|---|---|---|")
	for _, r := range []struct {
		title, exe string
		learns     int
		file       string
		flags      []string
	}{
		{"before", play, 0, base, []string{"--model", base}},
		{fmt.Sprintf("adapter of rank %d", *rank), adapted, forms.Learnt, small, []string{"--model", base, "--adapter",
			small}},
		{"all parameters", play, forms.Parameters, all, []string{"--model", all}},
	} {
		share := 100 * float64(r.learns) / float64(forms.Parameters)
		row := fmt.Sprintf("| %s | %d (%.2f %%) | %s |", r.title, r.learns, share, size(r.file))
		for _, data := range []string{source, text} {
			loss, err := evaluate(dir, r.exe, data, r.flags...)
			if err != nil {
				return err
			}
			row += " " + loss + " |"
		}
		fmt.Println(row)
	}
	fmt.Printf("\nmerged and not: %d logits differ by %.2g at the most, the largest is %.3g\n", forms.Logits,
		forms.Apart, forms.Largest)
	if !(forms.Apart <= 1e-5*forms.Largest) {
		return errors.New("what is merged computes something else")
	}
	return nil
}

// done is how many steps a checkpoint was trained for; 0 where it is not there.
func done(path string) int {
	c, err := checkpoint.Describe(path)
	if err != nil || c.Training == nil {
		return 0
	}
	return c.Training.Step
}

// sources writes the text of Go. held names the packages of which its last tenth is a part.
func sources(dir string) (path, held string, err error) {
	goroot, err := command(dir, "go", "env", "GOROOT")
	if err != nil {
		return "", "", err
	}
	var text bytes.Buffer
	starts := make([]int, len(packages))
	for i, p := range packages {
		starts[i] = text.Len()
		names, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(goroot)), "src", filepath.FromSlash(p),
			"*.go"))
		if err != nil {
			return "", "", err
		}
		slices.Sort(names)
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			b, err := os.ReadFile(name)
			if err != nil {
				return "", "", err
			}
			text.Write(bytes.ToValidUTF8(b, []byte("?")))
		}
		if text.Len() == starts[i] {
			return "", "", fmt.Errorf("package %s has no source in %s", p, goroot)
		}
	}
	from, _ := slices.BinarySearch(starts, text.Len()*9/10)
	from-- // the package that the last tenth begins in
	if packages[from] == "flag" {
		return "", "", errors.New("the packages of this toolchain have other sizes: the last tenth begins in one " +
			"that is learnt from")
	}
	path = filepath.Join(dir, "go.txt")
	return path, strings.Join(packages[from:], ", ") + "; " + runtime.Version(), os.WriteFile(path, text.Bytes(), 0o644)
}

var nats = regexp.MustCompile(`([0-9.]+) nats a token`)

// evaluate is the loss on the last tenth of a text, in nats a byte.
func evaluate(dir, exe, data string, flags ...string) (string, error) {
	out, err := command(dir, exe, append([]string{"eval", "--data", data, "--last", "0.1"}, flags...)...)
	if err != nil {
		return "", err
	}
	m := nats.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("eval says no loss: %s", out)
	}
	return string(m[1]), nil
}

// size is the length of a file, in words.
func size(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "?"
	}
	return fmt.Sprintf("%.1f MB", float64(info.Size())/1e6)
}

// build writes the package of a spec and its program, and compiles it.
func build(root, dir, name, spec string) error {
	for path, content := range map[string]string{
		name + "/" + name + ".yaml": spec,
		name + "/cmd/main.go":       strings.ReplaceAll(program, "NAME", name),
		"logits/main.go":            logits,
	} {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if _, err := command(root, "go", "run", "./cmd/gradsmith", "generate", filepath.Join(dir, name,
		name+".yaml")); err != nil {
		return err
	}
	_, err := command(root, "go", "build", "-o", filepath.Join(dir, name+".exe"), "./demo/adapt/"+name+"/cmd")
	return err
}

// command runs a command, shows what it says while it works, and gives what it prints.
func command(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return out.Bytes(), nil
}
