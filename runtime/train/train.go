package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

// Windows is what a model is trained on, window by window, in an order that the number of the pass decides.
type Windows interface {
	// Next fills b with the next window; it reports false at the end of a pass.
	Next(b *model.Batch) bool
	// Rewind goes back to the first window of the first pass.
	Rewind()
	// NextPass goes to the first window of the next pass, which may have another order.
	NextPass()
	// Position is the number of windows given since the start of the pass; SetPosition goes there, in a pass, from 0.
	Position() int64
	SetPosition(pass int, position int64)
	// Windows is the number of windows of a pass, Tokens the number of tokens in them.
	Windows() int
	Tokens() int
}

// Err is why windows have ended before their pass did, as those of files do that cannot be read any more; nil where
// they have not.
func Err(w Windows) error {
	if x, ok := w.(interface{ Err() error }); ok {
		return x.Err()
	}
	return nil
}

// Data is what a training reads.
type Data struct {
	Train      Windows
	Validation Windows // nil trains without validation
	// the training data once more, in an order of its own: for a model whose encoder is updated alone; nil for others
	Encoder Windows
	// of the text and the size of its windows, by which a training that goes on knows that they are the same
	Digest string
}

// Options say how a training runs. The zero value of a field means what its comment says.
type Options struct {
	Schedule  optim.Schedule
	Sampling  Sampling       // the zero value reads the text alone
	Passes    int            // passes over the training text; used where Steps is 0
	Steps     int            // training steps
	EvalEvery int            // steps between validations; 0 validates after each pass
	SaveEvery int            // steps between checkpoints; 0 saves at each validation
	MaxTime   time.Duration  // stop after this time, with a checkpoint; 0 is no limit
	Average   float64        // decay of an average of the parameters, which is evaluated and saved; 0 for none
	Guard     model.Guarding // what is done about steps that would do harm
	Patience  int            // stop after as many validations in a row without a lower loss; 0 goes on

	// Of adversarial networks of text, whose validations count from where they learn from each other:
	Tolerance   float64 // how far above the lowest a loss may be to count as lower; the newest of them is the best
	Pretraining int     // end pretraining after as many validations in a row without a lower loss; 0 makes all steps
	// Pretrained is where a checkpoint of pretraining's lowest validation loss goes, to which the generator then goes
	// back.
	Pretrained string

	Path   string // checkpoint; empty saves nothing
	Last   int    // checkpoints that stay, that at Path included (see [Numbered]); 0 leaves older ones alone
	Source string // checkpoint to go on from with Resume, where that at Path is damaged; empty for Path
	Best   string // where the parameters with the lowest validation loss go; empty keeps none
	Resume bool   // go on from Path
	Seed   uint64 // kept in the checkpoint
	// Keep is kept in the checkpoint, under keys that begin with a dash so that they are not the loop's own: what the
	// caller needs to resume with the same options.
	Keep     map[string]string
	Reporter Reporter // nil reports nothing
	// LayersEvery is how many steps apart the norms of each layer are measured; 0 measures none. The parameters are
	// copied before such a step, which takes as much memory as they do, and the training's bits are the same.
	LayersEvery int
	// Group is the processes that make the steps together, each with shards of its own; nil for this one alone. All run
	// the same training. Process 0 validates and writes; all others read the checkpoint that they go on from.
	Group *cluster.Group

	// Wait is called in place of waiting before another attempt to write the last checkpoint, and returns false when
	// there is to be none; nil waits, as long as the context lasts.
	Wait func(time.Duration) bool
}

// Progress is where a training stands after a step.
type Progress struct {
	Step, Total   int // steps done, and in the whole training
	Pass          int // number of the pass, from 1
	Loss          float64
	Norm          float64 // of the gradient, before clipping
	Rate          float64
	Tokens        int         // in this step; of a model of vectors these are what it reads
	TokensPerStep int         // in a full window
	Encoder       int         // updates that the encoder had alone before this step
	Duel          *model.Duel // how the step of a pair of adversarial networks went; nil for others
	Bound         *Bound      // the parts of an autoencoder's loss; nil for others
	Layers        []Layer     // in a step of LayersEvery; it is overwritten by the next one
}

