package app

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/tensorboard"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// logger is what keeps a record of a training.
type logger interface {
	train.Reporter
	Describe(train.Description)
	On(train.Machine)
	Show(step int, s train.Sample)
	Close() error
}

type logs []logger

// close ends all of them; the error says what is not complete.
func (all logs) close() error {
	var err error
	for _, l := range all {
		if e := l.Close(); e != nil {
			what := "its log"
			if _, ok := l.(*board); ok {
				what = "its event files in"
			}
			var path *fs.PathError
			if errors.As(e, &path) {
				what += " " + path.Path
			}
			err = cmp.Or(err, fmt.Errorf("%s is not complete: %w", what, files.Cause(e)))
		}
	}
	return err
}

// checkBoard refuses a folder with event files of another training, which TensorBoard would take for the same.
func (f *trainFlags) checkBoard() error {
	if f.board == "" {
		return nil
	}
	all, err := files.ReadDir(f.board)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("can't write event files in %s: %w", f.board, files.Cause(err))
	}
	for _, x := range all {
		if strings.Contains(x.Name(), "tfevents") && !f.resume && !f.overwrite {
			return fmt.Errorf("%s holds event files of a training: give another folder for this one with --tensorboard, "+
				"or --overwrite, after which TensorBoard shows this one alone", f.board)
		}
	}
	return nil
}

// description says what the training is.
func (a *program) description(flags *pflag.FlagSet, m model.LanguageModel, f *trainFlags,
	data train.Data) train.Description {
	d := train.Description{Model: a.Info.Name, Kind: a.Info.Kind, Spec: a.Info.Spec, Digest: a.Info.SpecDigest,
		Unit: a.Info.Unit(), Parameters: a.Info.Params, Vocab: a.Info.Vocab,
		Total: cmp.Or(f.steps, f.passes*data.Train.Windows()), Settings: map[string]string{}}
	if x := a.Info.Adversary; x == nil || x.Text == nil { // whose steps are of several kinds
		d.TrainFlops = a.Info.TrainFlops
	}
	var layers []string
	for _, l := range a.Info.Layers {
		d.Flops += l.Flops
		layers = append(layers,
			fmt.Sprintf("%s (%s): %s, %s parameters", l.Name, l.Kind, l.Output, thousands(l.Params)))
	}
	elsewhere := []string{"out", "best", "log", "tensorboard", "plot", "resume", "overwrite", "verbose", "samples",
		"sample-every", "layers-every", "watch", "threads", "help"} // which say where things go, and change no bit
	flags.VisitAll(func(x *pflag.Flag) {
		if v := keptValue(x); !slices.Contains(elsewhere, x.Name) && v != "" && v != "[]" {
			d.Settings[x.Name] = v
		}
	})
	d.Settings["seed"] = strconv.FormatUint(f.seed, 10) // which a training that is resumed has from its checkpoint
	t := a.Info.Training
	var slots []string
	for _, s := range m.Slots() {
		slots = append(slots, s.Name)
	}
	schedule := fmt.Sprintf("%s, warm-up %d, every %d, factor %v, floor %v", t.Schedule, t.Warmup, t.Every, t.Factor,
		t.Floor)
	for name, value := range map[string]string{
		"spec: layers":           strings.Join(layers, "; "),
		"spec: schedule":         schedule,
		"spec: label smoothing":  fmt.Sprint(t.Smoothing),
		"spec: optimizer's rows": strings.Join(slots, ", "),
		"spec: digest":           a.Info.SpecDigest,
	} {
		d.Settings[name] = value
	}
	return d
}

// board writes event files for TensorBoard.
type board struct {
	w       *tensorboard.Writer
	values  []tensorboard.Number
	since   time.Time // of the tokens
	tokens  int
	about   *train.Description // to be written; nil when that is done
	on      *train.Machine     // the same
	started bool
}

func newBoard(dir string, warn func(string)) *board { return &board{w: tensorboard.New(dir, warn)} }

