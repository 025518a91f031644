package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// trainFlags are the flags of train.
type trainFlags struct {
	data                 dataFlags
	valid                pathList
	labels, validLabels  labelFlags
	pairs, validPairs    pairFlags
	validation           float64
	out, from, best, log string
	resume, overwrite    bool
	passes, steps        int
	batch, window        int
	accumulate           int // shards of a batch
	rate                 float64
	seed                 uint64
	evalEvery, saveEvery int
	keep                 int    // checkpoints
	source               string // checkpoint to go on from
	damage               error  // of the one at out, where source is an older one
	patience             int
	tolerance            float64
	pretraining          int    // validations
	pretrained           string // checkpoint
	guard                guardFlag
	average              float64
	maxTime              time.Duration
	samples, sampleEvery int
	plot, board          string
	layersEvery          int
	watch                bool
	sampling             train.Sampling
	vectors              vectorFlags
	tuning               tuningFlags
	verbose              bool
	findRate             bool
}

// wait is nil in programs; tests do not wait for a disk to get better.
var wait func(time.Duration) bool

// kept are the flags that decide the bits of a training, or where they go: with --resume they are what they were,
// unless they are given again.
var kept = []string{"data", "match", "field", "separator", "condition", "condition-drop", "label-drop", "raw", "scale",
	"missing", "header", "label-column", "shuffle", "balance", "source", "target", "columns", "valid-source",
	"valid-target", "valid-columns", "valid", "labels", "valid-labels", "validation", "passes", "steps", "batch",
	"accumulate", "window", "rate", "eval-every", "save-every", "keep", "patience", "guard", "ema",
	"tolerance", "pretraining-patience",
	"scheduled-sampling",
	"rise", "best", "log", "tensorboard", "layers-every", "watch", "train", "freeze",
	"rate-of"}

// baseDigest is what the checkpoint of an adapter keeps of the one that it was trained on.
const baseDigest = "base digest"

