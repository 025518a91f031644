//go:build unix

package kills_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/app"
	"github.com/gradsmith/gradsmith/runtime/model"
)

var (
	kills = flag.Int("kills", 5, "how often trainings are killed, stopped or ended, all models together")
	full  = flag.Int("full", 2, "how often their disk is filled")
	seed  = flag.Uint64("seed", 1, "of the moments")
)

// trains names the model whose program this test binary is to be.
const trains = "GRADSMITH_TEST_TRAINS"

// models are trained in different ways: with a state that is carried from window to window, and on windows in random
// order, with an average of the parameters.
var models = map[string]struct {
	program func() model.Program
	args    []string
}{
	"rnn":     {rnn.Program, []string{"--batch", "4", "--window", "16"}},
	"gptnano": {gptnano.Program, []string{"--batch", "2", "--window", "16", "--ema", "0.9"}},
}

func TestMain(m *testing.M) {
	if name := os.Getenv(trains); name != "" {
		app.Main(models[name].program())
	}
	flag.Parse()
	os.Exit(m.Run())
}

// run is a training of a model in a folder.
type run struct {
	t    *testing.T
	name string
	dir  string
	args []string
	left []string // files half written by processes before
}

const checkpointName = "c.safetensors"

// newRun makes the data of a training in a folder.
func newRun(t *testing.T, name, dir string) *run {
	t.Helper()
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "Take %s down, and %s come again\n", strings.Repeat("one ", i%5), strings.Repeat("two ",
			i%7))
	}
	if err := os.WriteFile(filepath.Join(dir, "book.txt"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &run{t: t, name: name, dir: dir}
	r.args = append([]string{"--data", "book.txt", "--out", checkpointName, "--best", "best.safetensors", "--log",
		"log",
		"--keep", "3", "--steps", "60", "--save-every", "3", "--eval-every", "5"}, models[name].args...)
	return r
}

// start begins the training, or goes on with it where there is a checkpoint.
func (r *run) start() (*exec.Cmd, *bytes.Buffer) {
	r.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	args := []string{"train", "--out", checkpointName, "--resume"}
	if !r.exists(checkpointName) {
		args = append([]string{"train", "--overwrite"}, r.args...)
	}
	cmd := exec.Command(exe, append(args, "--samples", "0", "--threads", "1")...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), trains+"="+r.name)
	if r.left, err = filepath.Glob(filepath.Join(r.dir, ".*.tmp")); err != nil {
		r.t.Fatal(err)
	}
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return cmd, said
}

func (r *run) exists(name string) bool {
	_, err := os.Stat(filepath.Join(r.dir, name))
	return err == nil
}

// whole trains without an accident.
func (r *run) whole() {
	r.t.Helper()
	cmd, said := r.start()
	if err := cmd.Wait(); err != nil {
		r.t.Fatalf("%s: %v: %s", r.name, err, said)
	}
}

// leaves is what a training leaves: the bytes of checkpoints, and the log without its times.
func (r *run) leaves() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.dir, e.Name()))
		if err != nil {
			r.t.Fatal(err)
		}
		if all[e.Name()] = string(data); e.Name() == "log" {
			all["log"] = withoutTimes(r.t, data)
		}
	}
	return all
}

func withoutTimes(t *testing.T, log []byte) string {
	t.Helper()
	var b strings.Builder
	for line := range bytes.Lines(log) {
		var x map[string]json.RawMessage
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatalf("the log has the line %q: %v", line, err)
		}
		delete(x, "seconds")
		if data, ok := x["machine"]; ok { // whose speed is measured as well
			var machine map[string]json.RawMessage
			if err := json.Unmarshal(data, &machine); err != nil {
				t.Fatalf("the log has the line %q: %v", line, err)
			}
			delete(machine, "peak")
			if x["machine"], _ = json.Marshal(machine); x["machine"] == nil {
				t.Fatalf("the log has the line %q", line)
			}
		}
		again, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(again, '\n'))
	}
	return b.String()
}

