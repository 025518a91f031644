package train

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"github.com/gradsmith/gradsmith/runtime/optim"
)

// Log is a [Reporter] that writes a JSON object a line: one a step, one a validation and one a [Notice], for plots.
//
//	{"step":0,"seconds":0,"run":{"model":"lstm","unit":"token","settings":{"rate":"0.002"}}}
//	{"step":0,"seconds":0,"machine":{"processor":"AMD EPYC","kernels":"avx512","threads":2,"peak":1.9e11}}
//	{"step":12,"seconds":0.8,"loss":2.1,"norm":0.9,"rate":0.002,"tokens":2048}
//	{"step":12,"seconds":0.8,"layers":[{"layer":"embed","gradient":0.2,"update":0.001,"weight":4.1}]}
//	{"step":12,"seconds":0.9,"validation":2.2,"best":true}
//	{"step":12,"seconds":0.9,"notice":"stop","text":"the training stops: …"}
//	{"step":12,"seconds":1.1,"sample":{"text":"It was"}}
//
// The first two and the last line are there where [Log.Describe], [Log.On] and [Log.Show] are called, that of the
// layers in the steps
// in which [Options.LayersEvery] asks for it. seconds is the time since the log was made. The first error of the writer
// is kept for Err, and ends the writing.
type Log struct {
	w      io.Writer
	start  time.Time
	err    error
	run    json.RawMessage // to be written before the next line; nil for nothing
	on     *Machine        // the same
	runsOn *Machine        // what the training runs on; nil where that is not said
	step   int             // that the training stands at
}

// NewLog makes a log. It makes one call of Write a line.
func NewLog(w io.Writer) *Log { return &Log{w: w, start: time.Now()} }

// Description is what a training is, for who compares several.
type Description struct {
	Model      string `json:"model"` // name of the package
	Kind       string `json:"kind"`
	Spec       string `json:"spec"`   // name of the spec's file
	Digest     string `json:"digest"` // of the spec
	Unit       string `json:"unit"`   // what losses are means over: "token"
	Parameters int    `json:"parameters"`
	Vocab      int    `json:"vocab"` // tokens; 0 for vectors
	Flops      int64  `json:"flops"` // a token, in the forward pass
	Total      int    `json:"total"` // steps of the whole training; 0 where that is not known
	// operations of a step, forward and backward, a unit; 0 where that is not known
	TrainFlops int64 `json:"train_flops,omitempty"`
	// what the training was told, by its flags and by the spec
	Settings map[string]string `json:"settings"`
}

// Machine is what a training runs on. A training that goes on may have another one.
type Machine struct {
	Processor string  `json:"processor,omitempty"`
	Kernels   string  `json:"kernels"`        // the instruction set that they run on: "avx2"
	Threads   int     `json:"threads"`        // of all processes
	Peak      float64 `json:"peak,omitempty"` // floating-point operations a second, measured; 0 where that is not known
}

// alike reports whether two machines are the same but for what was measured of them.
func (m Machine) alike(other Machine) bool {
	m.Peak, other.Peak = 0, 0
	return m == other
}

// On makes the log say what the training runs on, before its next line. It writes nothing yet.
func (l *Log) On(m Machine) { l.on, l.runsOn = &m, &m }

type logMachine struct {
	Step    int     `json:"step"`
	Seconds float64 `json:"seconds"`
	Machine Machine `json:"machine"`
}

// Describe makes the log say what the training is, before its next line. It writes nothing yet.
func (l *Log) Describe(d Description) {
	data, err := json.Marshal(d)
	if l.run = data; err != nil && l.err == nil {
		l.err = err
	}
}

// Sample is what a model makes while it is trained: a text, a picture, or where it looks while it answers.
type Sample struct {
	Text      string     `json:"text,omitempty"`
	PNG       []byte     `json:"png,omitempty"`
	Alignment *Alignment `json:"alignment,omitempty"`
}

// Alignment says how much a model looked at each token of a source while it wrote each token of an answer.
type Alignment struct {
	Source  []string    `json:"source"`
	Answer  []string    `json:"answer"`
	Weights [][]float32 `json:"weights"` // [len(Answer)][len(Source)], each row of sum 1
}

// Show writes a line with what the model makes after a step.
func (l *Log) Show(step int, s Sample) {
	l.step = step
	l.line(logSample{step, l.seconds(), s})
}

type logSample struct {
	Step    int     `json:"step"`
	Seconds float64 `json:"seconds"`
	Sample  Sample  `json:"sample"`
}

type logRun struct {
	Step    int             `json:"step"`
	Seconds float64         `json:"seconds"`
	Run     json.RawMessage `json:"run"`
}

type logLayers struct {
	Step    int     `json:"step"`
	Seconds float64 `json:"seconds"`
	Layers  []Layer `json:"layers"`
}

// Err is the first error of writing.
func (l *Log) Err() error { return l.err }

