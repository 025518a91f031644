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
	w.kN = w.packN(w.kN, x, ld, w.n, w.scales)
	w.kT = w.packT(w.kT, w.kN, w.Size, w.n, 1)
	x, ld = w.rows(j.v, j, b, g)
	w.vN = w.packN(w.vN, x, ld, w.n, w.ones)
	w.careful = !finite(w.vN[:w.n*w.Size])
	group := j.Count / j.KV
	step := evenly(q1-q0, blockQueries)
	if w.careful {
		step = 1
	}
	ldq, ldy := j.batch*j.LDQ, j.batch*j.Count*j.Size
	for i := q0; i < q1; i += step {
		rows := min(step, q1-i)
		w.block(i+off, rows, false)
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
	var v vec
	for k0 := 0; k0 < w.n || k0 == 0; k0 += blockKeys {
		k1 := min(k0+blockKeys, w.n)
		w.columns(rows, k0, k1, false)
		w.scores(w.s, w.q, w.kT)
		w.adjust(head, rows, k0, false)
		w.hide(w.s, negInf, rows, k0, k1)
		if w.Slopes != nil {
			w.alibi(w.Slopes[head], rows, k0)
		}
		t := w.scoreRows(rows)
		t.m, t.sum = unsafe.Pointer(&w.m[0]), unsafe.Pointer(&w.sum[0])
		if k0 > 0 {
			copy(w.was[:rows], w.m)
			t.sum = unsafe.Pointer(&w.part[0])
		}
		attendRows(&t)
		if k0 > 0 {
			// What there is so far was relative to a smaller one.
			f, sum := ptr(w.was), ptr(w.sum)
			v.p[0], v.p[1], v.p[2] = f, f, ptr(w.m)
			vecRange(opSub, &v, 0, rows)
			vecRange(opExp, &v, 0, rows)
			v.p[0], v.p[1], v.p[2] = sum, sum, f
			vecRange(opMul, &v, 0, rows)
			v.p[2] = ptr(w.part)
			vecRange(opAdd, &v, 0, rows)
			scaleRows(w.out, w.out, w.was, w.ld, w.ld, rows, w.Size)
		}
		if w.Rate > 0 {
			w.dropout(w.s, rows, row, keys, k0)
		}
		if k1 < w.n {
			w.add(w.out, w.ld, nil, w.s, w.vN)
		}
	}
	// A sum is at least 1, the term of the largest, or 0 where nothing is seen, and then so is y.
	v.p[0], v.p[1], v.s[0], v.s[1] = ptr(w.part), ptr(w.sum), 0.5, math.MaxFloat32
	vecRange(opClamp, &v, 0, rows)
	v.p[1], v.p[2] = ptr(w.ones), ptr(w.part)
	vecRange(opDiv, &v, 0, rows)
	if w.inPlace() {
		w.add(y, ldy, w.part, w.s, w.vN)
		return
	}
	w.add(w.out, w.ld, nil, w.s, w.vN)
	scaleRows(y, w.out, w.part, ldy, w.ld, rows, w.Size)
}

// inPlace reports whether tiles can write rows of a head, which have no room behind them, where they belong.
func (w *attentionWork) inPlace() bool { return w.Size%8 == 0 }

