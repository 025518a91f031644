package app

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// curves is a [train.Reporter] that draws the losses of a training as an SVG picture, anew at each validation and at
// the end.
type curves struct {
	path        string
	title, unit string
	total       int
	training    thinned
	validation  thinned
	warn        func(string)
	failed      error // of the last time that it was drawn
}

func newCurves(path string, info *model.Info, warn func(string)) *curves {
	return &curves{path: path, title: info.Name, unit: info.Unit(), warn: warn}
}

// thinned is a curve of not more than curvePoints points: where there are too many, neighbours become their mean.
type thinned struct {
	x, y  []float64
	each  int // values of a point
	count int // of the one that is not complete
	sum   float64
}

// cut drops the points behind x, and those that are not complete.
func (t *thinned) cut(x float64) {
	n, _ := slices.BinarySearch(t.x, math.Nextafter(x, math.Inf(1)))
	t.x, t.y = t.x[:n], t.y[:n]
	t.count, t.sum = 0, 0
}

const curvePoints = 1024

func (t *thinned) add(x, y float64) {
	if math.IsNaN(y) || math.IsInf(y, 0) {
		return
	}
	t.each = max(t.each, 1)
	t.sum += y
	if t.count++; t.count < t.each {
		return
	}
	t.x, t.y = append(t.x, x), append(t.y, t.sum/float64(t.count))
	t.count, t.sum = 0, 0
	if len(t.x) < 2*curvePoints {
		return
	}
	for i := range curvePoints {
		t.x[i], t.y[i] = t.x[2*i+1], (t.y[2*i]+t.y[2*i+1])/2
	}
	t.x, t.y = t.x[:curvePoints], t.y[:curvePoints]
	t.each *= 2
}

func (c *curves) Resumed(step, total int) { c.total = total }

func (c *curves) Step(p train.Progress) {
	c.total = p.Total
	c.training.add(float64(p.Step), p.Loss)
}

func (c *curves) Evaluated(e train.Evaluation) {
	c.validation.add(float64(e.Step), e.Loss)
	c.draw()
}

func (c *curves) Saved(path string, step int) {}
func (c *curves) Warn(text string)            {}

// Notice takes back what lies behind the step that a training has gone back to.
func (c *curves) Notice(n train.Notice) {
	if n.What == "back" {
		c.training.cut(float64(n.Step))
		c.validation.cut(float64(n.Step))
	}
}

// draw writes the picture. A training does not end because it cannot be written now.
func (c *curves) draw() {
	err := put(c.path, []byte(c.svg()))
	if err != nil && c.failed == nil {
		c.warn(err.Error())
	}
	c.failed = err
}

// svg is the picture.
func (c *curves) svg() string {
	const width, height, left, right, top, bottom = 800, 480, 72, 16, 40, 48
	last := 1.0
	low, high := math.Inf(1), math.Inf(-1)
	for _, t := range []*thinned{&c.training, &c.validation} {
		for i, y := range t.y {
			low, high, last = min(low, y), max(high, y), max(last, t.x[i])
		}
	}
	if low > high {
		low, high = 0, 1
	}
	scale, unscale := func(y float64) float64 { return y }, func(y float64) float64 { return y }
	if low > 0 && high > 20*low {
		scale, unscale = math.Log10, func(y float64) float64 { return math.Pow(10, y) }
	}
	low, high = scale(low), scale(high)
	if high-low < 1e-9 {
		low, high = low-0.5, high+0.5
	}
	at := func(x, y float64) (float64, float64) {
		return left + x/last*(width-left-right), top + (high-scale(y))/(high-low)*(height-top-bottom)
	}
	var b strings.Builder
	fmt.Fprintf(&b,
		`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16">%s: loss, nats a %s</text>`+"\n", left,
		html.EscapeString(c.title), c.unit)
	for _, y := range ticks(low, high, 6) {
		_, v := at(0, unscale(y))
		fmt.Fprintf(&b,
			`<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.4g</text>`+"\n", left, v, width-right, v, left-8, v+4, unscale(y))
	}
	for _, x := range ticks(0, last, 8) {
		u, _ := at(x, unscale(low))
		fmt.Fprintf(&b,
			`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", u, top, u, height-bottom, u, height-bottom+18, thousands(int(math.Round(x))))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">step</text>`+"\n", (width+left-right)/2, height-10)
	for i, t := range []struct {
		*thinned
		name, colour string
		wide         float64
	}{{&c.training, "training", "#4477aa", 1}, {&c.validation, "validation", "#ee7733", 2}} {
		if len(t.x) == 0 {
			continue
		}
		var points []string
		for k := range t.x {
			u, v := at(t.x[k], t.y[k])
			points = append(points, fmt.Sprintf("%.1f,%.1f", u, v))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%g"/>`+"\n",
			strings.Join(points, " "), t.colour, t.wide)
		if t.wide > 1 {
			for _, p := range points {
				u, v, _ := strings.Cut(p, ",")
				fmt.Fprintf(&b, `<circle cx="%s" cy="%s" r="3" fill="%s"/>`+"\n", u, v, t.colour)
			}
		}
		x := width - right - 220 + 110*i
		fmt.Fprintf(&b,
			`<line x1="%d" y1="20" x2="%d" y2="20" stroke="%s" stroke-width="2"/><text x="%d" y="24">%s</text>`+"\n", x,
			x+20, t.colour, x+26, t.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// ticks are round numbers from low to high, about n of them.
func ticks(low, high float64, n int) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if (high-low)/(m*step) <= float64(n) {
			step *= m
			break
		}
	}
	var all []float64
	for i := math.Ceil(low / step); i*step <= high+step*1e-9; i++ {
		all = append(all, i*step)
	}
	return all
}
