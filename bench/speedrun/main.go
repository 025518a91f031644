// Command speedrun measures how soon models reach a validation loss on a text: characters of Shakespeare's plays, of
// which the last tenth is kept for validation.
//
//	cd bench && go run ./speedrun --data tinyshakespeare.txt
//
// An entry is a spec of the folder specs, and a number of steps for each loss that is to be reached; entries differ by
// one change each, so that the table says what each is worth. A time is that of the command train from its start to
// its end: the program starts, reads the text, trains, validates once and writes a checkpoint. Times and losses are
// the median over seeds and the worst of them.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	data    = flag.String("data", "", "`FILE` of text")
	seeds   = flag.Int("seeds", 3, "`NUMBER` of seeds, from that of --seed on")
	first   = flag.Int("seed", 1, "the first seed")
	threads = flag.Int("threads", 2, "threads that compute")
	only    = flag.String("run", "", "`ENTRIES` to run, with commas in between (default: all)")
	target  = flag.Float64("target", 0, "the one `LOSS` to reach, 1.55 or 1.5; 0 for both")
	steps   = flag.Int("steps", 0, "training steps in place of those of the entries; 0 for theirs")
	work    = flag.String("work", "../demo/speedrun", "`FOLDER` for generated packages, programs and checkpoints")
	search  = flag.Bool("search", false, "look for the fewest steps with which the first seed reaches each loss, a tenth "+
		"apart, and run the other seeds with them")
)

// entry is a way to train a model.
type entry struct {
	name   string
	change string          // from the entry before
	steps  map[float64]int // for each loss; none where it is out of reach
}

// entries are in the order of what was changed.
var entries = []entry{
	{"lstm", "two layers of 256, Adam at a rate of 0.002 that stays, batches of 32 × 64",
		map[float64]int{1.55: 3600, 1.5: 9000}},
	{"fall", "rate 0.004, which falls in the last 60 % of the steps, gradients clipped at 1",
		map[float64]int{1.55: 1800, 1.5: 3000}},
	{"small", "batches of 16 × 64", map[float64]int{1.55: 2600, 1.5: 4400}},
	{"muon", "Muon at a rate of 0.01 in place of Adam, batches of 32 × 64 again", map[float64]int{1.55: 440, 1.5: 760}},
	{"drop", "dropout of 0.1 between the layers, weight decay of 0.01", map[float64]int{1.55: 500, 1.5: 900}},
	{"soap", "SOAP at a rate of 0.02 in place of Muon, without dropout and decay", map[float64]int{1.55: 440, 1.5: 760}},
}

// losses are what is to be reached, in nats a character.
var losses = []float64{1.55, 1.5}

func main() {
	log.SetFlags(0)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal("speedrun: ", err)
	}
}

func run(ctx context.Context) error {
	if *data == "" {
		return errors.New("give --data FILE")
	}
	text, err := filepath.Abs(*data)
	if err != nil {
		return err
	}
	if _, err := os.Stat(text); err != nil {
		return err
	}
	wanted := losses
	if *target != 0 {
		if !slices.Contains(losses, *target) {
			return fmt.Errorf("--target %v: the entries have numbers of steps for %v", *target, losses)
		}
		wanted = []float64{*target}
	}
	picked, err := pick(*only)
	if err != nil {
		return err
	}
	fmt.Println("| | change | to reach | steps | wall time, median and worst | processor time | loss, median and worst |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, e := range picked {
		program, err := build(ctx, e.name)
		if err != nil {
			return err
		}
		for _, loss := range wanted {
			n := e.steps[loss]
			if *steps > 0 {
				n = *steps
			}
			if n == 0 {
				continue
			}
			var all []result
			if *search {
				if n, err = fewest(ctx, program, text, e.name, loss, n, &all); err != nil {
					return err
				}
			}
			for seed := *first + len(all); seed < *first+*seeds; seed++ {
				r, err := train(ctx, program, text, e.name, n, seed)
				if err != nil {
					return err
				}
				all = append(all, r)
			}
			row(e, loss, n, all)
		}
	}
	return nil
}

// pick finds entries by name.
func pick(names string) ([]entry, error) {
	if names == "" {
		return entries, nil
	}
	var picked []entry
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name })
		if i < 0 {
			return nil, fmt.Errorf("--run %s: there is no such entry", name)
		}
		picked = append(picked, entries[i])
	}
	return picked, nil
}