func (a *program) newTrain() *cobra.Command {
	var f trainFlags
	t := a.Info.Training
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train the model on a " + a.matter(),
		Long: fmt.Sprintf(`Train learns a %[1]s, keeps a checkpoint and shows how well the model does on the end of the
%[1]s, which it does not learn from. Interrupted by Ctrl-C it finishes the step, writes the
checkpoint and ends; --resume goes on, with the options that the training was begun with, and
ends with the same bits as if it had never stopped.

Defaults are those of %[2]s.`, a.matter(), a.Info.Spec),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inGroup(cmd, &f, func(at *standing) error {
				if f.findRate {
					return a.findRate(cmd, &f)
				}
				return a.train(cmd, &f, at)
			})
		},
	}
	if a.ofLines() {
		x := a.Info.Adversary.Text
		cmd.Short = "Train the two networks on lines of text"
		cmd.Long = fmt.Sprintf(
			`Train lets the generator learn from the lines of a file alone for %[1]s steps; then, for %[2]s steps, the
discriminator alone learns to tell what the generator writes from them, and after that both learn from
each other: a step is one of the discriminator, and each step of %[3]s one of the generator as well. A
checkpoint is kept, and both losses and the share of the discriminator's verdicts that are right are
shown; at a validation how likely lines are to the generator which it does not learn from. With
--pretraining-patience the first %[1]s steps end where that gets no better, and the generator goes back
to its best; with --tolerance and --patience training stops where lines are that much less likely, the
price of better ones, and the parameters before are kept beside the checkpoint. When a loss
is no longer a number, or the discriminator is right about everything for %[4]s steps, training stops,
says what to change, and leaves the last good checkpoint. Interrupted by Ctrl-C it finishes the step,
writes the checkpoint and ends; --resume goes on, with the options that the training was begun with,
and ends with the same bits as if it had never stopped.

Defaults are those of %[5]s.`, thousands(x.Pretraining), thousands(x.HeadStart), thousands(a.Info.Adversary.Steps), thousands(train.WinningSteps), a.Info.Spec)
	} else if a.Info.Adversary != nil {
		cmd.Short = "Train the two networks on vectors"
		cmd.Long = fmt.Sprintf(
			`Train lets the generator and the discriminator learn from each other and from the vectors of a file,
keeps a checkpoint and shows both losses and the share of the discriminator's verdicts that are
right; at a validation also the discriminator's loss on the end of the vectors, which it does not
learn from. When a loss is no longer a number, or the discriminator is right about everything for
%s steps, training stops, says what to change, and leaves the last good checkpoint.
Interrupted by Ctrl-C it finishes the step, writes the checkpoint and ends; --resume goes on,
with the options that the training was begun with, and ends with the same bits as if it had
never stopped. --rate is the generator's; the discriminator's keeps its ratio to it.

Defaults are those of %s.`, thousands(train.WinningSteps), a.Info.Spec)
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	if a.Info.Vector != nil {
		f.data.addVectors(a, fs)
		f.data.addShuffle(fs)
		f.labels.add(a, fs)
		fs.Float64Var(&f.validation, "validation", t.Validation,
			"`SHARE` of the vectors, at their end, that is kept for validation")
	} else if a.ofLines() {
		f.data.addLines(a, fs, lineData+several, a.Data)
		f.data.addShuffle(fs)
		fs.Var(&f.valid, "valid", "`FILE` of lines to validate on"+several)
		fs.Float64Var(&f.validation, "validation", t.Validation,
			"`SHARE` of the lines, at their end, that is kept for validation when there is no --valid")
	} else if a.Info.Latent != nil {
		f.data.addLines(a, fs, sentenceData+several, a.Data)
		f.data.addShuffle(fs)
		f.data.addBalance(fs)
		f.labels.add(a, fs)
		f.data.addLabelDrop(a, fs)
		fs.Var(&f.valid, "valid", sentenceData+" to validate on"+several)
		if f.validLabels.one = -1; a.Info.Labels > 0 {
			fs.Var(&f.validLabels.files, "valid-labels", "`FILE` with the labels of --valid"+several)
		}
		fs.Float64Var(&f.validation, "validation", t.Validation,
			"`SHARE` of the sentences, at their end, that is kept for validation when there is no --valid")
	} else if a.Info.Source != nil {
		f.pairs.add(fs, "", "source", a.Data)
		f.data.addShuffle(fs)
		f.data.addBalance(fs)
		f.validPairs.add(fs, "valid-", "source for validation", "")
		fs.Float64Var(&f.validation, "validation", t.Validation,
			"`SHARE` of the pairs, at their end, that is kept for validation when there is no --valid-source")
	} else {
		f.data.addText(a, fs, " to learn")
		if a.Info.Masking == nil {
			f.data.addCondition(a, fs)
		}
		fs.Float64Var(&f.validation, "validation", t.Validation,
			"`SHARE` of the text, at its end, that is kept for validation")
	}
	fs.StringVarP(&f.out, "out", "o", a.outPath(), "checkpoint `FILE`")
	fs.BoolVar(&f.resume, "resume", false, "go on from the checkpoint")
	fs.BoolVar(&f.overwrite, "overwrite", false, "begin anew where there is a checkpoint already")
	from := "begin with the parameters of another checkpoint `FILE`"
	if a.Checkpoint != "" {
		from += fmt.Sprintf(" (default %q)", a.Checkpoint)
	}
	fs.StringVar(&f.from, "from", "", from)
	f.vectors.add(a, fs)
	fs.IntVar(&f.passes, "passes", t.Passes, "passes over the "+a.matter())
	fs.IntVar(&f.steps, "steps", t.Steps, "training steps, in place of passes")
	fs.DurationVar(&f.maxTime, "max-time", 0, "end after this `TIME`, such as 90s or 2h, with a checkpoint")
	fs.Float64Var(&f.rate, "rate", t.Rate, "learning rate, before the schedule")
	f.tuning.add(fs)
	if a.Info.Adversary == nil {
		fs.BoolVar(&f.findRate, "find-rate", false, "train at ever higher rates for a moment, show the losses, and write "+
			"nothing but --plot")
	}
	if a.Info.Kind == "attention" && a.Info.Masking == nil {
		fs.Float64Var(&f.sampling.Share, "scheduled-sampling", t.Sampling,
			"`SHARE` of the tokens that the model reads which it draws itself")
		fs.IntVar(&f.sampling.Rise, "rise", t.Rise, "steps in which that share rises from 0")
	}
	fs.Uint64Var(&f.seed, "seed", a.Info.Seed, "of the initial parameters and of dropout")
	f.accumulate = max(1, t.Accumulate)
	batch := a.Info.Batch * f.accumulate
	if f.window = a.Info.Steps; a.Info.Vector != nil {
		fs.IntVar(&f.batch, "batch", batch, "vectors side by side")
	} else if a.ofLines() {
		fs.IntVar(&f.batch, "batch", batch, "lines side by side")
	} else {
		fs.IntVar(&f.batch, "batch", batch, "sequences side by side")
		fs.IntVar(&f.window, "window", a.Info.Steps, "time steps of a window")
	}
	fs.IntVar(&f.accumulate, "accumulate", f.accumulate, "shards that a batch is cut into, one in memory at a time")
	fs.IntVar(&f.evalEvery, "eval-every", t.EvalEvery, "steps between validations, 0 after each pass")
	fs.IntVar(&f.saveEvery, "save-every", t.SaveEvery, "steps between checkpoints, 0 at each validation")
	fs.IntVar(&f.keep, "keep", 1, "checkpoints that stay: the newest, and older ones under names with their steps")
	if a.Info.Adversary == nil || a.ofLines() { // of vectors the loss does not tell how good the generator is
		f.addPatience(fs, t.Patience)
	}
	if a.ofLines() {
		f.addPretraining(fs, a.Info.Adversary.Text)
	}
	if a.Info.Adversary == nil || a.ofLines() { // pairs of vectors have one of their own
		fs.Float64Var(&f.average, "ema", t.Average, "decay of an average of the parameters over the updates, which is "+
			"what is validated and saved, such as 0.999; 0 for none")
	}
	f.guard = guardFlag{t.Guard}
	fs.Var(&f.guard, "guard", guardUsage)
	fs.StringVar(&f.log, "log", "", "`FILE` for a line of JSON a step and a validation")
	fs.StringVar(&f.board, "tensorboard", "", "`FOLDER` for event files, which TensorBoard shows")
	fs.IntVar(&f.layersEvery, "layers-every", 100,
		"steps between norms of each layer's gradient, update and weights in the log, 0 for none")
	fs.BoolVar(&f.watch, "watch", false, "look for what goes wrong, such as dead units and saturated gates, every "+
		"--layers-every steps, and say what to change in the spec")
	fs.StringVar(&f.plot, "plot", "", "`FILE`.svg for a picture of the losses, drawn anew at each validation")
	if a.writes() {
		fs.IntVar(&f.samples, "samples", 1, "samples to print at the end")
	}
	if a.glances() {
		fs.IntVar(&f.sampleEvery, "sample-every", 0, "steps between samples while the training runs, which the log "+
			"has too, 0 for none")
	} else if a.pictures() {
		fs.IntVar(&f.sampleEvery, "sample-every", 0, "steps between pictures of what the model makes, for the log, 0 "+
			"for none")
	}
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "more lines: each checkpoint that is written, memory at the end")
	return cmd
}

