package app

import (
	"math"
	"os"
	"strings"
	"testing"
)

// A test of rates shows its losses, names two rates, writes a picture and nothing else.
func TestFindRate(t *testing.T) {
	b := newBench(t)
	out, lines := b.run("train", "--data", "book.txt", "--find-rate", "--rate", "0.1", "--steps", "60", "--plot",
		"rate.svg", "--batch", "2")
	contains(t, "the output", out, "•", "┴", "1e-03", "steepest    the loss falls fastest at rate ", "try --rate ",
		"lowest      it is lowest at rate ", "noise       not measured: ")
	contains(t, "the progress", lines, "bigram: 841 parameters")
	contains(t, "the picture", b.read("rate.svg"), "<svg ", "steepest ", "lowest ", "polyline",
		"loss of a step at each rate")
	if _, err := os.Stat("bigram.safetensors"); err == nil {
		t.Error("a test of rates writes a checkpoint")
	}
	b.run("train", "--data", "book.txt", "--find-rate")
	b.fails("10 steps or more", "train", "--data", "book.txt", "--find-rate", "--steps", "5")
	b.fails("contradict each other", "train", "--data", "book.txt", "--find-rate", "--resume")
	b.fails("give the name of a .svg file", "train", "--data", "book.txt", "--find-rate", "--plot", "rate.png")
}

// A sketch has a mark at each end of a curve, and is drawn of curves that do not fall too.
func TestSketch(t *testing.T) {
	s := sketch([]float64{1e-3, 1e-2, 1e-1, 1}, []float64{4, 3, 2, 100}, 31, 6)
	want := `      4.6 │
          │•
          │
          │          •
          │
        2 │                    •
          └┴─────────┴─────────┴─────────┴
     rate  1e-03     1e-02     1e-01     1e+00
`
	if s != want {
		t.Errorf("the sketch is\n%s\nwant\n%s", s, want)
	}
	for _, losses := range [][]float64{{1}, {1, 1}, {1, 2}, {-1, math.MaxFloat64}} {
		rates := []float64{1, 10}[:len(losses)]
		if s := sketch(rates, losses, 20, 5); !strings.Contains(s, "•") || strings.Contains(s, "NaN") {
			t.Errorf("%v: %s", losses, s)
		}
	}
}
