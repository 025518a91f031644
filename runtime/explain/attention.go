package explain

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Look is where one attention looks: for each layer and head probabilities [queries, keys].
type Look struct {
	Name          string // of the tap
	Layer         string // of the spec
	Layers, Heads int
	Queries, Keys int
	From, To      string    // axes of the queries and of the keys: "step", "key" or "source"
	P             []float32 // [layers, heads, queries, keys]
}

// Looks lists where the attention of a pass looked, in the order of its computation. A recurrent decoder that attends
// has one layer of one head.
func Looks(p *Pass) []*Look {
	var all []*Look
	for _, t := range p.Of(model.TapAttention) {
		n := len(t.Shape)
		l := &Look{Name: t.Name, Layer: t.Layer, Layers: 1, Heads: 1, Keys: t.Shape[n-1], To: t.Axes[n-1], P: t.Value}
		outer := t.Shape[:n-1]
		axes := t.Axes[:n-1]
		if n < 2 {
			continue
		}
		// A step of a loop over time stands in front of the heads, one of all queries behind them.
		switch {
		case axes[len(axes)-1] == "head" && len(axes) > 1:
			l = l.turned(t, outer)
		default:
			l.Queries, l.From = outer[len(outer)-1], axes[len(axes)-1]
			for i := range len(outer) - 1 {
				if axes[i] == "head" {
					l.Heads *= outer[i]
				} else {
					l.Layers *= outer[i]
				}
			}
		}
		all = append(all, l)
	}
	return all
}

// turned is the look of a value […, queries, heads, keys].
func (l *Look) turned(t *model.Tap, outer []int) *Look {
	n := len(outer)
	l.Heads, l.Queries, l.From = outer[n-1], outer[n-2], t.Axes[n-2]
	for _, d := range outer[:n-2] {
		l.Layers *= d
	}
	l.P = make([]float32, len(t.Value))
	for layer := range l.Layers {
		for q := range l.Queries {
			for h := range l.Heads {
				from := ((layer*l.Queries+q)*l.Heads + h) * l.Keys
				copy(l.P[((layer*l.Heads+h)*l.Queries+q)*l.Keys:], t.Value[from:][:l.Keys])
			}
		}
	}
	return l
}

// Of is the probabilities [queries, keys] of a head.
func (l *Look) Of(layer, head int) []float32 {
	n := l.Queries * l.Keys
	return l.P[(layer*l.Heads+head)*n:][:n]
}

// Mean is the mean of the heads of a layer, [queries, keys].
func (l *Look) Mean(layer int) []float64 {
	mean := make([]float64, l.Queries*l.Keys)
	for h := range l.Heads {
		for i, x := range l.Of(layer, h) {
			mean[i] += float64(x) / float64(l.Heads)
		}
	}
	return mean
}

// Rollout is how much of each position [queries, keys] reaches a position through the layers of looks, each the mean
// of its heads, the residual connection counting as much as they: Π (A + I)/2 (Abnar and Zuidema 2020). The looks are
// those of one stack of layers, from the first to the last, and all look at the text itself.
func Rollout(looks ...*Look) ([]float64, error) {
	var all []float64
	for _, l := range looks {
		if l.Queries != l.Keys || all != nil && len(all) != l.Queries*l.Keys {
			return nil, fmt.Errorf("%s looks from %d positions at %d: a rollout is of attention to the text itself",
				l.Name, l.Queries, l.Keys)
		}
		n := l.Queries
		if all == nil {
			all = make([]float64, n*n)
			for i := range n {
				all[i*n+i] = 1
			}
		}
		for layer := range l.Layers {
			a := l.Mean(layer)
			next := make([]float64, n*n)
			for i := range n {
				for k := range n {
					w := a[i*n+k] / 2
					if i == k {
						w += 0.5
					}
					if w == 0 {
						continue
					}
					for j, x := range all[k*n:][:n] {
						next[i*n+j] += w * x
					}
				}
			}
			all = next
		}
	}
	return all, nil
}

// Induction is, for each layer and head of a look, how much a token looks behind its own earlier occurrences, the mean
// over tokens that occurred before: what a head does that goes on with a repeated text (Olsson et al. 2022). tokens are
// those of the text that was looked at. Chance is what a head has that looks at all earlier tokens and itself alike.
func Induction(l *Look, tokens []int32) (scores [][]float64, chance float64, err error) {
	if l.Queries != len(tokens) || l.Keys != len(tokens) {
		return nil, 0, fmt.Errorf("%s looks from %d positions at %d, and the text has %d tokens", l.Name, l.Queries,
			l.Keys, len(tokens))
	}
	behind := make([][]int, len(tokens)) // the places behind earlier occurrences
	count := 0
	for i, t := range tokens {
		for j := 1; j < i; j++ {
			if tokens[j-1] == t {
				behind[i] = append(behind[i], j)
			}
		}
		if n := len(behind[i]); n > 0 {
			count++
			chance += float64(n) / float64(i+1)
		}
	}
	if count == 0 {
		return nil, 0, fmt.Errorf("no token of the text occurs twice")
	}
	scores = make([][]float64, l.Layers)
	for layer := range scores {
		scores[layer] = make([]float64, l.Heads)
		for h := range scores[layer] {
			p := l.Of(layer, h)
			for i, places := range behind {
				for _, j := range places {
					scores[layer][h] += float64(p[i*l.Keys+j]) / float64(count)
				}
			}
		}
	}
	return scores, chance / float64(count), nil
}