// Evaluation is the result of a validation.
type Evaluation struct {
	Step, Total int
	Pass        int
	Loss        float64 // nats a token, or what the model's unit is
	Bound       *Bound  // its parts, of an autoencoder; nil for others
	Best        bool    // lower than all before, or within Options.Tolerance
	Took        time.Duration
}

// Reporter is told what happens.
type Reporter interface {
	Resumed(step, total int)
	Step(Progress)
	Evaluated(Evaluation)
	Saved(path string, step int)
	Warn(text string)
}

// Result is the end of a training.
type Result struct {
	Steps       int // done in all, earlier runs included
	Total       int
	Tokens      int           // of this run
	Took        time.Duration // of this run, validations included
	Loss        float64       // last validation, nats a token; NaN without one
	Best        float64       // lowest validation, with Options.Tolerance the newest within
	TrainLoss   float64       // mean of the last steps, at most 100
	Encoder     int           // updates that the encoder had alone, earlier runs included
	Interrupted bool          // by the context
	OutOfTime   bool          // by MaxTime
	Early       bool          // stopped by Options.Patience

	// By the guard, earlier runs included: steps that were skipped, times that the rate was lowered, and times that the
	// training went back to a checkpoint.
	Skipped, Lowered, Returned int
}

// position is what the loop keeps in a checkpoint.
type position struct {
	pass   int
	window int64
	best   float64
}

// strings are what a checkpoint keeps of the position, and of keep.
func (p position) strings(digest string, keep map[string]string) map[string]string {
	m := map[string]string{
		"pass": strconv.Itoa(p.pass), "window": strconv.FormatInt(p.window, 10),
		"best": strconv.FormatFloat(p.best, 'g', -1, 64), "data": digest, "digests": digests,
	}
	for k, v := range keep {
		m[keepPrefix+k] = v
	}
	return m
}

const keepPrefix = "-"

// Kept gives what Options.Keep had when the checkpoint was written.
func Kept(t *checkpoint.Training) map[string]string {
	m := map[string]string{}
	if t != nil {
		for k, v := range t.Loop {
			if name, ok := strings.CutPrefix(k, keepPrefix); ok {
				m[name] = v
			}
		}
	}
	return m
}

// digests is what digests of data cover: since 2 the merges of byte-pair encoding, not its tokens alone.
const digests = "2"

func parsePosition(m map[string]string, digest string) (p position, err error) {
	if m["data"] != digest && m["digests"] == "" {
		return p, errors.New("was written in a training on another text, or on one that was cut up otherwise, or by " +
			"gradsmith 0.5.0 or before with byte-pair encoding, whose merges its digest does not cover: begin a new " +
			"training from its parameters (--from)")
	}
	if m["data"] != digest {
		return p, errors.New("was written in a training on another text, or on one that was cut up otherwise: go on " +
			"with the same text, validation share, separator, batch and window, or begin a new training from its " +
			"parameters")
	}
	var e1, e2, e3 error
	p.pass, e1 = strconv.Atoi(m["pass"])
	p.window, e2 = strconv.ParseInt(m["window"], 10, 64)
	p.best, e3 = strconv.ParseFloat(m["best"], 64)
	if err := errors.Join(e1, e2, e3); err != nil {
		return p, fmt.Errorf("does not say where in the text it was written: %w", err)
	}
	return p, nil
}

