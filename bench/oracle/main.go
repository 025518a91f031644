// Command oracle is the synthetic experiment of SeqGAN (Yu et al. 2017, section 4): lines are drawn from a fixed
// random LSTM, the oracle, models learn from 10,000 of them, and the oracle tells how likely it is to write what they
// write.
//
//	cd bench && go run ./oracle --oracle seqgan_oracle.safetensors
//
// NLL-oracle is the mean of −log p over the tokens of 10,000 lines of a model under the oracle: low where they are
// good, and also where they are all alike. NLL-gen is the model's own mean of −log p over 10,000 new lines of the
// oracle: low where it has all of what the oracle writes. Each game begins with the generator that 60 passes of maximum
// likelihood left. What is measured is the average of its parameters that its spec asks for, and its result is the
// newest whose loss on 10,000 further lines is within the tolerance of its spec. Beside it are temperature sweeps of
// the model of maximum likelihood, and of one that was averaged and stopped where that loss was lowest.
//
// What is measured is added to a file of the folder --keep, so that seeds and games can be run one by one. The JSON
// that --points makes of all of it can be drawn by bench/plane.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gradsmith/gradsmith/generated/gumbelgan"
	"github.com/gradsmith/gradsmith/generated/seqgan"
	"github.com/gradsmith/gradsmith/generated/seqgan/tokenwise"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/policy"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

const (
	lines = 10_000 // of each set
	steps = 20     // tokens of a line
	batch = 64
	vocab = 5000

	// The model of maximum likelihood that is stopped early: decay of the average of its parameters, and passes in a
	// row without a lower loss after which it ends.
	earlyDecay    = 0.99
	earlyPatience = 3
)

// networks are adversarial networks of text whose generator can also be trained by itself.
type networks interface {
	model.Imitators
	StepOf(kind string, b *model.Batch, rate float64) (loss, norm float64, err error)
	Training() *schedule.Training
}

// games are the ways to go on from maximum likelihood.
var games = []struct {
	name, title string
	make        func(seed uint64) networks
	every       int // training steps between two measurements
}{
	{"seqgan", "SeqGAN, rollouts", func(s uint64) networks { return seqgan.NewSeeded(s) }, 225},
	{"tokenwise", "SeqGAN, a reward a token", func(s uint64) networks { return tokenwise.NewSeeded(s) }, 400},
	{"gumbelgan", "Gumbel-softmax", func(s uint64) networks { return gumbelgan.NewSeeded(s) }, 300},
}

var (
	path  = flag.String("oracle", "", "`FILE` with the weights of the oracle")
	seeds = flag.Int("seeds", 3, "`NUMBER` of seeds")
	first = flag.Int("first", 1, "the first `SEED`")
	only  = flag.String("run", "", "`GAMES` to play after maximum likelihood, with commas in between: seqgan, "+
		"tokenwise, gumbelgan and ideal; none plays none (default: all)")
	points = flag.String("points", "", "`FILE` for a picture of all that was measured, as JSON that bench/plane draws")
	folder = flag.String("keep", "../demo/oracle",
		"`FOLDER` for the models that maximum likelihood left, which are used again, and for what was measured")
	sweep = flag.Bool("sweep", true, "measure the models of maximum likelihood at eight temperatures")
	most  = flag.Int("steps", 0, "training steps of a game, at the most; 0 as many as its spec has")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal("oracle: ", err)
	}
}

// check ends the program where a call of a model is not right, which is a mistake of the program.
func check(err error) {
	if err != nil {
		log.Fatal("oracle: ", err)
	}
}

// must is x where there is no error.
func must[T any](x T, err error) T {
	check(err)
	return x
}

// measured is a model in the plane of both errors.
type measured struct {
	Seed        int
	Model       string
	At          string // temperature, passes or training steps
	Oracle, Gen float64
}

type bench struct {
	truth       *seqgan.Model
	train, test []model.Batch
	valid       []model.Batch // for when to stop
	found       []measured
	log         *os.File
}

func run() error {
	if *path == "" {
		return errors.New("give --oracle FILE")
	}
	truth, err := oracle(*path)
	if err != nil {
		return err
	}
	b := &bench{truth: truth}
	b.train, b.test, b.valid = b.draw(truth, 1, 1), b.draw(truth, 2, 1), b.draw(truth, 3, 1)
	if err := b.open(); err != nil {
		return err
	}
	defer b.log.Close()
	fmt.Printf("the oracle on its own lines: %.3f nats a token\n", b.nll(truth, b.test))
	for seed := *first; seed < *first+*seeds; seed++ {
		if err := b.seed(seed); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	if *points == "" {
		return nil
	}
	data, err := json.MarshalIndent(b.plane(), "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(*points, append(data, '\n'), 0o644)
}

// open reads what earlier runs have measured.
func (b *bench) open() error {
	if err := os.MkdirAll(*folder, 0o755); err != nil {
		return err
	}
	path := filepath.Join(*folder, "measured.jsonl")
	var err error
	if b.log, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return err
	}
	d := json.NewDecoder(b.log)
	for {
		var x measured
		switch err := d.Decode(&x); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w: remove it", path, err)
		}
		b.found = append(b.found, x)
	}
}

