package model

import (
	"fmt"
	"strings"
)

// Adapter says of a model that a training leaves its parameters as they are and learns low-rank changes of matrices
// (Hu et al. 2021).
type Adapter struct {
	Rank  int
	Alpha float64
}

// Scale is what the product of the two small matrices is multiplied with.
func (a *Adapter) Scale() float64 { return a.Alpha / float64(a.Rank) }

// Ends of the names of an adapter's tensors, behind the name of the matrix that they change.
const (
	adapterA = "_lora_a"
	adapterB = "_lora_b"
)

// Adaption is a matrix W [in, out] and its change A·B·Scale, A [in, rank] and B [rank, out].
type Adaption struct{ W, A, B Tensor }

// Adaptions lists the adapted matrices of a model in the order of its tensors; none of a model without an adapter.
func Adaptions(m LanguageModel) []Adaption {
	if m.Info().Adapter == nil {
		return nil
	}
	tensors := m.Tensors()
	by := map[string]Tensor{}
	for _, t := range tensors {
		by[t.Name] = t
	}
	var all []Adaption
	for _, t := range tensors {
		if name, ok := strings.CutSuffix(t.Name, adapterA); ok {
			w, known := by[name]
			b, paired := by[name+adapterB]
			if known && paired {
				all = append(all, Adaption{w, t, b})
			}
		}
	}
	return all
}

// Base lists the tensors of a model without those of its adapter.
func Base(m LanguageModel) []Tensor {
	own := map[string]bool{}
	for _, x := range Adaptions(m) {
		own[x.A.Name], own[x.B.Name] = true, true
	}
	var all []Tensor
	for _, t := range m.Tensors() {
		if !own[t.Name] {
			all = append(all, t)
		}
	}
	return all
}

// Merge adds the changes of the adapter of m to the matrices and makes its B zero: the model computes what it did, but
// for rounding. The sums are made in float64. Decoders that were made before do not see it.
func Merge(m LanguageModel) error {
	info := m.Info()
	if info.Adapter == nil {
		return fmt.Errorf("%s has no adapter", info.Name)
	}
	by := info.Adapter.Scale()
	var sums []float64
	for _, x := range Adaptions(m) {
		if len(x.W.Value) == 0 {
			return ErrMounted
		}
		rows, rank, columns := x.W.Shape[0], x.A.Shape[1], x.W.Shape[1]
		for i := range rows {
			sums = append(sums[:0], make([]float64, columns)...)
			for k := range rank {
				a := float64(x.A.Value[i*rank+k])
				for j, b := range x.B.Value[k*columns : (k+1)*columns] {
					sums[j] += a * float64(b)
				}
			}
			row := x.W.Value[i*columns : (i+1)*columns]
			for j, s := range sums {
				row[j] = float32(float64(row[j]) + by*s)
			}
		}
		clear(x.B.Value)
	}
	return nil
}