// matter is what a model learns, in a word.
func (a *program) matter() string {
	switch {
	case a.Info.Vector != nil:
		return "file of vectors"
	case a.ofLines():
		return "file of lines"
	case a.Info.Latent != nil:
		return "file of sentences"
	}
	return "text"
}

// writes reports whether the model goes on with a text.
func (a *program) writes() bool {
	return a.Info.Masking == nil && a.Info.Source == nil && a.Info.Vector == nil && a.Info.Adversary == nil
}

func (a *program) train(cmd *cobra.Command, f *trainFlags, at *standing) error {
	ctx, out, errOut, flags := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), cmd.Flags()
	if path, err := a.written(); err != nil {
		return err
	} else if path != "" {
		if flags.Changed("out") {
			return errors.New("--adapter and --out both name what is written: give one of them")
		}
		if f.out = path; path == "none" {
			return errors.New("--adapter none: a training writes an adapter, and needs a file for it")
		}
		a.adapters = nil // it is --out from here on
	}
	release, err := a.take("checkpoint", f.out)
	if err != nil {
		return err
	}
	release() // the training takes it itself
	keep, err := a.prepare(flags, f)
	if err != nil {
		return err
	}
	if f.damage != nil {
		a.warn(cmd, fmt.Sprintf("%v; the training goes on from the checkpoint before, %s", f.damage, f.source))
	}
	if f.resume { // which brings flags of its own
		if err := fileFlags.Check(cmd, nil); err != nil {
			return err
		}
	}
	if err := a.checkTrain(f); err != nil {
		return err
	}
	if err := a.checkShards(f); err != nil {
		return err
	}
	f.keepBest(a)
	if err := f.vectors.check(f); err != nil {
		return err
	}
	if a.group.Leads() {
		if err := f.checkOutputs(); err != nil {
			return err
		}
	}
	if release, err = a.take("log", f.log); err != nil {
		return err
	}
	defer release()
	if a.Info.Adapter != nil {
		digest := ""
		if f.from, digest, err = a.base(f.from); err != nil {
			return err
		}
		if f.resume && digest != keep[baseDigest] {
			return fmt.Errorf("%s was trained on another checkpoint than %s: name that one with --from", f.out, f.from)
		}
		keep[baseDigest] = digest
	} else if f.from == "" && !f.resume {
		f.from = a.Checkpoint
	}
	if a.group.Leads() {
		if err := f.checkPlot(); err != nil {
			return err
		}
	}
	data, err := a.material(cmd, f)
	if err != nil {
		return err
	}

	base := peakMemory()
	m := a.New(f.seed)
	if f.from != "" {
		if err := checkpoint.LoadWeights(f.from, m); err != nil {
			return err
		}
		if p, ok := m.(model.Packer); ok && p.Kind() != weights.Live {
			return fmt.Errorf("--from %s: %w", f.from, model.ErrMounted)
		}
	}
	if err := train.Divide(m, f.accumulate); err != nil {
		return err
	}
	if f.vectors.file != "" {
		if err := f.vectors.fill(a, m, errOut); err != nil {
			return err
		}
	}
	learning, err := a.tune(m, &f.tuning)
	if err != nil {
		return err
	}
	schedule := optim.NewSchedule(a.Info.Training)
	schedule.Rate = f.rate
	o := train.Options{
		Schedule: schedule, Sampling: f.sampling, Passes: f.passes, Steps: f.steps, EvalEvery: f.evalEvery,
		SaveEvery: f.saveEvery, MaxTime: f.maxTime, Patience: f.patience, Guard: f.guard.Guarding, Average: f.average,
		Tolerance: f.tolerance, Pretraining: f.pretraining, Pretrained: f.pretrained,
		Path: f.out, Best: f.best, Resume: f.resume, Source: f.source, Seed: f.seed, Keep: keep, Wait: wait,
		Group: a.group,
	}
	if flags.Changed("keep") { // otherwise what another training has kept is left alone
		o.Last = f.keep
	}
	if err := a.alike(flags, f, m, data.Data); err != nil {
		return err
	}
	if at != nil {
		at.begin(f.out)
	}
	if !a.group.Leads() {
		o.Reporter = at
		if f.log != "" || f.board != "" || f.watch {
			o.LayersEvery = f.layersEvery // of which process 0 measures, for its log
		}
		_, err := train.Run(ctx, m, data.Data, o)
		return err
	}
	fmt.Fprintf(errOut, "%s: %s parameters%s; %s\n", a.Info.Name, thousands(a.Info.Params), learning, data.text)

	if l := a.Info.Latent; l != nil && !f.resume && f.steps > 0 && f.steps < l.Annealed {
		fmt.Fprintf(errOut, "%s: warning: the weight of the divergence rises over %s steps, the training has %s: its "+
			"samples will not look like the prior's\n", a.Info.Name, thousands(l.Annealed), thousands(f.steps))
	}
	show := newProgress(errOut, f.verbose, f.maxTime)
	show.unit, show.pair = a.Info.Unit(), a.Info.Adversary != nil
	o.Reporter = show
	if at != nil {
		o.Reporter = train.Reporters(show, at)
		show.print("%s: %d processes on %s, of %s each", a.Info.Name, a.group.Size(), counted(a.group.Hosts(),
			"machine"), counted(f.accumulate/a.group.Size(), "shard"))
	}
	var logs logs
	if f.log != "" {
		logs = append(logs, train.NewLogFile(f.log, show.Warn))
	}
	if f.board != "" {
		logs = append(logs, newBoard(f.board, show.Warn))
	}
	for _, l := range logs {
		l.Describe(a.description(flags, m, f, data.Data))
		l.On(a.machine())
		o.Reporter, o.LayersEvery = train.Reporters(o.Reporter, l), f.layersEvery
	}
	if f.sampleEvery > 0 {
		o.Reporter = train.Reporters(o.Reporter, &glimpses{ctx: ctx, a: a, m: m, every: f.sampleEvery,
			samples: a.shown(1, 200), data: data.Data, show: show, logs: logs})
	}
	if f.watch {
		o.Reporter, o.LayersEvery = train.Reporters(o.Reporter, a.doctor(m, data.Data, f, show, logs)), f.layersEvery
	}
	var picture *curves
	if f.plot != "" {
		picture = newCurves(f.plot, a.Info, show.Warn)
		o.Reporter = train.Reporters(o.Reporter, picture)
	}
	result, err := train.Run(ctx, m, data.Data, o)
	show.end()
	if picture != nil {
		picture.draw()
	}
	incomplete := logs.close()
	if err != nil {
		return err
	}
	if incomplete != nil {
		return fmt.Errorf("the training is done, but %w", incomplete)
	}
	if picture != nil && picture.failed != nil {
		return fmt.Errorf("the training is done, but not its picture: %w", picture.failed)
	}
	return a.report(ctx, out, m, data, f, result, schedule, base)
}

