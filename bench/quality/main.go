// Command quality tells what weights, and keys and values, in fewer bits cost trained models: the perplexity of one of
// text, as decoding computes it, and the BLEU of translators, beside those in float32. It prints a table for each, and
// fails where 8 bits cost more than 0.1 % and 0.1 BLEU, or 4 bits more than 1.5 % and 0.5.
//
//	make quality DATA=tinyshakespeare.txt PAIRS=DIR      # trains first what is not there, hours
//
// PAIRS has train.en, train.de, val.en, val.de, test_2016_flickr.en and test_2016_flickr.de, or the same with .gz.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/transformer"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/metric"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

var (
	demo    = flag.String("models", "../demo", "`FOLDER` of gptnano.safetensors and of translators")
	data    = flag.String("data", "", "text `FILE`, whose last tenth no training has read; none to leave text out")
	pairs   = flag.String("pairs", "", "`FOLDER` of the pairs; none to leave translators out")
	names   = flag.String("translators", "translate,transformer", "translators, with commas in between")
	threads = flag.Int("threads", 1, "threads; the figures do not depend on them")
)

// form is how decoders have the numbers that they read.
type form struct {
	weights weights.Kind
	cache   cache.Kind
}

func (f form) String() string {
	if f.cache == cache.F32 {
		return f.weights.String()
	}
	return fmt.Sprintf("%v, caches %v", f.weights, f.cache)
}

// What 8 and 4 bits may cost: perplexity in percent, and BLEU.
var allowed = map[weights.Kind][2]float64{weights.Q8: {0.1, 0.1}, weights.Q4: {1.5, 0.5}}

func main() {
	log.SetFlags(0)
	flag.Parse()
	parallel.SetThreads(*threads)
	var faults []error
	if *data != "" {
		faults = append(faults, perplexities())
	}
	if *pairs != "" {
		for _, name := range strings.Split(*names, ",") {
			faults = append(faults, translations(name))
		}
	}
	if err := errors.Join(faults...); err != nil {
		log.Fatal(err)
	}
}

// forms are those to compare, of a model with caches or without, float32 first.
func forms(m model.Packer) []form {
	var all []form
	for _, kind := range weights.Kinds() {
		all = append(all, form{kind, cache.F32})
	}
	if _, ok := m.(model.Cacher); ok {
		for _, kind := range []weights.Kind{weights.F32, weights.Q8, weights.Q4} {
			all = append(all, form{kind, cache.BF16}, form{kind, cache.Q8})
		}
	}
	return all
}

// take makes the decoders of m read a form.
func take(m model.Packer, f form) error {
	if c, ok := m.(model.Cacher); ok {
		if err := c.SetCache(f.cache); err != nil {
			return err
		}
	}
	return m.Pack(f.weights)
}

// perplexities prints what forms cost GPT-nano on the last tenth of the text.
func perplexities() error {
	m, err := gptnano.Load(filepath.Join(*demo, "gptnano.safetensors"))
	if err != nil {
		return err
	}
	corpus, err := text.Read(text.Paths(*data), gptnano.Tokenizer, text.Options{Validation: 0.1})
	if err != nil {
		return err
	}
	windows, err := corpus.Validation.Whole(m.Info().Batch, m.Info().Steps)
	if err != nil {
		return err
	}
	fmt.Print("\nGPT-nano\n\n| | nats a token | perplexity | |\n|---|---|---|---|\n")
	var exact float64
	var faults []error
	for i, f := range forms(m) {
		if err := take(m, f); err != nil {
			return err
		}
		nats, _, err := train.EvaluateDecoder(context.Background(), m, windows)
		if err != nil {
			return err
		}
		if i == 0 {
			exact = nats
			fmt.Printf("| %v | %.5f | %.4f | |\n", f, nats, math.Exp(nats))
			continue
		}
		more := 100 * (math.Exp(nats-exact) - 1)
		fmt.Printf("| %v | %.5f | %.4f | %+.3f %% |\n", f, nats, math.Exp(nats), more)
		if most, ok := allowed[f.weights]; ok && more > most[0] {
			faults = append(faults, fmt.Errorf("gptnano, %v: the perplexity is %.3f %% larger, and may be %.1f %%", f,
				more, most[0]))
		}
	}
	return errors.Join(faults...)
}

var programs = map[string]model.Program{"translate": translate.Program(), "transformer": transformer.Program()}

// translations prints what forms cost a translator on test_2016_flickr, greedily.
func translations(name string) error {
	p, ok := programs[name]
	if !ok {
		return fmt.Errorf("--translators: there is no %s", name)
	}
	m := p.Empty().(model.Packer)
	if err := checkpoint.LoadWeights(filepath.Join(*demo, name+".best.safetensors"), m); err != nil {
		return err
	}
	path := func(language string) string {
		file := filepath.Join(*pairs, "test_2016_flickr."+language)
		if _, err := os.Stat(file); err != nil {
			file += ".gz"
		}
		return file
	}
	sources, references, err := text.PairInput{Sources: text.Paths(path("en")), Answers: text.Paths(path("de"))}.Lines()
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n\n| | BLEU, greedy | |\n|---|---|---|\n", name)
	var exact float64
	var faults []error
	for i, f := range forms(m) {
		if err := take(m, f); err != nil {
			return err
		}
		answers, err := answer(m, p, sources)
		if err != nil {
			return err
		}
		b, err := metric.Corpus(answers, references)
		if err != nil {
			return err
		}
		if i == 0 {
			exact = b.Score
			fmt.Printf("| %v | %.2f | |\n", f, b.Score)
			continue
		}
		fmt.Printf("| %v | %.2f | %+.2f |\n", f, b.Score, b.Score-exact)
		if most, ok := allowed[f.weights]; ok && exact-b.Score > most[1] {
			faults = append(faults, fmt.Errorf("%s, %v: BLEU is %.2f less, and may be %.1f", name, f, exact-b.Score,
				most[1]))
		}
	}
	return errors.Join(faults...)
}

// answer translates lines, some side by side.
func answer(m model.Packer, p model.Program, lines []string) ([]string, error) {
	var answers []string
	for len(lines) > 0 {
		n := min(len(lines), p.Info.Batch)
		var tokens [][]int32
		for _, line := range lines[:n] {
			t, err := text.EncodeSource(line, p.SourceTokenizer, *p.Info.Source)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, t)
		}
		lines = lines[n:]
		d := m.MakeDecoder(n).(model.Encoder)
		found, err := sample.GreedyAnswers(context.Background(), d, text.Pad(tokens), *p.Info.Source, p.Info.Steps-1)
		if err != nil {
			return nil, err
		}
		for _, x := range found {
			answers = append(answers, p.Tokenizer.Decode(x.Tokens))
		}
	}
	return answers, nil
}
