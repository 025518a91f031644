package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/filestest"
)

// names lists a folder.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// contents are the files of a folder.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range names(t, dir) {
		fmt.Fprintf(&b, "%s %q\n", name, read(t, filepath.Join(dir, name)))
	}
	return b.String()
}

// TestBeside holds a write of a checkpoint up until the training has made more steps: it is not waited for, the next
// one waits, and each has the parameters of its step.
func TestBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	var mu sync.Mutex
	step, during := 0, []int{}
	more := sync.NewCond(&mu)
	at := map[int]string{}
	m := newBigram(4)
	m.stepped = func(s int) {
		mu.Lock()
		defer mu.Unlock()
		step, at[s] = s, fmt.Sprint(m.w)
		more.Broadcast()
	}
	d := filestest.NewDisk(-1, filestest.Way{})
	d.Before = func(_ int, call string) error {
		if strings.HasPrefix(call, "rename ") {
			mu.Lock()
			defer mu.Unlock()
			from := min(7*(len(during)+1), 60)
			for step < min(from+3, 60) {
				more.Wait() // for three more steps, which would not come if the training waited
			}
			if step > from+7 {
				t.Errorf("the training is at step %d while the checkpoint of step %d is written", step, from)
			}
			during = append(during, from)
		}
		return nil
	}
	o := options(path)
	saved := map[int]string{}
	o.Reporter = savedAt(func(path string, step int) {
		n := newBigram(4)
		if _, _, err := checkpoint.Load(path, n); err != nil {
			t.Error(err)
		}
		saved[step] = fmt.Sprint(n.w)
	})
	defer files.Use(d)()
	if _, err := Run(context.Background(), m, data(), o); err != nil {
		t.Fatal(err)
	}
	if len(saved) != 9 { // each 7 steps, and the last
		t.Errorf("saved at %v", saved)
	}
	for s, w := range saved {
		if w != at[s] {
			t.Errorf("the checkpoint of step %d has the parameters of another one", s)
		}
	}
	if want := []int{7, 14, 21, 28, 35, 42, 49, 56, 60}; !slices.Equal(during, want) {
		t.Errorf("written behind steps %v, want %v", during, want)
	}
}

// savedAt is a reporter of checkpoints.
type savedAt func(path string, step int)

func (f savedAt) Resumed(int, int)            {}
func (f savedAt) Step(Progress)               {}
func (f savedAt) Evaluated(Evaluation)        {}
func (f savedAt) Saved(path string, step int) { f(path, step) }
func (f savedAt) Warn(string)                 {}