// build generates the package of a spec and builds its program.
func build(ctx context.Context, name string) (string, error) {
	folder, err := filepath.Abs(filepath.Join(*work, name))
	if err != nil {
		return "", err
	}
	spec, err := os.ReadFile(filepath.Join("speedrun", "specs", name+".yaml"))
	if err != nil {
		return "", err
	}
	command := filepath.Join(folder, "cmd", name)
	if err := os.MkdirAll(command, 0o777); err != nil {
		return "", err
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return "", err
	}
	from, err := filepath.Rel(root, folder)
	if err != nil || strings.HasPrefix(from, "..") {
		return "", fmt.Errorf("--work %s: the folder must lie in the project, whose packages its programs import", *work)
	}
	main := fmt.Sprintf("// Command %[1]s trains an entry of the speed run.\npackage main\n\nimport (\n\t\"github.com/"+
		"gradsmith/gradsmith/%[2]s\"\n\t\"github.com/gradsmith/gradsmith/runtime/app\"\n)\n\nfunc main() { "+
		"app.Main(%[1]s.Program()) }\n", name, filepath.ToSlash(from))
	if err := errors.Join(os.WriteFile(filepath.Join(folder, name+".yaml"), spec, 0o666),
		os.WriteFile(filepath.Join(command, "main.go"), []byte(main), 0o666)); err != nil {
		return "", err
	}
	program := filepath.Join(folder, name+".exe")
	for _, args := range [][]string{
		{"run", "./cmd/gradsmith", "generate", filepath.Join(folder, name+".yaml")},
		{"build", "-o", program, "./" + filepath.ToSlash(from) + "/cmd/" + name},
	} {
		c := exec.CommandContext(ctx, "go", args...)
		c.Dir, c.Stderr = root, os.Stderr
		if err := c.Run(); err != nil {
			return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
		}
	}
	return program, nil
}

// result is how a training went.
type result struct {
	loss      float64
	wall, cpu time.Duration
}

// train trains a model from its beginning to its end.
func train(ctx context.Context, program, text, name string, steps, seed int) (result, error) {
	path := strings.TrimSuffix(program, ".exe")
	c := exec.CommandContext(ctx, program, "train", "--data", text, "--validation", "0.1", "--steps",
		strconv.Itoa(steps),
		"--eval-every", strconv.Itoa(steps), "--seed", strconv.Itoa(seed), "--threads", strconv.Itoa(*threads),
		"--samples", "0", "--overwrite", "--out", path+".safetensors", "--log", path+".jsonl")
	var said strings.Builder
	c.Stderr = &said
	begin := time.Now()
	if err := c.Run(); err != nil {
		return result{}, fmt.Errorf("%s: %w\n%s", name, err, said.String())
	}
	r := result{wall: time.Since(begin), cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime()}
	var err error
	if r.loss, err = validation(path + ".jsonl"); err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(os.Stderr, "%s, seed %d: %d steps, %.4f nats in %.1f s, %.1f s of processors\n", name, seed, steps, r.loss,
		r.wall.Seconds(), r.cpu.Seconds())
	return r, nil
}

// validation is the last validation loss of a log.
func validation(path string) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	last, found := 0.0, false
	s := bufio.NewScanner(f)
	for s.Scan() {
		var line struct{ Validation *float64 }
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			return 0, err
		}
		if line.Validation != nil {
			last, found = *line.Validation, true
		}
	}
	if err := s.Err(); err != nil {
		return 0, err
	}
	if !found {
		return 0, fmt.Errorf("the log %s has no validation", path)
	}
	return last, nil
}

// fewest looks for the fewest steps with which the first seed reaches a loss: a tenth less while it does, a tenth more
// while it does not. all becomes the result of the first seed with them.
func fewest(ctx context.Context, program, text, name string, loss float64, n int, all *[]result) (int, error) {
	best, found := 0, result{}
	for range 12 {
		r, err := train(ctx, program, text, name, n, *first)
		if err != nil {
			return 0, err
		}
		reached := r.loss <= loss
		if reached && (best == 0 || n < best) {
			best, found = n, r
		}
		next := n + (n+9)/10
		if reached {
			next = n - n/10
		}
		if best > 0 && (next >= best || !reached) {
			*all = []result{found}
			return best, nil
		}
		n = next
	}
	if best == 0 {
		return 0, fmt.Errorf("%s does not reach %v nats in %d steps", name, loss, n)
	}
	*all = []result{found}
	return best, nil
}

// row prints what an entry came to.
func row(e entry, loss float64, n int, all []result) {
	var walls, cpus, reached []float64
	for _, r := range all {
		walls, cpus = append(walls, r.wall.Seconds()), append(cpus, r.cpu.Seconds())
		reached = append(reached, r.loss)
	}
	mark := ""
	if slices.Max(reached) > loss {
		mark = ", not reached by all"
	}
	fmt.Printf("| %s | %s | %v%s | %d | %.1f s, %.1f s | %.1f s | %.4f, %.4f |\n", e.name, e.change, loss, mark, n,
		median(walls), slices.Max(walls), median(cpus), median(reached), slices.Max(reached))
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
