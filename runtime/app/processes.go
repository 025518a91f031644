package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// inGroup runs a training together with the processes that mpirun has started beside this one, or alone. Process 0
// speaks to the user, the others are silent.
func (a *program) inGroup(cmd *cobra.Command, f *trainFlags, run func(*standing) error) error {
	g, err := cluster.Join()
	if err != nil {
		return err
	}
	if g == nil {
		return run(nil)
	}
	a.group = g
	at := &standing{}
	errOut := cmd.ErrOrStderr()
	if !g.Leads() {
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
	}
	if !cmd.Flags().Changed("threads") && os.Getenv("GRADSMITH_THREADS") == "" {
		parallel.SetThreads(max(1, a.threads/g.Neighbours()))
	}
	g.OnLost(func(err error, told bool) {
		code := 1
		if !told {
			code = status(a.Info.Name, a.lost(err, f, at), errOut)
		}
		os.Exit(code)
	})
	if err = run(at); err == nil {
		err = g.Close()
	}
	err = g.Fail(a.lost(err, f, at))
	if !g.Leads() && err != nil && !errors.Is(err, cluster.ErrTold) {
		fmt.Fprintf(errOut, "%s: %s\n", a.Info.Name, strings.Join(strings.Fields(err.Error()), " "))
		return cluster.ErrTold // as what this process prints goes nowhere
	}
	return err
}

// lost adds to the error of a group that has ended what there is to go on from.
func (a *program) lost(err error, f *trainFlags, at *standing) error {
	if l := (*cluster.Lost)(nil); !errors.As(err, &l) || !at.begun.Load() {
		return err
	}
	step := int(at.saved.Load())
	// Process 0 may have written another one since it has told this process.
	if info, fault := checkpoint.Describe(f.out); fault == nil && info.Training != nil && info.Digest != at.before {
		step = info.Training.Step
	}
	if step == 0 {
		return fmt.Errorf("%w; no checkpoint was written", err)
	}
	how := fmt.Sprintf("%s train --resume", a.Info.Name)
	if f.out != a.outPath() {
		how += " --out " + f.out
	}
	return fmt.Errorf("%w; the checkpoint of step %s is kept in %s: go on with %s, with as many processes or fewer", err,
		thousands(step), f.out, how)
}

// standing takes note of the last checkpoint of a training of a group.
type standing struct {
	path, before string // and the digest of what was there before; set before the training begins
	begun        atomic.Bool
	saved        atomic.Int64 // step of the last checkpoint, 0 for none
}

// begin is called before the first step of a training.
func (s *standing) begin(path string) {
	if s.path = path; path != "" {
		if info, err := checkpoint.Describe(path); err == nil {
			s.before = info.Digest
		}
	}
	s.begun.Store(true)
}

func (s *standing) Saved(path string, step int) {
	if path == s.path {
		s.saved.Store(int64(step))
	}
}
func (s *standing) Resumed(step, _ int)        { s.saved.Store(int64(step)) }
func (s *standing) Step(train.Progress)        {}
func (s *standing) Evaluated(train.Evaluation) {}
func (s *standing) Warn(string)                {}

// alike reports what the processes of a group do not have in common and must: the program, the spec, the data, the
// flags, and what they begin with.
func (a *program) alike(flags *pflag.FlagSet, f *trainFlags, m model.LanguageModel, d train.Data) error {
	if a.group.Size() == 1 {
		return nil
	}
	program, err := digestOfProgram()
	if err != nil {
		return err
	}
	traits := []cluster.Trait{{Name: "program", Value: program}, {Name: "spec", Value: a.Info.SpecDigest}}
	flags.VisitAll(func(x *pflag.Flag) {
		if x.Name != "threads" && x.Name != "help" {
			traits = append(traits, cluster.Trait{Name: "--" + x.Name, Value: keptValue(x), Shown: true})
		}
	})
	traits = append(traits, cluster.Trait{Name: "text or data under the same names", Value: d.Digest},
		cluster.Trait{Name: "set of parameters to begin with", Value: digestOfParameters(m)})
	if f.resume {
		info, err := checkpoint.Describe(f.source)
		if err != nil {
			return err
		}
		traits = append(traits, cluster.Trait{Name: "checkpoint " + f.source, Value: info.Digest})
	}
	return a.group.Same(traits)
}

// digestOfProgram is the SHA-256 of the file that runs.
func digestOfProgram() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("the file of this program: %w", err)
	}
	f, err := files.Open(path)
	if err != nil {
		return "", fmt.Errorf("the file of this program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("the file of this program: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// digestOfParameters is the SHA-256 of all parameters.
func digestOfParameters(m model.LanguageModel) string {
	h := sha256.New()
	for _, t := range m.Tensors() {
		h.Write(cluster.Bytes(t.Value))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// checkShards finds a number of shards that the processes of a group cannot share.
func (a *program) checkShards(f *trainFlags) error {
	n := a.group.Size()
	if f.accumulate%n == 0 {
		return nil
	}
	return fmt.Errorf("--accumulate %d: %d processes can't share %s of a batch evenly; give --accumulate %d or a multiple "+
		"of it, and a --batch that it divides, now %d", f.accumulate, n, counted(f.accumulate, "shard"), n, f.batch)
}

// hushed reports, of a process that has failed before it has joined the others, whether one of them has said the same:
// then a launcher has ended this one meanwhile.
func (a *program) hushed(ctx context.Context) bool { return a.group == nil && cluster.Hushed(ctx) }
