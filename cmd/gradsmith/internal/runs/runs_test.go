package runs

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/train"
)

// logOf writes the log of a training of n steps whose loss ends near last, and gives its path.
func logOf(t *testing.T, dir, name string, n int, last float64, settings map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	l := train.NewLog(&b)
	l.Describe(train.Description{Model: "poet", Unit: "token", Parameters: 12345, Vocab: 96, Flops: 1e6, Total: n,
		Settings: settings})
	for i := 1; i <= n; i++ {
		loss := last + 3/float64(i)
		p := train.Progress{Step: i, Total: n, Loss: loss, Norm: 1 / loss, Rate: 0.1, Tokens: 64}
		if i%10 == 0 {
			p.Layers = []train.Layer{{Layer: "embed", Gradient: 0.5, Update: 0.01, Weight: 4 + float64(i)/100},
				{Layer: "<out>", Gradient: 0.25, Update: 0.02, Weight: 2}}
		}
		l.Step(p)
		if i%20 == 0 {
			l.Evaluated(train.Evaluation{Step: i, Loss: loss, Best: true})
			l.Show(i, train.Sample{Text: "It was <b>" + name,
				Alignment: &train.Alignment{Source: []string{"1", "<2>"}, Answer: []string{"2"},
					Weights: [][]float32{{0.25, 0.75}}}})
		}
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	logOf(t, dir, "a.jsonl", 40, 1, map[string]string{"rate": "0.1", "seed": "1"})
	logOf(t, dir, "b.jsonl", 60, 2, map[string]string{"rate": "0.2", "seed": "1"})
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("no log"), 0o666); err != nil {
		t.Fatal(err)
	}
	paths, err := Find(dir, filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "*.jsonl"))
	if err != nil || len(paths) != 2 {
		t.Fatalf("%v, %v", paths, err)
	}
	all := Read(paths...)
	a := all[0]
	best, ok := a.Best()
	if a.Name != "a" || a.Steps != 40 || !ok || best != (Point{40, 1.075}) || len(a.Curves[Training]) != 40 ||
		len(a.Samples) != 2 || len(a.Layers["embed"][Weight]) != 4 || a.Layers["embed"][Weight][3].Value != 4.4 ||
		len(a.Problems) > 0 || a.Growing || a.Empty() {
		t.Errorf("%+v", a)
	}
	if d := Differing(all); len(d) != 1 || d[0].Name != "rate" || d[0].Values[0] != "0.1" || d[0].Values[1] != "0.2" {
		t.Errorf("%v", d)
	}
	for _, bad := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "*.json"), t.TempDir()} {
		if paths, err := Find(bad); err == nil {
			t.Errorf("%s gives %v", bad, paths)
		}
	}
}

// Runs of one name have as much of their paths as tells them apart.
func TestName(t *testing.T) {
	all := []*Run{{Path: "x/a/log.jsonl"}, {Path: "x/b/log.jsonl"}, {Path: "y/b/log.jsonl"}}
	name(all)
	for i, want := range []string{"x/a/log", "x/b/log", "y/b/log"} {
		if all[i].Name != want {
			t.Errorf("%s is called %s, want %s", all[i].Path, all[i].Name, want)
		}
	}
}

// TestBroken reads logs with every kind of damage: what is whole is there, and what is not is said.
func TestBroken(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile(logOf(t, dir, "whole", 40, 1, nil))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for _, c := range []struct {
		data    []byte
		problem string
		steps   int
		growing bool
	}{
		{bytes.Join(lines[:21], nil), "", 19, false},
		{whole[:len(whole)-5], "", 40, true},
		{append(append(bytes.Join(lines[:10], nil), "rubbish\n"...), bytes.Join(lines[10:], nil)...),
			"line 11 is none of a log", 40, false},
		{[]byte("a letter\nto a friend\n"), "is no log", 0, false},
		{nil, "has no line yet", 0, false},
		{[]byte(`{"step":1,"sec`), "has no line yet", 0, true},
		{append(bytes.Join(lines[:5], nil), make([]byte, 1000)...), "", 4, true},
	} {
		path := filepath.Join(dir, "broken")
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		r := Read(path)[0]
		if got := strings.Join(r.Problems, "; "); r.Steps != c.steps || r.Growing != c.growing ||
			!strings.Contains(got, c.problem) || (got == "") != (c.problem == "") {
			t.Errorf("%.40q: %d steps, growing %v, %q", c.data, r.Steps, r.Growing, got)
		}
	}
	if r := Read(filepath.Join(dir, "none"), dir); len(r[0].Problems) != 1 || len(r[1].Problems) != 1 {
		t.Errorf("%+v, %+v", r[0], r[1])
	}
}