// Run trains m until the steps are done, the context is cancelled or the time is over. A training that is stopped and
// resumed gives the same bits as one that runs through. Memory is made before the first step, and with the first
// checkpoint, which is copied and written beside the training; after that a step allocates nothing.
//
// While it runs no other training writes the files at Path, Best and Pretrained.
func Run(ctx context.Context, m model.LanguageModel, d Data, o Options) (Result, error) {
	r := &runner{m: m, info: m.Info(), d: d, o: o, at: position{best: math.Inf(1)}, start: time.Now()}
	r.guess = r.info.Guess()
	r.bounds = newBounds(m)
	if r.o.Reporter == nil {
		r.o.Reporter = silent{}
	}
	if err := o.Schedule.Check(); err != nil {
		return Result{}, err
	}
	if err := o.Sampling.check(m); err != nil {
		return Result{}, err
	}
	if o.Group.Leads() {
		if err := checkpoint.Writable(o.Path, o.Best, o.Pretrained); err != nil {
			return Result{}, err
		}
		release, err := hold(o.Path, o.Best, o.Pretrained)
		if err != nil {
			return Result{}, err
		}
		defer release()
	}
	err := share(m, o.Group)
	if err != nil {
		return Result{}, err
	}
	windows := d.Train.Windows()
	r.total = o.Steps
	if r.total <= 0 {
		r.total = o.Passes * windows
	}
	if r.total <= 0 {
		return Result{}, fmt.Errorf("a training of %d steps and %d passes does nothing: give one of them", o.Steps,
			o.Passes)
	}
	r.result = Result{Total: r.total, Loss: math.NaN(), Best: math.Inf(1)}
	if a, ok := m.(model.Dueling); ok {
		r.duel = &duel{of: a.Duel}
	}
	if r.first, err = newEncoderFirst(m, d); err != nil {
		return Result{}, err
	}
	if r.validations, err = newValidations(m, d, &o); err != nil {
		return Result{}, err
	}
	if r.guard, err = newGuard(m, o.Guard); err != nil {
		return Result{}, err
	}
	if r.averaged, err = averaging(m, o.Average); err != nil {
		return Result{}, err
	}
	if o.Resume {
		if err := r.resume(); err != nil {
			return r.result, err
		}
	}
	err = r.loop(ctx)
	lost := o.Group.Err() != nil // a launcher kills this process in a moment: who is to blame is said before
	if !lost {
		r.settle()
	}
	if err != nil && r.saver.unsaved && !lost {
		r.finishing = true
		r.begin(job{})
		r.settle()
		err = oneLine(errors.Join(err, r.fault))
	}
	r.swap() // what was evaluated is the model from here on
	if t := r.averaged; t != nil {
		t.Averaged(0)
	}
	if g := r.guard; g != nil {
		r.result.Skipped, r.result.Lowered, r.result.Returned = g.skipped, g.lowerings, g.backs
	}
	r.result.Took = time.Since(r.start)
	r.result.Best = r.at.best
	if r.first != nil {
		r.result.Encoder = r.first.m.EncoderSteps()
	}
	return r.result, err
}

type runner struct {
	m        model.LanguageModel
	info     *model.Info
	d        Data
	o        Options
	at       position
	step     int
	total    int
	start    time.Time
	guess    float64 // loss of a model that knows nothing
	warned   bool
	duel     *duel         // of a pair of adversarial networks; nil for others
	first    *encoderFirst // of an autoencoder whose encoder is updated alone; nil for others
	bounds   *bounds       // of an autoencoder; nil for others
	layers   layers        // whose norms are measured
	measures bool          // in this step
	recent   [100]float64
	count    int
	result   Result
	state    []float32 // copy of the training's state during a validation
	row      []float32 // a row of logits, for scheduled sampling
	batch    model.Batch
	shard    model.Batch // of batch, for scheduled sampling
	eval     model.Batch

	validations *validations       // what they decide: falls of the rate, and early stopping
	averaged    *schedule.Training // whose parameters are exchanged for an average; nil for none
	guard       *guard             // nil where a bad step ends the training
	began       bool               // a step has been made, or skipped

	saver       saver
	fault       error // of the last job of the saver
	finishing   bool  // no step follows
	lastAttempt bool  // to write, before the training fails
}

// samplingStream keeps the draws of scheduled sampling apart from others of the same seed and step.
const samplingStream = 0x5a3d

func (r *runner) resume() error {
	source := cmp.Or(r.o.Source, r.o.Path)
	if err := r.restore(source); err != nil {
		return err
	}
	// One that was written because a run was interrupted at its last step has not seen the end of the training.
	r.saver.again = r.step >= r.total && !r.saver.due
	if r.o.Group.Leads() {
		if source != r.o.Path {
			if err := replaceDamaged(r.o.Path, source); err != nil {
				return err
			}
		}
		// A run that was killed when it had written its last checkpoint has left one too many.
		if err := (older{most: r.o.Last - 1}).prune(r.o.Path, r.step); err != nil {
			r.o.Reporter.Warn(oneLine(err).Error())
		}
	}
	r.o.Reporter.Resumed(r.step, r.total)
	return nil
}

