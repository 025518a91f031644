package explain

import (
	"fmt"
	"math"
	"slices"
	"strings"

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

// Previous is, for each layer and head of a look, how much a token looks at the one before it, the mean over all but
// the first. Chance is what a head has that looks at all earlier tokens and itself alike.
func Previous(l *Look) (scores [][]float64, chance float64, err error) {
	if l.Queries != l.Keys || l.Queries < 2 {
		return nil, 0, fmt.Errorf("%s looks from %d positions at %d, and none is before another", l.Name, l.Queries, l.Keys)
	}
	n := l.Queries
	scores = make([][]float64, l.Layers)
	for layer := range scores {
		scores[layer] = make([]float64, l.Heads)
		for h := range scores[layer] {
			p := l.Of(layer, h)
			for i := 1; i < n; i++ {
				scores[layer][h] += float64(p[i*n+i-1]) / float64(n-1)
			}
		}
	}
	for i := 1; i < n; i++ {
		chance += 1 / float64(i+1) / float64(n-1)
	}
	return scores, chance, nil
}

// Repeated lists the positions of a text behind which it goes on as it did before: where the last three tokens stood
// before, and the token that follows did behind them.
func Repeated(tokens []int32) []int {
	const n = 4
	seen := map[[n]int32]bool{}
	var all []int
	for i := n - 1; i < len(tokens); i++ {
		gram := [n]int32(tokens[i-n+1:])
		if seen[gram] {
			all = append(all, i-1)
		}
		seen[gram] = true
	}
	return all
}

// Role is what a head of attention does in a text that repeats itself.
type Role struct {
	Tap         string // the look
	Layer, Head int
	Previous    float64 // how much a token looks at the one before it
	Induction   float64 // how much a token looks behind its earlier occurrences
	// Rise is by how much −log p of what is repeated rises, in nats a token, where the head gives zeros.
	Rise float64
	Name string // "previous token", "induction", both, or neither
}

// Roles is the roles of all heads of a text.
type Roles struct {
	Heads                               []Role
	Loss                                float64 // −log p of what is repeated, in nats a token
	PreviousByChance, InductionByChance float64
	Positions                           int // behind which the text goes on as it did before
	// WithoutPrevious and WithoutInduction are by how much Loss rises where all heads of that name give zeros; 0 where
	// there is none. One of several that do the same is hardly missed alone.
	WithoutPrevious, WithoutInduction float64
}

// A head is called what it does at three times what all do by chance, and with a third of its attention.
const (
	timesChance = 3
	leastShare  = 1.0 / 3
)

// Roles finds what heads do in a text that repeats itself (Elhage et al. 2021, Olsson et al. 2022): those that look at
// the token before, those that look behind earlier occurrences of the token, and what each is for: how much worse what
// is repeated is predicted without it. tokens is what the model read for b.
func (e *Explainer) Roles(b *model.Batch) (*Roles, error) {
	at := Repeated(b.Tokens)
	if len(at) == 0 {
		return nil, fmt.Errorf("the text repeats nothing")
	}
	p, err := e.Run(b)
	if err != nil {
		return nil, err
	}
	loss := func(y *model.Tap) (mean float64) {
		for _, i := range at {
			_, log := Softmax(Row(y, i))
			mean -= log[b.Tokens[i+1]] / float64(len(at))
		}
		return mean
	}
	r := &Roles{Loss: loss(p.Output()), Positions: len(at)}
	for _, l := range Looks(p) {
		if l.From != "step" || l.To != "key" || l.Queries != l.Keys {
			continue
		}
		induction, chance, err := Induction(l, b.Tokens)
		if err != nil {
			return nil, err
		}
		previous, before, err := Previous(l)
		if err != nil {
			return nil, err
		}
		r.InductionByChance, r.PreviousByChance = chance, before
		for layer := range l.Layers {
			for h := range l.Heads {
				role := Role{Tap: l.Name, Layer: layer, Head: h, Previous: previous[layer][h],
					Induction: induction[layer][h]}
				is := func(score, chance float64) bool { return score >= leastShare && score >= timesChance*chance }
				switch before, behind := is(role.Previous, before), is(role.Induction, chance); {
				case before && behind:
					role.Name = "previous token, induction"
				case before:
					role.Name = "previous token"
				case behind:
					role.Name = "induction"
				}
				y, err := e.without(b, []Role{role})
				if err != nil {
					return nil, err
				}
				role.Rise = loss(y) - r.Loss
				r.Heads = append(r.Heads, role)
			}
		}
	}
	if len(r.Heads) == 0 {
		return nil, fmt.Errorf("the model has no attention to the text itself")
	}
	for name, to := range map[string]*float64{"previous token": &r.WithoutPrevious, "induction": &r.WithoutInduction} {
		var all []Role
		for _, h := range r.Heads {
			if strings.Contains(h.Name, name) {
				all = append(all, h)
			}
		}
		if len(all) == 0 {
			continue
		}
		y, err := e.without(b, all)
		if err != nil {
			return nil, err
		}
		*to = loss(y) - r.Loss
	}
	return r, nil
}

// without is what the model gives where some heads give zeros. What is taken from a head in a layer changes what those
// of later layers give, which is taken from them in the next round.
func (e *Explainer) without(b *model.Batch, heads []Role) (*model.Tap, error) {
	less := map[string][]float32{} // what is added, by the name of the value of heads
	for _, h := range heads {
		less[strings.TrimSuffix(h.Tap, ".weights")] = nil
	}
	for round := 0; ; round++ {
		var out *model.Tap
		left := false
		err := e.moved(b, func(tap *model.Tap) {
			if x := less[tap.Name]; x != nil {
				copy(tap.Add, x)
			}
		}, func() error {
			all, err := e.blind(b)
			if err != nil {
				return err
			}
			out = &all[len(all)-1]
			for name, x := range less {
				i := slices.IndexFunc(all, func(t model.Tap) bool { return t.Name == name })
				if i < 0 || all[i].Kind != model.TapHeads || all[i].Add == nil || all[i].Heads == 0 {
					return fmt.Errorf("what the heads of %s give cannot be moved", name)
				}
				t := &all[i]
				if x == nil {
					x = make([]float32, len(t.Value))
					less[name] = x
				}
				n := len(t.Shape)
				steps, width := t.Shape[n-2], t.Shape[n-1]
				size := width / t.Heads
				for _, h := range heads {
					if strings.TrimSuffix(h.Tap, ".weights") != name {
						continue
					}
					for step := range steps {
						from := (h.Layer*steps+step)*width + h.Head*size
						for k := from; k < from+size; k++ {
							x[k] -= t.Value[k]
							left = left || math.Abs(float64(t.Value[k])) > 1e-6*(1+math.Abs(float64(x[k])))
						}
					}
				}
			}
			return nil
		})
		if err != nil || !left || round > 100 {
			return out, err
		}
	}
}
