package train

import (
	"math"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// Layer is the Euclidean norms of all parameters of a layer in a training step.
type Layer struct {
	Layer    string  `json:"layer"`    // its tensors' name without what stands behind the last dot: "lstm.1"
	Gradient float64 `json:"gradient"` // before clipping; of several kinds of steps in one, of the last that it is in
	Update   float64 `json:"update"`   // of what the step has added to the parameters
	Weight   float64 `json:"weight"`   // behind the step
}

// layers measures the norms of layers.
type layers struct {
	tensors []model.Tensor
	of      []int     // the layer of each tensor
	old     []float32 // the parameters before the step, one tensor behind the other
	all     []Layer
}

// before takes note of the parameters before a step.
func (l *layers) before(m model.LanguageModel) {
	if l.tensors == nil {
		l.tensors = m.Tensors()
		n, index := 0, map[string]int{}
		for _, t := range l.tensors {
			name := LayerOf(t.Name)
			if _, known := index[name]; !known {
				index[name] = len(l.all)
				l.all = append(l.all, Layer{Layer: name})
			}
			l.of = append(l.of, index[name])
			n += len(t.Value)
		}
		l.old = make([]float32, n)
	}
	old := l.old
	for _, t := range l.tensors {
		copy(old, t.Value)
		old = old[len(t.Value):]
	}
}

// LayerOf is the layer that a tensor of a name is of.
func LayerOf(tensor string) string {
	if i := strings.LastIndexByte(tensor, '.'); i > 0 {
		return tensor[:i]
	}
	return tensor
}

// after gives the norms of the step.
func (l *layers) after() []Layer {
	for i := range l.all {
		l.all[i] = Layer{Layer: l.all[i].Layer}
	}
	old := l.old
	for i, t := range l.tensors {
		x := &l.all[l.of[i]]
		moved := old[:len(t.Value)]
		old = old[len(t.Value):]
		for k, v := range t.Value {
			moved[k] = v - moved[k]
		}
		x.Weight = math.Hypot(x.Weight, optim.Norm(t.Value))
		x.Update = math.Hypot(x.Update, optim.Norm(moved))
		if t.Grad != nil { // that of a vector of a power iteration is
			x.Gradient = math.Hypot(x.Gradient, optim.Norm(t.Grad))
		}
	}
	return l.all
}
