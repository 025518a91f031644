package mpi

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The text of a library decides what its handles are.
func TestFamily(t *testing.T) {
	for version, want := range map[string]family{
		"Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4":           openMPI,
		"MPICH Version:      4.0.2\nMPICH Release date: Thu Apr  7 2022\n": mpich,
		"Intel(R) MPI Library 2021.11 for Linux* OS\n":                     mpich,
		"MVAPICH2 Version      :\t2.3.7\n":                                 mpich,
		"Microsoft MPI 10.1.12498.18":                                      unknown,
	} {
		if got := familyOf(version); got != want {
			t.Errorf("%q is of family %d, want %d", version, got, want)
		}
	}
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	if n := names(); n[0] != "libmpi.so.40" {
		t.Errorf("the first library is %v", n)
	}
	t.Setenv("PMI_SIZE", "2")
	if n := names(); n[0] != "libmpich.so.12" {
		t.Errorf("under MPICH the first library is %v", n)
	}
	if err := checkSize(1, "Open MPI"); err == nil || !strings.Contains(err.Error(), "2 processes were started") {
		t.Errorf("a library of another MPI: %v", err)
	}
	t.Setenv(variable, "/mine.so")
	if n := names(); len(n) != 1 || n[0] != "/mine.so" {
		t.Errorf("with %s the libraries are %v", variable, n)
	}
	os.Unsetenv(variable)
	if err := missing([]string{"a"}, errors.New("none")); !strings.Contains(err.Error(), "install openmpi-bin") {
		t.Errorf("without a library: %v", err)
	}
}

// programs are built once, in a folder that TestMain removes.
var programs = struct {
	sync.Mutex
	dir  string
	made map[string]bool
}{made: map[string]bool{}}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gradsmith-mpi-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// build builds the program of a generated package.
func build(t *testing.T, name, model string, flags ...string) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	path := filepath.Join(programs.dir, name)
	if !programs.made[name] {
		args := append(append([]string{"build", "-o", path}, flags...),
			"github.com/gradsmith/gradsmith/generated/"+model+"/cmd/"+model)
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
		programs.made[name] = true
	}
	return path
}

// needMPI skips a test where Open MPI is not installed.
func needMPI(t *testing.T) {
	t.Helper()
	out, err := exec.Command("mpirun", "--version").Output()
	if err != nil || !bytes.Contains(out, []byte("Open MPI")) {
		t.Skip("Open MPI is not installed here")
	}
}

// mpirun is a command that runs a program as n processes; more of another kind follow a colon.
func mpirun(n int, args ...string) *exec.Cmd {
	cmd := exec.Command("mpirun", append([]string{"--allow-run-as-root", "--oversubscribe", "-np", strconv.Itoa(n)},
		args...)...)
	cmd.Env = append(os.Environ(), "OMPI_MCA_rmaps_base_oversubscribe=1")
	return cmd
}

// run runs a command and gives its output and what it says.
func run(t *testing.T, cmd *exec.Cmd) (out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd.Args, err, o.String(), e.String())
	}
	return o.String(), e.String()
}

// text writes a text to learn.
func text(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	line := "How doth the little busy bee improve each shining hour, and gather honey all the day.\n"
	if err := os.WriteFile("t.txt", []byte(strings.Repeat(line, 200)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, a, b string) {
	t.Helper()
	x, err1 := os.ReadFile(a)
	y, err2 := os.ReadFile(b)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%s and %s have other bits", a, b)
	}
}

var training = []string{"train", "--data", "t.txt", "--batch", "8", "--accumulate", "4", "--window", "16", "--samples",
	"0", "--eval-every", "10"}

func with(args []string, more ...string) []string {
	return append(append([]string{}, args...), more...)
}

// One, two and four processes leave the same bits, on any number of threads, and one of them speaks.
func TestProcesses(t *testing.T) {
	needMPI(t)
	rnn := build(t, "rnn", "rnn")
	text(t)
	run(t, exec.Command(rnn, with(training, "--steps", "25", "--out", "1.safetensors")...))
	for _, n := range []int{2, 4} {
		name := fmt.Sprint(n, ".safetensors")
		out, errOut := run(t, mpirun(n, with([]string{rnn}, with(training, "--steps", "25", "--threads",
			strconv.Itoa(n/2), "--out", name)...)...))
		same(t, "1.safetensors", name)
		if strings.Count(out, "step 25 of 25, done") != 1 ||
			strings.Count(errOut, fmt.Sprintf("rnn: %d processes on 1 machine, of ", n)) != 1 {
			t.Errorf("%d processes say %s%s", n, out, errOut)
		}
	}
}

// started starts a command, and waits until it has written a file.
func started(t *testing.T, cmd *exec.Cmd, file string) (errOut *bytes.Buffer, end func() error) {
	t.Helper()
	errOut = &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = nil, errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	limit := time.Now().Add(2 * time.Minute)
	for {
		if _, err := os.Stat(file); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it has ended: %v\n%s", err, errOut.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(limit) {
			cmd.Process.Kill()
			t.Fatalf("%s is not written\n%s", file, errOut.String())
		}
	}
	return errOut, func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			cmd.Process.Kill()
			<-ended
			return errors.New("it goes on")
		}
	}
}

// process is the number of the process of a rank, among those that a launcher has started.
func process(t *testing.T, launcher, rank int) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		stat, err1 := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		environ, err2 := os.ReadFile(path)
		if err1 != nil || err2 != nil { // it has ended
			continue
		}
		_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name of the program comes before
		fields := strings.Fields(string(rest))
		if len(fields) > 1 && fields[1] == strconv.Itoa(launcher) &&
			bytes.Contains(environ, fmt.Appendf(nil, "\x00OMPI_COMM_WORLD_RANK=%d\x00", rank)) {
			return pid
		}
	}
	t.Fatalf("process %d is not found", rank)
	return 0
}