// restore goes to where a checkpoint stands, with all processes of a group.
func (r *runner) restore(path string) error {
	t, changed, err := checkpoint.Load(path, r.m)
	if err != nil {
		return err
	}
	r.swap() // a checkpoint has what is evaluated in place of the parameters
	if t.Seed != r.o.Seed {
		return fmt.Errorf("checkpoint %s: was trained with seed %d, this training has %d: the dropout masks would "+
			"differ", path, t.Seed, r.o.Seed)
	}
	if r.at, err = parsePosition(t.Loop, r.d.Digest); err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	if r.at.window > int64(r.d.Train.Windows()) {
		return fmt.Errorf("checkpoint %s: stands at window %d of the text, which has %d", path, r.at.window,
			r.d.Train.Windows())
	}
	if r.first != nil {
		if err := r.first.resume(t.Loop); err != nil {
			return fmt.Errorf("checkpoint %s: %w", path, err)
		}
	}
	if r.duel != nil {
		if err := r.duel.resume(t.Loop); err != nil {
			return fmt.Errorf("checkpoint %s: %w", path, err)
		}
	}
	if err := r.validations.resume(t.Loop); err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	if err := r.guard.resume(t.Loop, t.Step); err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	r.d.Train.SetPosition(r.at.pass, r.at.window)
	r.step = t.Step
	r.saver.saved, r.saver.due = t.Step, t.Loop[earlyKey] == ""
	r.result.Steps = t.Step
	if changed && !r.began {
		r.o.Reporter.Warn("the spec has changed since the checkpoint was written: the training goes on with the new one")
	}
	return r.o.Group.Barrier() // process 0 may write another one there as soon as all have read it
}

