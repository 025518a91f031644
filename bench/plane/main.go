// Command plane draws models in the plane of quality and diversity: a curve for each sweep of the temperature, a point
// for each single model.
//
//	cd bench && go run ./plane sweep.json -o sweep.svg
//
// The file holds {"title", "x", "y", "curves": [{"name", "points": [{"x", "y", "label"}]}]}: x and y of the whole name
// the axes, a curve of one point is a single model, and a label may be absent. Of likelihoods, x is the oracle's of
// what a model draws and y the model's of what the oracle does; else x is BLEU and y self-BLEU (Caccia et al. 2020,
// figure 2). The picture is SVG, or PNG where the name of its file ends so, on white, so that it can be read on any
// page.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image/color"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

func main() {
	log.SetFlags(0)
	out := flag.String("o", "plane.svg", "picture to write, .svg or .png")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: plane FILE.json [-o PICTURE.svg]")
		flag.PrintDefaults()
	}
	// The name of the file may stand before the flags.
	args := os.Args[1:]
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	flag.CommandLine.Parse(args)
	if name == "" {
		name = flag.Arg(0)
	}
	if name == "" || flag.NArg() > 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(name, *out); err != nil {
		log.Fatal("plane: ", err)
	}
}

func run(name, out string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := read(data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var b bytes.Buffer
	if err := f.draw(&b, strings.TrimPrefix(strings.ToLower(filepath.Ext(out)), ".")); err != nil {
		return fmt.Errorf("%s: %w", out, err)
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// figure is what the file holds.
type figure struct {
	Title  string  `json:"title"`
	X      string  `json:"x"`
	Y      string  `json:"y"`
	Curves []curve `json:"curves"`
}

type curve struct {
	Name   string  `json:"name"`
	Points []point `json:"points"`
}

type point struct {
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	Label string  `json:"label"`
}

// read checks a file.
func read(data []byte) (*figure, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	f := new(figure)
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("%w: want {\"title\", \"x\", \"y\", \"curves\": [{\"name\", \"points\": [{\"x\", "+
			"\"y\", \"label\"}]}]}", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one value: want one object")
	}
	if len(f.Curves) == 0 {
		return nil, errors.New("no curves: give one at least")
	}
	for i, c := range f.Curves {
		if c.Name == "" || len(c.Points) == 0 {
			return nil, fmt.Errorf("curve %d, %q, has %d points: give each a name and one at least", i+1, c.Name,
				len(c.Points))
		}
	}
	return f, nil
}

// colours can be told apart with any kind of colour vision, and on white (Okabe and Ito 2008, without yellow).
var colours = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0x00, 0x00, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0xe6, 0x9f, 0x00, 0xff},
}

// polygon is a filled point with so many corners, the first at an angle in turns from the right, and an edge of white,
// so that points that lie over each other are told apart. Inner is how far the corners in between, if there are any,
// are from the middle.
type polygon struct {
	corners     int
	turn, inner float64
}

// shapes are those of points, so that colour is not all that tells models apart.
var shapes = []draw.GlyphDrawer{
	polygon{32, 0, 0}, polygon{4, 0.125, 0}, polygon{3, 0.25, 0}, polygon{4, 0, 0}, polygon{5, 0.25, 0.45},
	polygon{3, 0.75, 0}, polygon{4, 0.125, 0.35}, polygon{6, 0, 0},
}

// DrawGlyph draws the point.
func (g polygon) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, at vg.Point) {
	radius := 1.15 * float64(sty.Radius)
	if g.corners > 30 {
		radius = float64(sty.Radius)
	}
	corner := func(turn, scale float64) vg.Point {
		sin, cos := math.Sincos(2 * math.Pi * turn)
		return vg.Point{X: at.X + vg.Length(scale*radius*cos), Y: at.Y + vg.Length(scale*radius*sin)}
	}
	var path vg.Path
	for i := range g.corners {
		turn := g.turn + float64(i)/float64(g.corners)
		if i == 0 {
			path.Move(corner(turn, 1))
		} else {
			path.Line(corner(turn, 1))
		}
		if g.inner > 0 {
			path.Line(corner(turn+0.5/float64(g.corners), g.inner))
		}
	}
	path.Close()
	c.SetColor(sty.Color)
	c.Fill(path)
	c.SetLineStyle(draw.LineStyle{Color: color.White, Width: 0.6})
	c.Stroke(path)
}

// ticks are numbers for five to ten marks of an axis, a power of ten times 1, 2 or 5 apart.
func ticks(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10(high-low)))
	for _, finer := range []float64{2, 2.5, 2} { // from 10 to 5, 2, 1
		if (high-low)/step >= 5 {
			break
		}
		step /= finer
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	var list []plot.Tick
	for i := math.Ceil(low / step); i*step <= high; i++ {
		list = append(list, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step+0, 'f', decimals, 64)})
	}
	return list
}

var (
	ink   = color.RGBA{0x22, 0x22, 0x22, 0xff}
	faint = color.RGBA{0xe3, 0xe3, 0xe3, 0xff}
	sans  = font.Font{Typeface: "Liberation", Variant: "Sans"}
)

