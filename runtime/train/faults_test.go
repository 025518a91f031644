package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/filestest"
)

// TestMain takes a disk that syncs nothing: the tests write thousands of files.
func TestMain(m *testing.M) {
	files.Use(filestest.NewDisk(-1, filestest.Way{}))
	os.Exit(m.Run())
}

// warnings is a reporter that keeps them.
type warnings struct {
	silent
	texts []string
}

func (w *warnings) Warn(text string) { w.texts = append(w.texts, text) }

// full is a disk on which nothing can be written for some time.
func full(is *atomic.Bool) func() {
	d := filestest.NewDisk(-1, filestest.Way{})
	d.Before = func(_ int, call string) error {
		if is.Load() && strings.HasPrefix(call, "write") {
			return syscall.ENOSPC
		}
		return nil
	}
	return files.Use(d)
}

// steps are the steps in the lines of a log, validations below 0.
func steps(t *testing.T, path string) (all []int, last float64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var x struct {
			Step       int
			Seconds    float64
			Validation *float64
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("the line %q: %v", line, err)
		}
		if x.Validation != nil {
			x.Step = -x.Step
		}
		all = append(all, x.Step)
		if x.Seconds < last {
			t.Errorf("the seconds go back from %v to %v", last, x.Seconds)
		}
		last = x.Seconds
	}
	return all, last
}

// whole is the log of a training that ran through.
func whole(t *testing.T, dir string, o Options) []int {
	t.Helper()
	l := NewLogFile(filepath.Join(dir, "whole"), nil)
	o.Reporter, o.Path = l, filepath.Join(dir, "whole.c")
	if _, err := Run(context.Background(), newBigram(4), data(), o); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	all, _ := steps(t, filepath.Join(dir, "whole"))
	if len(all) < 60 {
		t.Fatalf("the log has %d lines", len(all))
	}
	return all
}

// TestFullDisk fills the disk for a part of a training: it goes on, with a warning, and what is written in the end is
// what a training has written whose disk was never full. Where the disk stays full it fails in the end.
func TestFullDisk(t *testing.T) {
	for _, c := range []struct{ from, to int }{{5, 8}, {1, 59}, {50, 60}, {30, 31}, {20, 1000}} {
		dir := t.TempDir()
		o := options(filepath.Join(dir, "c"))
		o.Best = filepath.Join(dir, "best")
		want := whole(t, dir, o)
		wholeBest := read(t, o.Best)

		l := NewLogFile(filepath.Join(dir, "log"), nil)
		w := &warnings{}
		o.Reporter = Reporters(l, w)
		var isFull atomic.Bool
		m := newBigram(4)
		m.stepped = func(step int) { isFull.Store(step >= c.from && step < c.to) }
		waits := 0
		o.Wait = func(time.Duration) bool {
			waits++
			isFull.Store(isFull.Load() && c.to > 60)
			return true
		}
		restore := full(&isFull)
		_, err := Run(context.Background(), m, data(), o)
		closed := l.Close()
		restore()
		if c.to > 60 {
			if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "no space left") ||
				waits != 5 || closed == nil {
				t.Errorf("a disk that stays full: %v, %v, after %d attempts", err, closed, waits)
			}
			continue
		}
		if err != nil || closed != nil || len(w.texts) == 0 && c.to-c.from > 7 {
			t.Errorf("full from step %d to %d: %v, %v, warnings %q", c.from, c.to, err, closed, w.texts)
		}
		if got, _ := steps(t, filepath.Join(dir, "log")); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("full from step %d to %d: the log has the steps %v", c.from, c.to, got)
		}
		if read(t, o.Best) != wholeBest || read(t, o.Path) != read(t, filepath.Join(dir, "whole.c")) {
			t.Errorf("full from step %d to %d: other files than those of a training whose disk was not full", c.from,
				c.to)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestRunFaults lets every call that a training makes of the disk fail in every way. What it leaves is a checkpoint,
// from which a training goes on to the same bits, and a log in which every step stands once.
func TestRunFaults(t *testing.T) {
	short := func(path string) Options {
		o := options(path)
		o.Steps, o.EvalEvery, o.SaveEvery = 6, 3, 2
		return o
	}
	dir := t.TempDir()
	want := newBigram(4)
	if _, err := Run(context.Background(), want, data(), short(filepath.Join(dir, "whole"))); err != nil {
		t.Fatal(err)
	}
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		dir := t.TempDir()
		path, best, log := filepath.Join(dir, "c"), filepath.Join(dir, "best"), filepath.Join(dir, "log")
		run := func(resume bool) error {
			l := NewLogFile(log, nil)
			o := short(path)
			o.Best, o.Reporter, o.Resume = best, l, resume
			o.Wait = func(time.Duration) bool { return true }
			_, err := Run(context.Background(), newBigram(4), data(), o)
			return oneLine(errors.Join(err, l.Close()))
		}
		fault, err := do(func() error { return run(false) })
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: the error is %q", fault, err)
		}
		if !fault.Way.Rest && err != nil && !strings.Contains(err.Error(), "can't write the checkpoint") &&
			!strings.Contains(err.Error(), log) {
			t.Errorf("%v: a single fault ends the training: %v", fault, err)
		}
		_, statErr := os.Stat(path)
		if err := run(statErr == nil); err != nil { // from the checkpoint, or anew where there is none
			t.Fatalf("%v: going on: %v", fault, err)
		}
		m := newBigram(4)
		if _, _, err := checkpoint.Load(path, m); err != nil ||
			fmt.Sprint(m.w, m.state, m.step) != fmt.Sprint(want.w, want.state, want.step) {
			t.Errorf("%v: %v, other bits", fault, err)
		}
		if err := checkpoint.LoadWeights(best, newBigram(4)); err != nil {
			t.Errorf("%v: %v", fault, err)
		}
		if all, _ := steps(t, log); fmt.Sprint(all) != "[1 2 3 -3 4 5 6 -6]" {
			t.Errorf("%v: the log has the steps %v", fault, all)
		}
	})
}