func (r *runner) loop(ctx context.Context) error {
	perStep := r.d.Train.Tokens() / max(1, r.d.Train.Windows())
	validated, due := false, false
	if r.validations.pending {
		if err := r.validateFirst(ctx); err != nil {
			return err
		}
		validated = true
	}
	for r.step < r.total {
		if r.poll(); r.saver.unsaved && !r.saver.tried {
			r.begin(job{})
		}
		why, err := r.stop(ctx)
		if err != nil {
			return err
		}
		if why != 0 {
			r.result.Interrupted, r.result.OutOfTime = why&byContext != 0, why == byTime
			break
		}
		if r.validations.done() {
			r.result.Early = true
			break
		}
		endOfPass := false
		fault, err := r.read()
		switch {
		case err != nil:
			return err
		case fault != nil:
			return r.unreadable(fault)
		}
		if share := r.o.Sampling.At(r.step); share > 0 {
			if r.row == nil {
				r.row = make([]float32, r.m.Info().Vocab)
			}
			if err := r.sample(share, model.Key(r.o.Seed, uint64(r.step), samplingStream)); err != nil {
				return err
			}
		}
		rate := r.validations.rate(r.step, r.total) * r.guard.lowers()
		r.guard.before(r.m.State())
		r.began = true
		loss, norm, fault := r.trainStep(rate)
		if fault != nil {
			if back, err := r.bad(fault, rate); err != nil {
				return err
			} else if back {
				validated, due = false, false
				continue
			}
		}
		r.step++
		r.at.window = r.d.Train.Position()
		endOfPass = r.at.window >= int64(r.d.Train.Windows())
		r.result.Steps = r.step
		if fault == nil {
			r.guard.made()
			if err := r.report(loss, norm, rate, perStep); err != nil {
				return err
			}
		}

		if r.first != nil && endOfPass {
			if err := r.first.after(ctx, r.d.Validation, r.o.Group); err != nil {
				return err
			}
		}
		due = endOfPass
		if r.o.EvalEvery > 0 {
			due = r.step%r.o.EvalEvery == 0
		}
		if endOfPass || due {
			if w := r.bounds.collapsed(r.step); w != "" {
				r.o.Reporter.Warn(w)
			}
		}
		validated = false
		if r.step == r.total {
			break // validated and saved below
		}
		if due {
			if err := r.validateDue(ctx); err != nil {
				return err
			}
			validated = true
		}
		save := r.o.SaveEvery > 0 && r.step%r.o.SaveEvery == 0 || r.o.SaveEvery == 0 && due
		if r.pretrained() {
			if err := r.endPretraining(); err != nil {
				return err
			}
			save = true
		}
		if save {
			if err := r.together(r.saveDue); err != nil {
				return err
			}
		}
	}
	if n := min(r.count, len(r.recent)); n > 0 {
		for _, x := range r.recent[:n] {
			r.result.TrainLoss += x / float64(n)
		}
	}
	if !validated && !r.result.Interrupted {
		validate := r.validate
		if due {
			validate = r.validateDue
		}
		if err := validate(ctx); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// read reads the batch of the next step. fault says why data cannot be read any more, in this process or in another one
// of its group.
func (r *runner) read() (fault, err error) {
	there := r.d.Train.Next(&r.batch)
	if fault = Err(r.d.Train); !there && fault == nil {
		r.d.Train.NextPass()
		r.at.pass, r.at.window = r.at.pass+1, 0
		there, fault = r.d.Train.Next(&r.batch), Err(r.d.Train)
	}
	switch {
	case there:
		fault = nil
	case fault == nil:
		return nil, errors.New("the training text has no window")
	}
	return r.anywhere(fault)
}

// unreadable is the error of a training whose data cannot be read any more. It leaves a checkpoint of what it came to.
func (r *runner) unreadable(err error) error {
	r.finishing = true
	lost := r.together(func() error {
		err := r.saveLast()
		r.settle()
		return errors.Join(err, r.fault)
	})
	return fmt.Errorf("after step %d, %w; %s", r.step, oneLine(errors.Join(err, lost)), r.kept())
}

// trainStep makes the step on the batch, with what comes before it.
func (r *runner) trainStep(rate float64) (loss, norm float64, err error) {
	if r.first != nil {
		if err := r.first.before(rate); err != nil {
			return 0, 0, err
		}
	}
	due := r.o.LayersEvery > 0 && (r.step+1)%r.o.LayersEvery == 0
	if s, ok := r.m.(scheduled); ok {
		s.Training().Whole = due
	}
	if r.measures = due && r.o.Group.Leads(); r.measures {
		r.layers.before(r.m)
	}
	loss, norm, err = r.m.TrainStep(&r.batch, rate)
	return loss, norm, finite(loss, norm, err)
}

// report tells of a step that was made. It is an error where the discriminator has won by it.
func (r *runner) report(loss, norm, rate float64, perStep int) error {
	r.recent[r.count%len(r.recent)] = loss
	r.count++
	n := r.info.Items(&r.batch)
	r.result.Tokens += n
	p := Progress{Step: r.step, Total: r.total, Pass: r.at.pass + 1, Loss: loss, Norm: norm, Rate: rate, Tokens: n,
		TokensPerStep: perStep}
	if r.duel != nil {
		p.Duel = r.duel.of()
	}
	p.Bound = r.bounds.step(&r.batch)
	if r.measures {
		p.Layers = r.layers.after()
	}
	if r.first != nil {
		p.Encoder = r.first.last
	}
	r.o.Reporter.Step(p)
	if r.duel != nil && r.duel.won() {
		return fmt.Errorf("the discriminator has won: in the last %d steps, to step %d, each of its verdicts was "+
			"right and its mean loss %.2g, so that the generator has nothing to learn from: lower the "+
			"discriminator's rate, or add gradient_penalty, spectral_norm or label_smoothing to the spec, or "+
			"give the discriminator fewer critic_steps; %s", WinningSteps, r.step, r.duel.loss, r.kept())
	}
	return nil
}

// pause waits before another attempt, and reports false when there is to be none.
func (r *runner) pause(ctx context.Context, wait time.Duration, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	r.o.Reporter.Warn(fmt.Sprintf("%v; trying again in %v", oneLine(err), wait))
	if r.o.Wait != nil {
		return r.o.Wait(wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// oneLine puts errors that were joined on one line.
func oneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// finite is err, or that a loss or a norm is not finite where the model has not said so itself.
func finite(loss, norm float64, err error) error {
	switch {
	case err != nil || optim.Finite(loss, norm):
		return err
	case optim.Finite(loss):
		return &model.NotFinite{What: "norm of the gradient", Value: norm}
	}
	return &model.NotFinite{What: "loss", Value: loss}
}

// diverged says what to do about a loss or a gradient that is not finite, where err is that.
func (r *runner) diverged(err error, rate float64) error {
	var what *model.NotFinite
	if !errors.As(err, &what) {
		return err
	}
	advice := "lower the optimizer's rate, or clip the gradient's norm"
	if r.duel != nil {
		advice = "lower the rates of the optimizers, clip the gradient's norm, or add gradient_penalty or " +
			"spectral_norm to the spec"
	}
	return fmt.Errorf("in step %d, at rate %.3g, %w: %s; %s", r.step+1, rate, err, advice, r.kept())
}

// kept says which checkpoint a training that fails leaves.
func (r *runner) kept() string {
	r.settle()
	if r.o.Path != "" && r.saver.saved > 0 {
		return fmt.Sprintf("the checkpoint of step %d is kept in %s", r.saver.saved, r.o.Path)
	}
	return "no checkpoint was written"
}

// validate evaluates on the validation text, and leaves the training's state as it was.
func (r *runner) validate(ctx context.Context) error {
	if r.d.Validation == nil {
		return nil
	}
	start := time.Now()
	defer r.swap()()
	state := r.m.State()
	if r.state == nil {
		r.state = make([]float32, len(state))
	}
	copy(r.state, state)
	parts := boundOf{bounds: r.bounds}
	loss, rows, err := r.evaluate(ctx, parts.add)
	copy(state, r.state)
	if err != nil {
		if r.o.Group.Err() == nil && (ctx.Err() != nil || errors.Is(err, errInterrupted)) {
			// Cancelled, or past a deadline: the loop sees it too, and the training ends with a checkpoint.
			r.result.Interrupted = true
			return nil
		}
		return err
	}
	v := r.validations
	best, pretrained := v.better(loss, r.step, r.at.best), v.pending && v.pretraining.lower(loss, r.step)
	if best {
		r.at.best = loss
	}
	r.result.Loss = loss
	if loss > 2*r.guess && !r.warned {
		r.warned = true
		r.o.Reporter.Warn(fmt.Sprintf("the validation loss is %.4g, guessing gives %.4g: the training goes astray; "+
			"lower the optimizer's rate, or clip the gradient's norm", loss, r.guess))
	}
	r.o.Reporter.Evaluated(Evaluation{Step: r.step, Total: r.total, Pass: r.at.pass + 1, Loss: loss,
		Bound: parts.mean(rows), Best: best || pretrained, Took: time.Since(start)})
	if pretrained {
		return r.together(r.keepPretrained)
	}
	if best && r.o.Best != "" && r.o.Group.Leads() {
		r.keepBest()
	}
	return nil
}

func fileExists(path string) bool {
	_, err := files.Stat(path)
	return err == nil
}

// Evaluate gives the mean loss over all of the text, in nats a token, and the number of tokens predicted. The state
// starts at zero and is carried through the text.
func Evaluate(ctx context.Context, m model.LanguageModel, s Windows) (loss float64, tokens int, err error) {
	var b model.Batch
	return evaluate(ctx, m, m.Info(), s, &b, func(*model.Batch, int) {})
}

// evaluate calls each after the loss of each batch, with the number of its units.
func evaluate(ctx context.Context, m model.LanguageModel, info *model.Info, s Windows, b *model.Batch,
	each func(b *model.Batch, n int)) (float64, int, error) {
	s.Rewind()
	sum, count := 0.0, 0
	for s.Next(b) {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		n := info.Items(b)
		if n == 0 {
			continue
		}
		loss, err := m.Loss(b)
		if err != nil {
			return 0, 0, err
		}
		sum += float64(loss * float64(n)) // the conversion keeps product and sum apart on every machine
		count += n
		each(b, n)
	}
	switch err := Err(s); {
	case err != nil:
		return 0, 0, err
	case count == 0:
		return 0, 0, errNothing
	}
	return sum / float64(count), count, nil
}

type silent struct{}

func (silent) Resumed(int, int)     {}
func (silent) Step(Progress)        {}
func (silent) Evaluated(Evaluation) {}
func (silent) Saved(string, int)    {}
func (silent) Warn(string)          {}