// lostSteps are enough for a process to be found and killed in the middle of them.
const lostSteps = "100"

// A process that is killed or stopped ends the others, which name it; the training goes on from the last checkpoint on
// fewer processes, and ends with the same bits.
func TestLost(t *testing.T) {
	needMPI(t)
	rnn := build(t, "rnn", "rnn")
	text(t)
	lost := with(training, "--window", "64", "--steps", lostSteps, "--save-every", "5", "--out")
	run(t, exec.Command(rnn, with(lost, "whole.safetensors")...))
	for _, x := range []struct {
		rank   int
		signal syscall.Signal
		says   string
	}{{2, syscall.SIGKILL, "has died"}, {0, syscall.SIGKILL, "has died"}, {1, syscall.SIGSTOP, "does not answer"}} {
		os.Remove("part.safetensors")
		// With recovery the launcher leaves the others to themselves, and ends well; without it, it may end them before
		// they can speak. A process that is stopped it has to end.
		program, died := []string{rnn}, x.signal == syscall.SIGKILL
		if died {
			program = []string{"--enable-recovery", rnn}
		}
		cmd := mpirun(4, with(program, with(lost, "part.safetensors")...)...)
		errOut, end := started(t, cmd, "part.safetensors")
		pid := process(t, cmd.Process.Pid, x.rank)
		if err := syscall.Kill(pid, x.signal); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := end(); err == nil && !died || err != nil && err.Error() == "it goes on" {
			t.Errorf("process %d got %v: %v", x.rank, x.signal, err)
		}
		t.Logf("%v: over after %v", x.signal, time.Since(begin))
		want := fmt.Sprintf("rnn: process %d of 4 (number %d on ", x.rank, pid)
		if s := errOut.String(); strings.Count(s, want) != 1 || !strings.Contains(s, x.says) ||
			!strings.Contains(s, "is kept in part.safetensors: go on with rnn train --resume --out part.safetensors") {
			t.Errorf("process %d got %v: want %q and %q in\n%s", x.rank, x.signal, want, x.says, s)
		}
		run(t, mpirun(2, rnn, "train", "--resume", "--out", "part.safetensors", "--samples", "0"))
		same(t, "whole.safetensors", "part.safetensors")
	}
}

// What processes do not have in common, or cannot share, is an error of one line that says so, and nothing is written.
func TestUnlike(t *testing.T) {
	needMPI(t)
	rnn, other := build(t, "rnn", "rnn"), build(t, "rnn-other", "rnn", "-ldflags=-s")
	text(t)
	if err := errors.Join(os.Mkdir("a", 0o777), os.Mkdir("b", 0o777), os.WriteFile("a/t.txt", []byte(strings.Repeat(
		"The mouse ran up the clock.\n", 300)), 0o666), os.WriteFile("b/t.txt", []byte(strings.Repeat(
		"The mouse ran up the tower.\n", 300)), 0o666)); err != nil {
		t.Fatal(err)
	}
	short := with(training, "--steps", "5", "--out", "x.safetensors")
	colon := func(first []string, second ...string) []string {
		return append(append(first, ":", "-np", "1"), second...)
	}
	for _, x := range []struct {
		n    int
		args []string
		want string
	}{
		{3, with([]string{rnn}, short...), "--accumulate 4: 3 processes can't share 4 shards of a batch evenly"},
		{2, with([]string{rnn}, with(short, "--accumulate", "1")...), "give --accumulate 2 or a multiple"},
		{1, colon(with([]string{rnn}, short...), with([]string{other}, short...)...), "process 1 on "},
		{1, colon(with([]string{rnn}, short...), with([]string{rnn}, with(short, "--rate", "0.5")...)...),
			"--rate is 0.00"},
		{1, colon(with([]string{"-wdir", "a", rnn}, short...), with([]string{"-wdir", "b", rnn}, short...)...),
			"another text or data under the same names"},
		{1, colon(with([]string{rnn}, short...), with([]string{rnn}, with(short, "--data", "none.txt")...)...),
			"process 1 of 2 (number "},
		{2, with([]string{"-x", "GRADSMITH_MPI=/none/libmpi.so", rnn}, short...),
			"the library that GRADSMITH_MPI names"},
		{2, with([]string{rnn}, "train", "--data", "t.txt", "--find-rate"), "--find-rate runs in one process"},
		{2, with([]string{rnn}, "train", "--data", "t.txt", "--steps", "x"), "invalid argument \"x\""},
	} {
		var e bytes.Buffer
		cmd := mpirun(x.n, x.args...)
		cmd.Stderr = &e
		if err := cmd.Run(); err == nil {
			t.Errorf("%v: no error", x.args)
		}
		lines := 0
		for line := range strings.Lines(e.String()) {
			if strings.HasPrefix(line, "rnn: ") && strings.Contains(line, x.want) {
				lines++
			}
		}
		if lines != 1 {
			t.Errorf("%v: want one line with %q in\n%s", x.args, x.want, e.String())
		}
		for _, name := range []string{"x.safetensors", "a/x.safetensors", "b/x.safetensors", "rnn.safetensors"} {
			if _, err := os.Stat(name); err == nil {
				t.Errorf("%v: %s is written", x.args, name)
			}
		}
	}
}

// Without mpirun a program opens no library: one that cannot be opened does not matter.
func TestUntouched(t *testing.T) {
	needMPI(t)
	rnn := build(t, "rnn", "rnn")
	text(t)
	cmd := exec.Command(rnn, with(training, "--steps", "2", "--out", "x.safetensors")...)
	cmd.Env = append(os.Environ(), variable+"=/none/libmpi.so")
	run(t, cmd)
}