// compare holds what a training has left to what it should. Where there was no room for a checkpoint that was due,
// those of earlier steps that are kept may be others.
func (r *run) compare(want map[string]string, noRoom bool) {
	r.t.Helper()
	got := r.leaves()
	other := func(name string) bool { return noRoom && strings.Contains(name, ".step-") }
	for name := range want {
		if _, ok := got[name]; got[name] != want[name] && (ok || !other(name)) {
			r.t.Errorf("%s: %s is not what a training leaves that runs through", r.name, name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok && !other(name) {
			r.t.Errorf("%s: there is a file %s", r.name, name)
		}
	}
}

// glimpse is what the folder shows of a training from outside.
type glimpse struct {
	saved   time.Time // when the checkpoint was written
	writing bool      // a file is being written
}

func (r *run) look() (g glimpse) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return g
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") && !slices.Contains(r.left, filepath.Join(r.dir, e.Name())) {
			g.writing = true
		}
		if i, err := e.Info(); err == nil && e.Name() == checkpointName {
			g.saved = i.ModTime()
		}
	}
	return g
}

// until waits until the training shows what it is waited for, or has ended.
func (r *run) until(ended <-chan error, shows func(glimpse) bool) (over bool, err error) {
	for {
		select {
		case err := <-ended:
			return true, err
		default:
		}
		if shows(r.look()) {
			return false, nil
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// moment waits for a random moment of the training: early on, some checkpoints later, or in the middle of a save.
func (r *run) moment(random *rand.Rand, ended <-chan error) (over bool, err error) {
	inSave := random.IntN(2) == 0
	for range random.IntN(4) {
		before := r.look().saved
		if over, err := r.until(ended, func(g glimpse) bool { return g.saved != before }); over {
			return over, err
		}
	}
	if inSave {
		over, err := r.until(ended, func(g glimpse) bool { return g.writing })
		time.Sleep(time.Duration(random.IntN(1500)) * time.Microsecond)
		return over, err
	}
	time.Sleep(time.Duration(random.IntN(40000)) * time.Microsecond)
	return false, nil
}

// ending waits for a process in the background.
func ending(cmd *exec.Cmd) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended
}

// counts are what has happened to trainings.
type counts struct{ killed, inSaves, ended, stopped, done int }

// TestKills kills trainings at random moments, some of them in the middle of a save, ends some by SIGTERM and holds
// some up by SIGSTOP, and goes on with them until they are done, as often as the flag says.
func TestKills(t *testing.T) {
	var c counts
	random := rand.New(rand.NewPCG(*seed, 0))
	names := slices.Sorted(keys(models))
	wholes := map[string]map[string]string{}
	for c.killed+c.ended+c.stopped < *kills && !t.Failed() {
		name := names[c.done%len(names)]
		if wholes[name] == nil {
			r := newRun(t, name, t.TempDir())
			r.whole()
			wholes[name] = r.leaves()
		}
		r := newRun(t, name, t.TempDir())
		for !r.life(random, &c) {
		}
		r.compare(wholes[name], false)
		os.RemoveAll(r.dir)
		c.done++
	}
	t.Logf("%d killed, %d of them with a file half written, %d ended by SIGTERM, %d held up by SIGSTOP and then killed; "+
		"%d trainings came to their end with the same bits", c.killed, c.inSaves, c.ended, c.stopped, c.done)
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// life starts a training and ends it at a random moment; it reports true where it came to its end before.
func (r *run) life(random *rand.Rand, c *counts) (done bool) {
	r.t.Helper()
	cmd, said := r.start()
	ended := ending(cmd)
	over, err := r.moment(random, ended)
	if over {
		if err != nil {
			r.t.Fatalf("%s: %v: %s", r.name, err, said)
		}
		return true
	}
	switch random.IntN(6) {
	case 0:
		cmd.Process.Signal(syscall.SIGTERM)
		err := <-ended
		if err != nil && !interruptedEarly(err) {
			r.t.Fatalf("%s: ended by SIGTERM: %v: %s", r.name, err, said)
		}
		c.ended++
		return err == nil && strings.Contains(said.String(), ", done")
	case 1:
		cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		cmd.Process.Signal(syscall.SIGCONT)
		if over, err := r.moment(random, ended); over {
			if err != nil {
				r.t.Fatalf("%s: held up by SIGSTOP: %v: %s", r.name, err, said)
			}
			return true
		}
		c.stopped++
		c.killed--
	}
	cmd.Process.Kill()
	err = <-ended
	c.killed++
	if r.look().writing {
		c.inSaves++
	}
	return err == nil // it was done when the signal came
}

// interruptedEarly reports whether a process was ended by SIGTERM before it listened, or before there was anything to
// save.
func interruptedEarly(err error) bool {
	var status *exec.ExitError
	if !errors.As(err, &status) {
		return false
	}
	s, ok := status.Sys().(syscall.WaitStatus)
	return ok && (s.Signaled() && s.Signal() == syscall.SIGTERM || s.ExitStatus() == 130)
}
