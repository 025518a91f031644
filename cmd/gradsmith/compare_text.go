package main

import (
	"fmt"
	"io"
	"math"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/spec"
)

// compareText writes how far the logits are apart that two checkpoints of one spec give behind each token of a text,
// and reports whether they differ.
func compareText(w io.Writer, m *spec.Model, a, b *checkpoint.Reader, s string) (differ bool, err error) {
	tok, err := tokenizerOf(&m.Tokenizer)
	if err != nil {
		return false, err
	}
	tokens, err := tok.Encode(s)
	if err != nil {
		return false, err
	}
	var logits [2][]float64
	for i, r := range []*checkpoint.Reader{a, b} {
		has := map[string]int{}
		for _, e := range r.Entries() {
			if e.Float() {
				has[e.Name] = e.Numbers()
			}
		}
		want := map[string]int{}
		all, err := gen.Parameters(m)
		if err != nil {
			return false, err
		}
		for _, p := range all {
			want[p.Name] = 1
			for _, d := range p.Shape {
				want[p.Name] *= d
			}
		}
		logits[i], err = gen.Logits(m, tokens, func(name string) ([]float32, error) {
			if has[name] != want[name] {
				return nil, fmt.Errorf("checkpoint %s is not one of %s: it has no tensor %s of %d numbers", r.Path(),
					m.File, name, want[name])
			}
			x := make([]float32, want[name])
			return x, r.Read(name, 0, x)
		})
		if err != nil {
			return false, err
		}
	}
	largest, sum, most, same := 0.0, 0.0, 0.0, 0
	vocab := len(logits[0]) / len(tokens)
	for t := range tokens {
		p, q := logits[0][t*vocab:][:vocab], logits[1][t*vocab:][:vocab]
		for i := range p {
			largest = max(largest, math.Abs(p[i]-q[i]))
		}
		d := divergence(p, q)
		sum, most = sum+d, max(most, d)
		if best(p) == best(q) {
			same++
		}
	}
	_, err = fmt.Fprintf(w, "%d tokens: logits differ by at most %.3g; KL(A ‖ B) is %.3g nats a token, %.3g at most; "+
		"the likeliest token is the same behind %d\n", len(tokens), largest, sum/float64(len(tokens)), most, same)
	return largest > 0, err
}

// divergence is KL(softmax(p) ‖ softmax(q)) in nats.
func divergence(p, q []float64) float64 {
	logSum := func(x []float64) float64 {
		top, sum := x[best(x)], 0.0
		for _, v := range x {
			sum += math.Exp(v - top)
		}
		return top + math.Log(sum)
	}
	a, b, d := logSum(p), logSum(q), 0.0
	for i := range p {
		d += math.Exp(p[i]-a) * ((p[i] - a) - (q[i] - b))
	}
	return max(0, d) // what is below is rounding
}

// best is the place of the largest number.
func best(x []float64) int {
	at := 0
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}
