package diagnose

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// inside looks at the values of a pass over the example.
func (w *Watcher) inside(p train.Progress) {
	for _, e := range w.passes {
		pass, err := e.Run(w.batch)
		if err != nil {
			continue // the example does not fit this pass
		}
		for _, t := range pass.Of(model.TapGates) {
			w.gates(p, t)
		}
		for _, l := range explain.Looks(pass) {
			w.looks(p, l)
		}
	}
}

// gates finds gates that are open, or closed, whatever is read.
func (w *Watcher) gates(p train.Progress, t *model.Tap) {
	width := t.Shape[len(t.Shape)-1]
	if len(t.Gates) == 0 || width%len(t.Gates) != 0 {
		return
	}
	units := width / len(t.Gates)
	for g, name := range t.Gates {
		stuck := Stuck(t, g*units, units, name == "candidate")
		if 2*stuck < units {
			continue
		}
		w.find(Finding{p.Step, Saturated, t.Name + " " + name, w.at(t.Layer), fmt.Sprintf("%d of the %d %s gates are "+
			"within 1 %% of their end for nearly every token, so that they decide nothing and hardly "+
			"learn", stuck, units,
			name),
			fmt.Sprintf("lower %s, bound the gradient with %s, or start the matrices with smaller numbers (init, "+
				"init_state)", w.key("optimizer.rate"), w.key("clip.norm"))}, patience)
	}
}

// Stuck counts, of the units numbers from number from on of the rows of a value, those that are within 1 % of an end of
// their range in 95 % of the rows or more. The range is 0 to 1, of candidates −1 to 1.
func Stuck(t *model.Tap, from, units int, candidate bool) int {
	width := t.Shape[len(t.Shape)-1]
	rows := len(t.Value) / width
	low, high := float32(0.01), float32(0.99)
	if candidate {
		low, high = -0.99, 0.99
	}
	n := 0
	for u := range units {
		at := 0
		for r := range rows {
			if x := t.Value[r*width+from+u]; x < low || x > high {
				at++
			}
		}
		if rows > 0 && 100*at >= 95*rows {
			n++
		}
	}
	return n
}

// looks finds layers all of whose heads look everywhere alike, or at one place only.
func (w *Watcher) looks(p train.Progress, l *explain.Look) {
	for layer := range l.Layers {
		even, one := 0, 0
		for h := range l.Heads {
			switch spread, places := Spread(l.Of(layer, h), l.Keys); {
			case spread > 0.995:
				even++
			case places:
				one++
			}
		}
		name := l.Name
		if l.Layers > 1 {
			name = fmt.Sprintf("%s, layer %d", l.Name, layer+1)
		}
		heads := fmt.Sprintf("all %d heads", l.Heads)
		if l.Heads == 1 {
			heads = "its head"
		}
		switch {
		case even == l.Heads:
			// A model that has learnt nothing yet looks everywhere; one that has learnt for a while does not.
			w.find(Finding{p.Step, Nowhere, name, w.at(l.Layer), heads + " look at all tokens alike, so that they " +
				"tell none " +
				"apart", fmt.Sprintf("raise %s, start queries and keys with larger numbers (init), or raise scale",
				w.key("optimizer.rate"))}, 2*patience)
		case one == l.Heads:
			w.find(Finding{p.Step, OnePlace, name, w.at(l.Layer), heads + " look at one place, whatever token looks",
				fmt.Sprintf("lower %s, give queries and keys a norm (query_norm) or scores a bound (soft_cap), or "+
					"start them with smaller numbers (init, init_bias)", w.key("optimizer.rate"))}, patience)
		}
	}
}

// Spread tells where rows of probabilities look that are not of two places or fewer: the mean of their entropies, as
// a share of that of a row that looks everywhere alike, and whether all are sure, above 0.9, of the same few places,
// a quarter of the rows or fewer. Places that no row sees have probability 0.
func Spread(p []float32, keys int) (spread float64, onePlace bool) {
	rows, sure := 0, 0.0
	places := map[int]bool{}
	for at := 0; at+keys <= len(p); at += keys {
		entropy, seen, top := 0.0, 0, 0
		row := p[at:][:keys]
		for j, x := range row {
			if x > 0 {
				seen++
				entropy -= float64(x) * math.Log(float64(x))
			}
			if x > row[top] {
				top = j
			}
		}
		// What a row could see counts: behind a mask all is 0, and so is what a softmax has made 0.
		open := max(seen, min(keys, at/keys+1))
		if open < 3 {
			continue
		}
		rows++
		spread += entropy / math.Log(float64(open))
		sure += float64(row[top])
		places[top] = true
	}
	if rows == 0 {
		return 0, false
	}
	return spread / float64(rows), sure/float64(rows) > 0.9 && rows >= 8 && 4*len(places) <= rows
}
