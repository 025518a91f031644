package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// sampleFlags are the flags of sample.
type sampleFlags struct {
	model, prompt                   string
	tokens, topK, number, beam      int
	temperature, topP, minP         float64
	typical                         float64
	repetition, frequency, presence float64
	stop                            []string
	seed                            uint64
	seeded                          bool
	lookup, ahead                   int
	guesser                         string        // kind of the weights of the copy that guesses; empty for none
	guess                           model.Decoder // that copy's
	told                            io.Writer     // of how many guesses were right; nil for nobody
	steeringFlags
}

func (a *program) newSample() *cobra.Command {
	var f sampleFlags
	talk := false
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Write text",
		Long: `Sample goes on with a prompt, token by token, and prints the text as it is written.

The same seed, prompt and options write the same text, on every machine.

Flags keep the text to a language: a regular expression, the JSON of a schema, a grammar, one of several
texts. It ends where nothing can follow, or where it may end and the model would go on with something
else. With --tokens it always ends in time.

` + cli.Escapes + a.aboutBlanks("at the end of a prompt"),
		Example: fmt.Sprintf("  %s sample --prompt %q", a.Info.Name, a.example()),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.seeded = cmd.Flags().Changed("seed")
			if f.number < 1 {
				return fmt.Errorf("--number %d: give 1 or more", f.number)
			}
			lm, err := a.trained(f.model, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			steering, err := a.steering(&f.steeringFlags)
			if err != nil {
				return err
			}
			w := lm.(model.Writer)
			f.told = cmd.ErrOrStderr()
			if err := a.addGuesser(&f, w); err != nil {
				return err
			}
			if talk {
				return a.converse(cmd, w, f, steering)
			}
			a.warnBlank(cmd.ErrOrStderr(), f.prompt, "at the end of the prompt")
			out := cmd.OutOrStdout()
			for i := range f.number {
				if f.number > 1 {
					fmt.Fprintf(out, "--- sample %d ---\n", i+1)
				}
				g := f
				g.seed += uint64(i)
				if err := a.write(cmd.Context(), out, w, g, steering); err != nil {
					return err
				}
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.TextVar(fs, &f.prompt, "prompt", "p", a.Prompt, "`TEXT` to go on with; a newline when it is empty")
	fs.IntVarP(&f.tokens, "tokens", "n", 500, "tokens to write; -1 until Ctrl-C or a stop string")
	fs.Float64Var(&f.temperature, "temperature", 0.8,
		"below 1 plays it safe, above 1 dares; 0 takes the likeliest token each time")
	fs.IntVar(&f.topK, "top-k", 0, "keep the `K` likeliest tokens, 0 for all")
	fs.Float64Var(&f.topP, "top-p", 1, "keep the likeliest tokens that add up to a probability of `P`")
	fs.Float64Var(&f.minP, "min-p", 0, "keep the tokens that are at least `P` times as likely as the likeliest")
	fs.Float64Var(&f.typical, "typical", 1,
		"keep the tokens of typical information that add up to a probability of `P`")
	fs.Float64Var(&f.repetition, "repetition-penalty", 1, "divide the logits of the last 64 tokens; 1 for none")
	fs.Float64Var(&f.frequency, "frequency-penalty", 0,
		"take off the logit for each time that a token is among the last 64")
	fs.Float64Var(&f.presence, "presence-penalty", 0, "take off the logit of a token that is among the last 64")
	cli.TextsVar(fs, &f.stop, "stop", "end before this `TEXT`; may be given several times")
	fs.Uint64Var(&f.seed, "seed", 0, "of the draw (default: another one each time)")
	fs.IntVar(&f.number, "number", 1, "samples to write")
	fs.IntVar(&f.beam, "beam", 0, "search for the likeliest text with a beam of this `WIDTH` in place of drawing")
	f.steeringFlags.add(fs, a.Info.Training.Condition)
	fs.IntVar(&f.lookup, "lookup", 0, "guess up to `N` tokens from what followed the last ones before, and check them "+
		"together: the same text, sooner where it repeats itself")
	fs.StringVar(&f.guesser, "guess", "", "let a copy of the model with weights of this `KIND` (q4, q8, bf16) guess, and "+
		"check its tokens together: the same text, sooner")
	fs.IntVar(&f.ahead, "ahead", 4, "tokens that --guess guesses at a time")
	fs.BoolVarP(&talk, "interactive", "i", false, "go on with each line that is typed")
	fs.StringVar(&f.model, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(fs)
	return cmd
}

// shown are the flags of a sample that a training shows.
func (a *program) shown(seed uint64, tokens int) sampleFlags {
	return sampleFlags{prompt: a.Prompt, tokens: tokens, temperature: 0.8, topP: 1, typical: 1, repetition: 1,
		steeringFlags: noSteering(), seed: seed, seeded: true}
}

// converse goes on with each line that is typed, or read from the standard input.
func (a *program) converse(cmd *cobra.Command, m model.Writer, f sampleFlags, steering []sample.Option) error {
	mark := ""
	if in, ok := cmd.InOrStdin().(*os.File); ok && cli.TerminalWidth(in) > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "Type the beginning of a text to have it continued; Ctrl-D ends.")
		mark = "> "
	}
	in := bufio.NewScanner(cmd.InOrStdin())
	in.Buffer(nil, 1<<20)
	for i := uint64(0); ; i++ {
		fmt.Fprint(cmd.ErrOrStderr(), mark)
		if !in.Scan() {
			break
		}
		g := f
		g.prompt, g.seed = in.Text(), f.seed+i
		a.warnBlank(cmd.ErrOrStderr(), g.prompt, "at the end of the line")
		switch err := a.write(cmd.Context(), cmd.OutOrStdout(), m, g, steering); {
		case cmd.Context().Err() != nil:
			return err
		case err != nil: // of this line, such as a character that the model does not know
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", a.Info.Name, err)
		}
	}
	if mark != "" {
		fmt.Fprintln(cmd.ErrOrStderr())
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return nil
}

// write prints the prompt and what the model makes of it.
func (a *program) write(ctx context.Context, out io.Writer, m model.Writer, f sampleFlags,
	steering []sample.Option) error {
	opts := append([]sample.Option{sample.MaxTokens(f.tokens)}, steering...)
	for _, s := range f.stop {
		opts = append(opts, sample.Stop(s))
	}
	if f.beam != 0 {
		if len(f.require) > 0 {
			opts = append(opts, sample.DynamicBeams())
		}
		dec, err := model.NewDecoder(m, f.beam)
		if err != nil {
			return err
		}
		found, err := sample.Beam(ctx, dec, a.Tokenizer, f.prompt, f.beam, opts...)
		if err != nil {
			return err
		}
		for _, h := range found {
			fmt.Fprintf(out, "%s%s\n(log-probability %.3f)\n", f.prompt, h.Text, h.LogProb)
		}
		return nil
	}
	if f.contrastive > 0 {
		d, err := model.NewDecoder(m, f.contrastiveK)
		if err != nil {
			return err
		}
		dec, ok := d.(model.Representer)
		if !ok {
			return errors.New("--contrastive: the model does not show what its logits are made from")
		}
		s, err := sample.Contrastive(ctx, dec, a.Tokenizer, f.prompt, f.contrastive,
			append(opts, sample.MinTokens(f.minTokens))...)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, f.prompt+s)
		return err
	}
	drawing, err := a.drawing(&f.steeringFlags, m, f.prompt)
	if err != nil {
		return err
	}
	opts = append(opts, drawing...)
	opts = append(opts, sample.Temperature(f.temperature), sample.TopK(f.topK), sample.TopP(f.topP),
		sample.MinP(f.minP), sample.Typical(f.typical),
		sample.RepetitionPenalty(f.repetition), sample.FrequencyPenalty(f.frequency),
		sample.PresencePenalty(f.presence))
	if f.seeded {
		opts = append(opts, sample.Seed(f.seed))
	}
	var counted sample.Speculation
	switch {
	case f.guess != nil:
		f.guess.Reset()
		opts = append(opts, sample.Speculate(f.guess, f.ahead), sample.Counted(&counted))
	case f.lookup > 0:
		opts = append(opts, sample.Lookup(f.lookup), sample.Counted(&counted))
	}
	dec, err := model.NewDecoder(m, 1)
	if err != nil {
		return err
	}
	if f.bestOf > 0 {
		found, err := sample.BestOf(ctx, dec, a.Tokenizer, f.prompt, f.bestOf, opts...)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, f.prompt+found[0].Text)
		return err
	}
	// The prompt is printed with the first part: when it is wrong, nothing is.
	pending, last := f.prompt, ""
	print := func(s string) error {
		if s == "" {
			return nil
		}
		last = s
		if _, err := io.WriteString(out, s); err != nil {
			return fmt.Errorf("can't print: %w", err)
		}
		return nil
	}
	for part, err := range sample.Generate(ctx, dec, a.Tokenizer, f.prompt, opts...) {
		if err != nil {
			if last != "" {
				print("\n")
			}
			return err
		}
		if err := print(pending + part); err != nil {
			return err
		}
		pending = ""
	}
	if err := print(pending); err != nil {
		return err
	}
	if !strings.HasSuffix(last, "\n") {
		if err := print("\n"); err != nil {
			return err
		}
	}
	if c := counted; c.Passes > 0 && f.told != nil {
		fmt.Fprintf(f.told, "%d of %d guesses were right (%.0f %%); %d passes of the model\n", c.Accepted, c.Guessed,
			100*float64(c.Accepted)/float64(max(1, c.Guessed)), c.Passes)
	}
	return nil
}

