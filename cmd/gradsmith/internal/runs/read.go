package runs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// Point is a value at a step.
type Point struct{ Step, Value float64 }

// Shown is what a model made after a step.
type Shown struct {
	Step int
	train.Sample
}

// Notice is what a training did or found by itself.
type Notice struct {
	Step int
	Text string
}

// Run is what the log of a training has.
type Run struct {
	Path string
	Name string // the shortest end of Path that is no other run's, without .jsonl
	// About is what the training is; its Settings are nil in logs that do not say it, as those of gradsmith before 0.6.
	About train.Description

	Machine *train.Machine // what it has run on, at its end; nil in logs that do not say it, as those before 0.6

	Curves   map[string][]Point // by the names of Kinds
	Time     []Point            // training loss, Step being the seconds since the beginning
	Layers   map[string]map[string][]Point
	Order    []string // the names of Layers, as they came
	Samples  []Shown
	Notices  []Notice
	Seconds  float64
	Steps    int     // the last that was logged
	Tokens   float64 // a second, validations and samples left out; 0 where that is not known
	Pair     bool    // of adversarial networks, whose loss does not tell how good they are
	Problems []string
	Growing  bool // the last line is cut off: the training goes on
}

// The names of curves.
const (
	Training       = "training loss"
	Validation     = "validation loss"
	Norm           = "norm of the gradient, before clipping"
	Rate           = "rate"
	Speed          = "speed, tokens, sentences or vectors a second"
	Reconstruction = "reconstruction"
	Divergence     = "divergence"
	Discriminator  = "discriminator's loss"
	Right          = "share of the discriminator's verdicts that are right"
)

// The names of the curves of a layer.
const (
	Gradient = "gradient"
	Update   = "update"
	Weight   = "weight"
)

// Find gives the logs that arguments name: files, the logs in folders, and files that patterns match. A folder or a
// pattern without a log is an error.
func Find(args ...string) ([]string, error) {
	var all []string
	for _, arg := range args {
		info, err := files.Stat(arg)
		switch {
		case err == nil && !info.IsDir():
			all = append(all, arg)
			continue
		case err == nil:
			list, err := files.ReadDir(arg)
			if err != nil {
				return nil, fmt.Errorf("can't read %s: %w", arg, files.Cause(err))
			}
			n := len(all)
			for _, x := range list {
				if path := filepath.Join(arg, x.Name()); x.Type().IsRegular() && files.Own(path) == "log" {
					all = append(all, path)
				}
			}
			if len(all) == n {
				return nil, fmt.Errorf("%s has no log of a training: train writes one with --log FILE", arg)
			}
			continue
		}
		found, bad := filepath.Glob(arg)
		if bad != nil || len(found) == 0 {
			return nil, fmt.Errorf("there is no log %s: %w", arg, files.Cause(err))
		}
		slices.Sort(found)
		all = append(all, found...)
	}
	var once []string
	for _, path := range all {
		if !slices.ContainsFunc(once, func(other string) bool { return files.Same(path, other) }) {
			once = append(once, path)
		}
	}
	return once, nil
}

// Read reads logs. A run that cannot be read has Problems that say why, and no curves; one that can be read in part has
// both.
func Read(paths ...string) []*Run {
	all := make([]*Run, len(paths))
	for i, path := range paths {
		all[i] = read(path)
	}
	name(all)
	return all
}

// name gives each run the shortest end of its path that is no other run's.
func name(all []*Run) {
	for n := 1; ; n++ {
		count := map[string]int{}
		longest := 0
		for _, r := range all {
			parts := strings.Split(filepath.ToSlash(strings.TrimSuffix(r.Path, ".jsonl")), "/")
			longest = max(longest, len(parts))
			r.Name = strings.Join(parts[max(0, len(parts)-n):], "/")
			count[r.Name]++
		}
		if len(count) == len(all) || n >= longest {
			return
		}
	}
}

// entry is a line of a log.
type entry struct {
	Step           *int
	Seconds        float64
	Run            *train.Description
	Loss           *float64
	Norm, Rate     float64
	Tokens         float64
	Reconstruction *float64
	Divergence     *float64
	Discriminator  *float64
	Accuracy       *float64
	Validation     *float64
	Layers         []train.Layer
	Sample         *train.Sample
	Notice, Text   string
	Machine        *train.Machine
}

// longest bounds a line: pictures are the longest there are.
const longest = 64 << 20

func read(path string) *Run {
	r := &Run{Path: path, Curves: map[string][]Point{}, Layers: map[string]map[string][]Point{}}
	f, err := files.Open(path)
	if err == nil {
		defer f.Close()
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
			err = errors.New("it is no file") // a pipe would be waited for
		}
	}
	if err != nil {
		r.Problems = append(r.Problems, "cannot be read: "+files.Cause(err).Error())
		return r
	}
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 1<<16), longest)
	s.Split(whole(&r.Growing))
	bad, first := 0, 0
	d := reading{Run: r}
	n := 1
	for ; s.Scan(); n++ {
		var e entry
		if json.Unmarshal(s.Bytes(), &e) != nil || e.Step == nil {
			if bad++; bad == 1 {
				first = n
			}
			continue
		}
		d.add(&e)
	}
	d.flush()
	if err := s.Err(); err != nil {
		r.Problems = append(r.Problems, fmt.Sprintf("cannot be read behind line %d: %v", n-1, files.Cause(err)))
	}
	switch {
	case bad > 0 && bad == n-1:
		r.Problems = append(r.Problems, "is no log of a training")
	case bad == 1:
		r.Problems = append(r.Problems, fmt.Sprintf("line %d is none of a log and is left out", first))
	case bad > 1:
		r.Problems = append(r.Problems, fmt.Sprintf("%d lines are none of a log and are left out, the first is line %d",
			bad, first))
	case n == 1 && len(r.Problems) == 0:
		r.Problems = append(r.Problems, "has no line yet")
	}
	return r
}