// TestLast keeps the last checkpoints, of a training that runs through, and of one that is stopped after every number
// of steps and goes on: all files are the same in the end.
func TestLast(t *testing.T) {
	run := func(t *testing.T, dir string, stop int, resume bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		m, o := newBigram(4), options(filepath.Join(dir, "c.safetensors"))
		o.Last, o.Best, o.Resume = 3, filepath.Join(dir, "best.safetensors"), resume
		m.stepped = func(step int) {
			if step == stop {
				cancel()
			}
		}
		if _, err := Run(ctx, m, data(), o); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	run(t, dir, -1, false)
	want := contents(t, dir)
	if got := names(t, dir); !slices.Equal(got, []string{"best.safetensors", "c.safetensors",
		"c.step-00000049.safetensors", "c.step-00000056.safetensors"}) {
		t.Fatalf("what stays is %v", got)
	}
	for _, name := range Older(filepath.Join(dir, "c.safetensors")) {
		if i, err := checkpoint.Describe(name); err != nil || filepath.Base(name) !=
			fmt.Sprintf("c.step-%08d.safetensors", i.Training.Step) {
			t.Errorf("%s is of step %v, %v", name, i, err)
		}
	}
	for stop := 1; stop < 60; stop++ {
		dir := t.TempDir()
		run(t, dir, stop, false)
		for next := stop + 1 + stop%13; next < 60; next += 1 + next%13 {
			run(t, dir, next, true)
		}
		run(t, dir, -1, true)
		if got := contents(t, dir); got != want {
			t.Fatalf("stopped at %d, ..., what stays is %v", stop, names(t, dir))
		}
	}

	// A run that was killed between its last checkpoint and the removal of the oldest one is gone on with.
	if err := os.WriteFile(Numbered(filepath.Join(dir, "c.safetensors"), 42), []byte(read(t,
		Numbered(filepath.Join(dir, "c.safetensors"), 49))), 0o666); err != nil {
		t.Fatal(err)
	}
	run(t, dir, -1, true)
	if got := contents(t, dir); got != want {
		t.Errorf("gone on with when it was done, what stays is %v", names(t, dir))
	}

	// A training that begins anew takes the files of the one before away, and one without the option leaves them.
	for _, last := range []int{0, 1, 2} {
		o := options(filepath.Join(dir, "c.safetensors"))
		o.Steps, o.Last = 21, last
		if _, err := Run(context.Background(), newBigram(4), data(), o); err != nil {
			t.Fatal(err)
		}
		var older []string
		for _, name := range Older(o.Path) {
			older = append(older, filepath.Base(name))
		}
		if want := [][]string{{"c.step-00000056.safetensors", "c.step-00000049.safetensors"}, nil,
			{"c.step-00000014.safetensors"}}[last]; !slices.Equal(older, want) {
			t.Errorf("with %d, what stays is %v", last, older)
		}
	}
}

// TestDamaged goes on from an older checkpoint where the newest one is damaged or gone, to the same bits.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.safetensors")
	o := options(path)
	o.Last = 3
	want := newBigram(4)
	if _, err := Run(context.Background(), want, data(), o); err != nil {
		t.Fatal(err)
	}
	whole := contents(t, dir)
	good := read(t, path)
	if source, err := Newest(path); err != nil || source != path {
		t.Errorf("%s, %v", source, err)
	}
	for _, damage := range []string{"gone", "cut", "bit", "older"} {
		for name, content := range map[string]string{"gone": "", "cut": good[:len(good)/2],
			"bit": good[:len(good)-1] + string(good[len(good)-1]^4)} {
			if name == damage || name == "bit" && damage == "older" {
				os.Remove(path) // which has another name
				if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		number := 56
		switch damage {
		case "gone":
			os.Remove(path)
		case "older":
			if err := os.Truncate(Numbered(path, 56), 100); err != nil {
				t.Fatal(err)
			}
			number = 49
		}
		source, err := Newest(path)
		if source != Numbered(path, number) || err == nil {
			t.Fatalf("%s: %s, %v", damage, source, err)
		}
		again := o
		again.Resume, again.Source = true, source
		m := newBigram(4)
		if _, err := Run(context.Background(), m, data(), again); err != nil {
			t.Fatal(err)
		}
		if damage != "gone" {
			aside := Beside(path, "damaged")
			if _, err := checkpoint.Verify(aside); err == nil {
				t.Errorf("%s: what was damaged is not", damage)
			}
			os.Remove(aside)
		}
		if got := contents(t, dir); got != whole || fmt.Sprint(m.w, m.state) != fmt.Sprint(want.w, want.state) {
			t.Fatalf("%s: gone on from %s, what stays is %v", damage, source, names(t, dir))
		}
	}
}

// TestInUse begins a training while another one writes the same checkpoint, or the same best parameters.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	o := options(filepath.Join(dir, "c"))
	o.Best = filepath.Join(dir, "best")
	m := newBigram(4)
	var errs []error
	m.stepped = func(step int) {
		if step != 9 {
			return
		}
		for _, other := range []Options{{Path: o.Path}, {Path: filepath.Join(dir, "d"), Best: o.Best}} {
			other.Schedule, other.Passes, other.Resume = o.Schedule, 1, true
			_, err := Run(context.Background(), newBigram(4), data(), other)
			errs = append(errs, err)
		}
	}
	if _, err := Run(context.Background(), m, data(), o); err != nil {
		t.Fatal(err)
	}
	for _, err := range errs {
		if !errors.Is(err, files.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
			t.Errorf("%v", err)
		}
	}
	if got := names(t, dir); len(errs) != 2 || !slices.Equal(got, []string{"best", "c"}) {
		t.Errorf("%d errors; what stays is %v", len(errs), got)
	}
}

// TestBestFirst lets the best parameters alone fail for a while: the checkpoint behind the first failure is put off,
// later ones are not, and in the end there is what a training leaves that nothing has happened to.
func TestBestFirst(t *testing.T) {
	run := func(d *filestest.Disk, o Options, stepped func(int)) {
		t.Helper()
		defer files.Use(d)()
		m := newBigram(4)
		m.stepped = stepped
		if _, err := Run(context.Background(), m, data(), o); err != nil {
			t.Fatal(err)
		}
	}
	whole := t.TempDir()
	o := options(filepath.Join(whole, "c"))
	o.Best = filepath.Join(whole, "best")
	better := map[int]bool{} // steps whose validation is the best
	o.Reporter = bestAt(func(step int) { better[step] = true })
	run(filestest.NewDisk(-1, filestest.Way{}), o, nil)

	dir := t.TempDir()
	o.Path, o.Best = filepath.Join(dir, "c"), filepath.Join(dir, "best")
	var fails atomic.Bool
	fails.Store(true)
	d := filestest.NewDisk(-1, filestest.Way{})
	d.Before = func(_ int, call string) error {
		if fails.Load() && call == "rename "+o.Best {
			return io.ErrNoProgress
		}
		return nil
	}
	w := &warnings{}
	saved := map[string][]int{}
	o.Reporter = Reporters(w, savedAt(func(path string, step int) {
		saved[filepath.Base(path)] = append(saved[filepath.Base(path)], step)
	}))
	run(d, o, func(step int) {
		if step == 40 {
			fails.Store(false)
		}
	})
	if !better[7] || slices.Contains(saved["c"], 7) || !slices.Contains(saved["c"], 14) || len(saved["best"]) == 0 ||
		len(w.texts) == 0 {
		t.Errorf("best at %v, saved %v, warnings %q", better, saved, w.texts)
	}
	if contents(t, dir) != contents(t, whole) {
		t.Error("other files than those of a training whose disk did not fail")
	}
}

// bestAt is a reporter of the best validations.
type bestAt func(step int)

func (f bestAt) Resumed(int, int) {}
func (f bestAt) Step(Progress)    {}
func (f bestAt) Evaluated(e Evaluation) {
	if e.Best {
		f(e.Step)
	}
}
func (f bestAt) Saved(string, int) {}
func (f bestAt) Warn(string)       {}
