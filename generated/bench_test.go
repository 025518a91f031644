package generated_test

import (
	"fmt"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptbaby"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// models are the models that are timed, with what makes one.
var models = []struct {
	name string
	make func() model.LanguageModel
}{
	{"rnn", func() model.LanguageModel { return rnn.New() }},
	{"lstm", func() model.LanguageModel { return lstm.New() }},
	{"gru", func() model.LanguageModel { return gru.New() }},
	{"gptnano", func() model.LanguageModel { return gptnano.New() }},
	{"gptbaby", func() model.LanguageModel { return gptbaby.New() }},
	{"bertmini", func() model.LanguageModel { return bertmini.New() }},
	{"vae", func() model.LanguageModel { return vae.New() }},
	{"gan", func() model.LanguageModel { return gan.New() }},
}

// BenchmarkTrainStep times one training step at full capacity, on one thread and on two.
func BenchmarkTrainStep(b *testing.B) {
	defer parallel.SetThreads(parallel.Threads())
	for _, c := range models {
		for threads := 1; threads <= 2; threads++ {
			b.Run(fmt.Sprintf("%s/threads=%d", c.name, threads), func(b *testing.B) {
				parallel.SetThreads(threads)
				m := c.make()
				info := m.Info()
				n := info.Steps * info.Batch
				batch, unit := &model.Batch{Steps: info.Steps, Batch: info.Batch}, "tokens/s"
				if v := info.Vector; v != nil {
					batch.Vectors, unit = make([]float32, n*v.Width), "vectors/s"
					kernel.Uniform(batch.Vectors, 1, 0, n*v.Width)
				} else {
					batch.Tokens, batch.Targets, batch.Reset = tokens(1, n, info.Vocab), tokens(2, n,
						info.Vocab), make([]int32, n)
				}
				m.TrainStep(batch, 0.001) // makes the memory
				for b.Loop() {
					m.TrainStep(batch, 0.001)
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), unit)
			})
		}
	}
}

// BenchmarkDecode times one token of one sequence.
func BenchmarkDecode(b *testing.B) {
	for _, c := range models {
		w, ok := c.make().(model.Writer)
		if !ok {
			continue
		}
		b.Run(c.name, func(b *testing.B) {
			d := w.MakeDecoder(1)
			token := []int32{1}
			for b.Loop() {
				if model.Room(d) == 0 {
					d.Reset()
				}
				d.Step(token)
			}
		})
	}
}
