package train

import (
	"encoding/json"
	"io"
	"math"
	"time"
)

// Log is a [Reporter] that writes a JSON object a line: one a step, one a validation and one a [Notice], for plots.
//
//	{"step":12,"seconds":0.8,"loss":2.1,"norm":0.9,"rate":0.002,"tokens":2048}
//	{"step":12,"seconds":0.9,"validation":2.2,"best":true}
//	{"step":12,"seconds":0.9,"notice":"stop","text":"the training stops: …"}
//
// seconds is the time since the log was made. The first error of the writer is kept for Err, and ends the writing.
type Log struct {
	w     io.Writer
	start time.Time
	err   error
}

// NewLog makes a log. It makes one call of Write a line.
func NewLog(w io.Writer) *Log { return &Log{w: w, start: time.Now()} }

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
}

func (l *Log) line(v any) {
	if l.err != nil {
		return
	}
	data, err := json.Marshal(v)
	if err == nil {
		_, err = l.w.Write(append(data, '\n'))
	}
	l.err = err
}

func (l *Log) seconds() float64 { return math.Round(time.Since(l.start).Seconds()*1e3) / 1e3 }

// Resumed does nothing.
func (l *Log) Resumed(step, total int) {}

// Step writes a line.
func (l *Log) Step(p Progress) {
	s := logStep{Step: p.Step, Seconds: l.seconds(), Loss: p.Loss, Norm: p.Norm, Rate: p.Rate, Tokens: p.Tokens,
		Encoder: p.Encoder}
	if d := p.Duel; d != nil {
		s.logDuel = &logDuel{d.Discriminator, d.Accuracy, d.Real, d.Fake}
	}
	s.logBound = partsOf(p.Bound)
	l.line(s)
}

// Evaluated writes a line.
func (l *Log) Evaluated(e Evaluation) {
	l.line(logValidation{e.Step, l.seconds(), e.Loss, e.Best, partsOf(e.Bound)})
}

// Notice writes a line.
func (l *Log) Notice(n Notice) { l.line(logNotice{n.Step, l.seconds(), n.What, n.Text, n.Number}) }

// Saved does nothing.
func (l *Log) Saved(path string, step int) {}

// Warn does nothing.
func (l *Log) Warn(text string) {}

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
