// Command same tells whether the demo and the examples give the same bits as at another commit: it builds their
// programs at both, trains each model for some steps with the same data and compares parameters, the state of the
// optimizer and what the trained models write.
//
//	cd bench && go run ./same --base COMMIT
//
// A model's parameters and optimizer are compared as bytes; what a checkpoint says besides them (digests, options of
// the run) may differ.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

var (
	base  = flag.String("base", "", "`COMMIT` to compare with")
	steps = flag.Int("steps", 200, "training steps of a model")
	demo  = flag.Bool("demo", true, "run the demo to its end and GPT-2's three steps as well, some minutes at each "+
		"commit")
)

// example is a program with the arguments that train its model, those that show what it learnt, and what the latter
// read.
type example struct {
	name, pkg   string
	train, show []string
	input       string
}

// The folder of an example has glyphs.idx and glyphs.labels.idx of the glyphs' drawings, the pairs of the example
// reverse, and prose.txt, lines of English.
var examples = []example{
	{"opticks", "opticks/cmd/opticks", nil, []string{"sample", "--prompt", "The ", "--tokens", "300", "--seed", "1"},
		""},
	{"gocode", "gocode/cmd/gocode", []string{"--data", "prose.txt"},
		[]string{"sample", "--prompt", "func ", "--tokens", "200", "--seed", "1"}, ""},
	{"newton", "embedded/newton/cmd/newton", nil,
		[]string{"sample", "--prompt", "The ", "--tokens", "300", "--seed", "1"}, ""},
	{"reverse", "reverse/cmd/reverse", []string{"--source", "train.tsv", "--valid-source", "short.tsv"},
		[]string{"translate"}, "31415926\n2718\n"},
	{"reverse/plain", "reverse/plain/cmd/plain", []string{"--source", "train.tsv", "--valid-source", "short.tsv"},
		[]string{"translate"}, "31415926\n2718\n"},
	{"glyphs", "glyphs/cmd/glyphs", []string{"--data", "glyphs.idx"}, []string{"sample", "--seed", "1"}, ""},
	{"glyphs/byletter", "glyphs/byletter/cmd/byletter",
		[]string{"--data", "glyphs.idx", "--labels", "glyphs.labels.idx"}, []string{"sample", "--seed", "1"}, ""},
	{"letters", "letters/cmd/letters", []string{"--data", "glyphs.idx"}, []string{"sample", "--seed", "1"}, ""},
	{"letters/asked", "letters/asked/cmd/asked",
		[]string{"--data", "glyphs.idx", "--labels", "glyphs.labels.idx"}, []string{"sample", "--seed", "1"}, ""},
	{"captions", "captions/cmd/captions", []string{"--data", "prose.txt"}, []string{"sample", "--seed", "1"}, ""},
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	if *base == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	same, err := run()
	if err != nil {
		log.Fatal("same: ", err)
	}
	if !same {
		os.Exit(1)
	}
}

// run compares and reports whether everything is the same.
func run() (same bool, err error) {
	folder, err := os.MkdirTemp("", "same")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(folder)
	root, err := filepath.Abs("..")
	if err != nil {
		return false, err
	}
	then := filepath.Join(folder, "then")
	if _, err := command(root, "", "git", "worktree", "add", "--detach", then, *base); err != nil {
		return false, err
	}
	defer command(root, "", "git", "worktree", "remove", "--force", then)
	data := filepath.Join(folder, "data")
	if err := prepare(root, data); err != nil {
		return false, err
	}
	same = true
	report := func(name string, err error) {
		verdict := "the same bits"
		if err != nil {
			verdict, same = err.Error(), false
		}
		fmt.Printf("%-16s %s\n", name, verdict)
	}
	for _, x := range examples {
		report(x.name, x.compare(root, then, data))
	}
	report("modes", modes(root, then, data))
	report("embedded", embedded(root, then))
	if *demo {
		report("make demo", compareTarget(root, then, "demo", "opticks.safetensors"))
		report("make gpt2", compareTarget(root, then, "gpt2", "gpt2.safetensors"))
	}
	return same, nil
}

// prepare makes the data in folder.
func prepare(root, folder string) error {
	if err := os.Mkdir(folder, 0o777); err != nil {
		return err
	}
	if _, err := command(filepath.Join(root, "examples/glyphs/draw"), "", "go", "run", ".",
		"-o", filepath.Join(folder, "glyphs.idx"), "-labels", filepath.Join(folder, "glyphs.labels.idx")); err != nil {
		return err
	}
	program := filepath.Join(folder, "reverse")
	if _, err := command(root, "", "go", "build", "-o", program, "./examples/reverse/cmd/reverse"); err != nil {
		return err
	}
	if _, err := command(folder, "", program, "data"); err != nil {
		return err
	}
	// Lines of English that have stood in the project from its beginning.
	goroot, err := command(root, "", "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(goroot)), "src/net/http/server.go"))
	if err != nil {
		return err
	}
	var prose []string
	for line := range strings.Lines(string(source)) {
		if words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "//")); len(words) > 2 &&
			len(words) < 18 {
			prose = append(prose, strings.Join(words, " "))
		}
	}
	return os.WriteFile(filepath.Join(folder, "prose.txt"), []byte(strings.Join(prose, "\n")+"\n"), 0o666)
}