// prepare settles what is to happen to a checkpoint that exists, and takes over the flags of a training that is
// resumed. It returns the flags to keep in the checkpoint.
func (a *program) prepare(flags *pflag.FlagSet, f *trainFlags) (map[string]string, error) {
	keep := map[string]string{}
	if f.source = f.out; f.resume {
		f.source, f.damage = train.Newest(f.out)
	}
	_, err := files.Stat(f.source)
	switch exists := err == nil; {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("can't read the checkpoint: %w", err)
	case f.resume && f.overwrite:
		return nil, errors.New("--resume and --overwrite contradict each other: give one of them")
	case f.resume && f.from != "" && a.Info.Adapter == nil:
		return nil, errors.New("--resume and --from contradict each other: give one of them")
	case f.resume && !exists:
		return nil, fmt.Errorf("there is no checkpoint %s to resume: leave out --resume, or name one with --out", f.out)
	case exists && !f.resume && !f.overwrite:
		return nil, fmt.Errorf("%s exists: go on from it with --resume, begin anew with --overwrite, or name another "+
			"file with --out", f.out)
	case exists:
		info, err := checkpoint.Describe(f.source)
		if !f.resume && (err != nil || info.Name == "") {
			return nil, fmt.Errorf("%s is not a checkpoint of gradsmith and is not overwritten: name another file "+
				"with --out, or remove it", f.out)
		}
		if err != nil {
			return nil, err
		}
		if !f.resume {
			break
		}
		if info.Training == nil {
			return nil, fmt.Errorf("%s holds parameters alone and cannot be resumed: begin with them through --from "+
				"%s and another --out", f.out, f.out)
		}
		length := flags.Changed("passes") || flags.Changed("steps") // either says how long to train
		for name, value := range train.Kept(info.Training) {
			if length && (name == "passes" || name == "steps") {
				continue
			}
			if name == baseDigest {
				keep[name] = value
			}
			if (slices.Contains(kept, name) || name == "from") && !flags.Changed(name) {
				if err := restore(flags, name, value); err != nil {
					return nil, fmt.Errorf("checkpoint %s: its option --%s %q is not valid: %w", f.source, name,
						value, err)
				}
			}
		}
		if !flags.Changed("seed") {
			f.seed = info.Training.Seed
		}
	}
	if a.Info.Adapter != nil && flags.Changed("from") { // what an adapter is for is read again
		keep["from"] = f.from
	}
	for _, name := range kept {
		if flags.Changed(name) {
			keep[name] = keptValue(flags.Lookup(name))
		}
	}
	// Of the two that say how long to train, the one that was given counts.
	if flags.Changed("passes") && !flags.Changed("steps") {
		f.steps = 0
	}
	return keep, nil
}

