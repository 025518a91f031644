package sample

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// remove takes a token away.
func (c *Candidates) remove(token int32) {
	for i, y := range c.List {
		if y.Token == token {
			c.List = append(c.List[:i], c.List[i+1:]...)
			return
		}
	}
}

// keep leaves the candidates for which f holds, in their order, and the likeliest if it holds for none.
func (c *Candidates) keep(f func(y *Candidate) bool) {
	if len(c.List) == 0 {
		return
	}
	best := c.List[0]
	for i := range c.List {
		if before(&c.List[i], &best) {
			best = c.List[i]
		}
	}
	kept := c.List[:0]
	for i := range c.List {
		if y := c.List[i]; f(&y) {
			kept = append(kept, y)
		}
	}
	if len(kept) == 0 {
		kept = append(kept, best)
	}
	c.List = kept
}

// entropy is that of the probabilities, in nats. Kernels compute the logarithms, so the bits are the same on every
// machine.
func (c *Candidates) entropy() float64 {
	x := c.logits[:len(c.List)]
	for i, y := range c.List {
		x[i] = y.prob
	}
	kernel.Log(x, x, len(x))
	h := 0.0
	for i, y := range c.List {
		if y.prob > 0 {
			h -= float64(float64(y.prob) * float64(x[i]))
		}
	}
	return h
}

type epsilon float64

func (e epsilon) Apply(c *Candidates, _ []int32) {
	c.softmax()
	c.keep(func(y *Candidate) bool { return float64(y.prob) >= float64(e) })
}

type eta float64

func (e eta) Apply(c *Candidates, _ []int32) {
	c.softmax()
	limit := min(float64(e), math.Sqrt(float64(e))*math.Exp(-c.entropy()))
	c.keep(func(y *Candidate) bool { return float64(y.prob) >= limit })
}

type xtc struct {
	chance, limit float64
	draw          func() float64
}

func (x *xtc) Apply(c *Candidates, _ []int32) {
	if x.draw() >= x.chance {
		return
	}
	c.softmax()
	least := -1
	for i := range c.List {
		y := &c.List[i]
		if float64(y.prob) >= x.limit && (least < 0 || before(&c.List[least], y)) {
			least = i
		}
	}
	if least < 0 {
		return
	}
	token := c.List[least].Token
	c.keep(func(y *Candidate) bool { return float64(y.prob) < x.limit || y.Token == token })
}

// dry penalizes tokens that would lengthen a repetition.
type dry struct {
	multiplier, base float64
	allowed          int
	breaks           []bool    // for each token
	penalty          []float32 // for each token, zero between calls
}

func (d *dry) Apply(c *Candidates, recent []int32) {
	n := len(recent)
	// lengths[i] is how many tokens in front of position i are those at the end of the text, as Z's algorithm finds
	// them from the end; quadratic only in texts that repeat themselves all over, which is what this is against.
	touched := false
	longest := make([]int, 0)
	var tokens []int32
	limit := 0
	for limit < n && !d.breaks[recent[n-1-limit]] {
		limit++
	}
	for i := n - 1; i > 0; i-- {
		length := 0
		for length < limit && length < i && recent[i-1-length] == recent[n-1-length] {
			length++
		}
		if length < d.allowed || d.breaks[recent[i]] {
			continue
		}
		tokens, longest = append(tokens, recent[i]), append(longest, length)
	}
	for k, t := range tokens {
		p := float32(min(d.multiplier*math.Pow(d.base, float64(longest[k]-d.allowed)), math.MaxFloat32/4))
		d.penalty[t] = max(d.penalty[t], p)
		touched = true
	}
	if !touched {
		return
	}
	for i := range c.List {
		c.List[i].Logit -= d.penalty[c.List[i].Token]
	}
	for _, t := range tokens {
		d.penalty[t] = 0
	}
	c.Sorted = false
}

// noRepeat takes away tokens that would repeat n tokens.
type noRepeat struct {
	n      int
	banned []bool // for each token, false between calls
}

func (r *noRepeat) Apply(c *Candidates, recent []int32) {
	n := len(recent)
	if n < r.n {
		return
	}
	end := recent[n-(r.n-1):]
	for i := r.n - 1; i < n; i++ {
		same := true
		for k, t := range end {
			if recent[i-(r.n-1)+k] != t {
				same = false
				break
			}
		}
		if same {
			r.banned[recent[i]] = true
		}
	}
	kept := c.List[:0]
	for _, y := range c.List {
		if !r.banned[y.Token] {
			kept = append(kept, y)
		}
	}
	c.List = kept
	for _, t := range recent {
		r.banned[t] = false
	}
}

type dynamicTemperature struct{ low, high, exponent float64 }

func (d *dynamicTemperature) Apply(c *Candidates, _ []int32) {
	c.softmax()
	t := d.high
	if len(c.List) > 1 {
		t = d.low + (d.high-d.low)*math.Pow(max(0, c.entropy())/math.Log(float64(len(c.List))), d.exponent)
	}
	// Near 0 the differences of logits would overflow, and only the likeliest counts.
	t = max(t, 1e-3)
	for i := range c.List {
		c.List[i].Logit = float32(float64(c.List[i].Logit) / t)
	}
}

// mirostat cuts surprising tokens, by a bound that it learns.
type mirostat struct{ tau, rate, bound float64 }

// cut expects that the probabilities are set.
func (m *mirostat) cut(c *Candidates) {
	c.keep(func(y *Candidate) bool { return y.prob > 0 && -math.Log2(float64(y.prob)) <= m.bound })
}

// learn is told the probability of the token that was drawn, among those that were left.
func (m *mirostat) learn(p float64) { m.bound -= m.rate * (-math.Log2(p) - m.tau) }
