package runs

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// line is a curve of a chart.
type line struct {
	points []Point
	style  int // which colour, dashes and marks it has
	marks  int // how many marks it has, at the most; below 0 one at each point
}

// styles is how many styles there are that can be told apart, by their marks and dashes alone too.
const styles = 8

var dashes = [styles][]vg.Length{nil, {6, 3}, {2, 2}, {8, 2, 2, 2}, {10, 4}, {4, 2}, {1, 3}, {8, 2, 2, 2, 2, 2}}

var glyphs = [styles]draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{},
	draw.RingGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.PlusGlyph{}}

// A picture is light or dark as the page is: its colours stand for variables of the style sheet, which take their
// places in the text of the picture.
var (
	ink    = color.RGBA{R: 1, A: 255}
	faint  = color.RGBA{R: 2, A: 255}
	tinted = regexp.MustCompile(`#(01|02|03)0([0-9])0([0-9])`)
)

func tint(style int) color.Color { return color.RGBA{R: 3, G: uint8(style % styles), A: 255} }

// variables puts variables in the places of colours, and the page's font in that of the library's.
func variables(svg string) string {
	svg = tinted.ReplaceAllStringFunc(svg, func(s string) string {
		switch s[:3] {
		case "#01":
			return "var(--ink)"
		case "#02":
			return "var(--faint)"
		}
		return "var(--line" + s[4:5] + ")"
	})
	return families.ReplaceAllString(svg, "font-family:inherit;$1")
}

var families = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;((?:font-weight|font-style):[^;"]*;)*`)

// width and height of a chart, in points.
const (
	chartWidth  = 520
	chartHeight = 300
)

// chart draws curves. Values are on a logarithmic scale where they are above 0 and reach over more than two powers of
// ten. ok is false where there is nothing to draw.
func chart(x, label string, lines ...line) (svg string, ok bool) {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text = x
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Label.TextStyle.Color, a.Tick.Color, a.Tick.Label.Color = ink, ink, ink, ink
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 12, 11
		for _, f := range []*font.Font{&a.Label.TextStyle.Font, &a.Tick.Label.Font} {
			f.Typeface, f.Variant = "Liberation", "Sans"
		}
	}
	low, high := math.Inf(1), math.Inf(-1)
	end := 0.0
	for i := range lines {
		l := &lines[i]
		l.points = slices.DeleteFunc(slices.Clone(l.points), func(q Point) bool { // which no axis has a place for
			return !(math.Abs(q.Value) < 1e100) || !(q.Step >= 0 && q.Step < 1e100)
		})
		for _, q := range l.points {
			low, high, end = min(low, q.Value), max(high, q.Value), max(end, q.Step)
		}
	}
	if low > high {
		return "", false
	}
	scale := func(v float64) float64 { return v }
	p.Y.Tick.Marker = ticker(plot.DefaultTicks{}.Ticks)
	if low > 0 && high/low > 100 {
		scale = math.Log10
		p.Y.Tick.Marker = ticker(powers)
	}
	p.X.Tick.Marker = ticker(plot.DefaultTicks{}.Ticks)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faint, faint
	p.Add(grid)
	for _, l := range lines {
		points := thin(l.points)
		if len(points) == 0 {
			continue
		}
		all := make(plotter.XYs, len(points))
		for i, q := range points {
			all[i] = plotter.XY{X: q.Step, Y: scale(q.Value)}
		}
		curve, err := plotter.NewLine(all)
		if err != nil {
			return "", false
		}
		curve.Color, curve.Width, curve.Dashes = tint(l.style), 1.5, dashes[l.style%styles]
		p.Add(curve, &marks{every(all, l.marks, l.style), glyph(l.style)})
	}
	p.X.Min, p.X.Max = 0, max(end, 1)
	p.Y.Min, p.Y.Max = scale(low), scale(high)
	if size := max(1, math.Abs(p.Y.Max)); p.Y.Max-p.Y.Min < 1e-9*size {
		p.Y.Min, p.Y.Max = p.Y.Min-size/2, p.Y.Max+size/2
	}
	room := 0.03 * (p.Y.Max - p.Y.Min)
	p.Y.Min, p.Y.Max = p.Y.Min-room, p.Y.Max+room
	return drawn(label, chartWidth, chartHeight, func(c draw.Canvas) {
		p.Draw(draw.Crop(c, 0, -16, 0, -4)) // room for half a label at the end of each axis
	}), true
}

// drawn is a picture with a name for those who do not see it.
func drawn(label string, width, height vg.Length, draws func(draw.Canvas)) string {
	c := vgsvg.New(width, height)
	draws(draw.New(c))
	var b bytes.Buffer
	c.WriteTo(&b) // to memory, which does not fail
	_, svg, _ := strings.Cut(b.String(), "<svg")
	_, svg, _ = strings.Cut(svg, ">")
	return fmt.Sprintf(`<svg role="img" aria-label="%s" viewBox="0 0 %.0f %.0f" xmlns="http://www.w3.org/2000/svg" `+
		`style="max-width:%.0fpx">%s`, escape(label), width.Points(), height.Points(), 2*width.Points(), variables(svg))
}

func glyph(style int) draw.GlyphStyle {
	return draw.GlyphStyle{Color: tint(style), Radius: 3.5, Shape: glyphs[style%styles]}
}

// legend is a short line in a style.
func legend(style int) string {
	return drawn("line "+strconv.Itoa(style+1), 40, 12, func(c draw.Canvas) {
		c.StrokeLine2(draw.LineStyle{Color: tint(style), Width: 1.5, Dashes: dashes[style%styles]}, 0, 6, 40, 6)
		c.DrawGlyph(glyph(style), vg.Point{X: 20, Y: 6})
	})
}

// marks are glyphs along a curve.
type marks struct {
	at    plotter.XYs
	style draw.GlyphStyle
}

func (m *marks) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, q := range m.at {
		c.DrawGlyph(m.style, vg.Point{X: x(q.X), Y: y(q.Y)})
	}
}