// checkOutputs refuses to write over a file that may be worth something: what is no log or no checkpoint of this
// project, and, where neither --resume nor --overwrite says so, what is one.
func (f *trainFlags) checkOutputs() error {
	for _, x := range []struct{ flag, path, what string }{
		{"best", f.best, "checkpoint"}, {"out", f.pretrained, "checkpoint"}, {"log", f.log, "log"},
	} {
		if x.path == "" {
			continue
		}
		info, err := files.Stat(x.path)
		switch {
		case err != nil || !info.Mode().IsRegular() || info.Size() == 0:
		case files.Own(x.path) != x.what:
			return fmt.Errorf("%s is not a %s of gradsmith and is not overwritten: name another file with --%s, or "+
				"remove it", x.path, x.what, x.flag)
		case !f.resume && !f.overwrite:
			return fmt.Errorf("%s exists: write over it with --overwrite, or name another file with --%s", x.path,
				x.flag)
		}
	}
	if older := train.Older(f.out); len(older) > 0 && !f.resume && !f.overwrite {
		return fmt.Errorf("%s exists: begin anew with --overwrite, or name another file with --out", older[0])
	}
	if f.log != "" {
		if err := files.Writable(f.log); err != nil {
			return fmt.Errorf("can't write the log %s: %w", f.log, files.Cause(err))
		}
	}
	return f.checkBoard()
}

