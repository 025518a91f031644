// Command decode compares decoding with llama.cpp's, kind of weights against the same kind: workers that stay alive
// take turns in random order, so that a machine whose speed drifts favours nobody. It prints medians of tokens a
// second, and of the ratios of the rounds.
//
//	make decode          # without LLAMA_LIBS: gradsmith alone
//
// llama.cpp comes from npm, as node-llama-cpp, whose package has built libraries and the sources of the same release:
//
//	npm install --ignore-scripts node-llama-cpp@3.21.1
//	git clone node_modules/node-llama-cpp/llama/gitRelease.bundle llama.cpp
//	export LLAMA_LIBS=$PWD/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64 LLAMA_SOURCE=$PWD/llama.cpp
//
// Weights are random: their values make no difference to speed. llama.cpp keeps its caches in 16 bits and ours are in
// 32; its GELU of GPT-2 is the tanh form, as ours is in gpt2.yaml.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

var (
	rounds      = flag.Int("rounds", 5, "rounds")
	models      = flag.String("models", "gptnano,gptbaby,gpt2,llama", "models, with commas in between")
	threads     = flag.Int("threads", min(2, runtime.NumCPU()), "threads, at the most")
	dir         = flag.String("dir", "", "`FOLDER` for files of weights, which are kept (default: a temporary one)")
	byProcessor = flag.Bool("cpu", false, "count the time of the processor and not that of the clock, on one thread: "+
		"for a machine that has other work")
	worker = flag.String("worker", "decode/bin/worker", "`PROGRAM` of decode/worker")
	peer   = flag.String("peer", "", "`PROGRAM` of llama.c; none for gradsmith alone")
)

// pairs are the kinds of weights that are compared.
var pairs = [][2]string{{"f32", "f32"}, {"bf16", "bf16"}, {"q8", "q8_0"}, {"q4", "q4_0"}}

func main() {
	log.SetFlags(0)
	flag.Parse()
	if *byProcessor {
		*threads = 1
	}
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) error {
	if *dir == "" {
		temp, err := os.MkdirTemp("", "decode")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		*dir = temp
	}
	for _, name := range strings.Split(*models, ",") {
		s, ok := shapes[name]
		if !ok {
			return fmt.Errorf("--models: there is no model %s", name)
		}
		if err := compare(out, name, s); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// process is a worker.
type process struct {
	kind  string
	ours  bool
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	start float64 // seconds until it was ready
	rates map[string][]float64
}

func begin(kind string, ours bool, program string, args ...string) (*process, error) {
	p := &process{kind: kind, ours: ours, cmd: exec.Command(program, args...), rates: map[string][]float64{}}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanf(p.out, "ready %f\n", &p.start); err != nil {
		return nil, fmt.Errorf("%s %v did not start: %w", program, args, err)
	}
	return p, nil
}

func (p *process) end() error {
	p.in.Close()
	return p.cmd.Wait()
}

func (p *process) run(command string) error {
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		return err
	}
	var seconds, busy float64
	var tokens int
	if _, err := fmt.Fscanf(p.out, "%f %f %d\n", &seconds, &busy, &tokens); err != nil {
		return fmt.Errorf("%s %s: %w", p.kind, command, err)
	}
	if *byProcessor {
		seconds = busy
	}
	p.rates[command] = append(p.rates[command], float64(tokens)/seconds)
	return nil
}

func compare(out io.Writer, name string, s shape) error {
	var all []*process
	for _, pair := range pairs {
		p, err := begin(pair[0], true, *worker, name, pair[0])
		if err != nil {
			return err
		}
		all = append(all, p)
		if *peer == "" {
			continue
		}
		path := filepath.Join(*dir, name+"."+pair[1]+".gguf")
		if _, err := os.Stat(path); err != nil {
			if err := s.write(path, name, pair[1]); err != nil {
				return err
			}
		}
		if p, err = begin(pair[0], false, *peer, path); err != nil {
			return err
		}
		all = append(all, p)
	}
	mapped, err := mapped(name)
	if err != nil {
		return err
	}
	all = append(all, mapped)
	list := commands(s)
	for range *rounds {
		for _, command := range list {
			for _, i := range rand.Perm(len(all)) {
				if err := all[i].run(command.text); err != nil {
					return err
				}
			}
		}
	}
	starts, err := starts(name, s)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := p.end(); err != nil {
			return err
		}
	}
	table(out, name, list, all, mapped)
	fmt.Fprintf(out, "\nStart to first token, ms:%s\n", starts)
	return nil
}