const (
	width, height = 7.5 * vg.Inch, 5 * vg.Inch
	margin        = vg.Length(12)
	small, large  = vg.Length(3), vg.Length(5) // points of a curve, and single models
)

// style is text of a size.
func style(size vg.Length) text.Style {
	return text.Style{Color: ink, Font: font.From(sans, size), Handler: plot.DefaultTextHandler}
}

// draw writes the picture in a format.
func (f *figure) draw(w io.Writer, format string) error {
	plot.DefaultFont = sans
	p := plot.New()
	p.Title.Text, p.Title.Padding, p.Title.TextStyle.Font.Size, p.Title.TextStyle.Color = f.Title, 8, 13, ink
	for i, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.Text, a.Label.Padding = []string{f.X, f.Y}[i], 4
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 11, 10
		a.Label.TextStyle.Color, a.Tick.Label.Color, a.Color, a.Tick.Color = ink, ink, ink, ink
		a.Padding, a.Tick.Marker = 0, plot.TickerFunc(ticks)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	p.Add(grid)
	legend := plot.NewLegend()
	legend.TextStyle, legend.Padding, legend.Top, legend.Left, legend.ThumbnailWidth = style(10), 5, true, true, 22
	names := vg.Length(0)
	texts := &labels{style: style(9)}
	for i, c := range f.Curves {
		line, points, err := plotter.NewLinePoints(c.coordinates())
		if err != nil {
			return fmt.Errorf("curve %q: %w", c.Name, err)
		}
		line.Color, line.Width = colours[i%len(colours)], 1.4
		points.Color, points.Shape, points.Radius = line.Color, shapes[i%len(shapes)], small
		if len(c.Points) == 1 {
			points.Radius = large
			p.Add(points)
			legend.Add(c.Name, points)
		} else {
			p.Add(line, points)
			legend.Add(c.Name, line, points)
		}
		names = max(names, legend.TextStyle.Width(c.Name))
		texts.add(c, points.Radius, line.Color)
	}
	p.Add(texts)
	for _, a := range []*plot.Axis{&p.X, &p.Y} { // room for labels at the edge
		if room := 0.08 * (a.Max - a.Min); room > 0 {
			a.Min, a.Max = a.Min-room, a.Max+room
		}
	}
	canvas, err := draw.NewFormattedCanvas(width, height, format)
	if err != nil {
		return fmt.Errorf("%w: name the picture .svg or .png", err)
	}
	all := draw.New(canvas)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	all = draw.Crop(all, margin, -margin, margin, -margin)
	// The legend has a column of its own, where no point is.
	column := names*1.1 + legend.ThumbnailWidth + 3*legend.Padding
	p.Draw(draw.Crop(all, 0, -column-margin, 0, 0))
	legend.Draw(draw.Crop(all, all.Max.X-all.Min.X-column, 0, 0, -30))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	// Letters of Arial are as wide as those of the font that everything was measured with.
	_, err = w.Write(bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")))
	return err
}

func (c curve) coordinates() plotter.XYs {
	xy := make(plotter.XYs, len(c.Points))
	for i, p := range c.Points {
		xy[i] = plotter.XY{X: p.X, Y: p.Y}
	}
	return xy
}

// labels draws the labels of all points where they are in the way of nothing.
type labels struct {
	style  text.Style
	curves []curve
	radii  []vg.Length
	colour []color.Color
}

func (l *labels) add(c curve, radius vg.Length, colour color.Color) {
	l.curves, l.radii, l.colour = append(l.curves, c), append(l.radii, radius), append(l.colour, colour)
}

// Plot draws the labels: those of single models are given their places first.
func (l *labels) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	s := &scene{area: box{float64(c.Min.X), float64(c.Min.Y), float64(c.Max.X), float64(c.Max.Y)}}
	var models, others []label
	for i, cv := range l.curves {
		for k, pt := range cv.Points {
			x, y, r := float64(toX(pt.X)), float64(toY(pt.Y)), float64(l.radii[i])
			s.marks = append(s.marks, box{x - r, y - r, x + r, y + r})
			if k > 0 {
				before := cv.Points[k-1]
				s.lines = append(s.lines, [4]float64{float64(toX(before.X)), float64(toY(before.Y)), x, y})
			}
			if pt.Label == "" {
				continue
			}
			// A reader may have another font: a tenth more room.
			t := label{mark: len(s.marks) - 1, w: 1.1 * float64(l.style.Width(pt.Label)),
				h: float64(l.style.Height(pt.Label)), text: pt.Label, colour: l.colour[i]}
			if len(cv.Points) == 1 {
				models = append(models, t)
			} else {
				others = append(others, t)
			}
		}
	}
	for _, t := range s.place(append(models, others...)) {
		if lead, ok := s.lead(t.at, t.mark); ok {
			c.StrokeLine2(draw.LineStyle{Color: t.colour, Width: 0.6}, vg.Length(lead[0]), vg.Length(lead[1]),
				vg.Length(lead[2]), vg.Length(lead[3]))
		}
		sty := l.style
		sty.XAlign, sty.YAlign = text.XCenter, text.YCenter
		x, y := t.at.centre()
		c.FillText(sty, vg.Point{X: vg.Length(x), Y: vg.Length(y)}, t.text)
	}
}