// gradUnit computes the gradients of one head of the keys and values of sequence b, and of the queries that read it:
// what a part of the queries gives.
func (w *attentionWork) gradUnit(j *attentionJob, b, g, part int) {
	held := w.packed
	w.begin(&j.Heads, j.queries+j.keys)
	w.ds = grow(w.ds, len(w.s))
	q0, q1 := j.queries*part/j.parts, j.queries*(part+1)/j.parts
	off := j.keys - j.queries
	limit := j.keys
	if j.Causal && part < j.parts-1 {
		limit = max(0, min(limit, max(q1+off, j.Prefix)))
	}
	w.packed = packedKeys{j.number, b, g, limit}
	if j.parts == 1 || !held.hold(w.packed) {
		w.take(j, b, limit)
		x, ld := w.rows(j.k, j, b, g)
		w.kN = w.packN(w.kN, x, ld, w.n, w.scales)
		w.kT = w.packT(w.kT, w.kN, w.Size, w.n, 1)
		x, ld = w.rows(j.v, j, b, g)
		w.vT = w.packT(w.vT, x, ld, w.n, 1)
	} else {
		w.packed = held
	}
	w.ldD, w.fresh = (j.Size+15)&^15, 0
	w.dK, w.dV = grow(w.dK, w.n*w.ldD), grow(w.dV, w.n*w.ldD)
	group := j.Count / j.KV
	w.dbias = nil
	if j.dbias != nil {
		w.dbias = j.dbias[b*len(j.Bias):][:len(j.Bias)]
		if j.parts > 1 {
			w.partBias = grow(w.partBias, len(j.Bias))
			w.dbias = w.partBias
			clear(w.ofHeads(w.dbias, g*group, group))
		}
	}
	bad := !finite(w.kN[:w.n*w.Size])
	done := false
	ldq, ldy := j.batch*j.LDQ, j.batch*j.Count*j.Size
	for h := g * group; h < (g+1)*group; h++ {
		step := evenly(q1-q0, blockQueries)
		for i := q0; i < q1; i += step {
			rows := min(step, q1-i)
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
				last := h == (g+1)*group-1 && i+rows == q1
				done = w.grad(j, last && j.parts == 1, b, g, dq, q, dy, lse, ldq, ldy, i+off, rows, h, row)
				continue
			}
			// One query at a time: its mask is then exact, and nothing multiplies what it hides by zero.
			copy(w.part, w.sum[:rows])
			for r := range rows {
				w.sum[0] = w.part[r]
				w.grad(j, false, b, g, dq[r*ldq:], q[r*ldq:], dy[r*ldy:], lse[r:r+1], ldq, ldy, i+off+r, 1, h,
					row+uint64(r))
			}
		}
	}
	if !done && (j.parts == 1 || w.join(j, b, g, j.parts-1-part)) {
		w.finishGrad(j, b, g)
	}
}

