package weights

import (
	"encoding/binary"
	"math"
)

// middle is where the tables below have what is nearest to zero.
const middle = 128

// nearest is the code whose value is nearest to i - middle, and nearestValue that value; of two, the larger one.
var nearest, nearestValue = func() (codes [2 * middle]uint8, values [2 * middle]float32) {
	for i := range codes {
		best := 0
		for c, v := range Codes {
			if d, old := i-middle-int(v), i-middle-int(Codes[best]); d*d <= old*old {
				best = c
			}
		}
		codes[i], values[i] = uint8(best), float32(Codes[best])
	}
	return codes, values
}()

// starts are what the search for a scale tries: where the largest absolute value of a block falls, as parts of 64.
// The codes that are nearest for a start have a best scale of their own; that of the start with the least squared
// error is taken.
var starts = [...]float32{-1.1, -1.03, -0.96, -0.9, -0.84, -0.78, -0.7, 1, 0.94, 0.87, 0.8, 0.72}

// putQ4 quantises t.
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
		if math.Float32bits(v)<<1 > math.Float32bits(peak)<<1 {
			peak = v
		}
	}
	if max(peak, -peak) < 64*smallestScale {
		return 0
	}
	best, most := float64(0), float64(-1)
	for _, s := range starts {
		scale := peak / (64 * s)
		// With y = x/scale, of which none is beyond 71, and q the values of the codes, the best scale is
		// scale·Σyq/Σq², which takes scale²·(Σyq)²/Σq² off the sum of squares.
		var yq, qq float32
		inv := 1 / scale
		for _, v := range x {
			y := float32(v * inv)
			q := nearestValue[int(y+(middle+0.5))&(2*middle-1)]
			yq += float32(y * q)
			qq += float32(q * q)
		}
		scaled := float64(scale) * float64(yq) / float64(qq)
		if off := scaled * float64(scale) * float64(yq); off > most {
			best, most = scaled, off
		}
	}
	return roundBF16(float32(best))
}

// encodeQ4 sets codes to those that are nearest to x / scale; a scale of zero has any.
func encodeQ4(codes *[BlockSteps]uint8, x *[BlockSteps]float32, scale float32) {
	if scale == 0 {
		*codes = [BlockSteps]uint8{}
		return
	}
	inv := 1 / scale
	for i, v := range x {
		y := max(-middle, min(float32(v*inv), middle-1))
		codes[i] = nearest[int(y+(middle+0.5))]
	}
}
