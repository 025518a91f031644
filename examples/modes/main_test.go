package main

import (
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Points of the heaps themselves are good and find every heap; others do not.
func TestJudge(t *testing.T) {
	for _, h := range []heaps{ring(), grid()} {
		points := make([]float32, 2*samples)
		h.draw(points, 7)
		// A point of a normal distribution in the plane is within three deviations with a probability of 1 − exp(−9/2).
		covered, good := h.judge(points)
		if covered != len(h.centres) || math.Abs(good-(1-math.Exp(-4.5))) > 0.01 {
			t.Errorf("%s: its own points find %d heaps, %.3f of them are good", h.name, covered, good)
		}
		one := make([]float32, 2*samples)
		for i := range samples {
			one[2*i], one[2*i+1] = float32(h.centres[3][0]), float32(h.centres[3][1])
		}
		if covered, good := h.judge(one); covered != 1 || math.Abs(good-1) > 1e-9 {
			t.Errorf("%s: a point in one heap finds %d, %.3f are good", h.name, covered, good)
		}
		far := make([]float32, 2*samples)
		for i := range far {
			far[i] = 30
		}
		if covered, good := h.judge(far); covered != 0 || good != 0 {
			t.Errorf("%s: points far away find %d heaps, %.3f are good", h.name, covered, good)
		}
	}
}

func TestDraw(t *testing.T) {
	path := filepath.Join(t.TempDir(), "modes.png")
	points := make([]float32, 200)
	ring().draw(points, 1)
	points[0], points[1] = 1e9, float32(math.Inf(1)) // beyond the panel
	if err := draw(path, []panel{{ring(), points}, {grid(), points}, {grid(), points}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c, err := png.DecodeConfig(f); err != nil || c.Width != 728 || c.Height != 728 {
		t.Errorf("the picture is %d × %d: %v", c.Width, c.Height, err)
	}
}
