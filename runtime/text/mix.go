package text

import (
	"math/bits"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// mix is an order of the numbers from 0 to n − 1, of which any place can be asked for: nothing is drawn before, and
// nothing is kept, however many there are. It is a Feistel network (Luby and Rackoff 1988) over the least even number
// of bits that holds n − 1, which is applied again while it gives a number that is not below n (Black and Rogaway
// 2002).
type mix struct {
	n    uint64
	half uint // bits of each side
	keys [8]uint64
}

// newMix is the order that the keys decide.
func newMix(n int, keys ...uint64) mix {
	m := mix{n: uint64(n), half: uint(bits.Len64(uint64(max(n-1, 1)))+1) / 2}
	first := model.Key(keys...)
	for i := range m.keys {
		m.keys[i] = model.Key(first, uint64(i))
	}
	return m
}

// at is the number at a place, from 0 to n − 1.
func (m *mix) at(place int) int {
	mask := uint64(1)<<m.half - 1
	x := uint64(place)
	for {
		left, right := x>>m.half, x&mask
		for _, k := range m.keys {
			left, right = right, left^scramble(right^k)&mask
		}
		if x = left<<m.half | right; x < m.n {
			return int(x)
		}
	}
}

// scramble spreads every bit of x over all of them (the finalizer of splitmix64; Steele et al. 2014).
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
