// Command speculate times text that is written with guesses beside text that is not: GPT-baby with matrices in float32,
// alone, with guesses of GPT-nano, with guesses of a copy of itself in fewer bits, and with what followed before. All
// write the same text, which it checks. Ways take turns, one text a round; it prints medians of the ratios of rounds.
//
//	make speculate DATA=tinyshakespeare.txt      # trains both first, some minutes
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"github.com/gradsmith/gradsmith/generated/gptbaby"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

var (
	large   = flag.String("large", "../demo/gptbaby.safetensors", "checkpoint `FILE` of gptbaby")
	small   = flag.String("small", "../demo/gptnano.safetensors", "checkpoint `FILE` of gptnano")
	rounds  = flag.Int("rounds", 9, "texts of each way")
	tokens  = flag.Int("tokens", 200, "tokens of a text")
	threads = flag.Int("threads", 1, "threads")
)

// way is a way to write.
type way struct {
	name   string
	guess  func() sample.Option // nil for none
	counts sample.Speculation   // of all texts
	took   []time.Duration
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	parallel.SetThreads(*threads)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	baby, err := gptbaby.Load(*large)
	if err != nil {
		return err
	}
	nano, err := gptnano.Load(*small)
	if err != nil {
		return err
	}
	if err := nano.Pack(weights.Q8); err != nil {
		return err
	}
	copies := map[weights.Kind]model.Decoder{}
	for _, kind := range []weights.Kind{weights.Q8, weights.Q4} {
		if err := baby.Pack(kind); err != nil {
			return err
		}
		copies[kind] = baby.NewDecoder(1)
	}
	if err := baby.Pack(weights.F32); err != nil {
		return err
	}
	dec, draft := baby.NewDecoder(1), nano.NewDecoder(1)
	speculate := func(d model.Decoder, ahead int) func() sample.Option {
		return func() sample.Option { d.Reset(); return sample.Speculate(d, ahead) }
	}
	for _, temperature := range []float64{0, 0.8} {
		ways := []*way{{name: "alone"}, {name: "GPT-nano in q8, 3 ahead", guess: speculate(draft, 3)},
			{name: "GPT-nano in q8, 5 ahead", guess: speculate(draft, 5)},
			{name: "itself in q8, 3 ahead", guess: speculate(copies[weights.Q8], 3)},
			{name: "itself in q4, 4 ahead", guess: speculate(copies[weights.Q4], 4)},
			{name: "lookup, 5 ahead", guess: func() sample.Option { return sample.Lookup(5) }}}
		for round := range *rounds {
			want := ""
			for i := range ways {
				w := ways[(i+round)%len(ways)]
				opts := []sample.Option{sample.Temperature(temperature), sample.Seed(uint64(round)),
					sample.MaxTokens(*tokens)}
				var counted sample.Speculation
				if w.guess != nil {
					opts = append(opts, w.guess(), sample.Counted(&counted))
				}
				dec.Reset()
				prompt := strings.Repeat("KING RICHARD:\nWhat says he?\n\n", 1+round%2) + "DUKE"
				var text strings.Builder
				start := time.Now()
				for part, err := range sample.Generate(context.Background(), dec, gptbaby.Tokenizer, prompt, opts...) {
					if err != nil {
						return err
					}
					text.WriteString(part)
				}
				w.took = append(w.took, time.Since(start))
				w.counts.Passes += counted.Passes
				w.counts.Guessed += counted.Guessed
				w.counts.Accepted += counted.Accepted
				if want == "" {
					want = text.String()
				}
				if text.String() != want {
					return fmt.Errorf("%s writes another text:\n%s\n\n%s", w.name, text.String(), want)
				}
			}
		}
		alone := slices.Clone(ways[0].took)
		for _, w := range ways {
			var ratios, rates []float64
			for i, d := range w.took {
				ratios = append(ratios, float64(alone[i])/float64(d))
				rates = append(rates, float64(*tokens)/d.Seconds())
			}
			fmt.Printf("temperature %.1f  %-26s %6.0f tokens/s, %.2f times alone", temperature, w.name, median(rates),
				median(ratios))
			if w.guess != nil {
				fmt.Printf(", %3.0f %% of guesses right",
					100*float64(w.counts.Accepted)/float64(max(1, w.counts.Guessed)))
			}
			fmt.Println()
		}
	}
	return nil
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}