type logStep struct {
	Step    int     `json:"step"`
	Seconds float64 `json:"seconds"`
	Loss    float64 `json:"loss"`
	Norm    float64 `json:"norm"`
	Rate    float64 `json:"rate"`
	Tokens  int     `json:"tokens"`
	Encoder int     `json:"encoder_updates,omitempty"` // alone, before the step
	*logDuel
	*logBound
}

// logBound is what an autoencoder has besides.
type logBound struct {
	Reconstruction float64 `json:"reconstruction"`
	Divergence     float64 `json:"divergence"`
}

func partsOf(b *Bound) *logBound {
	if b == nil {
		return nil
	}
	return &logBound{b.Reconstruction, b.Divergence}
}

// logDuel is what a pair of adversarial networks has besides: the loss of a step is the generator's.
type logDuel struct {
	Discriminator float64 `json:"discriminator"`
	Accuracy      float64 `json:"accuracy"`
	Real          float64 `json:"real"`
	Fake          float64 `json:"fake"`
}

type logValidation struct {
	Step       int     `json:"step"`
	Seconds    float64 `json:"seconds"`
	Validation float64 `json:"validation"`
	Best       bool    `json:"best"`
	*logBound
}

type logNotice struct {
	Step    int     `json:"step"`
	Seconds float64 `json:"seconds"`
	Notice  string  `json:"notice"`
	Text    string  `json:"text"`
	Number  int     `json:"number,omitempty"` // of "back"
	Found   string  `json:"found,omitempty"`  // of "watch"
	Layer   string  `json:"layer,omitempty"`
	Place   string  `json:"place,omitempty"`
}

func (l *Log) line(v any) {
	if l.err != nil {
		return
	}
	run, on := l.run, l.on
	if l.run, l.on = nil, nil; run != nil {
		l.line(logRun{l.step, l.seconds(), run})
	}
	if on != nil {
		l.line(logMachine{l.step, l.seconds(), *on})
	}
	data, err := json.Marshal(v)
	if err == nil {
		_, err = l.w.Write(append(data, '\n'))
	}
	l.err = err
}

func (l *Log) seconds() float64 { return math.Round(time.Since(l.start).Seconds()*1e3) / 1e3 }

// Resumed takes note of where the training stands.
func (l *Log) Resumed(step, total int) { l.step = step }

// Step writes a line.
func (l *Log) Step(p Progress) {
	s := logStep{Step: p.Step, Seconds: l.seconds(), Loss: p.Loss, Norm: p.Norm, Rate: p.Rate, Tokens: p.Tokens,
		Encoder: p.Encoder}
	if d := p.Duel; d != nil {
		s.logDuel = &logDuel{d.Discriminator, d.Accuracy, d.Real, d.Fake}
	}
	s.logBound = partsOf(p.Bound)
	l.line(s)
	l.step = p.Step
	if len(p.Layers) > 0 && !slices.ContainsFunc(p.Layers, func(x Layer) bool {
		return !optim.Finite(x.Gradient, x.Update, x.Weight) // which JSON has no form for; the next step says why
	}) {
		l.line(logLayers{p.Step, l.seconds(), p.Layers})
	}
}

// Evaluated writes a line.
func (l *Log) Evaluated(e Evaluation) {
	l.line(logValidation{e.Step, l.seconds(), e.Loss, e.Best, partsOf(e.Bound)})
}

// Notice writes a line.
func (l *Log) Notice(n Notice) {
	l.line(logNotice{n.Step, l.seconds(), n.What, n.Text, n.Number, n.Found, n.Layer, n.Place})
}

// Saved does nothing.
func (l *Log) Saved(path string, step int) {}

// Warn does nothing.
func (l *Log) Warn(text string) {}

// Recorder is a [Reporter] that writes to a file. Saving is called before a checkpoint is written; an error says that
// the file does not have all up to here.
type Recorder interface{ Saving() error }

// saving tells the reporter, where it records.
func saving(r Reporter) error {
	if x, ok := r.(Recorder); ok {
		return x.Saving()
	}
	return nil
}

// Reporters tells several reporters, in their order.
func Reporters(rs ...Reporter) Reporter { return reporters(rs) }

type reporters []Reporter

func (rs reporters) Resumed(step, total int) {
	for _, r := range rs {
		r.Resumed(step, total)
	}
}

func (rs reporters) Step(p Progress) {
	for _, r := range rs {
		r.Step(p)
	}
}

func (rs reporters) Evaluated(e Evaluation) {
	for _, r := range rs {
		r.Evaluated(e)
	}
}

func (rs reporters) Notice(n Notice) {
	for _, r := range rs {
		notice(r, n)
	}
}

func (rs reporters) Saving() error {
	var errs []error
	for _, r := range rs {
		errs = append(errs, saving(r))
	}
	return errors.Join(errs...)
}

func (rs reporters) Saved(path string, step int) {
	for _, r := range rs {
		r.Saved(path, step)
	}
}

func (rs reporters) Warn(text string) {
	for _, r := range rs {
		r.Warn(text)
	}
}