// every gives n of the points, the last among them; below 0 all. Curves of other styles have theirs elsewhere.
func every(points plotter.XYs, n, style int) plotter.XYs {
	if n < 0 || len(points) <= n {
		return points
	}
	var some plotter.XYs
	for i := range n {
		some = append(some, points[(len(points)-1)*(i*styles+style%styles+1)/(n*styles)])
	}
	return some
}

// thin makes not more than some hundred points of a curve: where there are too many, neighbours become their mean.
func thin(points []Point) []Point {
	const most = 200
	if len(points) <= most {
		return points
	}
	all := make([]Point, most)
	for i := range all {
		some := points[i*len(points)/most : (i+1)*len(points)/most]
		sum := 0.0
		for _, p := range some {
			sum += p.Value
		}
		all[i] = Point{some[len(some)-1].Step, sum / float64(len(some))}
	}
	return all
}

// ticker is a plot.Ticker whose labels are short.
type ticker func(low, high float64) []plot.Tick

func (t ticker) Ticks(low, high float64) []plot.Tick {
	ticks := t(low, high)
	for i := range ticks {
		if ticks[i].Label == "" {
			continue
		}
		if v, err := strconv.ParseFloat(ticks[i].Label, 64); err == nil {
			ticks[i].Label = short(v)
		}
	}
	return ticks
}

// powers are ticks of a scale of logarithms: powers of ten, and what lies between where there are few.
func powers(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(low); e <= high; e++ {
		for m := 1.0; m < 10; m++ {
			v := e + math.Log10(m)
			if v < low || v > high {
				continue
			}
			t := plot.Tick{Value: v}
			if m == 1 || high-low < 3 && (m == 2 || m == 5) {
				t.Label = fmt.Sprintf("%.3g", m*math.Pow(10, e))
			}
			if m == 1 || high-low < 6 {
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

// short is a number in few letters.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e9:
		return strconv.FormatFloat(v/1e9, 'g', 4, 64) + "G"
	case a >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case a >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
