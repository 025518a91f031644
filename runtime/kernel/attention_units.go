package kernel

import (
	"math"
	"unsafe"
)

// forwardUnit computes queries q0 to q1-1 of sequence b for the query heads that read head g of the keys.
func (w *attentionWork) forwardUnit(j *attentionJob, b, g, q0, q1 int) {
	w.begin(&j.Heads, j.queries+j.keys)
	limit, off := j.keys, j.keys-j.queries
	if j.Causal {
		limit = max(0, min(limit, max(q1+off, j.Prefix)))
	}
	w.take(j, b, limit)
	x, ld := w.rows(j.k, j, b, g)
	w.kT = w.packT(w.kT, x, ld, w.n, j.Scale)
	x, ld = w.rows(j.v, j, b, g)
	w.vN = w.packN(w.vN, x, ld, w.n, 1)
	w.careful = !finite(w.vN)
	group := j.Count / j.KV
	step := evenly(q1-q0, blockQueries)
	if w.careful {
		step = 1
	}
	ldq, ldy := j.batch*j.LDQ, j.batch*j.Count*j.Size
	for i := q0; i < q1; i += step {
		rows := min(step, q1-i)
		w.block(i+off, rows)
		for h := g * group; h < (g+1)*group; h++ {
			at := b*j.Count*j.Size + h*j.Size
			w.forward(j.y[i*ldy+at:], j.q[i*ldq+b*j.LDQ+h*j.Size:], ldy, ldq, rows, h,
				uint64((b*j.Count+h)*j.queries+i), j.keys)
			if j.lse != nil {
				w.logSums(j.lse[(b*j.Count+h)*j.queries+i:][:rows])
			}
		}
	}
}

// evenly is the size of the blocks when n is cut into as few as blocks of at most limit allow, as evenly as can be.
func evenly(n, limit int) int {
	blocks := max(1, (n+limit-1)/limit)
	return max(1, (n+blocks-1)/blocks)
}

// logSums sets dst to the logarithm of the sum of exponentials of each row.
func (w *attentionWork) logSums(dst []float32) {
	var v vec
	v.p[0], v.p[1] = ptr(dst), ptr(w.sum)
	vecRange(opLog, &v, 0, len(dst))
	v.p[1], v.p[2] = ptr(dst), ptr(w.m)
	vecRange(opAdd, &v, 0, len(dst))
}

// forward computes rows queries of one head against the keys, which are packed. Blocks of keys are joined as they come,
// with the largest score so far subtracted from all (Milakov and Gimelshein 2018).
func (w *attentionWork) forward(y, q []float32, ldy, ldq, rows, head int, row uint64, keys int) {
	for r := range rows {
		w.m[r], w.sum[r] = lowest, 0
	}
	w.copyRows(w.q, q, w.ld, ldq, rows)
	height := evenly(rows, w.height())
	var t scoreRows
	var v vec
	for k0 := 0; k0 < w.n || k0 == 0; k0 += blockKeys {
		k1 := min(k0+blockKeys, w.n)
		w.columns(rows, k0, k1)
		for r0 := 0; r0 < rows; r0 += height {
			r1 := min(r0+height, rows)
			p := w.pieces(r0, r1, k0, k1)
			out := w.out[r0*w.ld : r1*w.ld]
			if p[0][0] == p[0][1] && p[1][0] == p[1][1] {
				if k0 == 0 {
					clear(out)
				}
				continue
			}
			for _, p := range p {
				w.scores(w.s, w.q, w.kT, r0, r1, k0, p[0], p[1])
			}
			w.adjust(head, r0, r1, k0, false)
			w.hide(w.s, negInf, r0, r1, k0, k1)
			if w.Slopes != nil {
				w.alibi(w.Slopes[head], r0, r1, k0)
			}
			w.rowsOf(&t, r0, r1, p, k0)
			t.m, t.sum = unsafe.Pointer(&w.m[r0]), unsafe.Pointer(&w.sum[r0])
			if k0 > 0 {
				copy(w.was[r0:r1], w.m[r0:r1])
				t.sum = unsafe.Pointer(&w.part[r0])
			}
			attendRows(&t)
			if k0 > 0 {
				// What there is so far was relative to a smaller one.
				f, sum := unsafe.Pointer(&w.was[r0]), unsafe.Pointer(&w.sum[r0])
				v.p[0], v.p[1], v.p[2] = f, f, unsafe.Pointer(&w.m[r0])
				vecRange(opSub, &v, 0, r1-r0)
				vecRange(opExp, &v, 0, r1-r0)
				v.p[0], v.p[1], v.p[2] = sum, sum, f
				vecRange(opMul, &v, 0, r1-r0)
				v.p[2] = unsafe.Pointer(&w.part[r0])
				vecRange(opAdd, &v, 0, r1-r0)
				scaleRows(out, out, w.was[r0:], w.ld, w.ld, r1-r0, w.Size)
			}
			if w.Rate > 0 {
				w.dropout(w.s, r0, r1, row, keys, k0)
			}
			more := k0 > 0
			for _, p := range p {
				if p[0] < p[1] {
					w.add(out, w.s[r0*ldS:], w.vN, r1-r0, k0, p, more)
					more = true
				}
			}
		}
	}
	// A sum is at least 1, the term of the largest, or 0 where nothing is seen, and then so is y.
	v.p[0], v.p[1], v.s[0], v.s[1] = ptr(w.part), ptr(w.sum), 0.5, math.MaxFloat32
	vecRange(opClamp, &v, 0, rows)
	v.p[1], v.p[2] = ptr(w.ones), ptr(w.part)
	vecRange(opDiv, &v, 0, rows)
	scaleRows(y, w.out, w.part, ldy, w.ld, rows, w.Size)
}

