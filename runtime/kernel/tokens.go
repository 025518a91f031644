package kernel

import "math"

// Seen sets dst [tokens, batch] to 1 for each token that a sum over tokens is over, and to 0 for the others: those
// that are missing, whose element of ids [tokens, batch] is negative, and those behind the place of their sequence, of
// places [batch]. ids or places may be nil, and then exclude nothing.
func Seen(dst []float32, ids, places []int32, tokens, batch int) {
	const name = "Seen"
	size(name, "tokens", tokens)
	size(name, "batch", batch)
	need(name, "dst", len(dst), tokens*batch)
	if ids != nil {
		need(name, "ids", len(ids), tokens*batch)
	}
	if places != nil {
		need(name, "places", len(places), batch)
	}
	for i := range tokens * batch {
		if ids != nil && ids[i] < 0 || places != nil && i/batch > int(places[i%batch]) {
			dst[i] = 0
		} else {
			dst[i] = 1
		}
	}
}

// SeenUpTo is [Seen] with one place for all sequences.
func SeenUpTo(dst []float32, ids []int32, place, tokens, batch int) {
	const name = "SeenUpTo"
	size(name, "tokens", tokens)
	size(name, "batch", batch)
	need(name, "dst", len(dst), tokens*batch)
	n := min(max(place+1, 0), tokens) * batch
	Seen(dst[:n], ids, nil, n/max(batch, 1), batch)
	clear(dst[n : tokens*batch])
}

// SoftmaxSteps sets dst [tokens, batch] to the softmax of x [tokens, batch] over the tokens of each sequence whose
// element of seen [tokens, batch] is not 0. The others get 0, and so do all of a sequence that sees none. Sums are in
// the order of the tokens, in float64. dst may be x.
func SoftmaxSteps(dst, x, seen []float32, tokens, batch int) {
	const name = "SoftmaxSteps"
	size(name, "tokens", tokens)
	size(name, "batch", batch)
	need(name, "dst", len(dst), tokens*batch)
	need(name, "x", len(x), tokens*batch)
	need(name, "seen", len(seen), tokens*batch)
	for b := range batch {
		most, sum := float32(math.Inf(-1)), 0.0
		for i := b; i < tokens*batch; i += batch {
			if seen[i] != 0 {
				most = max(most, x[i])
			}
		}
		for i := b; i < tokens*batch; i += batch {
			if seen[i] != 0 {
				e := math.Exp(float64(x[i]) - float64(most))
				sum += e
				dst[i] = float32(e)
			} else {
				dst[i] = 0
			}
		}
		if sum > 0 {
			for i := b; i < tokens*batch; i += batch {
				dst[i] = float32(float64(dst[i]) / sum)
			}
		}
	}
}

// CacheRows puts the rows of x [steps, batch, cols] into cache [batch, room, cols] at the places [steps, batch] of
// their tokens, of which a negative one is none, and sets dst [room, batch, cols] to the rows of each sequence up to
// the last of these places, with zeros behind it. Places are below room.
func CacheRows(dst, x []float32, places []int32, cache []float32, steps, batch, room, cols int) {
	const name = "CacheRows"
	size(name, "steps", steps)
	size(name, "batch", batch)
	size(name, "room", room)
	size(name, "cols", cols)
	need(name, "dst", len(dst), room*batch*cols)
	need(name, "x", len(x), steps*batch*cols)
	need(name, "places", len(places), steps*batch)
	need(name, "cache", len(cache), batch*room*cols)
	for b := range batch {
		last := -1
		for t := range steps {
			if p := int(places[t*batch+b]); p >= 0 {
				copy(cache[(b*room+p)*cols:(b*room+p+1)*cols], x[(t*batch+b)*cols:(t*batch+b+1)*cols])
				last = max(last, p)
			}
		}
		for p := range room {
			to := dst[(p*batch+b)*cols : (p*batch+b+1)*cols]
			if p <= last {
				copy(to, cache[(b*room+p)*cols:])
			} else {
				clear(to)
			}
		}
	}
}

// Outer sets dst [rows, n, m] to a·bᵀ of each row of a [rows, n] and b [rows, m]. dst may not overlap a or b.
func Outer(dst, a, b []float32, rows, n, m int) {
	const name = "Outer"
	matrices(name, rows, n, m)
	need(name, "dst", len(dst), rows*n*m)
	need(name, "a", len(a), rows*n)
	need(name, "b", len(b), rows*m)
	for r := range rows {
		for i := range n {
			row := b[r*m : (r+1)*m]
			combine(opScale, dst[(r*n+i)*m:(r*n+i+1)*m], row, row, a[r*n+i], m)
		}
	}
}

// ApplyRows sets dst [rows, n] to the product of each matrix of x [rows, n, m] with its row of v [rows, m]. dst may
// not overlap x or v.
func ApplyRows(dst, x, v []float32, rows, n, m int) {
	const name = "ApplyRows"
	matrices(name, rows, n, m)
	need(name, "dst", len(dst), rows*n)
	need(name, "x", len(x), rows*n*m)
	need(name, "v", len(v), rows*m)
	for r := range rows {
		for i := range n {
			dst[r*n+i] = rowDot(x[(r*n+i)*m:(r*n+i+1)*m], v[r*m:(r+1)*m])
		}
	}
}

// ApplyRowsT sets dst [rows, m] to the product of the transpose of each matrix of x [rows, n, m] with its row of v
// [rows, n], added in the order of v's elements. dst may not overlap x or v.
func ApplyRowsT(dst, x, v []float32, rows, n, m int) {
	const name = "ApplyRowsT"
	matrices(name, rows, n, m)
	need(name, "dst", len(dst), rows*m)
	need(name, "x", len(x), rows*n*m)
	need(name, "v", len(v), rows*n)
	for r := range rows {
		y := dst[r*m : (r+1)*m]
		clear(y)
		for i := range n {
			combine(opAddScaled, y, y, x[(r*n+i)*m:(r*n+i+1)*m], v[r*n+i], m)
		}
	}
}

func matrices(kernel string, rows, n, m int) {
	size(kernel, "rows", rows)
	size(kernel, "n", n)
	size(kernel, "m", m)
}
