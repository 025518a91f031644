// Command oracle is the synthetic experiment of SeqGAN (Yu et al. 2017, section 4): lines are drawn from a fixed
// random LSTM, the oracle, models learn from 10,000 of them, and the oracle tells how likely it is to write what they
// write.
//
//	cd bench && go run ./oracle --oracle seqgan_oracle.safetensors
//
// NLL-oracle is the mean of −log p over the tokens of 10,000 lines of a model under the oracle: low where they are
// good, and also where they are all alike. NLL-gen is the model's own mean of −log p over 10,000 new lines of the
// oracle: low where it has all of what the oracle writes. Each model begins with the generator that maximum likelihood
// left, whose temperature sweep is measured beside it, and that of the same model where its NLL-gen was lowest. The
// JSON that --points writes can be drawn by bench/plane.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
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
)

const (
	lines = 10_000 // of each set
	steps = 20     // tokens of a line
	batch = 64
	vocab = 5000
)

// networks are adversarial networks of text whose generator can also be trained by itself.
type networks interface {
	model.Imitators
	StepOf(kind string, b *model.Batch, rate float64) (loss, norm float64, err error)
}

// games are the ways to go on from maximum likelihood.
var games = []struct {
	name, title string
	make        func(seed uint64) networks
	every       int // training steps between two measurements
}{
	{"seqgan", "SeqGAN, rollouts", func(s uint64) networks { return seqgan.NewSeeded(s) }, 150},
	{"tokenwise", "SeqGAN, a reward a token", func(s uint64) networks { return tokenwise.NewSeeded(s) }, 400},
	{"gumbelgan", "Gumbel-softmax", func(s uint64) networks { return gumbelgan.NewSeeded(s) }, 400},
}

var (
	path  = flag.String("oracle", "", "`FILE` with the weights of the oracle")
	seeds = flag.Int("seeds", 3, "`NUMBER` of seeds")
	first = flag.Int("first", 1, "the first `SEED`")
	only  = flag.String("run", "", "`GAMES` to play after maximum likelihood, with commas in between: seqgan, "+
		"tokenwise, gumbelgan and ideal; none plays none (default: all)")
	points = flag.String("points", "", "`FILE` for what was measured, as JSON that bench/plane draws")
	folder = flag.String("keep", "../demo/oracle",
		"`FOLDER` for the models that maximum likelihood left, which are used again")
	sweep = flag.Bool("sweep", true, "measure the model of maximum likelihood at eight temperatures")
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
	found       []measured
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
	b.train, b.test = b.draw(truth, 1, 1), b.draw(truth, 2, 1)
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
	for _, x := range b.found {
		name, ok := map[string]string{"sweep": "maximum likelihood to the end",
			"early": "maximum likelihood, stopped early"}[x.Model]
		if ok && x.Seed == *first { // the curves of other seeds lie on these
			add(name+", temperatures", x, x.At)
		}
	}
	for _, g := range games {
		for seed := *first; seed < *first+*seeds; seed++ {
			for i := len(b.found) - 1; i >= 0; i-- { // the last of each
				if x := b.found[i]; x.Model == g.name && x.Seed == seed {
					add(fmt.Sprintf("%s, seed %d", g.title, seed), x, "")
					break
				}
			}
		}
	}
	return p
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
	fmt.Printf("seed %d  %-10s %8s  NLL-oracle %.3f  NLL-gen %.3f\n", seed, name, at, x.Oracle, x.Gen)
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
	rate, info := start.Info().Training.Rate, start.Info().Adversary.Text
	kept := filepath.Join(*folder, fmt.Sprintf("likelihood-%d.safetensors", seed))
	early := filepath.Join(*folder, fmt.Sprintf("early-%d.safetensors", seed))
	switch err := load(kept, start, info.Pretraining); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(*folder, 0o755); err != nil {
			return err
		}
		best := math.Inf(1)
		w := &windows{set: b.train, seed: uint64(seed)}
		began := time.Now()
		for k := range info.Pretraining {
			if _, _, err := start.TrainStep(w.next(), rate); err != nil {
				return fmt.Errorf("step %d: %w", k, err)
			}
			if full := len(b.train) - 1; (k+1)%(10*full) == 0 {
				log.Printf("%v", time.Since(began).Round(time.Second))
				if x := b.measure(seed, "likelihood", fmt.Sprint((k+1)/full), start, 1); x.Gen < best {
					best = x.Gen
					if err := save(early, start); err != nil {
						return err
					}
				}
			}
		}
		if err := save(kept, start); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	if *sweep {
		stopped := seqgan.NewSeeded(uint64(seed))
		if err := load(early, stopped, 0); err != nil {
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

// play trains networks against each other to the end of their spec.
func (b *bench) play(seed int, name string, every int, m networks) error {
	w := &windows{set: b.train, seed: uint64(1000 + seed)}
	rate, total := m.Info().Training.Rate, m.Info().Training.Steps-m.Step()
	if *most > 0 {
		total = min(total, *most)
	}
	began := time.Now()
	for k := range total {
		if _, _, err := m.TrainStep(w.next(), rate); err != nil {
			return fmt.Errorf("step %d: %w", k, err)
		}
		if (k+1)%every == 0 || k+1 == total {
			d := m.Duel()
			log.Printf("%v; discriminator's loss %.4f, %.1f %% right, generator's loss %.4f",
				time.Since(began).Round(time.Second), d.Discriminator, 100*d.Accuracy, d.Generator)
			b.measure(seed, name, fmt.Sprint(k+1), m, 1)
		}
	}
	return nil
}
