package kernel

import (
	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// Heads describes the heads of an attention: sizes, where rows lie, and which keys a query sees. Query i stands at
// position i + keys - queries: the last query and the last key stand at the same one.
type Heads struct {
	Count int // heads of the queries
	// heads of the keys and values, of which Count is a multiple (Ainslie et al. 2023): query head h reads h/(Count/KV)
	KV     int
	Size   int     // features of a head
	LDQ    int     // distance between rows of q, and of dq
	LDK    int     // distance between rows of k and of v, and of dk and dv
	Scale  float32 // of the scores, 1/√Size as published (Vaswani et al. 2017)
	Causal bool    // a query sees the keys up to its own position
	Window int     // above 0, with Causal: of those only the last Window, its own included
	Prefix int     // above 0, with Causal: every query sees the keys before Prefix as well
	Cap    float32 // above 0: a score s becomes Cap·tanh(s/Cap) (Gemma Team 2024)
	// [Count, span] with span odd: what is added to the score of a key d places behind its query, at column (span-1)/2
	// + d; nil for none
	Bias []float32
	// of ALiBi (Press et al. 2022): a score loses Slopes[h] times the distance of the positions; nil for none
	Slopes []float32
	Rate   float32 // of the dropout of probabilities; 0 for none
	Key    uint64  // of the dropout: see Attention
}

// Attention computes scaled dot-product attention (Vaswani et al. 2017) of all heads of batch sequences,
//
//	y[i, b, h] = Σ_j softmax_j(cap(scale·q[i, b, h]·k[j, b, g]) + bias[h, j-i] - slope[h]·distance(i, j))·v[j, b, g]
//	g = h/(Count/KV)
//
// over the keys j that query i sees. Sequences are time-major: row t of sequence b is row t·batch + b of a matrix. q
// has queries·batch rows, LDQ apart, of which it reads the first Count·Size columns; k and v have keys·batch rows, LDK
// apart, and KV·Size columns. y is dense, [queries·batch, Count·Size], and may not overlap the others.
//
// present [keys·batch] tells which keys take part: those that are not negative, as token ids are with -1 for padding.
// Nil takes all. What a key holds that a query does not see, be it NaN, changes nothing for that query. A query that
// sees no key gives zeros. The memory that it works in is linear in keys for each thread, and is kept for the next
// call.
//
// lse [batch, Count, queries] gets the logarithm of the sum of exponentials, which the gradient needs; -Inf where no
// key is seen. It may be nil.
//
// With Rate above 0 probabilities are dropped as in [Dropout]: that of key j for query i is element
// ((b·Count + h)·queries + i)·K + j of the stream of Key, K being keys rounded up to a multiple of 64.
func Attention(y, lse, q, k, v []float32, present []int32, queries, keys, batch int, h Heads) {
	const name = "Attention"
	if !h.check(name, q, k, v, present, queries, keys, batch) {
		return
	}
	need(name, "y", len(y), queries*batch*h.Count*h.Size)
	if lse != nil {
		need(name, "lse", len(lse), batch*h.Count*queries)
	}
	j := attentionJobs.get()
	j.y, j.lse, j.q, j.k, j.v, j.present = y, lse, q, k, v, present
	j.queries, j.keys, j.batch, j.Heads = queries, keys, batch, h
	j.run()
	j.end()
}

// AttentionGrad is the gradient of [Attention]: dq, dk and dv, laid out as q, k and v, from dy, laid out as y. y and
// lse are what Attention gave for the same arguments, of which nothing is kept besides: probabilities and the mask of
// the dropout are computed anew. The columns of the heads are overwritten; dq, dk and dv may not overlap anything
// else.
func AttentionGrad(dq, dk, dv, dy, q, k, v, y, lse []float32, present []int32, queries, keys, batch int, h Heads) {
	attentionGrad("AttentionGrad", nil, dq, dk, dv, dy, q, k, v, y, lse, present, queries, keys, batch, h)
}

// AttentionBiasGrad is [AttentionGrad] of heads with a Bias, and gives the gradient of that too, for each sequence:
// dbias is [batch, Count, span].
func AttentionBiasGrad(dbias, dq, dk, dv, dy, q, k, v, y, lse []float32, present []int32, queries, keys, batch int,
	h Heads) {
	const name = "AttentionBiasGrad"
	need(name, "dbias", len(dbias), batch*len(h.Bias))
	clear(dbias[:batch*len(h.Bias)])
	attentionGrad(name, dbias, dq, dk, dv, dy, q, k, v, y, lse, present, queries, keys, batch, h)
}

func attentionGrad(name string, dbias, dq, dk, dv, dy, q, k, v, y, lse []float32, present []int32, queries, keys,
	batch int, h Heads) {
	if !h.check(name, q, k, v, present, queries, keys, batch) {
		return
	}
	need(name, "dq", len(dq), span(queries*batch, h.LDQ, h.Count*h.Size))
	need(name, "dk", len(dk), span(keys*batch, h.LDK, h.KV*h.Size))
	need(name, "dv", len(dv), span(keys*batch, h.LDK, h.KV*h.Size))
	need(name, "dy", len(dy), queries*batch*h.Count*h.Size)
	need(name, "y", len(y), queries*batch*h.Count*h.Size)
	need(name, "lse", len(lse), batch*h.Count*queries)
	j := attentionJobs.get()
	j.dq, j.dk, j.dv, j.dy, j.y, j.lse, j.q, j.k, j.v, j.present = dq, dk, dv, dy, y, lse, q, k, v, present
	j.dbias = dbias
	j.queries, j.keys, j.batch, j.Heads = queries, keys, batch, h
	j.runGrad()
	j.end()
}

// span is the length of a slice that holds rows of cols elements, ld apart.
func span(rows, ld, cols int) int {
	if rows == 0 {
		return 0
	}
	return (rows-1)*ld + cols
}

// check panics if h or the slices that both directions read are wrong, and reports whether there is anything to do.
func (h *Heads) check(name string, q, k, v []float32, present []int32, queries, keys, batch int) bool {
	size(name, "queries", queries)
	size(name, "keys", keys)
	size(name, "batch", batch)
	h.checkSizes(name)
	need(name, "q", len(q), span(queries*batch, h.LDQ, h.Count*h.Size))
	need(name, "k", len(k), span(keys*batch, h.LDK, h.KV*h.Size))
	need(name, "v", len(v), span(keys*batch, h.LDK, h.KV*h.Size))
	if present != nil {
		need(name, "present", len(present), keys*batch)
	}
	if h.Bias != nil && len(h.Bias)/h.Count < 2*max(queries, keys)-1 {
		panic("kernel." + name + ": Bias does not have all distances")
	}
	return batch > 0 && h.Count > 0 && h.Size > 0 && queries+keys > 0
}

func (h *Heads) checkSizes(name string) {
	size(name, "Count", h.Count)
	size(name, "Size", h.Size)
	switch {
	case h.KV <= 0 && h.Count > 0 || h.KV > 0 && h.Count%h.KV != 0:
		panic("kernel." + name + ": Count is not a multiple of KV")
	case h.LDQ < h.Count*h.Size:
		panic("kernel." + name + ": LDQ is less than Count·Size")
	case h.LDK < h.KV*h.Size:
		panic("kernel." + name + ": LDK is less than KV·Size")
	case !(h.Rate >= 0 && h.Rate <= 1):
		panic("kernel." + name + ": Rate is not between 0 and 1")
	}
	if h.Slopes != nil {
		need(name, "Slopes", len(h.Slopes), h.Count)
	}
	if h.Bias != nil && (h.Count == 0 || len(h.Bias)%h.Count != 0 || len(h.Bias)/h.Count%2 != 1) {
		panic("kernel." + name + ": Bias is not an odd number of distances for each head")
	}
}

// attentionJob is one call. A unit is a sequence and a head of keys. It may be cut into parts over its queries: forward
// as the threads ask for, backward as the number of queries does, see gradChunks.
type attentionJob struct {
	Heads
	dq, dk, dv, dy, y, lse, q, k, v []float32
	dbias                           []float32 // of each sequence; nil without a bias
	present                         []int32
	queries, keys, batch            int

	// Of AttentionCached, where queries are steps and keys are what the cache holds.
	positions                []int32
	capacity                 int
	cachedKeys, cachedValues *cache.Cache

	grad           bool
	number         uint64 // of the call, since the process began
	parts, perTask int
	sums           []gradSum // of the units, where they have parts
}

var attentionJobs jobs[attentionJob]

const (
	// blockQueries is the most queries whose scores are worked on at a time, blockKeys the most keys. Only the second
	// shows in the bits: it is where sums of exponentials are joined.
	blockQueries = 70
	blockKeys    = 512
)

func (j *attentionJob) run() {
	units := j.batch * j.KV
	work := j.queries * max(1, j.keys) * j.Size * (j.Count / j.KV)
	j.parts = 1
	if threads := parallel.Threads(); threads > 1 && units < 4*threads {
		// Every part packs the keys again, which must be little beside what it computes.
		j.parts = max(1, min((4*threads+units-1)/units, (j.queries+blockQueries-1)/blockQueries))
	}
	j.split(units*j.parts, work/j.parts)
}

func (j *attentionJob) runGrad() {
	units, work := j.batch*j.KV, 2*j.queries*max(1, j.keys)*j.Size*(j.Count/j.KV)
	j.grad, j.parts = true, gradChunks(j.queries)
	if j.parts == 1 {
		j.split(units, work)
		return
	}
	j.number = gradJobs.Add(1)
	if len(j.sums) < units {
		j.sums = make([]gradSum, units)
	}
	j.perTask = 1
	if units >= 4*parallel.Threads() {
		j.perTask = j.parts // a thread packs the keys of a unit once
	}
	parallel.Run((units*j.parts+j.perTask-1)/j.perTask, j)
}

// split runs n pieces of about work multiply-adds each, in tasks that pay for handing them over.
func (j *attentionJob) split(n, work int) {
	threads := parallel.Threads()
	j.perTask = max(1, min((n+threads-1)/threads, 1<<17/max(1, work)), min(j.KV, n/(4*threads)))
	parallel.Run((n+j.perTask-1)/j.perTask, j)
}

// end clears j for the next call.
func (j *attentionJob) end() {
	*j = attentionJob{sums: j.sums}
	attentionJobs.put(j)
}

func (j *attentionJob) Do(task int) {
	w := attentionWorks.get()
	units := j.batch * j.KV
	for i := task * j.perTask; i < min((task+1)*j.perTask, units*j.parts); i++ {
		// The last queries see the most keys: they go first.
		unit, part := i%units, j.parts-1-i/units
		if j.grad {
			// The parts of a unit are added together as they come, and kept until then.
			unit, part = i/j.parts, j.parts-1-i%j.parts
		}
		b, g := unit/j.KV, unit%j.KV
		switch {
		case j.grad:
			w.gradUnit(j, b, g, part)
		case j.positions != nil:
			w.cachedUnit(j, b, g)
		default:
			w.forwardUnit(j, b, g, j.queries*part/j.parts, j.queries*(part+1)/j.parts)
		}
	}
	w.tiles = rowTiles{}
	attentionWorks.put(w)
}
