package weights

import (
	"encoding/binary"
	"math"
)

// nearest is the code whose value is nearest to v, at v + 64; of two, the larger one.
var nearest = func() (t [128]uint8) {
	for i := range t {
		best := 0
		for c, v := range Codes {
			if d, old := i-64-int(v), i-64-int(Codes[best]); d*d <= old*old {
				best = c
			}
		}
		t[i] = uint8(best)
	}
	return t
}()

// starts are the parts of the range of codes that the search for a scale lets the largest value reach.
var starts = [...]float32{-1, -0.88, -0.78, 0.94}

// putQ4 quantises t. Where the largest absolute value falls decides the scale that the search begins with: at -64 or
// before, or, with the other sign, around 60. From each start the codes are chosen for the scale and the scale for
// the codes, in turns. Of all, the scale with the least squared error, as the bf16 that it is rounded to, is kept.
func (t *tile) putQ4(d []byte) {
	clear(d[scaleBytes:])
	var codes [BlockSteps]uint8
	for c := range t {
		x := &t[c]
		h := scaleQ4(x)
		encodeQ4(&codes, x, widen(h))
		binary.LittleEndian.PutUint16(d[2*c:], h)
		for r, q := range codes {
			d[scaleBytes+r/8*128+4*c+r%4] |= q << (r / 4 % 2 * 4)
		}
	}
}

// scaleQ4 is the scale for x.
func scaleQ4(x *[BlockSteps]float32) uint16 {
	peak := float32(0)
	for _, v := range x {
		if max(v, -v) > max(peak, -peak) {
			peak = v
		}
	}
	if max(peak, -peak) < 64*smallestScale {
		return 0
	}
	var best uint16
	least := math.Inf(1)
	for _, s := range starts {
		scale := peak / (64 * s)
		for range 2 {
			h := roundBF16(scale)
			if s := widen(h); max(s, -s) < smallestScale {
				break
			}
			xq, qq := sumsQ4(x, widen(h))
			// Σ (x - scale·q)² without Σ x².
			s := float64(widen(h))
			if e := s * (float64(s*qq) - 2*xq); e < least {
				best, least = h, e
			}
			scale = float32(xq / qq)
		}
	}
	return best
}

// sumsQ4 is Σ x·q and Σ q², with q the values that encodeQ4 chooses.
func sumsQ4(x *[BlockSteps]float32, scale float32) (xq, qq float64) {
	inv := 1 / scale
	squares := 0
	for _, v := range x {
		q := int(Codes[nearest[place(float32(v*inv))]])
		xq += float64(float64(v) * float64(q))
		squares += q * q
	}
	return xq, float64(squares)
}

// place is where nearest has the code for y.
func place(y float32) int { return int(max(0, min(y+64.5, 127))) }

// encodeQ4 sets codes to those that are nearest to x / scale; a scale of zero has any.
func encodeQ4(codes *[BlockSteps]uint8, x *[BlockSteps]float32, scale float32) {
	if scale == 0 {
		*codes = [BlockSteps]uint8{}
		return
	}
	inv := 1 / scale
	for i, v := range x {
		codes[i] = nearest[place(float32(v*inv))]
	}
}