// take takes a file that the training writes, so that no other one does, until release is called. Of a group process 0
// takes it.
func (a *program) take(what, path string) (release func(), err error) {
	if path == "" || !a.group.Leads() {
		return func() {}, nil
	}
	h, err := files.Take(path)
	var in *files.InUse
	switch {
	case errors.As(err, &in):
		return nil, fmt.Errorf("the %s %s is in use: %w: wait until it has ended, or name another file", what, path, in)
	case err != nil:
		return nil, fmt.Errorf("can't write the %s %s: %w", what, path, files.Cause(err))
	}
	return h.Release, nil
}

// checkTrain finds sizes that cannot be.
func (a *program) checkTrain(f *trainFlags) error {
	for _, x := range []struct {
		name       string
		value, low int
		high       int // 0 is no bound
	}{
		{"sample-every", f.sampleEvery, 0, 0}, {"layers-every", f.layersEvery, 0, 0}, {"passes", f.passes, 0, 0},
		{"steps", f.steps, 0, 0},
		{"eval-every", f.evalEvery, 0, 0}, {"save-every", f.saveEvery, 0, 0}, {"samples", f.samples, 0, 0},
		{"patience", f.patience, 0, 0}, {"pretraining-patience", f.pretraining, 0, 0}, {"keep", f.keep, 1, 0},
		{"accumulate", f.accumulate, 1, 0}, {"batch", f.batch, 1, 0},
		{"window", f.window, 1, max(1, a.Info.Steps)},
	} {
		if x.value < x.low {
			return fmt.Errorf("--%s %d: give %d or more", x.name, x.value, x.low)
		}
		if x.high > 0 && x.value > x.high {
			return fmt.Errorf("--%s %d: the model was made for at most %d, the shape in %s", x.name, x.value, x.high,
				a.Info.Spec)
		}
	}
	switch shard := f.batch / f.accumulate; {
	case f.batch%f.accumulate != 0:
		return fmt.Errorf("--batch %d is not cut into %d shards of equal size: give a --batch and an --accumulate that "+
			"divides it", f.batch, f.accumulate)
	case shard > a.Info.Batch && f.accumulate == 1:
		return fmt.Errorf("--batch %d: the model was made for at most %d, the shape in %s; cut larger batches into "+
			"shards with --accumulate", f.batch, a.Info.Batch, a.Info.Spec)
	case shard > a.Info.Batch:
		return fmt.Errorf("--batch %d --accumulate %d: the model was made for at most %d in a shard, the shape in %s",
			f.batch, f.accumulate, a.Info.Batch, a.Info.Spec)
	}
	if f.passes == 0 && f.steps == 0 {
		return errors.New("--passes 0 and --steps 0: give one of them 1 or more")
	}
	if f.watch && f.layersEvery == 0 {
		return errors.New("--watch looks at a model when its layers are measured: give --layers-every 1 or more")
	}
	if f.maxTime < 0 {
		return fmt.Errorf("--max-time %v: give a time above 0", f.maxTime)
	}
	return nil
}

