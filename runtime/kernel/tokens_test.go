package kernel

import (
	"math"
	"testing"
)

// Each kernel over tokens is held to its definition, at every level, at sizes around those of vectors.
func TestTokens(t *testing.T) {
	r := rng(77)
	for _, tokens := range []int{0, 1, 2, 7} {
		for _, batch := range []int{1, 3} {
			ids, places, score := make([]int32, tokens*batch), make([]int32, batch), floats(r, tokens*batch)
			for i := range ids {
				if i%3 == 1 {
					ids[i] = -1
				}
			}
			for b := range places {
				places[b] = int32(b*2 - 1) // the first sees none
			}
			for _, missing := range []bool{false, true} {
				for _, upto := range []bool{false, true} {
					of, to := ids, places
					if !missing {
						of = nil
					}
					if !upto {
						to = nil
					}
					seen, index, weights := guard(tokens*batch, 1), guard(tokens*batch, 2), guard(tokens*batch, 3)
					Seen(seen.x, of, to, tokens, batch)
					SeenUpTo(index.x, of, 3, tokens, batch)
					SoftmaxSteps(weights.x, score, seen.x, tokens, batch)
					for b := range batch {
						sum, most := 0.0, math.Inf(-1)
						there := func(i, last int) bool { return (!missing || ids[i*batch+b] >= 0) && i <= last }
						last := tokens
						if upto {
							last = int(places[b])
						}
						for i := range tokens {
							if there(i, last) {
								most = max(most, float64(score[i*batch+b]))
							}
						}
						for i := range tokens {
							if there(i, last) {
								sum += math.Exp(float64(score[i*batch+b]) - most)
							}
							if seen.x[i*batch+b] != 0 != there(i, last) || index.x[i*batch+b] != 0 != there(i, 3) {
								t.Fatalf("token %d of sequence %d of %d: seen %v, up to 3 %v", i, b, tokens,
									seen.x[i*batch+b], index.x[i*batch+b])
							}
						}
						for i := range tokens {
							want := 0.0
							if there(i, last) {
								want = math.Exp(float64(score[i*batch+b])-most) / sum
							}
							if got := float64(weights.x[i*batch+b]); !(math.Abs(got-want) <= 1e-7) {
								t.Fatalf("weight %v, want %v", got, want)
							}
						}
					}
					seen.check(t, "seen")
					index.check(t, "index")
					weights.check(t, "weights")
				}
			}
		}
	}
}

func TestCacheRows(t *testing.T) {
	const steps, batch, room, cols = 3, 2, 5, 3
	r := rng(78)
	cache := guard(batch*room*cols, 1)
	first, second := floats(r, steps*batch*cols), floats(r, steps*batch*cols)
	places := []int32{-1, 0, 0, 1, 1, 2} // the first sequence begins a token later
	dst := guard(room*batch*cols, 2)
	CacheRows(dst.x, first, places, cache.x, steps, batch, room, cols)
	more := []int32{2, 3, 3, 4, -1, -1}
	CacheRows(dst.x, second, more, cache.x, steps, batch, room, cols)
	for b := range batch {
		want := map[int32][]float32{}
		for s := range steps {
			at := (s*batch + b) * cols
			want[places[s*batch+b]], want[more[s*batch+b]] = first[at:at+cols], second[at:at+cols]
		}
		for p := range room {
			row := make([]float32, cols)
			if x := want[int32(p)]; x != nil {
				row = x
			}
			diff(t, "row", dst.x[(p*batch+b)*cols:][:cols], row)
		}
	}
	dst.check(t, "rows")
	cache.check(t, "cache")
}

// Matrices of each row, against float64.
func TestOuter(t *testing.T) {
	r := rng(79)
	for _, rows := range []int{0, 1, 3} {
		for _, n := range []int{0, 1, 5, 17} {
			for _, m := range []int{0, 1, 4, 16, 33} {
				a, b, x := floats(r, rows*n), floats(r, rows*m), floats(r, rows*n*m)
				for _, l := range levels() {
					setLevel(t, l)
					outer, y, z := guard(rows*n*m, 1), guard(rows*n, 2), guard(rows*m, 3)
					Outer(outer.x, a, b, rows, n, m)
					ApplyRows(y.x, x, b, rows, n, m)
					ApplyRowsT(z.x, x, a, rows, n, m)
					for row := range rows {
						for i := range n {
							sum := 0.0
							for j := range m {
								if got, want := outer.x[(row*n+i)*m+j], a[row*n+i]*b[row*m+j]; got != want {
									t.Fatalf("outer %v, want %v", got, want)
								}
								sum += float64(x[(row*n+i)*m+j]) * float64(b[row*m+j])
							}
							if got := float64(y.x[row*n+i]); !(math.Abs(got-sum) <= 1e-5) {
								t.Fatalf("product %v, want %v", got, sum)
							}
						}
						for j := range m {
							sum := 0.0
							for i := range n {
								sum += float64(x[(row*n+i)*m+j]) * float64(a[row*n+i])
							}
							if got := float64(z.x[row*m+j]); !(math.Abs(got-sum) <= 1e-5) {
								t.Fatalf("transposed product %v, want %v", got, sum)
							}
						}
					}
					outer.check(t, "outer")
					y.check(t, "product")
					z.check(t, "transposed product")
				}
			}
		}
	}
}
