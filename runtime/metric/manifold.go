package metric

import (
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// Manifold says how much made vectors and those of the data are in the same places. Around each vector of the data
// lies a ball that reaches to its k-th nearest neighbour in the data; together they are where the data is.
type Manifold struct {
	// share of the made vectors that lie in a ball: the quality of what is made (Kynkäänniemi et al. 2019, section 2)
	Precision float64
	Coverage  float64 // share of the balls that a made vector lies in: its diversity (Naeem et al. 2020, equation 3)
}

// MeasureManifold compares made vectors with those of the data, both rows of width numbers, by Euclidean distance. It
// takes time in the product of their numbers. With no more than k vectors of the data, or none made, both shares are
// 0.
func MeasureManifold(made, data []float32, width, k int) Manifold {
	rows, count := len(data)/max(1, width), len(made)/max(1, width)
	if width < 1 || k < 1 || rows <= k || count == 0 {
		return Manifold{}
	}
	j := &balls{made: made, data: data, width: width, k: k, rows: rows, radius: make([]float64, rows),
		in: make([]bool, rows), seen: make([][]bool, rows)}
	parallel.Run(rows, j)
	m := Manifold{}
	good := make([]bool, count)
	for i, in := range j.in {
		if in {
			m.Coverage += 1 / float64(rows)
		}
		for n, s := range j.seen[i] {
			good[n] = good[n] || s
		}
	}
	for _, g := range good {
		if g {
			m.Precision += 1 / float64(count)
		}
	}
	m.Precision, m.Coverage = min(m.Precision, 1), min(m.Coverage, 1)
	return m
}

// balls finds the radius of each ball, and what lies in it: a task a vector of the data.
type balls struct {
	made, data     []float32
	width, k, rows int
	radius         []float64
	in             []bool
	seen           [][]bool
}

func (j *balls) Do(i int) {
	row := j.data[i*j.width : (i+1)*j.width]
	near := make([]float64, 0, j.rows)
	for o := range j.rows {
		if o != i {
			near = append(near, distance(row, j.data[o*j.width:]))
		}
	}
	slices.Sort(near)
	j.radius[i] = near[j.k-1]
	count := len(j.made) / j.width
	j.seen[i] = make([]bool, count)
	for n := range count {
		if distance(row, j.made[n*j.width:]) <= j.radius[i] {
			j.seen[i][n], j.in[i] = true, true
		}
	}
}

// distance is the square of the distance of a and the beginning of b. A number that is not finite is infinitely far.
func distance(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		d := float64(x) - float64(b[i])
		sum += float64(d * d)
	}
	if math.IsNaN(sum) {
		return math.Inf(1)
	}
	return sum
}
