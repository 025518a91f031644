package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/cluster"
	_ "github.com/gradsmith/gradsmith/runtime/data/zstd" // a program with commands reads it
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// Program is what the commands need to know of a model.
type Program = model.Program

// Main runs the command that the arguments of the process ask for, and ends the process: with status 0, 1 after an
// error, which is one line on the standard error, or 130 when it was interrupted before it had a result.
func Main(p Program) {
	process(func(ctx context.Context) int { return Run(ctx, p, os.Args[1:], os.Stdout, os.Stderr) })
}

// process runs a program, whose context the first interrupt ends.
func process(run func(ctx context.Context) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		// The first interrupt lets the step end and the checkpoint be written; a second one ends the process at once.
		<-ctx.Done()
		stop()
	}()
	os.Exit(run(ctx))
}

// Run is Main without the process: it returns the exit status. A training ends cleanly, with a checkpoint, when ctx is
// cancelled. A progress bar is shown when errOut is a terminal, and lines otherwise.
func Run(ctx context.Context, p Program, args []string, out, errOut io.Writer) int {
	if err := kernel.Environment(); err != nil {
		fmt.Fprintf(errOut, "%s: %v\n", p.Info.Name, err)
		return 1
	}
	a := &program{Program: p}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err != nil && a.hushed(ctx) {
		return 1
	}
	return status(p.Info.Name, err, errOut)
}

// status is the exit status of a program, which says what went wrong.
func status(name string, err error, errOut io.Writer) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return 130
	case errors.Is(err, cluster.ErrTold):
		return 1
	}
	// One line: the suggestions of cobra come on several.
	fmt.Fprintf(errOut, "%s: %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
	return 1
}

// program is a Program with what all its commands share.
type program struct {
	Program
	threads int
	weights weights.Kind // that decoders read
	chosen  bool         // by --weights
	cache   cache.Kind   // of the keys and values that decoders keep
	keeps   bool         // as --cache says
	asked   []int32      // the source whose answer is shown while the model is trained; nil until it is

	adapters []string // of --adapter

	group *cluster.Group // that trains together; nil for this process alone
}

func newRoot(p Program) *cobra.Command { return (&program{Program: p}).root() }

func (a *program) root() *cobra.Command {
	p := a.Program
	name := p.Info.Name
	short := p.Info.Description
	if short == "" {
		short = fmt.Sprintf("Train the model %s and write text with it", name)
		if p.Info.Vector != nil && p.Info.Adversary != nil {
			short = fmt.Sprintf("Train the model %s and make vectors with it", name)
		}
	}
	root := &cobra.Command{
		Use:   name,
		Short: short,
		Long: fmt.Sprintf(`%s

%s was compiled from %s by gradsmith. Begin with:

  %s`, short, name, p.Info.Spec, a.begin()),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := fileFlags.Check(cmd, args); err != nil {
				return err
			}
			if cmd.Name() == "quantize" || cmd.Flags().Lookup("weights") == nil {
				a.weights = weights.Live
			}
			if a.chosen = cmd.Flags().Changed("weights"); a.chosen && a.weights != weights.Live {
				if err := a.fixed(a.weights); err != nil {
					return err
				}
			}
			a.keeps = cmd.Flags().Changed("cache")
			if cmd.Flags().Changed("threads") {
				if a.threads < 1 {
					return fmt.Errorf("--threads %d: give 1 or more", a.threads)
				}
				parallel.SetThreads(a.threads)
			}
			return nil
		},
	}
	cli.Prepare(root, elsewhere, acting)
	root.PersistentFlags().IntVar(&a.threads, "threads", parallel.Threads(),
		"threads that compute; the result does not depend on it")
	a.addAdapter(root)
	root.AddCommand(a.newTrain(), a.newInfo(), a.newExport(), a.newServe())
	if a.Info.Adapter != nil {
		root.AddCommand(a.newMerge())
	}
	switch {
	case !a.Info.Taps:
	case a.Info.Vector != nil:
		root.AddCommand(a.newExplainVectors())
	default:
		root.AddCommand(a.newExplain())
	}
	if a.Info.Vector == nil && a.Info.Masking == nil { // those that write
		root.AddCommand(a.newSpeed(), a.newQuantize())
	}
	switch {
	case a.ofLines():
		root.AddCommand(a.newEvalImitation(), a.newSampleLines(), a.newScoreLines())
	case p.Info.Adversary != nil:
		root.AddCommand(a.newEvalAdversaries(), a.newSampleAdversaries(), a.newScore())
	case p.Info.Vector != nil:
		root.AddCommand(a.newEvalLatent(), a.newSampleVectors(), a.newReconstruct(), a.newInterpolate(), a.newEncode())
	case p.Info.Latent != nil:
		root.AddCommand(a.newEvalLatent(), a.newSampleSentences(), a.newReconstructSentences(),
			a.newInterpolateSentences(), a.newEncodeSentences())
		if p.Info.Labels == 0 {
			root.AddCommand(a.newMoveSentences())
		}
	case p.Info.Source != nil:
		root.AddCommand(a.newEvalPairs(), a.newTranslate(), a.newAlign())
	case p.Info.Masking != nil:
		root.AddCommand(a.newEval(), a.newFill(), a.newEmbed())
	default:
		root.AddCommand(a.newEval(), a.newSample(), a.newPerplexity(), a.newChoose(), a.newEmbed())
	}
	return root
}

