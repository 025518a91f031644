package model

import (
	"fmt"
	"math"
)

// NotFinite is the error of an update whose loss or gradient is not finite. It has moved nothing; those before it in
// the same training step, of another network, have.
type NotFinite struct {
	What  string  // "loss", or "norm of the gradient"
	Value float64 // what that is
	Where string  // where it began, as far as that can be told; may be empty
}

func (e *NotFinite) Error() string {
	text := fmt.Sprintf("the %s became %v", e.What, e.Value)
	if e.Where != "" {
		text += ", which began in " + e.Where
	}
	return text
}

// TooLarge is the error of a step whose gradient is far larger than usual. Nothing has moved.
type TooLarge struct {
	Norm  float64 // of the gradient
	Usual float64 // running median of the norms
	Where string  // what has the largest part of it; may be empty
}

func (e *TooLarge) Error() string {
	text := fmt.Sprintf("the norm of the gradient became %.4g, where %.4g is usual", e.Norm, e.Usual)
	if e.Where != "" {
		text += ", most of it in " + e.Where
	}
	return text
}

// Output is what a forward pass has left of the output of a layer.
type Output struct {
	Layer  string // in words: "lstm"
	Values []float32
	Each   int // of a stack of equal layers: the numbers of one of them; 0 for a single layer
}

// CheckLoss reports a loss that is not finite, with the first of the outputs, which are in the order of the layers,
// that holds such a number.
func CheckLoss(loss float64, outputs func() []Output) error {
	if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
		return nil
	}
	e := &NotFinite{What: "loss", Value: loss,
		Where: "the loss itself, or behind the last of the layers whose output is kept"}
	for _, o := range outputs() {
		i := firstNotFinite(o.Values)
		if i < 0 {
			continue
		}
		e.Where = "the output of " + o.Layer
		if o.Each > 0 {
			e.Where = fmt.Sprintf("the output of layer %d of %s", i/o.Each+1, o.Layer)
		}
		e.Where += fmt.Sprintf(" (%v)", o.Values[i])
		break
	}
	return e
}

// NotFiniteGradient is the error of a gradient with a norm that is not finite. Gradients are computed from the last
// layer to the first, so it began in the last tensor that has such a number.
func NotFiniteGradient(norm float64, tensors func() []Tensor) error {
	e := &NotFinite{What: "norm of the gradient", Value: norm}
	if tensors == nil {
		return e
	}
	for _, t := range tensors() {
		if i := firstNotFinite(t.Grad); i >= 0 {
			e.Where = fmt.Sprintf("the gradient of %s (%v)", t.Name, t.Grad[i])
		}
	}
	return e
}

// firstNotFinite is the first place of x that is not a finite number, or -1.
func firstNotFinite(x []float32) int {
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
