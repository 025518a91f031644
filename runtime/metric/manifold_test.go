package metric

import (
	"math"
	"testing"
)

func TestManifold(t *testing.T) {
	// Two clusters of four on a line, 1 apart: the ball to the second neighbour reaches 2 for the outer ones, 1 for
	// the inner ones.
	data := []float32{0, 1, 2, 3, 100, 101, 102, 103}
	near := func(what string, got Manifold, precision, coverage float64) {
		t.Helper()
		if math.Abs(got.Precision-precision) > 1e-12 || math.Abs(got.Coverage-coverage) > 1e-12 {
			t.Errorf("%s: %+v, want %v and %v", what, got, precision, coverage)
		}
	}
	near("the data itself", MeasureManifold(data, data, 1, 2), 1, 1)
	near("one cluster", MeasureManifold([]float32{0, 1, 2, 3}, data, 1, 2), 1, 0.5)
	near("one point", MeasureManifold([]float32{1.5, 1.5}, data, 1, 2), 1, 0.5)
	near("half of it far away", MeasureManifold([]float32{0.5, 50, 60, 103.5}, data, 1, 2), 0.5, 3.0/8)
	near("in the plane", MeasureManifold([]float32{0, 0, 9, 9}, []float32{0, 1, 0, 2, 0, 3, 1, 0}, 2, 1), 0.5, 0.5)
	near("too little data", MeasureManifold(data, data[:2], 1, 2), 0, 0)
	near("nothing made", MeasureManifold(nil, data, 1, 2), 0, 0)
	nan := float32(math.NaN())
	near("no numbers", MeasureManifold([]float32{nan, 1}, data, 1, 2), 0.5, 4.0/8)
}