// weightsFile writes what a model maps, if it is not there.
func weightsFile(name, kind string) (string, error) {
	path := filepath.Join(*dir, name+"."+kind+".safetensors")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	text, err := exec.Command(*worker, name, "save/"+kind, path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, text)
	}
	return path, nil
}

// mapped is a worker that reads its weights from a file that is mapped, in 8 bits.
func mapped(name string) (*process, error) {
	path, err := weightsFile(name, "q8")
	if err != nil {
		return nil, err
	}
	return begin("q8", true, *worker, name, "q8", path)
}

// starts measures the time from the start of a process to its first token, in turns.
func starts(name string, s shape) (string, error) {
	times := map[string][]float64{}
	var order []string
	add := func(label, program string, args ...string) error {
		p, err := begin(label, true, program, args...)
		if err != nil {
			return err
		}
		if len(times[label]) == 0 {
			order = append(order, label)
		}
		times[label] = append(times[label], 1000*p.start)
		return p.end()
	}
	for range *rounds {
		for _, pair := range pairs {
			path, err := weightsFile(name, pair[0])
			if err != nil {
				return "", err
			}
			if err := add("mapped "+pair[0], *worker, name, pair[0], path); err != nil {
				return "", err
			}
			if *peer == "" {
				continue
			}
			if err := add("llama.cpp "+pair[1]+" (no token yet)", *peer,
				filepath.Join(*dir, name+"."+pair[1]+".gguf")); err != nil {
				return "", err
			}
		}
	}
	text := ""
	for _, label := range order {
		text += fmt.Sprintf(" %s %.1f;", label, median(times[label]))
	}
	return strings.TrimSuffix(text, ";"), nil
}

type command struct{ text, what string }

func commands(s shape) (all []command) {
	last := min(s.steps, 80)
	for n := 1; n <= *threads; n++ {
		all = append(all, command{fmt.Sprintf("decode %d 1 16 %d", n, last), fmt.Sprintf("batch 1, %s", count(n))})
		for _, batch := range []int{8, 16} {
			all = append(all, command{fmt.Sprintf("decode %d %d 16 32", n, batch),
				fmt.Sprintf("batch %d, %s", batch, count(n))})
		}
		prompt := min(s.steps-1, 512)
		all = append(all, command{fmt.Sprintf("prompt %d %d", n, prompt),
			fmt.Sprintf("prompt of %d, %s", prompt, count(n))})
	}
	return all
}

func count(threads int) string {
	if threads == 1 {
		return "one thread"
	}
	return fmt.Sprintf("%d threads", threads)
}

func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[len(sorted)/2]
}

// ratio is the median of the rounds' ratios.
func ratio(a, b []float64) float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return median(r)
}

// table prints tokens a second, and how many times as many they are as llama.cpp's and as float32's.
func table(out io.Writer, name string, list []command, all []*process, mapped *process) {
	fmt.Fprintf(out, "\n### %s\n\ntokens a second", name)
	if *byProcessor {
		fmt.Fprint(out, " of the processor")
	}
	if *peer != "" {
		fmt.Fprint(out, " (and the ratio to llama.cpp's same kind)")
	}
	fmt.Fprint(out, "\n\n| |")
	for _, pair := range pairs {
		fmt.Fprintf(out, " %s |", pair[0])
	}
	fmt.Fprint(out, " q8, mapped | q8 ÷ f32 | q4 ÷ f32 |\n|---|")
	fmt.Fprintln(out, strings.Repeat("---|", len(pairs)+3))
	find := func(kind string, ours bool) *process {
		for _, p := range all {
			if p.kind == kind && p.ours == ours && p != mapped {
				return p
			}
		}
		return nil
	}
	for _, c := range list {
		fmt.Fprintf(out, "| %s |", c.what)
		for _, pair := range pairs {
			rates := find(pair[0], true).rates[c.text]
			fmt.Fprintf(out, " %.4g", median(rates))
			if p := find(pair[0], false); p != nil {
				fmt.Fprintf(out, " (%.2f)", ratio(rates, p.rates[c.text]))
			}
			fmt.Fprint(out, " |")
		}
		full := find("f32", true).rates[c.text]
		fmt.Fprintf(out, " %.4g | %.2f | %.2f |\n", median(mapped.rates[c.text]),
			ratio(find("q8", true).rates[c.text], full), ratio(find("q4", true).rates[c.text], full))
	}
}
