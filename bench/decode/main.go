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
// The LSTM, a token at a time, is compared with ONNX Runtime, all kinds of weights with its float32: of npm too, as
// onnxruntime-node 1.30.0, called as a Go program would (github.com/yalue/onnxruntime_go, which needs a C compiler).
// There are two files, of PyTorch with the operator LSTM and of gradsmith export --onnx:
//
//	export ONNXRUNTIME_LIB=$PWD/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1
//
// With --starts it measures instead how long it takes from the start of a process to its first token, of models that
// are mapped and of those of llama.cpp, whose files are in memory already.
//
// Weights are random: their values make no difference to speed. llama.cpp keeps its caches in 16 bits and ours are in
// 32, unless --cache says otherwise; its GELU of GPT-2 is the tanh form, as ours is in gpt2.yaml.
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
	"time"
)

var (
	rounds      = flag.Int("rounds", 5, "rounds")
	models      = flag.String("models", "gptnano,gptbaby,gpt2,llama,lstm", "models, with commas in between")
	threads     = flag.Int("threads", min(2, runtime.NumCPU()), "threads, at the most")
	dir         = flag.String("dir", "", "`FOLDER` for files of weights, which are kept (default: a temporary one)")
	byProcessor = flag.Bool("cpu", false, "count the time of the processor and not that of the clock, on one thread: "+
		"for a machine that has other work")
	worker = flag.String("worker", "decode/bin/worker", "`PROGRAM` of decode/worker")
	peer   = flag.String("peer", "", "`PROGRAM` of llama.c; none for gradsmith alone")
	ort    = flag.String("ort", "", "`PROGRAM` of decode/peer/ort; none for gradsmith alone")
	onnx   = flag.String("onnx", "decode/bin/lstm.onnx,decode/bin/lstm.export.onnx", "`FILES` of the LSTM for it")
	kept   = flag.String("cache", "", "`KIND` in which we keep keys and values: f32 unless told otherwise, bf16 or q8")
	past   = flag.Int("context", 16, "tokens that stand in front of those that one sequence writes")
	first  = flag.Bool("starts", false, "measure the time from the start of a process to its first token, and no more")
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
		work := compare
		if *first {
			work = startTable
		}
		if err := work(out, name, s); err != nil {
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
	start time.Duration // until it was ready
	rates map[string][]float64
}

func begin(kind string, ours bool, program string, args ...string) (*process, error) {
	return beginWith(nil, kind, ours, program, args...)
}

// beginWith is begin with more environment variables.
func beginWith(env []string, kind string, ours bool, program string, args ...string) (*process, error) {
	p := &process{kind: kind, ours: ours, cmd: exec.Command(program, args...), rates: map[string][]float64{}}
	p.cmd.Stderr = os.Stderr
	p.cmd.Env = append(os.Environ(), env...)
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var within float64 // by its own clock, which does not see the system load it
	if _, err := fmt.Fscanf(p.out, "ready %f\n", &within); err != nil {
		return nil, fmt.Errorf("%s %v did not start: %w", program, args, err)
	}
	p.start = time.Since(began)
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
		p, err := begin(pair[0], true, *worker, name, withCache(pair[0]))
		if err != nil {
			return err
		}
		all = append(all, p)
		if *peer == "" || s.recurrent() {
			continue
		}
		path, err := s.file(name, pair[1])
		if err != nil {
			return err
		}
		if p, err = begin(pair[0], false, *peer, path); err != nil {
			return err
		}
		all = append(all, p)
	}
	if *ort != "" && s.recurrent() {
		for _, path := range strings.Split(*onnx, ",") {
			p, err := begin(filepath.Base(path), false, *ort, path)
			if err != nil {
				return err
			}
			all = append(all, p)
		}
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
	for _, p := range all {
		if err := p.end(); err != nil {
			return err
		}
	}
	table(out, name, list, all, mapped)
	return nil
}

// file is the model for llama.cpp, which is written if it is not there.
func (s shape) file(name, kind string) (string, error) {
	path := filepath.Join(*dir, name+"."+kind+".gguf")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, s.write(path, name, kind)
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
	return begin("q8", true, *worker, name, withCache("q8"), path)
}

// withCache is a kind of weights with that of keys and values, as workers take them.
func withCache(kind string) string {
	if *kept == "" {
		return kind
	}
	return kind + "," + *kept
}

// startTable measures the time from the start of a process to its first token, on one thread and on two, in turns, and
// that of the processors. Every file is read once before, so that it is in memory.
func startTable(out io.Writer, name string, s shape) error {
	type way struct {
		label, program string
		args           []string
		threads        int
		clock, busy    []float64 // ms
	}
	var ways []*way
	for _, pair := range pairs {
		path, err := weightsFile(name, pair[0])
		if err != nil {
			return err
		}
		for n := 1; n <= *threads; n++ {
			ways = append(ways, &way{label: "mapped, " + pair[0], program: *worker,
				args: []string{name, pair[0], path}, threads: n})
		}
		if *peer == "" || s.recurrent() {
			continue
		}
		if path, err = s.file(name, pair[1]); err != nil {
			return err
		}
		ways = append(ways, &way{label: "llama.cpp, " + pair[1] + ", no token yet", program: *peer,
			args: []string{path}, threads: *threads})
	}
	for round := range *rounds + 1 {
		for _, i := range rand.Perm(len(ways)) {
			w := ways[i]
			env := []string{fmt.Sprint("GRADSMITH_THREADS=", w.threads)}
			p, err := beginWith(env, w.label, true, w.program, w.args...)
			if err != nil {
				return err
			}
			if err := p.end(); err != nil {
				return err
			}
			if round > 0 { // the first one reads the files
				w.clock = append(w.clock, ms(p.start))
				w.busy = append(w.busy, ms(p.cmd.ProcessState.UserTime()+p.cmd.ProcessState.SystemTime()))
			}
		}
	}
	fmt.Fprintf(out, "\n### %s, start to first token, ms\n\n| | threads | median | least | processors, median |\n"+
		"|---|---|---|---|---|\n", name)
	for _, w := range ways {
		fmt.Fprintf(out, "| %s | %d | %.1f | %.1f | %.1f |\n", w.label, w.threads, median(w.clock), slices.Min(w.clock),
			median(w.busy))
	}
	return nil
}

func ms(d time.Duration) float64 { return 1000 * d.Seconds() }

type command struct{ text, what string }

func commands(s shape) (all []command) {
	from := min(*past, s.steps/2)
	last := min(s.steps, from+64)
	if s.recurrent() {
		last = s.steps
	}
	for n := 1; n <= *threads; n++ {
		all = append(all, command{fmt.Sprintf("decode %d 1 %d %d", n, from, last),
			fmt.Sprintf("batch 1, %s", count(n))})
		for _, batch := range []int{8, 16} {
			all = append(all, command{fmt.Sprintf("decode %d %d 16 32", n, batch),
				fmt.Sprintf("batch %d, %s", batch, count(n))})
		}
		if s.recurrent() {
			continue // it reads a prompt as it writes
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

// table prints tokens a second, and how many times as many they are as those of a peer and as float32's: llama.cpp's
// with the same kind, or ONNX Runtime's with each of its files.
func table(out io.Writer, name string, list []command, all []*process, mapped *process) {
	find := func(kind string, ours bool) *process {
		for _, p := range all {
			if p.kind == kind && p.ours == ours && p != mapped {
				return p
			}
		}
		return nil
	}
	fmt.Fprintf(out, "\n### %s\n\ntokens a second", name)
	if *byProcessor {
		fmt.Fprint(out, " of the processor")
	}
	var others []*process // to which all kinds are compared
	for _, p := range all {
		switch {
		case p.ours:
		case find(p.kind, true) == nil:
			others = append(others, p)
		case p.kind == pairs[0][0]:
			fmt.Fprint(out, " (and the ratio to llama.cpp's same kind)")
		}
	}
	if len(others) > 0 {
		fmt.Fprint(out, " (and the ratios to ONNX Runtime in float32, in the order of its columns)")
	}
	fmt.Fprint(out, "\n\n| |")
	for _, pair := range pairs {
		fmt.Fprintf(out, " %s |", pair[0])
	}
	fmt.Fprint(out, " q8, mapped | q8 ÷ f32 | q4 ÷ f32 |")
	for _, p := range others {
		fmt.Fprintf(out, " %s |", p.kind)
	}
	fmt.Fprintln(out, "\n|---|"+strings.Repeat("---|", len(pairs)+3+len(others)))
	for _, c := range list {
		fmt.Fprintf(out, "| %s |", c.what)
		for _, pair := range pairs {
			rates := find(pair[0], true).rates[c.text]
			fmt.Fprintf(out, " %.4g", median(rates))
			if p := find(pair[0], false); p != nil {
				fmt.Fprintf(out, " (%.2f)", ratio(rates, p.rates[c.text]))
			}
			for i, p := range others {
				sign := ", "
				if i == 0 {
					sign = " ("
				}
				fmt.Fprintf(out, "%s%.2f", sign, ratio(rates, p.rates[c.text]))
			}
			if len(others) > 0 {
				fmt.Fprint(out, ")")
			}
			fmt.Fprint(out, " |")
		}
		full := find("f32", true).rates[c.text]
		fmt.Fprintf(out, " %.4g | %.2f | %.2f |", median(mapped.rates[c.text]),
			ratio(find("q8", true).rates[c.text], full), ratio(find("q4", true).rates[c.text], full))
		for _, p := range others {
			fmt.Fprintf(out, " %.4g |", median(p.rates[c.text]))
		}
		fmt.Fprintln(out)
	}
}
