package app

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// bigram is the smallest language model: a table of logits, learnt by gradient descent with momentum. It is written out
// here so that commands can be tested without generated code.
type bigram struct {
	info     *model.Info
	w, g     []float32
	velocity []float32
	state    []float32
	step     int
	stepped  func(step int)
	fails    func(step int, rate float64) bool // whether a step, from 1, has a loss that is not finite
}

const letters = "abcdefghijklmnopqrstuvwxyz .\n"

// bigramProgram has windows of up to 4 × 8. each sees every model that is made.
func bigramProgram(each func(*bigram)) Program {
	n := len(letters)
	info := &model.Info{
		Name: "bigram", Kind: "rnn", Spec: "bigram.yaml", SpecDigest: "0123456789abcdef",
		Architecture: "fedcba9876543210", Vocab: n, Batch: 4, Steps: 8, Seed: 1,
		Params: n * n, TrainBytes: int64(12 * n * n), DecodeBytes: int64(4 * n * n),
		Layers: []model.Layer{{Name: "table", Kind: "dense", Output: "steps × batch × 29", Params: n * n,
			Flops: int64(n)}},
		Training: model.Training{Rate: 0.5, Schedule: "cosine", Passes: 2, Validation: 0.1},
	}
	fresh := func(seed uint64) model.LanguageModel {
		m := &bigram{info: info, w: make([]float32, n*n), g: make([]float32, n*n), velocity: make([]float32, n*n),
			state: make([]float32, 4)}
		for i := range m.w {
			m.w[i] = float32(model.Key(seed, uint64(i))%1000) / 1e4
		}
		if each != nil {
			each(m)
		}
		return m
	}
	return Program{
		Info:      info,
		Tokenizer: text.Chars(letters),
		New:       fresh,
		Empty:     func() model.LanguageModel { return fresh(0) },
	}
}

func (m *bigram) Info() *model.Info { return m.info }
func (m *bigram) Tensors() []model.Tensor {
	return []model.Tensor{{Name: "table.w", Shape: []int{m.info.Vocab, m.info.Vocab}, Value: m.w, Grad: m.g}}
}
func (m *bigram) Slots() []model.Slot { return []model.Slot{{Name: "velocity", Value: m.velocity}} }
func (m *bigram) Step() int           { return m.step }
func (m *bigram) SetStep(step int)    { m.step = step }
func (m *bigram) State() []float32    { return m.state }

func (m *bigram) loss(b *model.Batch) float64 {
	clear(m.g)
	sum, n := 0.0, 0
	for i := range b.Steps * b.Batch {
		m.state[i%b.Batch] = float32(b.Tokens[i])
		if b.Targets[i] < 0 {
			continue
		}
		at := int(b.Tokens[i]) * m.info.Vocab
		row, z := m.w[at:at+m.info.Vocab], 0.0
		for _, x := range row {
			z += math.Exp(float64(x))
		}
		sum += math.Log(z) - float64(row[b.Targets[i]])
		for j, x := range row {
			m.g[at+j] += float32(math.Exp(float64(x)) / z)
		}
		m.g[at+int(b.Targets[i])]--
		n++
	}
	return sum / float64(n)
}

func (m *bigram) TrainStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	loss = m.loss(b)
	if rate > 1e6 || m.fails != nil && m.fails(m.step+1, rate) {
		return math.NaN(), 1, nil
	}
	for i, g := range m.g {
		m.velocity[i] = 0.5*m.velocity[i] + g
		m.w[i] -= float32(rate) * m.velocity[i] / 32
	}
	m.step++
	if m.stepped != nil {
		m.stepped(m.step)
	}
	return loss, 1, nil
}

func (m *bigram) Loss(b *model.Batch) (float64, error) { return m.loss(b), nil }

func (m *bigram) Logits(b *model.Batch) ([]float32, error) {
	return (&bigramDecoder{m: m}).Step(b.Tokens)
}

func (m *bigram) MakeDecoder(batch int) model.Decoder {
	return &bigramDecoder{m: m, state: make([]float32, batch)}
}

type bigramDecoder struct {
	m     *bigram
	state []float32
}

func (d *bigramDecoder) Batch() int               { return len(d.state) }
func (d *bigramDecoder) Reorder(from []int) error { return nil }
func (d *bigramDecoder) Reset()                   { clear(d.state) }
func (d *bigramDecoder) Step(tokens []int32) ([]float32, error) {
	var out []float32
	for _, t := range tokens {
		at := int(t) * d.m.info.Vocab
		out = append(out, d.m.w[at:at+d.m.info.Vocab]...)
	}
	return out, nil
}