// report prints what came of a training, and samples. base is the memory that was used before the model was made.
func (a *program) report(ctx context.Context, out io.Writer, m model.LanguageModel, data *material, f *trainFlags,
	r train.Result, s optim.Schedule, base int) error {
	how := "done"
	switch {
	case r.Interrupted:
		how = fmt.Sprintf("interrupted; go on with %s train --resume", a.Info.Name)
		if f.out != a.outPath() {
			how += " --out " + f.out
		}
	case r.OutOfTime:
		how = "out of time"
	case r.Early:
		how = f.stopped(r)
	}
	fmt.Fprintf(out, "step %s of %s, %s\n", thousands(r.Steps), thousands(r.Total), how)
	if r.Tokens > 0 && a.ofLines() { // whose steps have losses of two kinds
		fmt.Fprintf(out, "training    %s tokens in %s, %s tokens/s\n", thousands(r.Tokens), duration(r.Took),
			thousands(int(float64(r.Tokens)/max(r.Took.Seconds(), 1e-9))))
	} else if r.Tokens > 0 {
		fmt.Fprintf(out, "training    %[1]s; %[2]s %[5]ss in %[3]s, %[4]s %[5]ss/s\n",
			a.objective(r.TrainLoss, data.density), thousands(r.Tokens), duration(r.Took),
			thousands(int(float64(r.Tokens)/max(r.Took.Seconds(), 1e-9))), a.Info.Unit())
	}
	reportGuard(out, r)
	if r.Encoder > 0 {
		fmt.Fprintf(out, "encoder     %s updates alone, before steps in which it lagged behind\n", thousands(r.Encoder))
	}
	if data.Validation != nil && !math.IsNaN(r.Loss) {
		fmt.Fprintf(out, "validation  %s", a.lossLine(r.Loss, "discriminator", data.validDensity))
		if r.Best < r.Loss {
			fmt.Fprintf(out, " (best %.4f)", r.Best)
		}
		fmt.Fprintln(out)
	}
	if r.OutOfTime && (s.Kind == "cosine" || s.Kind == "wsd") && r.Steps < r.Total {
		fmt.Fprintf(out, "warning     the %s schedule was cut at a rate of %.2g, before its end at %.2g: with "+
			"--steps %d or so the model would get further\n",
			s.Kind, s.At(r.Steps, r.Total), s.Floor, r.Steps)
	}
	fmt.Fprintf(out, "checkpoint  %s\n", f.out)
	if err := f.reportBest(out, m, r); err != nil {
		return err
	}
	if peak := peakMemory(); peak > 0 && f.verbose {
		fmt.Fprintf(out, "memory      %s at its peak, %s of them before the model was made; %s were planned for the "+
			"model\n", bytesize(peak), bytesize(base), bytesize(a.Info.TrainBytes))
	}
	if r.Interrupted {
		return nil
	}
	if !a.writes() {
		return nil
	}
	for i := range f.samples {
		fmt.Fprintf(out, "\n--- sample %d ---\n", i+1)
		if err := a.write(ctx, out, m.(model.Writer), a.shown(uint64(i+1), 400), nil); err != nil {
			return err
		}
	}
	return nil
}

// objective shows the loss that a training makes smaller, which may have a part that says nothing of what the model
// knows.
func (a *program) objective(nats, density float64) string {
	if s := a.Info.Training.Smoothing; s > 0 {
		return fmt.Sprintf("%.4f nats a token with label smoothing of %v", nats, s)
	}
	return a.lossLine(nats, "generator", density)
}

// perplexity is e to the loss, in digits that a person can read.
func perplexity(nats float64) string {
	switch p := math.Exp(nats); {
	case math.IsInf(p, 1):
		return "beyond 1e308"
	case p >= 1e6:
		return fmt.Sprintf("%.3g", p)
	default:
		return fmt.Sprintf("%.3f", p)
	}
}

// lossLine shows a loss in the units that people compare; of a pair of adversarial networks it is that of the one
// named. density is the number of tokens a character, or 0 where characters do not matter.
func (a *program) lossLine(nats float64, network string, density float64) string {
	if a.Info.Adversary != nil && a.Info.Vector != nil {
		return fmt.Sprintf("%s's loss %.4f", network, nats)
	}
	if unit := a.Info.Unit(); unit != "token" {
		return fmt.Sprintf("%.4f nats a %s", nats, unit)
	}
	s := fmt.Sprintf("%.4f nats a token, perplexity %s", nats, perplexity(nats))
	if density > 0 {
		s += fmt.Sprintf(", %.4f bits a character", nats/math.Ln2*density)
	}
	return s
}

// density is the number of tokens a character.
func density(p *text.Part) float64 { return float64(p.Tokens()) / float64(cmp.Or(p.Chars(), 1)) }