// plane is a picture of the sweep of each seed and of where each game ended.
type plane struct {
	Title  string   `json:"title"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	Curves []*curve `json:"curves"`
}

type curve struct {
	Name   string  `json:"name"`
	Points []point `json:"points"`
}

type point struct {
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	Label string  `json:"label,omitempty"`
}

func (b *bench) plane() *plane {
	p := &plane{Title: "Lines of the oracle", X: "NLL-oracle of what is written, nats a token",
		Y: "NLL-gen of the oracle's lines, nats a token"}
	of := map[string]*curve{}
	add := func(name string, x measured, label string) {
		if of[name] == nil {
			of[name] = &curve{Name: name}
			p.Curves = append(p.Curves, of[name])
		}
		of[name].Points = append(of[name].Points, point{x.Oracle, x.Gen, label})
	}
	seen := map[measured]bool{} // measured by several runs
	for _, x := range b.found {
		if seen[x] {
			continue
		}
		seen[x] = true
		name, ok := map[string]string{"sweep": "maximum likelihood to the end",
			"early": "maximum likelihood, stopped early"}[x.Model]
		if ok && x.Seed == 1 { // the curves of other seeds lie on these
			add(name+", temperatures", x, x.At)
		}
	}
	for _, g := range games {
		for seed := 1; seed <= 3; seed++ {
			if i := b.last(g.name, seed); i >= 0 {
				add(fmt.Sprintf("%s, seed %d", g.title, seed), b.found[i], "")
			}
		}
	}
	return p
}

// last is where the newest result of a game is; −1 for none.
func (b *bench) last(game string, seed int) int {
	for i, x := range slices.Backward(b.found) {
		if x.Model == game && x.Seed == seed && strings.HasPrefix(x.At, best) {
			return i
		}
	}
	return -1
}

// draw is 10,000 lines of a model, as batches that a model learns from or is measured on.
func (b *bench) draw(m model.Writer, key uint64, temperature float64) []model.Batch {
	l := policy.NewLines(m.MakeDecoder(batch).(policy.Decoder), 0, vocab, temperature)
	var all []model.Batch
	for at := 0; at < lines; at += batch {
		n := min(batch, lines-at)
		drawn := make([]int32, steps*batch)
		check(l.Draw(drawn, model.Key(key, uint64(at))))
		x := model.Batch{Steps: steps, Batch: n, Tokens: make([]int32, steps*n), Targets: make([]int32, steps*n),
			Reset: make([]int32, steps*n)}
		for t := range steps {
			copy(x.Targets[t*n:(t+1)*n], drawn[t*batch:])
		}
		policy.Shift(x.Tokens, x.Targets, 0, n)
		for i := range n {
			x.Reset[i] = 1
		}
		all = append(all, x)
	}
	return all
}

// nll is the mean of −log p over the tokens of lines.
func (b *bench) nll(m model.LanguageModel, set []model.Batch) float64 {
	sum, n := 0.0, 0
	for i := range set {
		sum += must(m.Loss(&set[i])) * float64(set[i].Batch)
		n += set[i].Batch
	}
	return sum / float64(n)
}

// measure adds a point, and shows it.
func (b *bench) measure(seed int, name, at string, m networks, temperature float64) measured {
	x := measured{Seed: seed, Model: name, At: at, Oracle: b.nll(b.truth, b.draw(m, uint64(100+seed), temperature)),
		Gen: b.nll(m, b.test)}
	if temperature != 1 {
		x.Gen = b.cooled(m, temperature)
	}
	b.found = append(b.found, x)
	check(json.NewEncoder(b.log).Encode(x))
	fmt.Printf("seed %d  %-10s %10s  NLL-oracle %.3f  NLL-gen %.3f\n", seed, name, at, x.Oracle, x.Gen)
	return x
}

// cooled is NLL-gen of a model whose logits are divided by a temperature.
func (b *bench) cooled(m networks, temperature float64) float64 {
	rowLoss := make([]float32, steps*batch)
	sum, n := 0.0, 0
	for i := range b.test {
		x := &b.test[i]
		logits := must(m.(model.Predictor).Logits(x))
		kernel.Scale(logits, logits, float32(1/temperature), len(logits))
		sum += kernel.CrossEntropy(rowLoss, nil, logits, x.Targets, len(x.Targets), vocab, 0) * float64(x.Batch)
		n += x.Batch
	}
	return sum / float64(n)
}

// windows gives the batches of training, pass by pass, in an order of their own for each.
type windows struct {
	set   []model.Batch
	order []int32
	seed  uint64
	at    int
}

func (w *windows) next() *model.Batch {
	full := len(w.set) - 1 // the last batch is not
	pass, i := w.at/full, w.at%full
	if i == 0 {
		w.order = w.order[:0]
		for k := range full {
			w.order = append(w.order, int32(k))
		}
		model.Shuffle(w.order, w.seed, uint64(pass))
	}
	w.at++
	return &w.set[w.order[i]]
}

func (b *bench) seed(seed int) error {
	start := seqgan.NewSeeded(uint64(seed))
	b.measure(seed, "random", "0", start, 1)
	if err := b.likelihood(seed, start); err != nil {
		return err
	}
	if *sweep {
		stopped, err := b.early(seed)
		if err != nil {
			return err
		}
		for _, t := range []float64{0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2} {
			b.measure(seed, "sweep", fmt.Sprint(t), start, t)
			b.measure(seed, "early", fmt.Sprint(t), stopped, t)
		}
	}
	if *only == "" || slices.Contains(strings.Split(*only, ","), ideal) {
		m := seqgan.NewSeeded(uint64(seed))
		if err := adopt(m, learnt(start)); err != nil {
			return err
		}
		if err := b.idealize(seed, m); err != nil {
			return err
		}
	}
	for _, g := range games {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), g.name) {
			continue
		}
		m := g.make(uint64(seed))
		if err := adopt(m, learnt(start)); err != nil {
			return err
		}
		if err := b.play(seed, g.name, g.every, m); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	return nil
}

// likelihood makes the steps of maximum likelihood, or takes what an earlier run has left of them.
func (b *bench) likelihood(seed int, m *seqgan.Model) error {
	rate, steps := m.Info().Training.Rate, m.Info().Adversary.Text.Pretraining
	path := filepath.Join(*folder, fmt.Sprintf("likelihood-%d.safetensors", seed))
	if err := load(path, m, steps); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w := &windows{set: b.train, seed: uint64(seed)}
	began, pass := time.Now(), len(b.train)-1
	for k := range steps {
		if _, _, err := m.TrainStep(w.next(), rate); err != nil {
			return fmt.Errorf("step %d: %w", k, err)
		}
		if (k+1)%(10*pass) == 0 {
			log.Printf("%v", time.Since(began).Round(time.Second))
			b.measure(seed, "likelihood", fmt.Sprint((k+1)/pass), m, 1)
		}
	}
	return save(path, m)
}

// early is the model of maximum likelihood again, averaged, where its loss on lines that it does not learn from was
// lowest.
func (b *bench) early(seed int) (*seqgan.Model, error) {
	m, kept := seqgan.NewSeeded(uint64(seed)), seqgan.NewSeeded(uint64(seed))
	rate, steps := m.Info().Training.Rate, m.Info().Adversary.Text.Pretraining
	m.Training().Averaged(earlyDecay)
	w := &windows{set: b.train, seed: uint64(seed)}
	lowest, at, pass := math.Inf(1), 0, len(b.train)-1
	for k := range steps {
		if _, _, err := m.TrainStep(w.next(), rate); err != nil {
			return nil, fmt.Errorf("step %d: %w", k, err)
		}
		if (k+1)%pass != 0 {
			continue
		}
		m.Training().Swap()
		if loss := b.nll(m, b.valid); loss < lowest {
			lowest, at = loss, (k+1)/pass
			check(adopt(kept, learnt(m)))
		}
		m.Training().Swap()
		if (k+1)/pass == at+earlyPatience {
			break
		}
	}
	log.Printf("stopped after %d passes", at)
	return kept, nil
}

// learnt is what maximum likelihood leaves of a model: the parameters of the generator, and the state of its optimizer.
func learnt(m networks) []checkpoint.Tensor {
	var all []checkpoint.Tensor
	for _, t := range m.Tensors() {
		if slices.Contains([]string{"numbers.table", "write.wx", "write.wh", "write.b", "out.w", "out.b"}, t.Name) {
			all = append(all, checkpoint.Tensor{Name: t.Name, Shape: t.Shape, Value: t.Value})
		}
	}
	for _, s := range m.Slots() {
		if strings.HasPrefix(s.Name, "generator.") {
			all = append(all, checkpoint.Tensor{Name: s.Name, Shape: []int{len(s.Value)}, Value: s.Value})
		}
	}
	return all
}

func save(path string, m networks) error {
	return (&checkpoint.File{Metadata: map[string]string{"steps": fmt.Sprint(m.Step())},
		Tensors: learnt(m)}).WriteFile(path)
}

// load reads what save has written, of so many steps; 0 takes any number.
func load(path string, m networks, steps int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := checkpoint.Parse(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if of := file.Metadata["steps"]; steps > 0 && of != fmt.Sprint(steps) {
		return fmt.Errorf("%s: is of %s steps, and the spec has %d: remove it", path, of, steps)
	}
	return adopt(m, file.Tensors)
}

// adopt lets the generator of m go on from what maximum likelihood left.
func adopt(m networks, from []checkpoint.Tensor) error {
	for _, t := range learnt(m) {
		i := slices.IndexFunc(from,
			func(x checkpoint.Tensor) bool { return x.Name == t.Name && len(x.Value) == len(t.Value) })
		if i < 0 {
			return fmt.Errorf("there is no %s of %d numbers", t.Name, len(t.Value))
		}
		copy(t.Value, from[i].Value)
	}
	m.SetStep(m.Info().Adversary.Text.Pretraining)
	return nil
}

// ideal is the name of the game with the oracle as the judge.
const ideal = "ideal"

// idealize makes steps of policy gradient whose rewards are the oracle's own log p of each token: what a generator
// could learn from a discriminator that knows all, and how fast.
func (b *bench) idealize(seed int, m *seqgan.Model) error {
	l := policy.NewLines(m.MakeDecoder(batch).(policy.Decoder), 0, vocab, 1)
	n := steps * batch
	x := model.Batch{Steps: steps, Batch: batch, Tokens: make([]int32, n), Targets: make([]int32, n),
		Reset: make([]int32, n)}
	for i := range batch {
		x.Reset[i] = 1
	}
	rewards := make([]float32, n)
	for k := range 250 {
		check(l.Draw(x.Targets, model.Key(uint64(seed), 17, uint64(k))))
		policy.Shift(x.Tokens, x.Targets, 0, batch)
		x.Weights = nil
		kernel.CrossEntropy(rewards, nil, must(b.truth.Logits(&x)), x.Targets, n, vocab, 0)
		kernel.Scale(rewards, rewards, -1, n)
		policy.Baseline(rewards, batch)
		x.Weights = rewards
		if _, _, err := m.StepOf("likelihood", &x, 0.001); err != nil {
			return fmt.Errorf("step %d: %w", k, err)
		}
		m.SetStep(m.Step() + 1)
		if k+1 == 100 || k+1 == 250 {
			b.measure(seed, ideal, fmt.Sprint(k+1), m, 1)
		}
	}
	return nil
}

// best is before the steps of a game's result.
const best = "best, "

// play trains networks against each other to the end of their spec, or until the loss on lines that are not learnt from
// has left the tolerance of the spec. It measures the average of the generator's parameters.
func (b *bench) play(seed int, name string, every int, m networks) error {
	w := &windows{set: b.train, seed: uint64(1000 + seed)}
	info, start := m.Info(), m.Step()+m.Info().Adversary.Text.HeadStart
	limit := math.Inf(1)
	if tolerance := info.Adversary.Text.Tolerance; tolerance > 0 {
		limit = b.nll(m, b.valid) + tolerance
	}
	m.Training().Averaged(info.Training.Average)
	total := info.Training.Steps - start
	if *most > 0 {
		total = min(total, *most)
	}
	var result []checkpoint.Tensor
	at, began := 0, time.Now()
	for k := 1 - info.Adversary.Text.HeadStart; k <= total; k++ {
		if _, _, err := m.TrainStep(w.next(), info.Training.Rate); err != nil {
			return fmt.Errorf("step %d: %w", k, err)
		}
		if k <= 0 || k%every != 0 && k != total {
			continue
		}
		d := m.Duel()
		log.Printf("%v; discriminator's loss %.4f, %.1f %% right, generator's loss %.4f",
			time.Since(began).Round(time.Second), d.Discriminator, 100*d.Accuracy, d.Generator)
		m.Training().Swap()
		b.measure(seed, name, fmt.Sprint(k), m, 1)
		within := b.nll(m, b.valid) <= limit
		if within {
			result, at = nil, k
			for _, t := range learnt(m) {
				t.Value = slices.Clone(t.Value)
				result = append(result, t)
			}
		}
		m.Training().Swap()
		if !within {
			break
		}
	}
	if result == nil {
		return fmt.Errorf("NLL-gen is beyond its limit of %.3f after %d steps", limit, every)
	}
	if err := adopt(m, result); err != nil {
		return err
	}
	b.measure(seed, name, best+fmt.Sprint(at), m, 1)
	return nil
}
