package runs

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gradsmith/gradsmith/runtime/cli"
	look "github.com/gradsmith/gradsmith/runtime/page"
	"github.com/gradsmith/gradsmith/runtime/train"
)

//go:embed page.html
var pageText string

var pageForm = look.Form("page", pageText)

// Head is how every page begins: what begins otherwise is not written over.
const Head = "<!doctype html>\n<!-- gradsmith report -->\n"

// page is what the form of a page shows.
type page struct {
	Title, About, Unit string
	Units              string // in the plural
	Notes              []string
	Verdict            *Verdict
	Rows               []row
	Charts             []figure
	Differing          []Setting
	Settings           []Setting
	Alike              string // where there are no settings that differ
	Notices            []noticeBlock
	Layers             []layerBlock
	Samples            []sampleBlock
}

// row is a line of the table of runs.
type row struct {
	Name, Model, Parameters, Step, Best, Training, Speed, Flops, Peak, Time, On string
	Key                                                                         template.HTML
}

// figure is a chart with its words.
type figure struct {
	Title, Caption string
	Picture        template.HTML
	Keys           []legendKey // where the styles are not those of the runs
}

type legendKey struct {
	Key  template.HTML
	Name string
}

// noticeBlock is what a training did by itself, and what was found in it.
type noticeBlock struct {
	Name string
	Rows []noticeRow
	More int // that are not shown
}

type noticeRow struct{ Step, Text string }

type layerBlock struct {
	Name        string
	Open        bool
	Charts      []figure
	Step, First string
	Rows        []layerRow
}

type layerRow struct{ Name, Gradient, Update, Weight, Ratio, Before string }

type sampleBlock struct {
	Name, Count string
	Open        bool
	Shown       []shownSample
}

type shownSample struct {
	Step    string
	Text    string
	Picture template.URL
	Looks   template.HTML
}

// WritePage writes a page about runs that needs nothing else: no script, no other file, no other host. Runs that cannot
// be read are named. verdict, which may be nil, is what a comparison has said.
func WritePage(w io.Writer, all []*Run, verdict *Verdict) error {
	p := &page{Verdict: verdict}
	var shown []*Run
	for _, r := range all {
		for _, what := range r.Problems {
			p.Notes = append(p.Notes, r.Path+": "+what)
		}
		if !r.Empty() {
			shown = append(shown, r)
		}
	}
	if verdict != nil {
		p.Notes = append(p.Notes, verdict.Notes...)
	}
	units := map[string]bool{}
	models := map[string]bool{}
	for _, r := range shown {
		if r.About.Unit != "" {
			units[r.About.Unit] = true
			models[r.About.Model] = true
		}
		switch {
		case r.Growing:
			p.Notes = append(p.Notes, fmt.Sprintf("%s: is being written, or was cut off; what it has so far is shown",
				r.Path))
		case r.About.Total > r.Steps:
			p.Notes = append(p.Notes, fmt.Sprintf("%s: the training goes on, or was stopped, at step %s of %s", r.Path,
				cli.Thousands(r.Steps), cli.Thousands(r.About.Total)))
		}
	}
	if p.Unit = strings.Join(keys(units), ", or a "); p.Unit == "" {
		p.Unit = "token"
	}
	if p.Units = p.Unit + "s"; len(units) > 1 {
		p.Units = "units"
		p.Notes = append(p.Notes, "The losses are of different units (a "+p.Unit+"): they cannot be compared.")
	}
	if len(models) > 1 {
		p.Notes = append(p.Notes, "The runs are of different models: "+strings.Join(keys(models), ", ")+".")
	}
	p.Title = fmt.Sprintf("%d trainings", len(shown))
	if len(shown) == 1 {
		p.Title = "Training " + shown[0].Name
	}
	p.About = "Written by gradsmith report. Marks and dashes tell the runs apart as colours do."
	for i, r := range shown {
		p.Rows = append(p.Rows, rowOf(r, i))
		p.notices(r)
		p.samples(r)
		p.layers(r, len(shown) == 1)
	}
	p.charts(shown)
	p.settings(shown)
	if _, err := io.WriteString(w, Head); err != nil { // the form would leave out the comment
		return err
	}
	return pageForm.Execute(w, p)
}

