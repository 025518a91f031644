package modeltest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"

	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

// Bits is a hex SHA-256 of all that a few training steps on pseudo-random examples leave in m: parameters, the
// optimizer's arrays, the carried state, and the losses. It is the same on every machine, for any number of threads and
// at each level of the kernels, so it tells whether a change to the compiler or to a kernel changed a result.
func Bits(m model.LanguageModel) string {
	info := m.Info()
	steps, n := min(info.Steps, 12), min(info.Batch, 5)
	make := func(seed uint64) *model.Batch { return batch(info, steps, n, seed) }
	at := []int{0}
	if a := info.Adversary; a != nil && a.Text != nil {
		make = func(seed uint64) *model.Batch { return lines(info, info.Steps, n, seed) }
		at = stages(info)
	}
	h := sha256.New()
	number := func(x float64) { binary.Write(h, binary.LittleEndian, math.Float64bits(x)) }
	for _, first := range at {
		m.SetStep(first)
		for i := range uint64(3) {
			loss, norm, err := m.TrainStep(make(20+i), 0.01)
			if err != nil {
				panic(err) // the batch is made for the model
			}
			number(loss)
			number(norm)
		}
	}
	if s, ok := m.(scheduled); ok {
		if err := s.Training().Collect(true); err != nil {
			panic(err)
		}
	}
	number(must(m.Loss(make(30))))
	arrays := [][]float32{m.State()}
	for _, t := range m.Tensors() {
		arrays = append(arrays, t.Value)
	}
	for _, s := range m.Slots() {
		arrays = append(arrays, s.Value)
	}
	for _, x := range arrays {
		binary.Write(h, binary.LittleEndian, x)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ShardBits is Bits of a training that cuts its batches into n shards, of which some have one row more than others.
func ShardBits(m model.LanguageModel, n int) string {
	if err := m.(scheduled).Training().Divide(n); err != nil {
		panic(err)
	}
	return Bits(m)
}

// GroupBits is ShardBits of a training in which each process of a group computes some of the n shards. All processes
// call it; the models are theirs.
func GroupBits(m model.LanguageModel, n int, g *cluster.Group) string {
	t := m.(scheduled).Training()
	if err := errors.Join(t.Divide(n), t.Share(g)); err != nil {
		panic(err)
	}
	return Bits(m)
}

// scheduled is a model that shows its steps, as all generated ones do.
type scheduled interface{ Training() *schedule.Training }