// begin is what a newcomer types first.
func (a *program) begin() string {
	info := a.Info
	text := func(s string) string { return fmt.Sprintf("%q", s) }
	lines := []string{"train --data book.txt", "sample --prompt " + text(a.example())}
	switch {
	case info.Adversary != nil && info.Vector == nil:
		lines = []string{"train --data lines.txt", "sample", "score --data lines.txt"}
	case info.Labels > 0 && info.Vector != nil:
		lines = []string{"train --data digits.npy --labels digits.txt", "sample", "sample --label 1"}
	case info.Labels > 0:
		lines = []string{"train --data sentences.txt --labels labels.txt", "sample --label 1"}
	case info.Adversary != nil:
		lines = []string{"train --data digits.npy", "sample", "score --data digits.npy"}
	case info.Vector != nil:
		lines = []string{"train --data digits.npy", "sample"}
	case info.Latent != nil:
		lines = []string{"train --data sentences.txt", "sample"}
	case info.Source != nil:
		lines = []string{"train --source questions.txt --target answers.txt", "translate < questions.txt"}
	case info.Masking != nil:
		lines = []string{"train --data book.txt", "fill " + text(a.masks())}
	}
	return info.Name + " " + strings.Join(lines, "\n  "+info.Name+" ")
}

// outPath is where a training keeps the model when no flag says otherwise.
func (a *program) outPath() string {
	if a.Info.Adapter != nil {
		return a.adapterPath()
	}
	return a.basePath()
}

// checkpointPath is where the commands find the model when no flag says otherwise: what a training has made or, before
// there is one, what the model comes with.
func (a *program) checkpointPath() string {
	if _, err := os.Stat(a.basePath()); err != nil && a.Checkpoint != "" {
		return a.Checkpoint
	}
	return a.basePath()
}

// trained makes a model with the parameters of a checkpoint.
func (a *program) trained(path string, load func(string, model.LanguageModel) error) (model.LanguageModel, error) {
	if err := there(path); err != nil {
		return nil, err
	}
	m := a.Empty()
	if err := load(path, m); err != nil {
		return nil, err
	}
	if err := a.adapt(m); err != nil {
		return nil, err
	}
	if err := a.pack(m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, a.keep(m)
}

// there reports a checkpoint that is missing.
func there(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no checkpoint %s: train the model first, or name one with --model", path)
	}
	return nil
}

// opticks is a text that ships with every Go toolchain: Newton's "Opticks", 4th edition, 1730.
const opticks = "src/testdata/Isaac.Newton-Opticks.txt"

// passage is from it: a model whose tokenizer has these words can learn it.
const passage = "The Rays of Light are in 1 or 2 parts.\n"

// orOpticks says of a flag which text is read without it.
func (a *program) orOpticks() string {
	if a.Data != "" || !a.spells(passage) {
		return ""
	}
	return " (default: Newton's Opticks, which ships with Go)"
}

// data is the text to read: that of the flag, of the program, or the one that ships with Go.
func (a *program) data(ctx context.Context, flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if a.Data != "" {
		if _, err := os.Stat(a.Data); err != nil {
			return "", fmt.Errorf("the default text is missing (%w): name a text with --data FILE", err)
		}
		return a.Data, nil
	}
	if !a.spells(passage) {
		return "", errors.New("no text: name one with --data FILE")
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", errors.New("no text: name one with --data FILE (the default text ships with Go, and there is no " +
			"go command here)")
	}
	path := filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(opticks))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no text: name one with --data FILE (the default text, %s, is missing)", path)
	}
	return path, nil
}

// noArgs refuses arguments that are not flags.
var noArgs = cli.Args()

// texts reads arguments that are text, in which escapes mean what they do in flags.
func texts(args []string) ([]string, error) {
	all := make([]string, len(args))
	for i, arg := range args {
		var err error
		if all[i], err = cli.Unescape(arg); err != nil {
			return nil, err
		}
	}
	return all, nil
}
