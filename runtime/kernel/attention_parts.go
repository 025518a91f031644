package kernel

import (
	"sync"
	"sync/atomic"
)

// The gradients of the keys and values are sums over the queries. Those of a long sequence are cut into parts whose
// sums are added in one order, whoever computes them: the last queries first, which see the most keys.

const (
	// wholeQueries is the number of queries that are never cut, chunkQueries the least of a part, and mostChunks the
	// number of parts. They show in the bits of longer sequences.
	wholeQueries = 256
	chunkQueries = 128
	mostChunks   = 8
)

// gradChunks is the number of parts of so many queries.
func gradChunks(queries int) int {
	if queries <= wholeQueries {
		return 1
	}
	return min(mostChunks, (queries+chunkQueries-1)/chunkQueries)
}

// gradJobs counts the calls whose units have parts.
var gradJobs atomic.Uint64

// packedKeys tells which keys and values a work holds: those of a unit before a limit.
type packedKeys struct {
	job         uint64
	b, g, limit int
}

// hold reports whether p are all that q asks for.
func (p packedKeys) hold(q packedKeys) bool {
	return p.job == q.job && p.b == q.b && p.g == q.g && p.limit >= q.limit
}

// gradPart is what a part of the queries gives for the first keys of a unit.
type gradPart struct {
	dK, dV, dbias []float32
	fresh         int
}

var gradParts jobs[gradPart]

// gradSum adds the parts of a unit together.
type gradSum struct {
	mu    sync.Mutex
	parts [mostChunks]*gradPart // that are there; the first holds the sum of those before next
	next  int
	busy  bool // someone adds
}

// join hands over what part n gave, in the order in which parts are added, and adds what is there. It reports whether
// w holds the whole sum now.
func (w *attentionWork) join(j *attentionJob, b, g, n int) bool {
	p := gradParts.get()
	p.dK, w.dK = w.dK, p.dK
	p.dV, w.dV = w.dV, p.dV
	p.dbias, w.partBias = w.partBias, p.dbias
	p.fresh = w.fresh
	s := &j.sums[b*j.KV+g]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[n] = p
	if s.busy {
		return false
	}
	s.busy = true
	for s.next < j.parts && s.parts[s.next] != nil {
		if n := s.next; n > 0 {
			s.mu.Unlock()
			w.addPart(s.parts[0], s.parts[n], j.dbias != nil, g)
			s.mu.Lock()
			gradParts.put(s.parts[n])
			s.parts[n] = nil
		}
		s.next++
	}
	s.busy = false
	if s.next < j.parts {
		return false
	}
	p, s.parts[0], s.next = s.parts[0], nil, 0
	p.dK, w.dK = w.dK, p.dK
	p.dV, w.dV = w.dV, p.dV
	w.fresh = p.fresh
	if j.dbias != nil {
		group := j.Count / j.KV
		copy(w.ofHeads(j.dbias[b*len(j.Bias):][:len(j.Bias)], g*group, group), w.ofHeads(p.dbias, g*group, group))
	}
	gradParts.put(p)
	w.take(j, b, j.keys)
	return true
}

// addPart adds the gradients of a part to a sum.
func (w *attentionWork) addPart(sum, p *gradPart, bias bool, g int) {
	add := func(x, y []float32) {
		if len(y) > 0 {
			var v vec
			v.p[0], v.p[1], v.p[2] = ptr(x), ptr(x), ptr(y)
			vecRange(opAdd, &v, 0, len(y))
		}
	}
	both := min(sum.fresh, p.fresh) * w.ldD
	add(sum.dK, p.dK[:both])
	add(sum.dV, p.dV[:both])
	if p.fresh > sum.fresh {
		copy(sum.dK[both:p.fresh*w.ldD], p.dK[both:])
		copy(sum.dV[both:p.fresh*w.ldD], p.dV[both:])
		sum.fresh = p.fresh
	}
	if bias {
		group := w.Count / w.KV
		add(w.ofHeads(sum.dbias, g*group, group), w.ofHeads(p.dbias, g*group, group))
	}
}
