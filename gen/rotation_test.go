package gen

import (
	"math"
	"testing"

	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// TestRotations holds the tables that generated code computes to their definition, for every way of turning.
func TestRotations(t *testing.T) {
	for _, c := range []struct {
		is  op.Rotation
		got kernel.Rotation
	}{
		{op.Rotation{Base: 500000}, kernel.Rotation{Base: 500000}},
		{op.Rotation{Base: 100, Features: 12}, kernel.Rotation{Base: 100, Features: 12}},
		{op.Rotation{Base: 100, Scaling: "linear", Factor: 3},
			kernel.Rotation{Base: 100, Linear: &kernel.Linear{Factor: 3}}},
		{op.Rotation{Base: 10000, Scaling: "llama3", Factor: 8, Low: 1, High: 4, Original: 64},
			kernel.Rotation{Base: 10000, Llama3: &kernel.Llama3{Factor: 8, Low: 1, High: 4, Original: 64}}},
		{op.Rotation{Base: 10000, Features: 20, Scaling: "yarn", Factor: 4, Low: 1, High: 32, Original: 512},
			kernel.Rotation{Base: 10000, Features: 20,
				YaRN: &kernel.YaRN{Factor: 4, Slow: 1, Fast: 32, Original: 512}}},
		{op.Rotation{Base: 10000, Scaling: "yarn", Factor: 4, Low: 1, High: 32, Original: 512, Gain: 0.7},
			kernel.Rotation{Base: 10000, YaRN: &kernel.YaRN{Factor: 4, Slow: 1, Fast: 32, Original: 512, Gain: 0.7}}},
	} {
		const positions, size = 100, 24
		table := make([]float32, positions*size)
		kernel.RopeTableOf(table, positions, size, c.got)
		for i, x := range op.RopeAngles(positions, size, c.is) {
			if math.Abs(x-float64(table[i])) > 1e-6 {
				t.Fatalf("%+v: place %d, column %d: %v, want %v", c.is, i/size, i%size, table[i], x)
			}
		}
	}
}