// add computes c = s·x, or adds it, for rows rows and the keys of a piece, x being packed.
func (w *attentionWork) add(c, s, x []float32, rows, k0 int, p [2]int, more bool) {
	mulPanels(c, w.ld, s[p[0]-k0:], ldS, false, x[p[0]*PanelCols:], w.n*PanelCols, rows, w.Size, p[1]-p[0], more)
}

// gradUnit computes the gradients of one head of the keys and values of sequence b, and of the queries that read it.
func (w *attentionWork) gradUnit(j *attentionJob, b, g int) {
	w.begin(&j.Heads, j.queries+j.keys)
	w.ds = grow(w.ds, len(w.s))
	w.dbias = nil
	if j.dbias != nil {
		w.dbias = j.dbias[b*len(j.Bias):][:len(j.Bias)]
	}
	off := j.keys - j.queries
	w.take(j, b, j.keys)
	x, ld := w.rows(j.k, j, b, g)
	w.kT = w.packT(w.kT, x, ld, w.n, j.Scale)
	w.kN = w.packN(w.kN, x, ld, w.n, j.Scale)
	x, ld = w.rows(j.v, j, b, g)
	w.vT = w.packT(w.vT, x, ld, w.n, 1)
	w.dK, w.dV = grow(w.dK, w.n*j.Size), grow(w.dV, w.n*j.Size)
	clear(w.dK)
	clear(w.dV)
	bad := !finite(w.kN)
	group := j.Count / j.KV
	ldq, ldy := j.batch*j.LDQ, j.batch*j.Count*j.Size
	for h := g * group; h < (g+1)*group; h++ {
		step := evenly(j.queries, blockQueries)
		for i := 0; i < j.queries; i += step {
			rows := min(step, j.queries-i)
			q, dq := j.q[i*ldq+b*j.LDQ+h*j.Size:], j.dq[i*ldq+b*j.LDQ+h*j.Size:]
			at := i*ldy + b*j.Count*j.Size + h*j.Size
			y, dy := j.y[at:], j.dy[at:]
			lse := j.lse[(b*j.Count+h)*j.queries+i:][:rows]
			row := uint64((b*j.Count+h)*j.queries + i)
			dotRows(w.sum, dy, y, ldy, ldy, rows, j.Size)
			w.careful = bad
			for r, l := range lse {
				// A query or a gradient that is not finite shows here.
				d := w.sum[r]
				w.careful = w.careful || l != negInf && l-l+(d-d) != 0
			}
			if !w.careful {
				w.grad(dq, q, dy, lse, ldq, ldy, i+off, rows, h, row, j.keys)
				continue
			}
			// One query at a time: its mask is then exact, and nothing multiplies what it hides by zero.
			copy(w.part, w.sum[:rows])
			for r := range rows {
				w.sum[0] = w.part[r]
				w.grad(dq[r*ldq:], q[r*ldq:], dy[r*ldy:], lse[r:r+1], ldq, ldy, i+off+r, 1, h, row+uint64(r), j.keys)
			}
		}
	}
	scaleAll(w.dK, j.Scale)
	if w.n == j.keys {
		at, ld := b*j.LDK+g*j.Size, j.batch*j.LDK
		w.copyRows(j.dk[min(at, len(j.dk)):], w.dK, ld, j.Size, w.n)
		w.copyRows(j.dv[min(at, len(j.dv)):], w.dV, ld, j.Size, w.n)
		return
	}
	c := 0
	for p := range j.keys {
		at := (p*j.batch+b)*j.LDK + g*j.Size
		dk, dv := j.dk[at:at+j.Size], j.dv[at:at+j.Size]
		if c < w.n && (!w.holes || int(w.at[c]) == p) {
			copy(dk, w.dK[c*j.Size:])
			copy(dv, w.dV[c*j.Size:])
			c++
		} else {
			clear(dk)
			clear(dv)
		}
	}
}

