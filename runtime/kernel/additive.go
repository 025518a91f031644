package kernel

import "github.com/gradsmith/gradsmith/runtime/parallel"

// AdditiveAttention computes the context of Bahdanau et al. 2015 (appendix A.1.2) for one query of each of batch
// sequences:
//
//	e[s] = Σ v·tanh(q[b] + keys[s, b]);  w[b] = softmax(e);  c[b] = Σ_s w[b, s]·memory[s, b]
//
// c [batch, width], w [batch, steps], q [batch, hidden], keys [steps, batch, hidden], memory [steps, batch, width],
// v [hidden]. Step s of sequence b takes part if present[s·batch + b] is not negative; what it holds otherwise changes
// nothing. A sequence without a step gives zeros. c and w may not overlap the others.
func AdditiveAttention(c, w, q, keys, memory, v []float32, present []int32, steps, batch, hidden, width int) {
	const name = "AdditiveAttention"
	if !additiveSizes(name, q, keys, memory, v, present, steps, batch, hidden, width) {
		return
	}
	need(name, "c", len(c), batch*width)
	need(name, "w", len(w), batch*steps)
	j := additiveJobs.get()
	*j = additiveJob{c: c, w: w, q: q, keys: keys, memory: memory, v: v, present: present, steps: steps, batch: batch,
		hidden: hidden, width: width}
	j.run()
}

// AdditiveAttentionGrad computes the gradients of [AdditiveAttention] from dc, its arguments and its w: dq [batch,
// hidden], dkeys and dmemory, of the form of keys and memory, and dv [batch, hidden], whose sum over the sequences is
// the gradient of v. Steps that take no part get zeros.
func AdditiveAttentionGrad(dq, dkeys, dmemory, dv, dc, q, keys, memory, v, w []float32, present []int32, steps, batch,
	hidden, width int) {
	const name = "AdditiveAttentionGrad"
	if !additiveSizes(name, q, keys, memory, v, present, steps, batch, hidden, width) {
		return
	}
	need(name, "dq", len(dq), batch*hidden)
	need(name, "dkeys", len(dkeys), steps*batch*hidden)
	need(name, "dmemory", len(dmemory), steps*batch*width)
	need(name, "dv", len(dv), batch*hidden)
	need(name, "dc", len(dc), batch*width)
	need(name, "w", len(w), batch*steps)
	j := additiveJobs.get()
	*j = additiveJob{
		dq: dq, dkeys: dkeys, dmemory: dmemory, dv: dv, dc: dc, q: q, keys: keys, memory: memory, v: v, w: w,
		present: present,
		steps:   steps, batch: batch, hidden: hidden, width: width,
	}
	j.run()
}

func additiveSizes(name string, q, keys, memory, v []float32, present []int32, steps, batch, hidden, width int) bool {
	size(name, "steps", steps)
	size(name, "batch", batch)
	size(name, "hidden", hidden)
	size(name, "width", width)
	need(name, "q", len(q), batch*hidden)
	need(name, "keys", len(keys), steps*batch*hidden)
	need(name, "memory", len(memory), steps*batch*width)
	need(name, "v", len(v), hidden)
	need(name, "present", len(present), steps*batch)
	return batch > 0
}

type additiveJob struct {
	dq, dkeys, dmemory, dv, dc  []float32 // of the gradient; dq is nil otherwise
	c, w, q, keys, memory, v    []float32
	present                     []int32
	steps, batch, hidden, width int
	perTask                     int
}

var additiveJobs jobs[additiveJob]

// additiveWork is the memory of one task.
type additiveWork struct{ t, p, e []float32 }

var additiveWorks jobs[additiveWork]

func (j *additiveJob) run() {
	// tanh costs about as much as eight multiplications.
	work := j.steps * (8*j.hidden + j.width)
	j.perTask = max(1, min((j.batch+parallel.Threads()-1)/parallel.Threads(), rowWork/max(1, work)))
	parallel.Run((j.batch+j.perTask-1)/j.perTask, j)
	*j = additiveJob{}
	additiveJobs.put(j)
}

func (j *additiveJob) Do(task int) {
	w := additiveWorks.get()
	w.t, w.p, w.e = grow(w.t, max(j.hidden, j.width)), grow(w.p, j.hidden), grow(w.e, j.steps)
	for b := task * j.perTask; b < min((task+1)*j.perTask, j.batch); b++ {
		if j.dq == nil {
			j.forward(w, b)
		} else {
			j.gradient(w, b)
		}
	}
	additiveWorks.put(w)
}

// combine applies o to n elements of a and b, or of a and the number s.
func combine(o op, dst, a, b []float32, s float32, n int) {
	var v vec
	v.p[0], v.p[1], v.p[2], v.s[0] = ptr(dst), ptr(a), ptr(b), s
	if n > 0 {
		vecRange(o, &v, 0, n)
	}
}