// finishGrad writes dK and dV of a unit to where they belong.
func (w *attentionWork) finishGrad(j *attentionJob, b, g int) {
	w.reach(w.n)
	scaleAll(w.dK[:w.n*w.ldD], j.Scale)
	if w.n == j.keys {
		at, ld := b*j.LDK+g*j.Size, j.batch*j.LDK
		w.copyRows(j.dk[min(at, len(j.dk)):], w.dK, ld, w.ldD, w.n)
		w.copyRows(j.dv[min(at, len(j.dv)):], w.dV, ld, w.ldD, w.n)
		return
	}
	c := 0
	for p := range j.keys {
		at := (p*j.batch+b)*j.LDK + g*j.Size
		dk, dv := j.dk[at:at+j.Size], j.dv[at:at+j.Size]
		if c < w.n && (!w.holes || int(w.at[c]) == p) {
			copy(dk, w.dK[c*w.ldD:])
			copy(dv, w.dV[c*w.ldD:])
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
// and dropout acts on dy·vᵀ, and on p for dv. The sums Σ dy∘y are in w.sum. If these are the last queries of the unit
// it may write the gradients of the keys and values to where they belong, and reports whether it did.
func (w *attentionWork) grad(j *attentionJob, last bool, b, g int, dq, q, dy, lse []float32, ldq, ldy, p, rows,
	head int, row uint64) bool {
	w.block(p, rows, true)
	last = last && w.inPlace() && w.n == j.keys && !w.holes && w.covered(rows)
	w.copyRows(w.q, q, w.ld, ldq, rows)
	w.copyRows(w.dy, dy, w.ld, ldy, rows)
	blind := false
	for r, l := range lse {
		if l == negInf {
			// It sees nothing, and nothing is known about what it holds.
			blind = true
			clear(w.q[r*w.ld : (r+1)*w.ld])
			clear(w.dy[r*w.ld : (r+1)*w.ld])
		}
	}
	for k0 := 0; k0 < w.n || k0 == 0; k0 += blockKeys {
		k1 := min(k0+blockKeys, w.n)
		w.columns(rows, k0, k1, true)
		if blind {
			for r, l := range lse {
				if l == negInf {
					w.lo[r] = w.hi[r]
				}
			}
			w.maskBlock = -1
		}
		w.scores(w.s, w.q, w.kT)
		w.scores(w.ds, w.dy, w.vT)
		w.adjust(head, rows, k0, true)
		w.hide(w.s, negInf, rows, k0, k1)
		w.hide(w.ds, 0, rows, k0, k1)
		if w.Slopes != nil {
			w.alibi(w.Slopes[head], rows, k0)
		}
		if w.Rate > 0 {
			w.dropout(w.ds, rows, row, j.keys, k0)
		}
		t := w.scoreRows(rows)
		t.ds, t.m, t.sum = unsafe.Pointer(&w.ds[0]), unsafe.Pointer(&lse[0]), unsafe.Pointer(&w.sum[0])
		attendGradRows(&t)
		w.adjustGrad(head, rows, k0)
		if w.Rate > 0 {
			w.dropout(w.s, rows, row, j.keys, k0)
		}
		if k1 < w.n || !w.inPlace() {
			w.add(w.out, w.ld, nil, w.ds, w.kN)
		} else {
			w.add(dq, ldq, nil, w.ds, w.kN)
		}
		w.listKeyTiles(k0, rows)
		if last {
			at, ld := b*j.LDK+g*j.Size, j.batch*j.LDK
			w.addT(j.dv[at:], ld, nil, w.dV, w.s, w.dy)
			w.addT(j.dk[at:], ld, w.scales, w.dK, w.ds, w.q)
		} else {
			w.addT(w.dV, w.ldD, nil, w.dV, w.s, w.dy)
			w.addT(w.dK, w.ldD, nil, w.dK, w.ds, w.q)
		}
		for _, p := range w.all {
			if p[0] < p[1] {
				w.fresh = max(w.fresh, p[1])
			}
		}
	}
	if !w.inPlace() {
		w.copyRows(dq, w.out, ldq, w.ld, rows)
	}
	return last
}

// covered reports whether the queries of the block see all keys.
func (w *attentionWork) covered(rows int) bool {
	p, all := w.seen(0, rows, 0, w.n), [2]int{0, w.n}
	return p[1] == all || p[0] == all
}

// reach clears what dK and dV hold before key c, as far as there is nothing yet.
func (w *attentionWork) reach(c int) {
	if w.fresh < c {
		clear(w.dK[w.fresh*w.ldD : c*w.ldD])
		clear(w.dV[w.fresh*w.ldD : c*w.ldD])
		w.fresh = c
	}
}

// reachTile does it for the tiles of a piece of the keys that would begin within what there is.
func (w *attentionWork) reachTile(p [2]int) {
	w.reach(p[0])
	if w.fresh < p[1] {
		height := evenly(p[1]-p[0], attendHeight())
		w.reach(min(p[1], p[0]+(w.fresh-p[0]+height-1)/height*height))
	}
}

// addT adds sᵀ·x of the queries of the block to mid, the gradients of the keys or values. The result goes to rows of c,
// ldc apart, times f[0] if there is one.
func (w *attentionWork) addT(c []float32, ldc int, f, mid, s, x []float32) {
	t := &w.tiles
	t.a, t.b, t.c, t.mid, t.f = s, x, c, mid, f
	t.lda, t.ldb, t.panel, t.ldc, t.ldm, t.ldf = ldS, w.ld, PanelCols, ldc, w.ldD, 0
	for i := range w.keyTiles {
		t.run(&w.keyTiles[i], true)
	}
}

// listKeyTiles lists the tiles of addT, for the block of keys from k0 on.
func (w *attentionWork) listKeyTiles(k0, rows int) {
	for _, p := range w.all {
		if p[0] < p[1] {
			w.reachTile(p)
		}
	}
	if w.keysFresh == w.fresh {
		return
	}
	w.keysFresh = w.fresh
	for i, p := range w.all {
		l := &w.keyTiles[i]
		height := evenly(p[1]-p[0], attendHeight())
		l.reset(height)
		first, last := 0, 0
		for c0 := p[0]; c0 < p[1]; c0 += height {
			n := min(height, p[1]-c0)
			// The queries that see any of these keys.
			r0, r1 := 0, rows
			if c0 >= w.prefix {
				for first < rows && int(w.to[first]) <= c0 {
					first++
				}
				for last < rows && int(w.from[last]) < c0+n {
					last++
				}
				r0, r1 = first, max(first, last)
			}
			x := rowTile{a: r0*ldS + c0 - k0, b: r0 * w.ld, row: c0, k: r1 - r0, cols: w.Size}
			if c0 < w.fresh {
				x.flags = tileMore
			}
			if c0 >= w.prefix && x.k >= n && w.slopes(w.to, r0, n, c0+1) {
				x.k -= n - 1
				x.flags |= tileTriangle
			}
			l.add(n, x)
		}
	}
}