func escape(s string) string { return html.EscapeString(s) }

func rowOf(r *Run, style int) row {
	x := row{Name: r.Name, Model: r.About.Model, Step: cli.Thousands(r.Steps), Key: template.HTML(legend(style)),
		Best: "—", Training: "—", Speed: "—", Flops: "—", Peak: "—",
		Time: cli.Duration(time.Duration(r.Seconds * float64(time.Second)))}
	if r.About.Total > r.Steps {
		x.Step += " of " + cli.Thousands(r.About.Total)
	}
	if r.About.Parameters > 0 {
		x.Parameters = cli.Thousands(r.About.Parameters)
	}
	if b, ok := r.Best(); ok && !r.Pair {
		x.Best = fmt.Sprintf("%.4f at step %s", b.Value, cli.Thousands(int(b.Step)))
	}
	if len(r.Curves[Training]) > 0 {
		x.Training = fmt.Sprintf("%.4f", measure(r, ""))
	}
	if r.Tokens > 0 {
		x.Speed = cli.Thousands(int(r.Tokens))
		flops := r.About.TrainFlops
		if flops == 0 { // a step computes the product, and both gradients of it
			flops = 3 * r.About.Flops
		}
		if flops > 0 {
			x.Flops = fmt.Sprintf("%.3g", r.Tokens*float64(flops)/1e9)
		}
		if m := r.Machine; m != nil && m.Peak > 0 && r.About.TrainFlops > 0 {
			x.Peak = fmt.Sprintf("%.0f %%", 100*r.Tokens*float64(flops)/m.Peak)
		}
	}
	if m := r.Machine; m != nil {
		x.On = fmt.Sprintf("%s: %s kernels, %d threads", r.Name, m.Kernels, m.Threads)
		if m.Processor != "" {
			x.On = fmt.Sprintf("%s: %s, %s kernels, %d threads", r.Name, m.Processor, m.Kernels, m.Threads)
		}
		if m.Peak > 0 {
			x.On += fmt.Sprintf(", of which fused multiply-adds alone made %.3g GFLOP/s", m.Peak/1e9)
		}
	}
	return x
}

// charts draws what all runs have.
func (p *page) charts(shown []*Run) {
	over := func(title, x, caption string, marks int, of func(r *Run) []Point) {
		var lines []line
		for i, r := range shown {
			if c := of(r); len(c) > 0 {
				lines = append(lines, line{c, i, marks})
				if caption != "" {
					caption += "; "
				}
				caption += fmt.Sprintf("%s: from %s to %s", r.Name, short(c[0].Value), short(c[len(c)-1].Value))
			}
		}
		if svg, ok := chart(x, title+" over "+x+". "+caption, lines...); ok {
			p.Charts = append(p.Charts, figure{Title: title, Caption: caption + ".", Picture: template.HTML(svg)})
		}
	}
	curve := func(name string) func(r *Run) []Point { return func(r *Run) []Point { return r.Curves[name] } }
	over("Validation loss", "step", "", -1, curve(Validation)) // of adversarial networks the discriminator's
	over("Training loss", "step", "", 5, curve(Training))
	over("Training loss over time", "seconds", "", 5, func(r *Run) []Point { return r.Time })
	for _, name := range []string{Discriminator, Right, Reconstruction, Divergence, Norm, Rate, Speed} {
		over(strings.ToUpper(name[:1])+name[1:], "step", "", 5, curve(name))
	}
}

