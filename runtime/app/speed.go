package app

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// mostSequences is more than a processor has a use for.
const mostSequences = 4096

func (a *program) newSpeed() *cobra.Command {
	var batches []int
	var prompt, rounds, steps int
	cmd := &cobra.Command{
		Use:   "speed",
		Short: "Measure how fast the model writes, by kind of weights",
		Long: `Speed measures how many tokens a second the model writes with each kind of weights, for one sequence and for
several side by side, and how many it reads of a prompt. Kinds take turns, round by round; a figure is the
median of the rounds. Parameters are the initial ones: their values make no difference.

Read is what decoding reads of matrices, in bytes a token and, for the first batch, in bytes a second.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rounds < 1 {
				return fmt.Errorf("--rounds %d: give 1 or more", rounds)
			}
			for _, n := range batches {
				if n < 1 || n > mostSequences {
					return fmt.Errorf("--batch %d: give 1 to %d", n, mostSequences)
				}
			}
			m, ok := a.New(a.Info.Seed).(model.Packer)
			if !ok {
				return fmt.Errorf("%s has no decoder", a.Info.Name)
			}
			if err := a.keep(m); err != nil {
				return err
			}
			kinds := append([]weights.Kind{weights.Live}, weights.Kinds()...)
			tests, err := a.speedTests(m, kinds, batches, prompt)
			if err != nil {
				return err
			}
			bar := cli.NewCounter(cmd.ErrOrStderr(), rounds*len(tests), "measurements")
			for round := range rounds {
				for i := range tests {
					if err := cmd.Context().Err(); err != nil {
						return err
					}
					if err := tests[i].measure(steps); err != nil {
						return err
					}
					bar.Set(round*len(tests) + i + 1)
				}
			}
			bar.End()
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%-6s %12s %10s", "", "read a token", "read")
			for _, n := range batches {
				fmt.Fprintf(out, " %14s", fmt.Sprintf("batch %d", n))
			}
			if prompt > 0 {
				fmt.Fprintf(out, " %14s", "prompt")
			}
			fmt.Fprintln(out)
			for _, kind := range kinds {
				bytes := m.MatrixBytes(kind)
				first := true
				for _, t := range tests {
					if t.kind != kind {
						continue
					}
					rate := t.median()
					if first {
						fmt.Fprintf(out, "%-6v %12s %7.1f GB/s", kind, bytesize(bytes),
							rate/float64(t.sequences)*float64(bytes)/1e9)
						first = false
					}
					fmt.Fprintf(out, " %14s", fmt.Sprintf("%s tokens/s", short(rate)))
				}
				fmt.Fprintln(out)
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntSliceVar(&batches, "batch", []int{1, 8}, "sequences side by side; several with commas in between")
	fs.IntVar(&prompt, "prompt", 256, "tokens of the prompt that is read; 0 for none")
	fs.IntVar(&steps, "tokens", 32, "tokens that each measurement writes")
	fs.IntVar(&rounds, "rounds", 5, "rounds")
	a.addCache(fs)
	return cmd
}

// speedTest is a decoder whose speed is measured.
type speedTest struct {
	kind      weights.Kind
	d         model.Decoder
	sequences int
	tokens    []int32 // of a call
	prompt    int     // tokens to read, or 0 to write
	rates     []float64
}

func (a *program) speedTests(m model.Packer, kinds []weights.Kind, batches []int, prompt int) (tests []*speedTest,
	err error) {
	add := func(kind weights.Kind, n, prompt int) error {
		d, err := model.NewDecoder(m, n)
		if err != nil {
			return err
		}
		t := &speedTest{kind: kind, d: d, sequences: n, tokens: make([]int32, n), prompt: prompt}
		if prompt > 0 {
			t.tokens = make([]int32, min(prompt, model.Chunk(d)))
			t.prompt = min(prompt, model.Room(d))
		}
		tests = append(tests, t)
		return t.begin(a.Info)
	}
	for _, kind := range kinds {
		if err := m.Pack(kind); err != nil {
			return nil, err
		}
		for _, n := range batches {
			if err := add(kind, n, 0); err != nil {
				return nil, err
			}
		}
		if prompt > 0 {
			if err := add(kind, 1, prompt); err != nil {
				return nil, err
			}
		}
	}
	return tests, nil
}

// begin gives a decoder that needs it something to begin with.
func (t *speedTest) begin(info *model.Info) error {
	switch d := t.d.(type) {
	case model.Encoder:
		return d.Encode(make([]int32, t.sequences*min(20, info.Source.Steps)))
	case model.LatentDecoder:
		var labels []int32
		if info.Labels > 0 {
			labels = make([]int32, t.sequences)
		}
		return d.Begin(make([]float32, t.sequences*info.Latent.Width), labels)
	}
	return nil
}

// measure adds a rate in tokens a second.
func (t *speedTest) measure(steps int) error {
	calls := steps
	if t.prompt > 0 {
		t.d.Reset()
		calls = t.prompt / len(t.tokens)
	}
	if _, err := t.feed(); err != nil { // warm
		return err
	}
	if t.prompt > 0 {
		t.d.Reset()
	}
	done := 0
	var took time.Duration
	for range max(1, calls) {
		if model.Room(t.d) < len(t.tokens)/t.sequences {
			t.d.Reset()
		}
		begin := time.Now()
		if _, err := t.feed(); err != nil {
			return err
		}
		took += time.Since(begin)
		done += len(t.tokens)
	}
	t.rates = append(t.rates, float64(done)/took.Seconds())
	return nil
}

func (t *speedTest) feed() ([]float32, error) {
	if t.prompt > 0 {
		return model.Feed(t.d, t.tokens)
	}
	return t.d.Step(t.tokens)
}

func (t *speedTest) median() float64 {
	sorted := slices.Sorted(slices.Values(t.rates))
	return sorted[len(sorted)/2]
}