// TestPage makes a page of good and broken runs. It is well-formed, asks no other host, and what logs say stands in it
// as text, never as markup.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("x\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	all := Read(logOf(t, dir, "a.jsonl", 40, 1, map[string]string{"rate": "<0.1>"}),
		logOf(t, dir, "b.jsonl", 60, 2, map[string]string{"rate": "0.2"}), broken)
	var b bytes.Buffer
	if err := WritePage(&b, all, nil); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	for _, want := range []string{Head, broken + ": is no log of a training", "&lt;0.1&gt;", "It was &lt;b&gt;a.jsonl",
		"Content-Security-Policy", "var(--line0)", "var(--line1)", "stroke-dasharray", "Validation loss",
		"Update ÷ weights", "1.0750 at step 40", "&lt;2&gt; 0.75"} {
		if !strings.Contains(s, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if !strings.HasPrefix(s, Head) {
		t.Errorf("the page begins with %.60q", s)
	}
	for _, no := range []string{"<b>", "<script", "ZgotmplZ", "NaN", "%!"} {
		if strings.Contains(s, no) {
			t.Errorf("the page has %q", no)
		}
	}
	asked := regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?([a-z]+:[^"'\s>)]*)`)
	for _, url := range asked.FindAllStringSubmatch(s, -1) {
		if !strings.HasPrefix(url[1], "data:") {
			t.Errorf("the page asks for %s", url[1])
		}
	}
	if colours := regexp.MustCompile(`#0[123]0[0-9]{3}\b`).FindAllString(s, -1); len(colours) > 0 {
		t.Errorf("colours without a variable: %v", colours)
	}
	d := xml.NewDecoder(strings.NewReader(s[len(Head):]))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	pictures := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "svg" {
			pictures++
			named := false
			for _, a := range e.Attr {
				named = named || a.Name.Local == "aria-label" && a.Value != ""
			}
			if !named {
				t.Error("a picture has no name")
			}
		}
	}
	if pictures < 10 {
		t.Errorf("%d pictures", pictures)
	}
}

// A chart takes what logs can have: one point, the same value everywhere, values over many powers of ten, negative
// ones.
func TestChart(t *testing.T) {
	for _, points := range [][]Point{{{1, 2}}, {{1, 2}, {2, 2}}, {{1, 1e-30}, {2, 1e30}}, {{1, -5}, {900, 1e9}},
		{{0, 0}, {1, 0}}, make([]Point, 5000)} {
		svg, ok := chart("step", "a < b", line{points, 9, 5})
		if !ok || strings.Contains(svg, "NaN") || !strings.Contains(svg, "a &lt; b") || len(svg) > 100_000 {
			t.Errorf("%d points: %v, %.200q", len(points), ok, svg)
		}
	}
	if _, ok := chart("step", "nothing", line{}); ok {
		t.Error("a chart of nothing")
	}
}

// Styles differ without their colours.
func TestStyles(t *testing.T) {
	colour := regexp.MustCompile(`var\(--line\d\)`)
	seen := map[string]int{}
	for i := range styles {
		plain := colour.ReplaceAllString(legend(i), "")
		plain = plain[strings.Index(plain, ">"):]
		if other, ok := seen[plain]; ok {
			t.Errorf("the styles %d and %d look the same without colour", other, i)
		}
		seen[plain] = i
	}
}

// set is runs with given losses.
func set(unit string, losses ...float64) []*Run {
	var all []*Run
	for i, x := range losses {
		all = append(all, &Run{Name: fmt.Sprint(unit, i, x), Steps: 10, About: train.Description{Unit: unit, Total: 10},
			Curves: map[string][]Point{Validation: {{5, x + 1}, {10, x}}, Training: {{1, x + float64(i)/1e6}}}})
	}
	return all
}

// student is the probability that a variable of Student's t distribution is beyond ±t: an integral of its density, by
// Simpson's rule in 1/x.
func student(t, freedom float64) float64 {
	a, _ := math.Lgamma((freedom + 1) / 2)
	b, _ := math.Lgamma(freedom / 2)
	density := func(x float64) float64 {
		return math.Exp(a-b-(freedom+1)/2*math.Log1p(x*x/freedom)) / math.Sqrt(freedom*math.Pi)
	}
	// With x = 1/u from t to infinity is u from 0 to 1/t, and dx is du/u².
	const n = 20000
	h := 1 / t / n
	sum := density(t) * t * t // at u = 0 the integrand is 0
	for i := 1; i < n; i++ {
		u := float64(i) * h
		sum += float64(2+2*(i%2)) * density(1/u) / (u * u)
	}
	return 2 * sum * h / 3
}

// TestWelch holds the test to its formulas, with Student's distribution integrated here, and a value of its table.
func TestWelch(t *testing.T) {
	if p := student(2.228, 10); math.Abs(p-0.05) > 1e-4 { // the table's value for 10 degrees of freedom
		t.Fatalf("the integral gives %v", p)
	}
	x := []float64{27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4}
	y := []float64{27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8}
	moments := func(x []float64) (mean, variance float64) {
		for _, v := range x {
			mean += v / float64(len(x))
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(len(x)-1)
		}
		return mean, variance
	}
	m, p := moments(x)
	o, q := moments(y)
	p, q = p/float64(len(x)), q/float64(len(y))
	wantT := (o - m) / math.Sqrt(p+q)
	freedom := (p + q) * (p + q) / (p*p/float64(len(x)-1) + q*q/float64(len(y)-1))
	a, b := set("token", x...), set("token", y...)
	v, err := Compare(a, b, "A", "B")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what      string
		got, want float64
	}{{"t", v.T, wantT}, {"degrees of freedom", v.Freedom, freedom}, {"p", v.P, student(wantT, freedom)},
		{"p at the end of the interval", student(v.Difference/math.Sqrt(p+q)-v.From/math.Sqrt(p+q), freedom), 0.05}} {
		if math.Abs(x.got-x.want) > 1e-6*math.Abs(x.want) {
			t.Errorf("%s is %v, want %v", x.what, x.got, x.want)
		}
	}
	if v.Better() != 0 || v.From < 0 || !(v.From < v.Difference && v.Difference < v.To) {
		t.Errorf("%+v", v)
	}
	if w, _ := Compare(b, a, "B", "A"); w.Better() != 1 || math.Abs(w.P-v.P) > 1e-12 || w.From != -v.To {
		t.Errorf("the other way round: %+v", w)
	}
}

// TestFalseAlarms draws sets without a difference: about one in twenty comparisons finds one nevertheless.
func TestFalseAlarms(t *testing.T) {
	state := uint64(1)
	normal := func() float64 {
		sum := -6.0
		for range 12 {
			state = state*6364136223846793005 + 1442695040888963407
			sum += float64(state>>11) / (1 << 53)
		}
		return sum
	}
	const n = 4000
	alarms := 0
	for range n {
		var x [2][]float64
		for i := range x {
			for range 4 {
				x[i] = append(x[i], 2+0.01*float64(1+3*i)*normal()) // of different noise
			}
		}
		if v, err := Compare(set("token", x[0]...), set("token", x[1]...), "A", "B"); err != nil {
			t.Fatal(err)
		} else if v.Better() >= 0 {
			alarms++
		}
	}
	if share := float64(alarms) / n; share < 0.03 || share > 0.07 {
		t.Errorf("%.3f of comparisons of equal sets find a difference, want about %v", share, Significance)
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		a, b []*Run
		want string
	}{
		{set("token", 2), set("token", 1), "Too few runs: B has the lower loss"},
		{set("token", 2, 2.1), set("token", 1), "Too few runs: B has the lower loss"},
		{set("token", 2, 2.5, 3), set("token", 2.1, 2.7, 2.9), "do not tell which is better"},
		{set("token", 2, 2.01, 2.02), set("token", 1, 1.01, 1.02), "B is better: its mean is lower by 1 "},
		{set("token", 2, 2), set("token", 1, 1), "The noise is not known; B has the lower mean"},
		{set("token", 2), set("token", 2), "The means are the same"},
	} {
		v, err := Compare(c.a, c.b, "A", "B")
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if v.Print(&b); !strings.Contains(b.String(), c.want) || strings.Contains(b.String(), "NaN") {
			t.Errorf("%s\nwant %q", &b, c.want)
		}
	}
	if _, err := Compare(set("token", 1), set("vector", 1), "A", "B"); err == nil ||
		!strings.Contains(err.Error(), "different units") {
		t.Error(err)
	}
	pair := set("vector", 1)
	pair[0].Pair = true
	if _, err := Compare(pair, set("vector", 1), "A", "B"); err == nil ||
		!strings.Contains(err.Error(), "adversarial") {
		t.Error(err)
	}
	if _, err := Compare(Read("none"), set("token", 1), "A", "B"); err == nil {
		t.Error("a run that cannot be read is compared")
	}
	twins := append(set("token", 2), set("token", 2)...)
	if v, err := Compare(twins, set("token", 1, 1.5), "A", "B"); err != nil || len(v.Sides[0].Values) != 1 ||
		!strings.Contains(strings.Join(v.Notes, "\n"), "is the same training as") {
		t.Errorf("%+v, %v", v, err)
	}
}

// FuzzRead reads anything as a log, and makes a page of it.
func FuzzRead(f *testing.F) {
	line, _ := json.Marshal(map[string]any{"step": 1, "seconds": 2, "loss": 3})
	f.Add(string(line)+"\n", 3)
	f.Add(`{"step":-1,"seconds":1e308,"layers":[{"layer":"","gradient":-1},{"layer":""}]}`+"\n", 0)
	f.Add(`{"step":2,"sample":{"alignment":{"source":["a"],"answer":["b","c"],"weights":[[],[1,2,3]]}}}`+"\n", 1)
	f.Add(`{"step":1,"run":{"flops":-5,"total":-3}}`+"\n"+`{"step":1,"loss":-1e308,"tokens":1e308}`+"\n", 1)
	f.Fuzz(func(t *testing.T, log string, cut int) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(log), 0o666); err != nil {
			t.Fatal(err)
		}
		all := Read(path)
		if len(all[0].Problems) == 0 && all[0].Empty() && !strings.Contains(log, `"run"`) && !all[0].Growing &&
			!strings.Contains(log, "step") {
			t.Errorf("%q: nothing is said", log)
		}
		if err := WritePage(io.Discard, all, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestNotices: what a training did and what was found in it stands on the page; what it has gone back behind does not.
func TestNotices(t *testing.T) {
	path := logOf(t, t.TempDir(), "a.jsonl", 40, 1, nil)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := train.NewLog(f)
	l.Notice(train.Notice{Step: 10, What: "watch", Text: "watch: poet.yaml:7 read: 3 <units> are dead", Found: "dead " +
		"units"})
	l.Notice(train.Notice{Step: 30, What: "skip", Text: "a step that is forgotten"})
	l.Notice(train.Notice{Step: 20, What: "back", Text: "the training goes back", Number: 1})
	if err := errors.Join(l.Err(), f.Close()); err != nil {
		t.Fatal(err)
	}
	all := Read(path)
	if n := all[0].Notices; len(n) != 2 || n[0].Step != 10 || n[1].Step != 20 || len(all[0].Problems) > 0 {
		t.Fatalf("%v, %v", n, all[0].Problems)
	}
	var b bytes.Buffer
	if err := WritePage(&b, all, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"What happened", "3 &lt;units&gt; are dead", "the training goes back"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(b.String(), "forgotten") {
		t.Error("the page has what the training has gone back behind")
	}
}

// TestMachine: the share of the peak is that of the operations of a step, at the speed of the training, in what the
// machine made at most; without a measured peak, or the operations of a step, there is none.
func TestMachine(t *testing.T) {
	page := func(flops int64, m *train.Machine) string {
		var log bytes.Buffer
		l := train.NewLog(&log)
		l.Describe(train.Description{Model: "poet", Unit: "token", Flops: 100, TrainFlops: flops, Total: 3})
		if m != nil {
			l.On(*m)
		}
		for i := 1; i <= 3; i++ {
			l.Step(train.Progress{Step: i, Loss: 1, Norm: 1, Tokens: 64})
		}
		// A step takes a tenth of a second.
		text := log.String()
		for i := 1; i <= 3; i++ {
			text = regexp.MustCompile(fmt.Sprintf(`"step":%d,"seconds":[0-9.]+`, i)).ReplaceAllString(text,
				fmt.Sprintf(`"step":%d,"seconds":%.1f`, i, float64(i)/10))
		}
		path := filepath.Join(t.TempDir(), "a.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		all := Read(path)
		if len(all[0].Problems) > 0 {
			t.Fatal(all[0].Problems)
		}
		var b bytes.Buffer
		if err := WritePage(&b, all, nil); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	m := &train.Machine{Processor: "A <processor>", Kernels: "avx2", Threads: 2, Peak: 1e6}
	text := page(390, m) // 640 tokens a second of 390 operations are 249,600
	for _, want := range []string{"<td>25 %</td>", "<td>0.00025</td>", "A &lt;processor&gt;, avx2 kernels, 2 threads",
		"0.001 GFLOP/s"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if text = page(0, m); strings.Contains(text, " %</td>") || !strings.Contains(text, "<td>0.000192</td>") {
		t.Error("without the operations of a step there is a share of the peak, or they are not three times the " +
			"forward pass's")
	}
	if text = page(390, nil); strings.Contains(text, " %</td>") {
		t.Error("without a peak there is a share of it")
	}
}