// settings puts the settings of all runs side by side.
func (p *page) settings(shown []*Run) {
	p.Differing = Differing(shown)
	none := 0
	names := map[string]bool{}
	for _, r := range shown {
		if r.About.Settings == nil {
			none++
		}
		for name := range r.About.Settings {
			names[name] = true
		}
	}
	for _, name := range keys(names) {
		s := Setting{Name: name}
		for _, r := range shown {
			s.Values = append(s.Values, r.About.Settings[name])
		}
		p.Settings = append(p.Settings, s)
	}
	switch {
	case none == len(shown) && none > 0:
		p.Alike = "The logs do not say what the settings were."
	case len(shown) > 1:
		p.Alike = "The runs have the same settings."
	case len(shown) == 1:
		p.Alike = "There is one run, with these:"
	}
}

// layers adds the norms of a run's layers. Charts have as many layers as there are styles, those that move the most and
// the least among them; the table has all.
func (p *page) layers(r *Run, open bool) {
	if len(r.Order) == 0 {
		return
	}
	b := layerBlock{Name: r.Name, Open: open}
	ratio := map[string][]Point{}
	for _, name := range r.Order {
		c := r.Layers[name]
		last := len(c[Weight]) - 1
		for i, u := range c[Update] {
			if w := c[Weight][i].Value; w > 0 {
				ratio[name] = append(ratio[name], Point{u.Step, u.Value / w})
			}
		}
		x := layerRow{Name: name, Gradient: fmt.Sprintf("%.3g", c[Gradient][last].Value),
			Update: fmt.Sprintf("%.3g", c[Update][last].Value), Weight: fmt.Sprintf("%.4g", c[Weight][last].Value),
			Before: fmt.Sprintf("%.4g", c[Weight][0].Value), Ratio: "—"}
		if q := ratio[name]; len(q) > 0 {
			x.Ratio = fmt.Sprintf("%.2g", q[len(q)-1].Value)
		}
		b.Step, b.First = cli.Thousands(int(c[Weight][last].Step)), cli.Thousands(int(c[Weight][0].Step))
		b.Rows = append(b.Rows, x)
	}
	some := r.Order
	if len(some) > styles {
		all := slices.Clone(some)
		end := func(name string) float64 {
			if q := ratio[name]; len(q) > 0 {
				return q[len(q)-1].Value
			}
			return 0
		}
		slices.SortStableFunc(all, func(a, b string) int {
			switch x, y := end(a), end(b); {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		chosen := map[string]bool{}
		for i := range styles {
			chosen[all[i*(len(all)-1)/(styles-1)]] = true
		}
		some = slices.DeleteFunc(slices.Clone(r.Order), func(name string) bool { return !chosen[name] })
	}
	add := func(title, caption string, of func(name string) []Point) {
		f := figure{Title: title, Caption: caption}
		if len(some) < len(r.Order) {
			f.Caption += fmt.Sprintf(" %d of %d layers, from the slowest to the fastest; the table has all.", len(some),
				len(r.Order))
		}
		var lines []line
		for i, name := range some {
			// A logarithm has no place for 0, as of a tensor that no gradient reaches.
			points := slices.DeleteFunc(slices.Clone(of(name)), func(q Point) bool { return q.Value <= 0 })
			lines = append(lines, line{points, i, 5})
			f.Keys = append(f.Keys, legendKey{template.HTML(legend(i)), name})
		}
		svg, ok := chart("step", title+" of "+r.Name+" over steps, a line a layer; the table below has the numbers",
			lines...)
		if f.Picture = template.HTML(svg); ok {
			b.Charts = append(b.Charts, f)
		}
	}
	add("Update ÷ weights", "How far a step moves a layer, as a share of its length; about 0.001 is usual.",
		func(name string) []Point { return ratio[name] })
	for _, x := range []struct{ kind, caption string }{
		{Gradient, "Before clipping."}, {Weight, "The Euclidean norm of all parameters of a layer."},
	} {
		add("Norm of the "+strings.Replace(x.kind, Weight, "weights", 1), x.caption,
			func(name string) []Point { return r.Layers[name][x.kind] })
	}
	p.Layers = append(p.Layers, b)
}

// mostNotices is how many notices of a run a page has, of the first.
const mostNotices = 40

func (p *page) notices(r *Run) {
	if len(r.Notices) == 0 {
		return
	}
	b := noticeBlock{Name: r.Name, More: max(0, len(r.Notices)-mostNotices)}
	for _, n := range r.Notices[:min(len(r.Notices), mostNotices)] {
		b.Rows = append(b.Rows, noticeRow{cli.Thousands(n.Step), n.Text})
	}
	p.Notices = append(p.Notices, b)
}

// mostSamples is how many samples of a run a page has, the first and the last among them: pictures are large.
const mostSamples = 12

func (p *page) samples(r *Run) {
	if len(r.Samples) == 0 {
		return
	}
	b := sampleBlock{Name: r.Name, Open: true, Count: fmt.Sprintf("%d samples", len(r.Samples))}
	n := len(r.Samples)
	for i := range min(n, mostSamples) {
		k := i
		if n > mostSamples {
			k = i * (n - 1) / (mostSamples - 1)
		}
		s := r.Samples[k]
		x := shownSample{Step: cli.Thousands(s.Step), Text: s.Text}
		if len(s.PNG) > 0 {
			x.Picture = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(s.PNG))
		}
		if s.Alignment != nil {
			x.Looks = template.HTML(looks(s.Alignment))
		}
		b.Shown = append(b.Shown, x)
	}
	if n > mostSamples {
		b.Count += fmt.Sprintf(", of which %d are shown", mostSamples)
	}
	slices.Reverse(b.Shown) // the last is what matters most
	p.Samples = append(p.Samples, b)
}

// looks draws an alignment: a row a token of the answer, a column a token of the source, and a circle whose area is the
// weight.
func looks(a *train.Alignment) string {
	const cell = 22
	handler := text.Plain{Fonts: font.DefaultCache}
	style := text.Style{Color: ink, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: 12},
		Handler: handler}
	left, top := vg.Length(0), vg.Length(0)
	for _, s := range a.Answer {
		left = max(left, style.Width(s)+10)
	}
	for _, s := range a.Source {
		top = max(top, style.Width(s)+10)
	}
	width, height := left+cell*vg.Length(len(a.Source))+6, top+cell*vg.Length(len(a.Answer))+6
	label := "Where the model looked: for each token of the answer the token of the source with the largest weight"
	for i, s := range a.Answer {
		if i >= len(a.Weights) || len(a.Weights[i]) == 0 {
			continue
		}
		best := 0
		for j, w := range a.Weights[i] {
			if w > a.Weights[i][best] {
				best = j
			}
		}
		if best < len(a.Source) {
			label += fmt.Sprintf("; %s: %s %.2f", s, a.Source[best], a.Weights[i][best])
		}
	}
	return drawn(label, width, height, func(c draw.Canvas) {
		// Where the weight of an answer's token i on a source's token j goes.
		at := func(i, j int) vg.Point {
			return vg.Point{X: left + cell*(vg.Length(j)+0.5), Y: height - top - cell*(vg.Length(i)+0.5)}
		}
		rotated := style
		rotated.Rotation, rotated.YAlign = math.Pi/2, text.YCenter
		for j, s := range a.Source {
			c.FillText(rotated, vg.Point{X: at(0, j).X, Y: height - top + 6}, s)
		}
		right := style
		right.XAlign, right.YAlign = text.XRight, text.YCenter
		for i, s := range a.Answer {
			c.FillText(right, vg.Point{X: left - 6, Y: at(i, 0).Y}, s)
			for j := range a.Source {
				if i < len(a.Weights) && j < len(a.Weights[i]) {
					w := min(1, max(0, float64(a.Weights[i][j])))
					c.DrawGlyph(draw.GlyphStyle{Color: faint, Radius: cell/2 - 1, Shape: draw.RingGlyph{}}, at(i, j))
					c.DrawGlyph(draw.GlyphStyle{Color: tint(0), Radius: vg.Length((cell/2 - 1) * math.Sqrt(w)),
						Shape: draw.CircleGlyph{}}, at(i, j))
				}
			}
		}
	})
}
