package data

import (
	"cmp"
	"math"
)

// byChance is how unlikely an order must be before it is no longer taken for chance.
const byChance = 1e-6

// Sorted reports whether n values stand in rising or in falling order and are too many for that to be chance: a tail of
// them is then not like the rest. tries is how many columns of values are looked at, each of which might be in order by
// chance.
func Sorted[T cmp.Ordered](n int, at func(i int) T, tries int) bool {
	if n < 2 {
		return false
	}
	rising, falling := true, true
	run, orders := 1, lgamma(n)
	for i := 1; i < n && (rising || falling); i++ {
		switch c := cmp.Compare(at(i-1), at(i)); {
		case c == 0:
			run++
			continue
		case c < 0:
			falling = false
		default:
			rising = false
		}
		orders -= lgamma(run)
		run = 1
	}
	// orders is the logarithm of the number of orders that the values could stand in.
	return (rising || falling) && orders-lgamma(run) >= math.Log(2*float64(tries)/byChance)
}

func lgamma(n int) float64 {
	x, _ := math.Lgamma(float64(n) + 1)
	return x
}

// OneClass reports whether all labels from number cut on are the same, though others stand before them, and are too
// many for that to be chance.
func OneClass(labels []int32, cut int) (class int32, ok bool) {
	if cut < 1 || cut >= len(labels) {
		return 0, false
	}
	class = labels[cut]
	same := 0
	for i, l := range labels {
		if l == class {
			same++
		} else if i >= cut {
			return 0, false
		}
	}
	share := float64(same) / float64(len(labels))
	return class, float64(len(labels)-cut)*math.Log(share) < math.Log(1e-3)
}