// whole splits into lines, without a last one that has no end, of which it takes note.
func whole(cut *bool) bufio.SplitFunc {
	return func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			*cut = true
			return len(data), nil, nil
		}
		if atEOF {
			return 0, nil, io.EOF
		}
		return 0, nil, nil
	}
}

// reading is a run, line by line.
type reading struct {
	*Run
	seconds        float64 // of the line before
	tokens, spent  float64 // since the last point of the speed
	allTokens, all float64 // without the first step, which makes the memory
	steps          int     // since the last point
	began          bool
}

func (d *reading) point(kind string, step int, v *float64) {
	if v != nil && !math.IsNaN(*v) && !math.IsInf(*v, 0) {
		d.Curves[kind] = append(d.Curves[kind], Point{float64(step), *v})
	}
}

func (d *reading) add(e *entry) {
	took := e.Seconds - d.seconds
	d.seconds = e.Seconds
	d.Seconds = max(d.Seconds, e.Seconds)
	step := *e.Step
	switch {
	case e.Run != nil:
		d.About = *e.Run
	case e.Loss != nil:
		d.Steps = max(d.Steps, step)
		d.point(Training, step, e.Loss)
		d.Time = append(d.Time, Point{e.Seconds, *e.Loss})
		d.point(Norm, step, &e.Norm)
		d.point(Rate, step, &e.Rate)
		d.point(Discriminator, step, e.Discriminator)
		d.point(Right, step, e.Accuracy)
		d.point(Reconstruction, step, e.Reconstruction)
		d.point(Divergence, step, e.Divergence)
		d.Pair = d.Pair || e.Accuracy != nil
		if took > 0 && d.began {
			d.tokens, d.spent, d.steps = d.tokens+e.Tokens, d.spent+took, d.steps+1
		}
		if d.began = true; d.spent >= 1 {
			d.flush()
		}
	case e.Validation != nil:
		d.point(Validation, step, e.Validation)
		d.point(Reconstruction+", validation", step, e.Reconstruction)
		d.point(Divergence+", validation", step, e.Divergence)
	case e.Layers != nil:
		for _, l := range e.Layers {
			curves := d.Layers[l.Layer]
			if curves == nil {
				curves = map[string][]Point{}
				d.Layers[l.Layer] = curves
				d.Order = append(d.Order, l.Layer)
			}
			for kind, v := range map[string]float64{Gradient: l.Gradient, Update: l.Update, Weight: l.Weight} {
				curves[kind] = append(curves[kind], Point{float64(step), v})
			}
		}
	case e.Machine != nil:
		d.Machine = e.Machine
	case e.Notice != "":
		if e.Notice == "back" { // what follows on it stands behind it
			d.Notices = slices.DeleteFunc(d.Notices, func(n Notice) bool { return n.Step > step })
		}
		d.Notices = append(d.Notices, Notice{step, e.Text})
	case e.Sample != nil:
		d.Samples = append(d.Samples, Shown{step, *e.Sample})
	}
}

// flush adds a point to the speed.
func (d *reading) flush() {
	if d.spent <= 0 || d.tokens <= 0 {
		return
	}
	v := d.tokens / d.spent
	d.point(Speed, d.Steps, &v)
	d.allTokens, d.all = d.allTokens+d.tokens, d.all+d.spent
	d.Tokens = d.allTokens / d.all
	d.tokens, d.spent, d.steps = 0, 0, 0
}

// Empty reports whether the run has nothing to show.
func (r *Run) Empty() bool { return len(r.Curves) == 0 && len(r.Samples) == 0 }

// Best is the lowest validation loss and its step; false where there is none.
func (r *Run) Best() (p Point, ok bool) {
	for _, x := range r.Curves[Validation] {
		if !ok || x.Value < p.Value {
			p, ok = x, true
		}
	}
	return p, ok
}

// Last is the last point of a curve; false where there is none.
func (r *Run) Last(kind string) (p Point, ok bool) {
	if c := r.Curves[kind]; len(c) > 0 {
		return c[len(c)-1], true
	}
	return p, false
}

// Setting is what runs were told, one value a run; empty where a run does not say.
type Setting struct {
	Name   string
	Values []string
}

// Differing are the settings that are not the same in all runs, sorted by name.
func Differing(all []*Run) []Setting {
	names := map[string]bool{}
	for _, r := range all {
		for name := range r.About.Settings {
			names[name] = true
		}
	}
	var found []Setting
	for name := range names {
		s := Setting{Name: name}
		for _, r := range all {
			s.Values = append(s.Values, r.About.Settings[name])
		}
		if slices.ContainsFunc(s.Values, func(v string) bool { return v != s.Values[0] }) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return found
}
