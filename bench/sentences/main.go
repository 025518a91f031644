// Command sentences trains four models of one size on the same sentences and prints what came of them side by side: a
// language model, an autoencoder that is left to itself, which collapses, and two that are kept from it. Then it
// prints what the last of them writes: sentences from the prior, and from points between sentences of the test.
//
//	cd bench && go run ./sentences --data train.en --valid val.en --test test.en
//
// Each is the spec of generated/textvae with another objective. The packages and checkpoints are written to
// demo/sentences in the root of the repository; what is there already is used again. The language model is the same
// decoder with its latent vector held to the prior, so that it says nothing: beta is 100.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// runs are the models, by what their specs have in place of the lines of generated/textvae.
var runs = []struct {
	name, title string
	lines       map[string]string // by key: what stands in place of its line
}{
	{"lm", "language model", map[string]string{"latent": "latent: {size: 32, beta: 100}"}},
	{"plain", "autoencoder, plain", map[string]string{"latent": "latent: {size: 32}"}},
	{"dropout", "annealing, word dropout",
		map[string]string{"latent": "latent: {size: 32, annealing: {linear: {steps: 4000}}}\nword_dropout: 0.5"}},
	{"free", "annealing, free bits", nil},
}

const program = `package main

import (
	"github.com/gradsmith/gradsmith/demo/sentences/NAME"
	"github.com/gradsmith/gradsmith/runtime/app"
)

func main() { app.Main(NAME.Program()) }
`

var (
	data    = flag.String("data", "", "`FILE` of sentences to learn, one a line")
	valid   = flag.String("valid", "", "`FILE` of sentences by which the best parameters are chosen")
	test    = flag.String("test", "", "`FILE` of sentences to evaluate on")
	passes  = flag.Int("passes", 12, "passes over the sentences")
	samples = flag.Int("samples", 500, "latent vectors drawn for each sentence")
	only    = flag.String("run", "", "train and evaluate this `RUN` alone: lm, plain, dropout or free")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if *data == "" || *valid == "" || *test == "" {
		log.Fatal("sentences: give --data, --valid and --test")
	}
	for _, f := range []*string{data, valid, test} {
		path, err := filepath.Abs(*f)
		if err != nil {
			log.Fatal(err)
		}
		*f = path
	}
	if err := compare(); err != nil {
		log.Fatal("sentences: ", err)
	}
}

func compare() error {
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	spec, err := os.ReadFile(filepath.Join(root, "generated", "textvae", "textvae.yaml"))
	if err != nil {
		return errors.New("run this in the folder bench of the repository")
	}
	fmt.Println("| run | reconstruction | KL | −ELBO | −log p(x) | active units | information | tokens in place |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, r := range runs {
		if *only != "" && *only != r.name {
			continue
		}
		dir := filepath.Join(root, "demo", "sentences", r.name)
		if err := build(root, dir, r.name, string(spec), r.lines); err != nil {
			return err
		}
		exe, best := filepath.Join(dir, r.name+".exe"), filepath.Join(dir, "best.safetensors")
		if _, err := os.Stat(best); errors.Is(err, os.ErrNotExist) {
			if _, err := command(dir, exe, "train", "--data", *data, "--valid", *valid, "--passes",
				strconv.Itoa(*passes), "--out", filepath.Join(dir, "last.safetensors"), "--overwrite", "--best",
				best); err != nil {
				return err
			}
		}
		out, err := command(dir, exe, "eval", "--data", *test, "--samples", strconv.Itoa(*samples), "--model", best,
			"--json")
		if err != nil {
			return err
		}
		var e struct {
			Reconstruction, Divergence, Bound, NLL, Information float64
			Active                                              int     `json:"active_units"`
			Tokens                                              float64 `json:"tokens_in_place"`
		}
		if err := json.Unmarshal(out, &e); err != nil {
			return err
		}
		fmt.Printf("| %s | %.2f | %.2f | %.2f | %.2f | %d | %.2f | %.1f %% |\n", r.title, e.Reconstruction,
			e.Divergence, e.Bound, e.NLL, e.Active, e.Information, 100*e.Tokens)
	}
	if *only != "" && *only != runs[len(runs)-1].name {
		return nil
	}
	return show(root)
}

// show prints what the last run writes: sentences from the prior, and from points between pairs of sentences of the
// test.
func show(root string) error {
	name := runs[len(runs)-1].name
	dir := filepath.Join(root, "demo", "sentences", name)
	exe, best := filepath.Join(dir, name+".exe"), filepath.Join(dir, "best.safetensors")
	out, err := command(dir, exe, "sample", "-n", strconv.Itoa(shown), "--model", best)
	if err != nil {
		return err
	}
	fmt.Printf("\nFrom the prior:\n\n%s", out)
	data, err := os.ReadFile(*test)
	if err != nil {
		return err
	}
	sentences := strings.Split(string(data), "\n")
	for i := 0; i < shown && 2*i+1 < len(sentences); i++ {
		from, to := sentences[2*i], sentences[2*i+1]
		if out, err = command(dir, exe, "interpolate", from, to, "--model", best); err != nil {
			return err
		}
		fmt.Printf("\nFrom %q to %q:\n\n%s", from, to, out)
	}
	return nil
}

const shown = 10 // sentences from the prior, and pairs

// build writes the package of a run and its program, and compiles it.
func build(root, dir, name, spec string, lines map[string]string) error {
	var own []string
	for _, line := range strings.Split(spec, "\n") {
		key, _, _ := strings.Cut(line, ":")
		switch other, ok := lines[key]; {
		case key == "name":
			line = "name: " + name
		case ok:
			line = other
		}
		own = append(own, line)
	}
	if err := os.MkdirAll(filepath.Join(dir, "cmd"), 0o755); err != nil {
		return err
	}
	words, err := os.ReadFile(filepath.Join(root, "generated", "textvae", "multi30k.words"))
	if err != nil {
		return err
	}
	for path, content := range map[string][]byte{
		"multi30k.words": words, name + ".yaml": []byte(strings.Join(own, "\n")),
		"cmd/main.go": []byte(strings.ReplaceAll(program, "NAME", name)),
	} {
		if err := os.WriteFile(filepath.Join(dir, path), content, 0o644); err != nil {
			return err
		}
	}
	if _, err := command(root, "go", "run", "./cmd/gradsmith", "generate",
		filepath.Join(dir, name+".yaml")); err != nil {
		return err
	}
	_, err = command(root, "go", "build", "-o", filepath.Join(dir, name+".exe"),
		"./"+filepath.ToSlash(filepath.Join("demo", "sentences", name, "cmd")))
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