func (b *board) Describe(d train.Description) { b.about = &d }

func (b *board) On(m train.Machine) { b.on = &m }

func (b *board) Resumed(step, total int) { b.w.Resume(step) }

func (b *board) add(name string, value float64) {
	b.values = append(b.values, tensorboard.Number{Name: name, Value: value})
}

func (b *board) Step(p train.Progress) {
	if b.about != nil {
		b.w.Text(p.Step, "settings", table(b.about))
		b.about = nil
	}
	if m := b.on; m != nil {
		b.w.Text(p.Step, "machine", fmt.Sprintf("%s, %s kernels, %d threads, %.3g GFLOP/s at most", m.Processor,
			m.Kernels,
			m.Threads, m.Peak/1e9))
		b.on = nil
	}
	b.values = b.values[:0]
	b.add("loss/training", p.Loss)
	b.add("norm/gradient", p.Norm)
	b.add("rate", p.Rate)
	if p.Encoder > 0 {
		b.add("encoder/updates", float64(p.Encoder))
	}
	if d := p.Duel; d != nil {
		b.add("duel/discriminator's loss", d.Discriminator)
		b.add("duel/share of verdicts right", d.Accuracy)
		b.add("duel/verdict on data", d.Real)
		b.add("duel/verdict on what is made", d.Fake)
	}
	b.parts("training", p.Bound)
	for _, l := range p.Layers {
		b.add("gradient/"+l.Layer, l.Gradient)
		b.add("update/"+l.Layer, l.Update)
		b.add("weight/"+l.Layer, l.Weight)
	}
	// The first step is not in the speed: it makes the memory.
	switch now := time.Now(); {
	case !b.started:
		b.started, b.since = true, now
	default:
		if b.tokens += p.Tokens; now.Sub(b.since) >= time.Second {
			b.add("speed/tokens a second", float64(b.tokens)/now.Sub(b.since).Seconds())
			b.tokens, b.since = 0, now
		}
	}
	b.w.Numbers(p.Step, b.values...)
}

func (b *board) parts(of string, x *train.Bound) {
	if x != nil {
		b.add("reconstruction/"+of, x.Reconstruction)
		b.add("divergence/"+of, x.Divergence)
	}
}

func (b *board) Evaluated(e train.Evaluation) {
	b.values = b.values[:0]
	b.add("loss/validation", e.Loss)
	b.parts("validation", e.Bound)
	b.w.Numbers(e.Step, b.values...)
	b.since = b.since.Add(e.Took) // the speed is that of the training
}

func (b *board) Show(step int, s train.Sample) {
	if s.Text != "" {
		b.w.Text(step, "sample", "    "+strings.ReplaceAll(s.Text, "\n", "\n    ")) // as it is, in Markdown
	}
	if s.PNG != nil {
		b.w.Picture(step, "made", s.PNG) // which was just drawn
	}
	if x := s.Alignment; x != nil && len(x.Source) > 0 {
		var all []float32
		for _, row := range x.Weights {
			all = append(all, row...)
		}
		v := model.Vector{Width: len(x.Source), Bounded: true, High: 1}
		if picture, err := grid(all, len(all), len(x.Source), 1, &v); err == nil {
			b.w.Picture(step, "alignment", picture)
		}
	}
}

func (b *board) Saved(string, int) { b.w.Sync() }
func (b *board) Warn(string)       {}
func (b *board) Close() error      { return b.w.Close() }

// table is a description as a table in Markdown.
func table(d *train.Description) string {
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")
	var t strings.Builder
	fmt.Fprintf(&t, "| setting | value |\n|---|---|\n| model | %s, %s parameters, from %s |\n", d.Model,
		thousands(d.Parameters), cell.Replace(filepath.Base(d.Spec)))
	for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
		fmt.Fprintf(&t, "| %s | %s |\n", cell.Replace(name), cell.Replace(d.Settings[name]))
	}
	return t.String()
}
