package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Labels of points that lie close, some on a curve, are over no point, over no other label and inside of the area.
func TestPlace(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := &scene{area: box{0, 0, 400, 300}}
		var texts []label
		x, y := 60+100*r.Float64(), 250.0
		for i := range 14 {
			if i < 8 { // a curve
				nx, ny := x+10+30*r.Float64(), y-30*r.Float64()
				s.lines = append(s.lines, [4]float64{x, y, nx, ny})
				x, y = nx, ny
			} else {
				x, y = 5+390*r.Float64(), 5+290*r.Float64()
			}
			s.marks = append(s.marks, box{x - 3, y - 3, x + 3, y + 3})
			texts = append(texts, label{mark: i, w: 15 + 40*r.Float64(), h: 9})
		}
		placed := s.place(texts)
		for i, p := range placed {
			if a := p.at.overlap(s.area); a < p.w*p.h-1e-6 {
				t.Errorf("seed %d: label %d is outside", seed, i)
			}
			for k, m := range s.marks {
				if p.at.overlap(m) > 0 {
					t.Errorf("seed %d: label %d is over point %d", seed, i, k)
				}
			}
			for k, o := range placed[:i] {
				if p.at.overlap(o.at) > 0 {
					t.Errorf("seed %d: labels %d and %d overlap", seed, k, i)
				}
			}
		}
	}
}

func TestCrosses(t *testing.T) {
	b := box{0, 0, 10, 5}
	for line, want := range map[[4]float64]bool{
		{-5, 2, 15, 2}: true, {5, -5, 5, 20}: true, {2, 2, 3, 3}: true, {-5, -5, 20, 20}: true,
		{-5, 6, 15, 6}: false, {11, -5, 11, 20}: false, {-1, 4, 3, 10}: false, {11, 2, 20, 2}: false,
	} {
		if got := b.crosses(line); got != want {
			t.Errorf("%v crosses: %v", line, got)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{5.6, 10.1, "6.0 6.5 7.0 7.5 8.0 8.5 9.0 9.5 10.0"},
		{0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{-30, 470, "0 100 200 300 400"},
		{0.411, 0.4172, "0.411 0.412 0.413 0.414 0.415 0.416 0.417"},
		{-1.5, 1, "-1.5 -1.0 -0.5 0.0 0.5 1.0"},
	} {
		var got []string
		for _, x := range ticks(c.low, c.high) {
			got = append(got, x.Label)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v to %v: %v, want %s", c.low, c.high, got, c.want)
		}
	}
}

const small3 = `{"title": "A <title>", "x": "BLEU-4", "y": "self-BLEU-4", "curves": [
{"name": "language model", "points": [{"x": 0.2, "y": 0.3, "label": "0.7 & less"}, {"x": 0.3, "y": 0.5}]},
{"name": "one", "points": [{"x": 0.25, "y": 0.35, "label": "one model"}]}]}`

// The picture is well-formed, holds every name, and is the same each time; a single point makes one too.
func TestDraw(t *testing.T) {
	f, err := read([]byte(small3))
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := f.draw(w, "svg"); err != nil {
			t.Fatal(err)
		}
	}
	if a.String() != b.String() {
		t.Error("the picture differs from one time to the next")
	}
	texts := map[string]bool{}
	for d := xml.NewDecoder(&a); ; {
		x, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if c, ok := x.(xml.CharData); ok {
			texts[string(c)] = true
		}
	}
	for _, want := range []string{"A <title>", "BLEU-4", "self-BLEU-4", "language model", "one", "0.7 & less",
		"one model"} {
		if !texts[want] {
			t.Errorf("the picture does not say %q", want)
		}
	}
	for _, one := range []string{`{"curves": [{"name": "one", "points": [{"x": 0, "y": 0, "label": "o"}]}]}`,
		`{"curves": [{"name": "one", "points": [{"x": 3, "y": 2}, {"x": 4, "y": 2}]}]}`} {
		f, err := read([]byte(one))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.draw(new(bytes.Buffer), "svg"); err != nil {
			t.Errorf("%s: %v", one, err)
		}
	}
	if err := f.draw(new(bytes.Buffer), "bmp"); err == nil ||
		!strings.Contains(err.Error(), "name the picture .svg or .png") {
		t.Errorf("another format: %v", err)
	}
}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"{":                 "want {\"title\"",
		`{"curve": []}`:     `unknown field "curve"`,
		`{"curves": []}`:    "no curves",
		`{} {}`:             "more than one value",
		`{"curves": [{}]}`:  `curve 1, "", has 0 points`,
		`{"title": 3}`:      "title",
		`{"curves": "all"}`: "curves",
	} {
		if _, err := read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.json"), filepath.Join(dir, "out.png")
	if err := os.WriteFile(in, []byte(small3), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(in, out); err != nil {
		t.Fatal(err)
	}
	if png, _ := os.ReadFile(out); !bytes.HasPrefix(png, []byte("\x89PNG")) {
		t.Error("the file is no PNG")
	}
	if err := run(filepath.Join(dir, "none.json"), out); err == nil {
		t.Error("a file that is not there is no error")
	}
}