// TestLogFaults does so for the log alone, which has whole lines after every fault.
func TestLogFaults(t *testing.T) {
	filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
		path := filepath.Join(t.TempDir(), "log")
		fault, err := do(func() error {
			l := NewLogFile(path, nil)
			for i := range 5 {
				l.Step(Progress{Step: i + 1})
				l.Saved("", i+1)
			}
			return l.Close()
		})
		if _, missing := os.Stat(path); missing != nil {
			return
		}
		if fault.Way.Rest { // nothing could take back half a line
			l := NewLogFile(path, nil) // of the training that goes on
			l.Resumed(3, 5)
			l.Step(Progress{Step: 4})
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		all, _ := steps(t, path)
		for i, s := range all[:max(0, len(all)-1)] {
			if s != i+1 {
				t.Errorf("%v: the log has the steps %v", fault, all)
			}
		}
		if !fault.Way.Rest && (err == nil) != (len(all) == 5) && !strings.HasPrefix(fault.Call, "close") {
			t.Errorf("%v: %v, with the steps %v", fault, err, all)
		}
	})
}

// TestLogGoesOn resumes behind every step, from logs that have gone further and were cut off anywhere.
func TestLogGoesOn(t *testing.T) {
	dir := t.TempDir()
	o := options(filepath.Join(dir, "c"))
	want := whole(t, dir, o)
	text := read(t, filepath.Join(dir, "whole"))
	path := filepath.Join(dir, "log")
	for stop := 1; stop <= 60; stop += 7 {
		for cut := len(text); cut > len(text)*stop/60+80; cut -= 997 {
			if err := os.WriteFile(path, []byte(text[:cut]), 0o644); err != nil {
				t.Fatal(err)
			}
			os.Remove(o.Path)
			m := newBigram(4)
			ctx, cancel := context.WithCancel(context.Background())
			m.stepped = func(step int) {
				if step == stop {
					cancel()
				}
			}
			if _, err := Run(ctx, m, data(), o); err != nil {
				t.Fatal(err)
			}
			l := NewLogFile(path, nil)
			again := o
			again.Resume, again.Reporter = true, l
			if _, err := Run(context.Background(), newBigram(4), data(), again); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if got, _ := steps(t, path); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("resumed behind step %d of a log of %d bytes: %v", stop, cut, got)
			}
		}
	}
}

// dying is a context that ends when it has been asked a number of times, as one does whose deadline has passed.
type dying struct {
	context.Context
	left int
	err  error
}

func (d *dying) Err() error {
	if d.left--; d.left < 0 {
		return d.err
	}
	return nil
}

// TestDeadline ends the context at every point at which a training looks at it, validations included: it ends with a
// checkpoint, and goes on from it to the same bits.
func TestDeadline(t *testing.T) {
	want := newBigram(4)
	if _, err := Run(context.Background(), want, data(), options(filepath.Join(t.TempDir(), "whole"))); err != nil {
		t.Fatal(err)
	}
	interrupted := 0
	for left := 1; ; left += 3 {
		for _, reason := range []error{context.Canceled, context.DeadlineExceeded} {
			path := filepath.Join(t.TempDir(), "c")
			ctx := &dying{context.Background(), left, reason}
			r, err := Run(ctx, newBigram(4), data(), options(path))
			if err != nil {
				t.Fatalf("ended after %d looks by %v: %v", left, reason, err)
			}
			if !r.Interrupted {
				if ctx.left >= 0 && interrupted > 40 {
					return // it came to its end before
				}
				continue
			}
			interrupted++
			m, o := newBigram(4), options(path)
			o.Resume = true
			if _, err := Run(context.Background(), m, data(), o); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(m.w, m.momentum, m.state, m.step) != fmt.Sprint(want.w, want.momentum, want.state,
				want.step) {
				t.Fatalf("ended after %d looks by %v and resumed, it has other bits", left, reason)
			}
		}
	}
}
