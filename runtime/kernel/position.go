package kernel

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// RopeTable fills table [positions, size] with the cosines and the sines of rotary positions (Su et al. 2021), computed
// in float64: row p holds cos(p·θᵢ) for the size/2 frequencies θᵢ = base**(-2i/size), then sin(p·θᵢ). size is even.
func RopeTable(table []float32, positions, size int, base float64) {
	Rotation{Base: base}.table("RopeTable", table, positions, size)
}

// Rotation says how the features of a head are turned, where a base does not say all.
type Rotation struct {
	Base float64
	// Features of a head are turned, the pairs i and i + size/2 for i below Features/2, with θᵢ =
	// Base**(-2i/Features); the others are left as they are. 0 turns all.
	Features int
	Linear   *Linear // at most one of the three is not nil
	Llama3   *Llama3
	YaRN     *YaRN
}

// Linear divides places by a factor (Chen et al. 2023).
type Linear struct{ Factor float64 }

// Llama3 divides the frequencies of features that turn less than Low times in Original tokens by Factor, leaves those
// that turn more than High times, and mixes both in between (Grattafiori et al. 2024, as published with Llama 3.1).
type Llama3 struct {
	Factor, Low, High float64
	Original          int
}

// YaRN does so with a ramp over the numbers of the features, from those that turn Fast times to those that turn Slow
// times (Peng et al. 2024). Cosines and sines are multiplied with Gain; 0 is 0.1·ln(Factor) + 1.
type YaRN struct {
	Factor, Slow, Fast, Gain float64
	Original                 int
}

// RopeTableOf is [RopeTable] of a rotation.
func RopeTableOf(table []float32, positions, size int, r Rotation) {
	r.table("RopeTableOf", table, positions, size)
}

func (r Rotation) table(name string, table []float32, positions, size int) {
	half := halfOf(name, size)
	need(name, "table", len(table), positions*size)
	turned := size
	if r.Features > 0 {
		turned = min(size, r.Features)
	}
	for i := range half {
		f, gain := 0.0, 1.0
		if i < turned/2 {
			f = math.Pow(r.Base, -float64(2*i)/float64(turned))
			f, gain = r.fit(f, i, turned)
		}
		for p := range positions {
			s, c := math.Sincos(float64(p) * f)
			table[p*size+i], table[p*size+half+i] = float32(gain*c), float32(gain*s)
		}
	}
}

// fit is the frequency f of pair i of n turned features for longer texts, and the gain.
func (r Rotation) fit(f float64, i, n int) (frequency, gain float64) {
	switch {
	case r.Linear != nil:
		return f / r.Linear.Factor, 1
	case r.Llama3 != nil:
		k := r.Llama3
		wavelength := 2 * math.Pi / f
		switch original := float64(k.Original); {
		case wavelength < original/k.High:
			return f, 1
		case wavelength > original/k.Low:
			return f / k.Factor, 1
		default:
			smooth := (original/wavelength - k.Low) / (k.High - k.Low)
			return (1-smooth)*f/k.Factor + smooth*f, 1
		}
	case r.YaRN != nil:
		k := r.YaRN
		at := func(turns float64) float64 { // the feature that turns so often
			return float64(n) * math.Log(float64(k.Original)/(turns*2*math.Pi)) / (2 * math.Log(r.Base))
		}
		low, high := max(math.Floor(at(k.Fast)), 0), min(math.Ceil(at(k.Slow)), float64(n-1))
		if low == high {
			high += 0.001
		}
		ramp := min(max((float64(i)-low)/(high-low), 0), 1)
		gain := k.Gain
		if gain == 0 {
			gain = 0.1*math.Log(max(k.Factor, 1)) + 1
		}
		return f/k.Factor*ramp + f*(1-ramp), gain
	}
	return f, 1
}

func halfOf(name string, n int) int {
	size(name, "size", n)
	if n%2 != 0 {
		panic(fmt.Sprintf("kernel.%s: size is %d, need an even number", name, n))
	}
	return n / 2
}

// Rope rotates the heads of x by their positions: dst and x have rows rows, ld apart, of heads·size columns, and row r
// stands at positions[r] or, where positions is nil, at time step r/batch of batch sequences side by side. Feature i
// of a head pairs with feature i + size/2, as in Llama and GPT-NeoX:
//
//	dst[i] = x[i]·cos - x[i+size/2]·sin;  dst[i+size/2] = x[i+size/2]·cos + x[i]·sin
//
// with the cosine and sine of [RopeTable]. inverse rotates back, which is the gradient. A row with a negative position
// is copied; a position beyond the table panics. dst may be x; other columns of dst are left as they are.
func Rope(dst, x, table []float32, positions []int32, rows, batch, heads, size, ld int, inverse bool) {
	const name = "Rope"
	if !matrix(name, rows, heads) {
		return
	}
	half := halfOf(name, size)
	if half == 0 {
		return
	}
	if ld < heads*size {
		panic("kernel.Rope: ld is less than heads·size")
	}
	need(name, "dst", len(dst), span(rows, ld, heads*size))
	need(name, "x", len(x), span(rows, ld, heads*size))
	if positions == nil {
		if batch < 1 {
			panic("kernel.Rope: neither positions nor a batch")
		}
		need(name, "table", len(table), (rows+batch-1)/batch*size)
	} else {
		need(name, "positions", len(positions), rows)
		for _, p := range positions[:rows] {
			if int(p) >= len(table)/size {
				panicID(name, "positions", int(p), len(table)/size)
			}
		}
	}
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2], j.ids = dst, x, table, positions
	j.n[0], j.n[1], j.n[2], j.s[0] = heads, size, batch, 1
	if inverse {
		j.s[0] = -1
	}
	j.f = ropeRows
	j.run(rows, ld, 2*rowWork)
}

