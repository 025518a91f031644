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
	if len(*buffer) < j.keys {
		*buffer = make([]float64, j.keys)
	}
	scores := (*buffer)[:j.keys]
	for i := range j.queries {
		row := j.p[(task*j.queries+i)*j.keys:][:j.keys]
		q := j.q[(i*j.batch+b)*j.LDQ+head*j.Size:][:j.Size]
		at := i + j.keys - j.queries
		top := math.Inf(-1)
		for key := range scores {
			scores[key] = math.Inf(-1)
			if !j.sees(at, key) || j.present != nil && j.present[key*j.batch+b] < 0 {
				continue
			}
			s := 0.0
			for f, x := range j.k[(key*j.batch+b)*j.LDK+g*j.Size:][:j.Size] {
				s += float64(q[f]) * float64(x)
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