// compare trains the model of x in both checkouts and says what differs.
func (x *example) compare(now, then, data string) error {
	var results [2]*result
	for i, root := range []string{now, then} {
		r, err := x.run(root, data)
		if err != nil {
			return fmt.Errorf("%s: %w", []string{"now", "then"}[i], err)
		}
		results[i] = r
	}
	return results[0].compare(results[1])
}

// result is what a training left: digests of tensors by name, and what the model wrote.
type result struct {
	tensors map[string][sha256.Size]byte
	written []byte
}

func (r *result) compare(then *result) error {
	if missing := difference(then.tensors, r.tensors); len(missing) > 0 {
		return fmt.Errorf("has no tensors %s", strings.Join(missing, ", "))
	}
	if added := difference(r.tensors, then.tensors); len(added) > 0 {
		return fmt.Errorf("has more tensors: %s", strings.Join(added, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(r.tensors)) {
		if r.tensors[name] != then.tensors[name] {
			return fmt.Errorf("tensor %s differs", name)
		}
	}
	if !bytes.Equal(r.written, then.written) {
		return fmt.Errorf("what the model writes differs:\n%s\n%s", r.written, then.written)
	}
	return nil
}

// difference is the names in a that are not in b.
func difference(a, b map[string][sha256.Size]byte) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if _, ok := b[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// run trains the model of x in the checkout root.
func (x *example) run(root, data string) (*result, error) {
	program, out := filepath.Join(data, "program"), filepath.Join(data, "model.safetensors")
	if _, err := command(root, "", "go", "build", "-o", program, "./examples/"+x.pkg); err != nil {
		return nil, err
	}
	args := append([]string{"train", "--steps", fmt.Sprint(*steps), "--overwrite", "--out", out}, x.train...)
	if _, err := command(data, "", program, args...); err != nil {
		return nil, err
	}
	tensors, err := read(out)
	if err != nil {
		return nil, err
	}
	written, err := command(data, x.input, program, append(slices.Clone(x.show), "--model", out)...)
	if err != nil {
		return nil, err
	}
	return &result{tensors, written}, nil
}

// read returns digests of a safetensors file's tensors.
func read(path string) (map[string][sha256.Size]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(content) < 8 {
		return nil, errors.New(path + " has no header")
	}
	size := binary.LittleEndian.Uint64(content)
	body := content[8:]
	if size > uint64(len(body)) {
		return nil, errors.New(path + " ends within its header")
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(body[:size], &header); err != nil {
		return nil, err
	}
	delete(header, "__metadata__")
	tensors := map[string][sha256.Size]byte{}
	for name, raw := range header {
		var t struct {
			Offsets [2]uint64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return nil, err
		}
		values := body[size:]
		if t.Offsets[0] > t.Offsets[1] || t.Offsets[1] > uint64(len(values)) {
			return nil, fmt.Errorf("%s: tensor %s ends outside of the file", path, name)
		}
		tensors[name] = sha256.Sum256(values[t.Offsets[0]:t.Offsets[1]])
	}
	return tensors, nil
}

// modes compares what the example modes prints and draws.
func modes(now, then, data string) error {
	var printed, drawn [2][]byte
	for i, root := range []string{now, then} {
		picture := filepath.Join(data, "modes.png")
		out, err := command(root, "", "go", "run", "./examples/modes", "--steps", fmt.Sprint(*steps), "--picture",
			picture)
		if err != nil {
			return err
		}
		printed[i] = out
		if drawn[i], err = os.ReadFile(picture); err != nil {
			return err
		}
	}
	if !bytes.Equal(printed[0], printed[1]) || !bytes.Equal(drawn[0], drawn[1]) {
		return fmt.Errorf("differs:\n%s\n%s", printed[0], printed[1])
	}
	return nil
}

// embedded compares what the program writes that has its model inside.
func embedded(now, then string) error {
	var texts [2][]byte
	for i, root := range []string{now, then} {
		text, err := command(root, "", "go", "run", "./examples/embedded", "The Rays of ")
		if err != nil {
			return err
		}
		texts[i] = text
	}
	if !bytes.Equal(texts[0], texts[1]) {
		return fmt.Errorf("what it writes differs:\n%s\n%s", texts[0], texts[1])
	}
	return nil
}

// compareTarget compares the checkpoints that a make target leaves in demo, and the texts that it ends with.
func compareTarget(now, then, target, checkpoint string) error {
	var results [2]*result
	for i, root := range []string{now, then} {
		out, err := command(root, "", "make", "--silent", target)
		if err != nil {
			return err
		}
		_, texts, _ := bytes.Cut(out, []byte("\n== "))
		tensors, err := read(filepath.Join(root, "demo", checkpoint))
		if err != nil {
			return err
		}
		results[i] = &result{tensors, texts}
	}
	return results[0].compare(results[1])
}

// command runs a program in a folder and returns what it prints to its standard output.
func command(folder, input, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = folder, strings.NewReader(input)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, failure.Bytes())
	}
	return out, nil
}