// addGuesser makes the decoder of a copy of the model in fewer bits, where one is to guess.
func (a *program) addGuesser(f *sampleFlags, m model.Writer) error {
	switch {
	case f.guesser == "" && f.lookup == 0:
		return nil
	case f.guesser != "" && f.lookup != 0:
		return errors.New("--guess and --lookup both guess: give one of them")
	case f.lookup < 0:
		return fmt.Errorf("--lookup %d: give 1 or more", f.lookup)
	case f.beam != 0 || f.bestOf > 0 || f.contrastive > 0:
		return errors.New("--guess and --lookup are for text that is drawn, not for --beam, --best-of or --contrastive")
	case f.guesser == "":
		return nil
	case f.ahead < 1:
		return fmt.Errorf("--ahead %d: give 1 or more", f.ahead)
	}
	kind, err := weights.ParseKind(f.guesser)
	if err != nil {
		return fmt.Errorf("--guess: %w", err)
	}
	p, ok := m.(model.Packer)
	if !ok {
		return errors.New("--guess: the model has no matrices that can be laid out in fewer bits")
	}
	usual := p.Kind()
	if err := p.Pack(kind); err != nil {
		return fmt.Errorf("--guess: %w", err)
	}
	if f.guess, err = model.NewDecoder(p, 1); err != nil {
		return fmt.Errorf("--guess: %w", err)
	}
	return p.Pack(usual)
}