// grad computes the gradient of rows queries of one head and adds to those of the keys and values. With p the
// probabilities, recomputed from lse,
//
//	ds = p∘(dy·vᵀ - Σ dy∘y);  dq = ds·k;  dk += dsᵀ·q;  dv += pᵀ·dy
//
// and dropout acts on dy·vᵀ, and on p for dv. The sums Σ dy∘y are in w.sum.
func (w *attentionWork) grad(dq, q, dy, lse []float32, ldq, ldy, p, rows, head int, row uint64, keys int) {
	w.block(p, rows)
	w.copyRows(w.q, q, w.ld, ldq, rows)
	w.copyRows(w.dy, dy, w.ld, ldy, rows)
	w.qN = w.packN(w.qN, w.q, w.ld, rows, 1)
	w.dyN = w.packN(w.dyN, w.dy, w.ld, rows, 1)
	blind := false
	for r, l := range lse {
		if l == negInf {
			// It sees nothing, and nothing is known about what it holds.
			blind = true
			for c := r * PanelCols; c < len(w.qN); c += rows * PanelCols {
				clear(w.qN[c : c+PanelCols])
				clear(w.dyN[c : c+PanelCols])
			}
		}
	}
	height := evenly(rows, w.height())
	var t scoreRows
	for k0 := 0; k0 < w.n || k0 == 0; k0 += blockKeys {
		k1 := min(k0+blockKeys, w.n)
		w.columns(rows, k0, k1)
		if blind {
			for r, l := range lse {
				if l == negInf {
					w.lo[r] = w.hi[r]
				}
			}
			w.maskBlock = -1
		}
		all := w.pieces(0, rows, k0, k1)
		for r0 := 0; r0 < rows; r0 += height {
			r1 := min(r0+height, rows)
			p := w.pieces(r0, r1, k0, k1)
			out := w.out[r0*w.ld : r1*w.ld]
			if p[0][0] == p[0][1] && p[1][0] == p[1][1] {
				if k0 == 0 {
					clear(out)
				}
				if all[0][0] == all[0][1] && all[1][0] == all[1][1] {
					continue
				}
			}
			for _, p := range p {
				w.scores(w.s, w.q, w.kT, r0, r1, k0, p[0], p[1])
				w.scores(w.ds, w.dy, w.vT, r0, r1, k0, p[0], p[1])
			}
			w.adjust(head, r0, r1, k0, true)
			w.hide(w.s, negInf, r0, r1, k0, k1)
			w.hide(w.ds, 0, r0, r1, k0, k1)
			if w.Slopes != nil {
				w.alibi(w.Slopes[head], r0, r1, k0)
			}
			if w.Rate > 0 {
				w.dropout(w.ds, r0, r1, row, keys, k0)
			}
			w.rowsOf(&t, r0, r1, all, k0)
			if w.prefix <= k0 {
				// Further from what these queries see nothing is read: tiles of keys are as high as those of queries.
				from, to := ends(p, k0)
				first, last := t.zeroFrom, t.zeroTo-1
				t.zeroFrom, t.zeroTo = max(first, min(from, last)-attentionRows()), 1+min(last,
					max(to, first)+attentionRows())
			}
			t.ds, t.m, t.sum = unsafe.Pointer(&w.ds[r0*ldS]), unsafe.Pointer(&lse[r0]), unsafe.Pointer(&w.sum[r0])
			attendGradRows(&t)
			w.adjustGrad(head, r0, r1, k0)
			if w.Rate > 0 {
				w.dropout(w.s, r0, r1, row, keys, k0)
			}
			more := k0 > 0
			for _, p := range p {
				if p[0] < p[1] {
					w.add(out, w.ds[r0*ldS:], w.kN, r1-r0, k0, p, more)
					more = true
				}
			}
		}
		for _, p := range all {
			w.addT(k0, p, rows)
		}
	}
	w.copyRows(dq, w.out, ldq, w.ld, rows)
}

// addT adds to the gradients of the keys and values of a piece what the queries of the block give.
func (w *attentionWork) addT(k0 int, p [2]int, rows int) {
	height := evenly(p[1]-p[0], attentionRows())
	first, last := 0, 0
	for c0 := p[0]; c0 < p[1]; c0 += height {
		c1 := min(c0+height, p[1])
		// The queries that see any of these keys.
		r0, r1 := 0, rows
		if c0 >= w.prefix {
			for first < rows && int(w.to[first]) <= c0 {
				first++
			}
			for last < rows && int(w.from[last]) < c1 {
				last++
			}
			r0, r1 = first, last
		}
		if r0 >= r1 {
			continue
		}
		at := r0*ldS + c0 - k0
		mulPanels(w.dV[c0*w.Size:], w.Size, w.s[at:], ldS, true, w.dyN[r0*PanelCols:], rows*PanelCols, c1-c0, w.Size,
			r1-r0, true)
		mulPanels(w.dK[c0*w.Size:], w.Size, w.ds[at:], ldS, true, w.qN[r0*PanelCols:], rows*PanelCols, c1-c0, w.Size,
			r1-r0, true)
	}
}