func (j *additiveJob) row(x []float32, s, b, n int) []float32 {
	at := (s*j.batch + b) * n
	return x[at : at+n]
}

// tanh leaves tanh(q + key) of step s in t.
func (j *additiveJob) tanh(t []float32, s, b int) {
	combine(opAdd, t, j.q[b*j.hidden:], j.row(j.keys, s, b, j.hidden), 0, j.hidden)
	combine(opTanh, t, t, t, 0, j.hidden)
}

func (j *additiveJob) forward(w *additiveWork, b int) {
	e := j.w[b*j.steps : (b+1)*j.steps]
	for s := range e {
		if j.present[s*j.batch+b] < 0 {
			e[s] = negInf
			continue
		}
		j.tanh(w.t, s, b)
		combine(opMul, w.t, w.t, j.v, 0, j.hidden)
		e[s] = rowSum(w.t[:j.hidden])
	}
	softmaxRow(e, e)
	c := j.c[b*j.width : (b+1)*j.width]
	clear(c)
	for s, p := range e {
		if j.present[s*j.batch+b] >= 0 {
			combine(opAddScaled, c, c, j.row(j.memory, s, b, j.width), p, j.width)
		}
	}
}

func (j *additiveJob) gradient(w *additiveWork, b int) {
	p := j.w[b*j.steps : (b+1)*j.steps]
	dc, dq, dv := j.dc[b*j.width:(b+1)*j.width], j.dq[b*j.hidden:(b+1)*j.hidden], j.dv[b*j.hidden:(b+1)*j.hidden]
	clear(dq)
	clear(dv)
	// de = w·(dw - Σ w·dw), dw = dc·memory.
	sum := float32(0)
	for s := range p {
		if w.e[s] = 0; j.present[s*j.batch+b] < 0 {
			continue
		}
		combine(opMul, w.t, dc, j.row(j.memory, s, b, j.width), 0, j.width)
		w.e[s] = rowSum(w.t[:j.width])
		sum += float32(p[s] * w.e[s])
	}
	for s := range p {
		dk, dm := j.row(j.dkeys, s, b, j.hidden), j.row(j.dmemory, s, b, j.width)
		if j.present[s*j.batch+b] < 0 {
			clear(dk)
			clear(dm)
			continue
		}
		combine(opScale, dm, dc, dc, p[s], j.width)
		de := float32(p[s] * float32(w.e[s]-sum))
		j.tanh(w.t, s, b)
		combine(opAddScaled, dv, dv, w.t, de, j.hidden)
		combine(opScale, w.p, j.v, j.v, de, j.hidden)
		combine(opTanhGrad, dk, w.t, w.p, 0, j.hidden)
		combine(opAdd, dq, dq, dk, 0, j.hidden)
	}
}

// MaskRows copies x [rows, cols] to dst, with zeros in every row whose token is negative. dst may be x.
func MaskRows(dst, x []float32, tokens []int32, rows, cols int) {
	const name = "MaskRows"
	if !matrix(name, rows, cols) {
		return
	}
	need(name, "dst", len(dst), rows*cols)
	need(name, "x", len(x), rows*cols)
	need(name, "tokens", len(tokens), rows)
	for r := range rows {
		d := dst[r*cols : (r+1)*cols]
		if tokens[r] < 0 {
			clear(d)
		} else {
			copy(d, x[r*cols:(r+1)*cols])
		}
	}
}

// JoinColumns puts the rows of a [rows, colsA] and b [rows, colsB] beside each other: dst [rows, colsA+colsB]. dst may
// not overlap a or b.
func JoinColumns(dst, a, b []float32, rows, colsA, colsB int) {
	const name = "JoinColumns"
	size(name, "rows", rows)
	size(name, "colsA", colsA)
	size(name, "colsB", colsB)
	need(name, "dst", len(dst), rows*(colsA+colsB))
	need(name, "a", len(a), rows*colsA)
	need(name, "b", len(b), rows*colsB)
	for r := range rows {
		d := dst[r*(colsA+colsB) : (r+1)*(colsA+colsB)]
		copy(d, a[r*colsA:(r+1)*colsA])
		copy(d[colsA:], b[r*colsB:(r+1)*colsB])
	}
}

// SplitColumns is the opposite of [JoinColumns], and its gradient.
func SplitColumns(a, b, x []float32, rows, colsA, colsB int) {
	const name = "SplitColumns"
	size(name, "rows", rows)
	size(name, "colsA", colsA)
	size(name, "colsB", colsB)
	need(name, "a", len(a), rows*colsA)
	need(name, "b", len(b), rows*colsB)
	need(name, "x", len(x), rows*(colsA+colsB))
	for r := range rows {
		s := x[r*(colsA+colsB) : (r+1)*(colsA+colsB)]
		copy(a[r*colsA:(r+1)*colsA], s)
		copy(b[r*colsB:(r+1)*colsB], s[colsA:])
	}
}
