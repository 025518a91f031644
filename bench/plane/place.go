package main

import (
	"image/color"
	"math"
)

// A box is a rectangle: left, bottom, right, top, in points.
type box [4]float64

func (b box) centre() (x, y float64) { return (b[0] + b[2]) / 2, (b[1] + b[3]) / 2 }

// overlap is the area that a and b have in common.
func (b box) overlap(a box) float64 {
	w := math.Min(b[2], a[2]) - math.Max(b[0], a[0])
	h := math.Min(b[3], a[3]) - math.Max(b[1], a[1])
	return math.Max(w, 0) * math.Max(h, 0)
}

// grown is b with a margin.
func (b box) grown(by float64) box { return box{b[0] - by, b[1] - by, b[2] + by, b[3] + by} }

// nearest is the point of b that is nearest to x, y.
func (b box) nearest(x, y float64) (nx, ny float64) {
	return math.Max(b[0], math.Min(b[2], x)), math.Max(b[1], math.Min(b[3], y))
}

// crosses reports whether a line from x0, y0 to x1, y1 goes through b (Liang and Barsky 1984).
func (b box) crosses(l [4]float64) bool {
	from, to := 0.0, 1.0
	for axis := range 2 {
		start, d := l[axis], l[axis+2]-l[axis]
		lo, hi := b[axis]-start, b[axis+2]-start
		if d == 0 {
			if lo > 0 || hi < 0 {
				return false
			}
			continue
		}
		lo, hi = lo/d, hi/d
		from, to = math.Max(from, math.Min(lo, hi)), math.Min(to, math.Max(lo, hi))
	}
	return from <= to
}

// A scene is what labels must keep clear of.
type scene struct {
	area  box
	marks []box
	lines [][4]float64 // from x, y to x, y
}

type label struct {
	mark   int // the point that it belongs to
	w, h   float64
	text   string
	colour color.Color
	at     box // where it has been placed
}

// lead is the line from a mark to its label, where that is so far off that one cannot see which it belongs to.
func (s *scene) lead(at box, mark int) (line [4]float64, ok bool) {
	m := s.marks[mark]
	cx, cy := m.centre()
	x, y := at.nearest(cx, cy)
	nx, ny := m.nearest(x, y)
	return [4]float64{nx, ny, x, y}, math.Hypot(x-nx, y-ny) > 6
}

// place finds a box for each label, in their order: near its mark, inside of the area, over no mark, no label that has
// been placed and no line. Where that cannot be, the box is the one that is least in the way.
func (s *scene) place(texts []label) []label {
	const gap, rings, directions = 2.5, 12, 24
	leads := [][4]float64{}
	for n := range texts {
		t := &texts[n]
		least := math.Inf(1)
		m := s.marks[t.mark]
		cx, cy := m.centre()
		for ring := range rings {
			distance := gap + 5*float64(ring)
			for i := range directions {
				// From the upper right on.
				dy, dx := math.Sincos(2 * math.Pi * (float64(i)/directions + 1.0/12))
				// The box touches, in that direction, the mark grown by the distance.
				rx, ry := (m[2]-m[0])/2+distance+t.w/2, (m[3]-m[1])/2+distance+t.h/2
				k := math.Min(rx/math.Max(math.Abs(dx), 1e-9), ry/math.Max(math.Abs(dy), 1e-9))
				x, y := cx+k*dx, cy+k*dy
				b := box{x - t.w/2, y - t.h/2, x + t.w/2, y + t.h/2}
				if c := s.cost(b, t.mark, texts[:n], leads) + 2*distance + 0.02*float64(i); c < least {
					t.at, least = b, c
				}
			}
		}
		if line, ok := s.lead(t.at, t.mark); ok {
			leads = append(leads, line)
		}
	}
	return texts
}

// cost is how much a box for the label of a mark is in the way, beside those that have been placed and the lines that
// lead to these.
func (s *scene) cost(b box, mark int, placed []label, leads [][4]float64) float64 {
	const collision, line = 1000, 60
	c := 0.0
	if inside := b.overlap(s.area); inside < (b[2]-b[0])*(b[3]-b[1])-1e-9 {
		c += 10 * collision
	}
	near := b.grown(1.2)
	for _, m := range s.marks {
		if o := near.overlap(m); o > 0 {
			c += collision + o
		}
	}
	for _, p := range placed {
		if o := near.overlap(p.at); o > 0 {
			c += collision + o
		}
	}
	for _, l := range s.lines {
		if near.crosses(l) {
			c += line
		}
	}
	for _, l := range leads {
		if near.crosses(l) {
			c += collision
		}
	}
	if lead, ok := s.lead(b, mark); ok {
		for i, o := range s.marks {
			if i != mark && o.crosses(lead) {
				c += line
			}
		}
		for _, p := range placed {
			if p.at.crosses(lead) {
				c += collision
			}
		}
	}
	return c
}