func ropeRows(j *rowJob, lo, hi int) {
	heads, size, ld := j.n[0], j.n[1], j.cols
	half := size / 2
	var v vec
	v.s[0] = j.s[0]
	for r := lo; r < hi; r++ {
		dst, x := j.x[0][r*ld:r*ld+heads*size], j.x[1][r*ld:r*ld+heads*size]
		at := 0
		if j.ids == nil {
			at = r / j.n[2]
		} else if at = int(j.ids[r]); at < 0 {
			copy(dst, x)
			continue
		}
		t := j.x[2][at*size:]
		v.p[4], v.p[5] = ptr(t), ptr(t[half:])
		for c := 0; c < len(x); c += size {
			v.p[0], v.p[1], v.p[2], v.p[3] = ptr(dst[c:]), ptr(dst[c+half:]), ptr(x[c:]), ptr(x[c+half:])
			vecRange(opRotate, &v, 0, half)
		}
	}
}

// Sinusoids fills table [positions, width] with the fixed positions of Vaswani et al. 2017, section 3.5, computed in
// float64: table[p, 2i] = sin(p/10000**(2i/width)) and table[p, 2i+1] the cosine of the same.
func Sinusoids(table []float32, positions, width int) {
	const name = "Sinusoids"
	size(name, "positions", positions)
	size(name, "width", width)
	need(name, "table", len(table), positions*width)
	for c := range width {
		f := math.Pow(10000, -float64(c&^1)/float64(width))
		for p := range positions {
			s, k := math.Sincos(float64(p) * f)
			if c%2 == 1 {
				s = k
			}
			table[p*width+c] = float32(s)
		}
	}
}

// AddPositions computes dst[t, b] = x[t, b] + table[t] for the rows [cols] of steps·batch tokens. dst may be x.
func AddPositions(dst, x, table []float32, steps, batch, cols int) {
	const name = "AddPositions"
	size(name, "batch", batch)
	if !matrix(name, steps*batch, cols) {
		return
	}
	need(name, "dst", len(dst), steps*batch*cols)
	need(name, "x", len(x), steps*batch*cols)
	need(name, "table", len(table), steps*cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2] = dst, x, table
	j.n[0] = batch
	j.f = addPositionsRows
	j.run(steps*batch, cols, 4*rowWork)
}

func addPositionsRows(j *rowJob, lo, hi int) {
	var v vec
	for r := lo; r < hi; r++ {
		v.p[0], v.p[1], v.p[2] = ptr(j.x[0][r*j.cols:]), ptr(j.x[1][r*j.cols:]), ptr(j.x[2][r/j.n[0]*j.cols:])
		vecRange(opAdd, &v, 0, j.cols)
	}
}

// AddPositionsGrad is the gradient of the table of [AddPositions]: row t of dtable [capacity, cols] is the sum of
// dy[t, b] over b, in that order, and zero from steps on.
func AddPositionsGrad(dtable, dy []float32, steps, batch, cols, capacity int) {
	const name = "AddPositionsGrad"
	size(name, "batch", batch)
	size(name, "steps", steps)
	if !matrix(name, capacity, cols) {
		return
	}
	if steps > capacity {
		panic(fmt.Sprintf("kernel.%s: steps is %d, need at most %d", name, steps, capacity))
	}
	need(name, "dtable", len(dtable), capacity*cols)
	need(name, "dy", len(dy), steps*batch*cols)
	clear(dtable[steps*cols : capacity*cols])
	j := rowJobs.get()
	j.x[0], j.x[1] = dtable, dy
	j.n[0] = batch
	j.f = addPositionsGradRows
	j.rows, j.cols = steps, cols
	j.grain = rowGrain(steps, cols*max(1, batch), 4*rowWork)
	parallel.Run((steps+j.grain-1)/j.grain, j)
	*j = rowJob{}
	rowJobs.put(j)
}

func addPositionsGradRows(j *rowJob, lo, hi int) {
	n := j.n[0] * j.cols
	for t := lo; t < hi; t++ {
		colSum(j.x[0][t*j.cols:(t+1)*j.cols], j.x[1][t*n:], j.n[0], j.cols, 0, j.cols)
	}
}
