package kernel

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// AttentionWeights computes the probabilities softmax_j(…) of [Attention] themselves, p [batch, Count, queries, keys],
// for those who look at a model. Arguments are as there; keys that a query does not see have 0. It computes in float64
// and rounds what it gives.
func AttentionWeights(p, q, k []float32, present []int32, queries, keys, batch int, h Heads) {
	const name = "AttentionWeights"
	if !h.check(name, q, k, k, present, queries, keys, batch) {
		return
	}
	need(name, "p", len(p), batch*h.Count*queries*keys)
	j := weightsJobs.get()
	j.p, j.q, j.k, j.present = p, q, k, present
	j.queries, j.keys, j.batch, j.Heads = queries, keys, batch, h
	parallel.Run(batch*h.Count, j)
	*j = weightsJob{}
	weightsJobs.put(j)
}

// weightsJob is one call of AttentionWeights, of which a task is a head of a sequence.
type weightsJob struct {
	Heads
	p, q, k              []float32
	present              []int32
	queries, keys, batch int
}

var (
	weightsJobs  jobs[weightsJob]
	scoreBuffers jobs[[]float64]
)

func (j *weightsJob) Do(task int) {
	b, head := task/j.Count, task%j.Count
	g := head / (j.Count / j.KV)
	buffer := scoreBuffers.get()
	if need := j.keys + j.Size*(j.keys+1); len(*buffer) < need {
		*buffer = make([]float64, need)
	}
	scores, q, k := (*buffer)[:j.keys], (*buffer)[j.keys:][:j.Size], (*buffer)[j.keys+j.Size:][:j.keys*j.Size]
	for key := range j.keys {
		widenInto(k[key*j.Size:][:j.Size], j.k[(key*j.batch+b)*j.LDK+g*j.Size:])
	}
	for i := range j.queries {
		row := j.p[(task*j.queries+i)*j.keys:][:j.keys]
		widenInto(q, j.q[(i*j.batch+b)*j.LDQ+head*j.Size:])
		at := i + j.keys - j.queries
		j.products(scores, q, k, at)
		top := math.Inf(-1)
		for key, s := range scores {
			scores[key] = math.Inf(-1)
			if !j.sees(at, key) || j.present != nil && j.present[key*j.batch+b] < 0 {
				continue
			}
			s *= float64(j.Scale)
			if j.Cap > 0 {
				s = float64(j.Cap) * math.Tanh(s/float64(j.Cap))
			}
			if j.Bias != nil {
				span := len(j.Bias) / j.Count
				s += float64(j.Bias[head*span+(span-1)/2+key-at])
			}
			if j.Slopes != nil {
				s -= float64(j.Slopes[head]) * math.Abs(float64(at-key))
			}
			scores[key] = s
			top = max(top, s)
		}
		sum := 0.0
		for key, s := range scores {
			if scores[key] = 0; !math.IsInf(s, -1) {
				scores[key] = math.Exp(s - top)
			}
			sum += scores[key]
		}
		for key, s := range scores {
			if row[key] = 0; sum > 0 {
				row[key] = float32(s / sum)
			}
		}
	}
	scoreBuffers.put(buffer)
}

// widenInto is dst = x, of dst's length.
func widenInto(dst []float64, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = float64(v)
	}
}

// products computes the product of q with every key that the query at a position may see, four at a time: each sum has
// one order, and four of them hide the time that an addition takes.
func (j *weightsJob) products(scores, q, k []float64, at int) {
	size, from, to := len(q), 0, len(scores)
	if j.Causal {
		to = min(to, max(at+1, j.Prefix))
		if j.Window > 0 && j.Prefix == 0 {
			from = max(0, at-j.Window+1)
		}
	}
	for ; from+4 <= to; from += 4 {
		k := k[from*size:][:4*size]
		k0, k1, k2, k3 := k[:size], k[size:][:size], k[2*size:][:size], k[3*size:][:size]
		var s0, s1, s2, s3 float64
		for f, x := range q {
			s0 += x * k0[f]
			s1 += x * k1[f]
			s2 += x * k2[f]
			s3 += x * k3[f]
		}
		scores[from], scores[from+1], scores[from+2], scores[from+3] = s0, s1, s2, s3
	}
	for ; from < to; from++ {
		s := 0.0
		for f, x := range k[from*size:][:size] {
			s += q[f] * x
		}
		scores[from] = s
	}
}

// sees reports whether the query at a position sees a key, where both have a token.
func (h *Heads) sees(at, key int) bool {
	switch {
	case !h.Causal || key < h.Prefix:
		return true
	case key > at:
		return false
	}
	return h.Window == 0 || key > at-h.Window
}
