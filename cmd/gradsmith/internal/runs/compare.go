package runs

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Verdict is what the losses of two sets of runs say of which is better.
type Verdict struct {
	Measure string // what is compared, in words
	Unit    string
	Names   [2]string
	Sides   [2]Side
	// Difference is the mean of the second set less that of the first; From and To bound it with 95 % confidence, and
	// are NaN, as T, Freedom and P are, where a side has less than two runs.
	Difference, From, To float64
	T, Freedom, P        float64 // of Welch's test, two-sided
	Notes                []string
}

// Side is a set of runs.
type Side struct {
	Values    []float64
	Mean      float64
	Deviation float64 // of a run, with one degree of freedom less than runs; NaN of less than two
}

// Significance is the share of comparisons of equal sets in which a difference is found nevertheless.
const Significance = 0.05

// Compare compares two sets of runs by their lowest validation losses, or, where a run has none, by the means of the
// last tenth of their training losses, with the test of Welch (1947), which lets the sets have different noise. An
// error says why they cannot be compared.
func Compare(a, b []*Run, nameA, nameB string) (*Verdict, error) {
	v := &Verdict{Names: [2]string{nameA, nameB}, Measure: "lowest validation loss"}
	all := slices.Concat(a, b)
	units := map[string]bool{}
	for _, r := range all {
		if r.Empty() {
			return nil, fmt.Errorf("%s %s", r.Path, strings.Join(r.Problems, "; "))
		}
		if r.Pair {
			return nil, fmt.Errorf("%s is of adversarial networks, whose losses do not tell how good the generator "+
				"is: compare what the command eval says", r.Path)
		}
		if _, ok := r.Best(); !ok {
			v.Measure = "mean training loss of the last tenth of the steps"
		}
		if r.About.Unit != "" {
			units[r.About.Unit] = true
		}
	}
	if len(units) > 1 {
		return nil, fmt.Errorf("the losses are of different units (a %s): they cannot be compared", strings.Join(
			keys(units), ", a "))
	}
	v.Unit = strings.Join(keys(units), "")
	v.notes(all)
	for i, set := range [][]*Run{a, b} {
		s := &v.Sides[i]
		for k, r := range set {
			if twin := slices.IndexFunc(set[:k], func(o *Run) bool { return same(o, r) }); twin >= 0 {
				v.Notes = append(v.Notes, fmt.Sprintf("%s is the same training as %s, seed and all, and is left out",
					r.Name, set[twin].Name))
				continue
			}
			s.Values = append(s.Values, measure(r, v.Measure))
		}
		s.Mean, s.Deviation = math.NaN(), math.NaN()
		if len(s.Values) > 0 {
			s.Mean = stat.Mean(s.Values, nil)
		}
		if len(s.Values) > 1 {
			s.Deviation = stat.StdDev(s.Values, nil)
		}
	}
	v.welch()
	return v, nil
}

func keys(m map[string]bool) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// same reports whether two runs are the same training: its losses are the same bit by bit, as those of two seeds never
// are.
func same(a, b *Run) bool {
	x, y := a.Curves[Training], b.Curves[Training]
	return len(x) > 0 && slices.Equal(x, y)
}

func measure(r *Run, what string) float64 {
	if p, ok := r.Best(); ok && what == "lowest validation loss" {
		return p.Value
	}
	c := r.Curves[Training]
	c = c[len(c)-max(1, len(c)/10):]
	sum := 0.0
	for _, p := range c {
		sum += p.Value
	}
	return sum / float64(len(c))
}

// notes says what could make a comparison unfair.
func (v *Verdict) notes(all []*Run) {
	steps, vocab, data := map[int]bool{}, map[int]bool{}, map[string]bool{}
	for _, r := range all {
		steps[r.Steps] = true
		if r.About.Settings != nil {
			vocab[r.About.Vocab] = true
			data[r.About.Settings["data"]+r.About.Settings["source"]] = true
		}
		if r.Growing || r.About.Total > r.Steps {
			v.Notes = append(v.Notes, fmt.Sprintf("%s goes on, or was stopped, at step %d of %d", r.Name, r.Steps,
				max(r.Steps, r.About.Total)))
		}
		for _, p := range r.Problems {
			v.Notes = append(v.Notes, r.Name+": "+p)
		}
	}
	if len(steps) > 1 {
		v.Notes = append(v.Notes, "the runs have different numbers of steps")
	}
	if len(vocab) > 1 && v.Unit == "token" {
		v.Notes = append(v.Notes, "the vocabularies have different sizes: nats a token of one are not those of "+
			"another; the command eval tells bits a character")
	}
	if len(data) > 1 {
		v.Notes = append(v.Notes, "the runs read different data")
	}
}

// welch fills in the test.
func (v *Verdict) welch() {
	a, b := v.Sides[0], v.Sides[1]
	v.Difference = b.Mean - a.Mean
	v.From, v.To, v.T, v.Freedom, v.P = math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()
	n, m := float64(len(a.Values)), float64(len(b.Values))
	if n < 2 || m < 2 {
		return
	}
	p, q := a.Deviation*a.Deviation/n, b.Deviation*b.Deviation/m
	if p+q == 0 {
		v.Notes = append(v.Notes, "the runs of each side have the same loss: they do not tell how much seeds change")
		return
	}
	v.T = v.Difference / math.Sqrt(p+q)
	v.Freedom = (p + q) * (p + q) / (p*p/(n-1) + q*q/(m-1)) // Welch and Satterthwaite
	d := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: v.Freedom}
	v.P = 2 * d.CDF(-math.Abs(v.T))
	half := d.Quantile(1-Significance/2) * math.Sqrt(p+q)
	v.From, v.To = v.Difference-half, v.Difference+half
}

// Better is 0 or 1 for the side that is better, or −1 where the runs do not tell.
func (v *Verdict) Better() int {
	switch {
	case !(v.P < Significance):
		return -1
	case v.Difference > 0:
		return 0
	}
	return 1
}

// Conclusion is the verdict in words.
func (v *Verdict) Conclusion() string {
	few := len(v.Sides[0].Values) < 2 || len(v.Sides[1].Values) < 2
	lower := v.Names[0]
	if v.Difference < 0 {
		lower = v.Names[1]
	}
	switch better := v.Better(); {
	case v.Difference == 0:
		return "The means are the same."
	case few:
		return fmt.Sprintf("Too few runs: %s has the lower loss, but one run does not tell how much another seed "+
			"would change. Train each side with at least two seeds (--seed), better five.", lower)
	case better >= 0:
		return fmt.Sprintf("%s is better: its mean is lower by %.4g (95 %% confidence: %.4g to %.4g); sets without a "+
			"difference would be as far apart in %s of cases.", v.Names[better], math.Abs(v.Difference),
			min(math.Abs(v.From), math.Abs(v.To)), max(math.Abs(v.From), math.Abs(v.To)), share(v.P))
	case math.IsNaN(v.P):
		return fmt.Sprintf("The noise is not known; %s has the lower mean.", lower)
	}
	return fmt.Sprintf("The runs do not tell which is better: %s has the lower mean by %.4g, but sets without a "+
		"difference would be as far apart in %s of cases. The difference of the means is between %.4g and %.4g with "+
		"95 %% confidence; more seeds narrow that.", lower, math.Abs(v.Difference), share(v.P), v.From, v.To)
}

func share(p float64) string {
	if p < 0.0001 {
		return "less than 0.01 %"
	}
	return fmt.Sprintf("%.2g %%", 100*p)
}

// Print writes the comparison as text.
func (v *Verdict) Print(w io.Writer) {
	for i, s := range v.Sides {
		fmt.Fprintf(w, "%s  %s: %d %s of %s, mean %.4f", string(rune('A'+i)), v.Names[i], len(s.Values), plural(len(
			s.Values), "run"), v.Measure, s.Mean)
		if !math.IsNaN(s.Deviation) {
			fmt.Fprintf(w, ", standard deviation %.4f", s.Deviation)
		}
		fmt.Fprint(w, " (")
		for k, x := range s.Values {
			if k > 0 {
				fmt.Fprint(w, ", ")
			}
			fmt.Fprintf(w, "%.4f", x)
		}
		fmt.Fprintln(w, ")")
	}
	if !math.IsNaN(v.P) {
		fmt.Fprintf(w, "B − A %.4f, 95 %% confidence from %.4f to %.4f; Welch's t = %.3f with %.1f degrees of freedom"+
			", p = %.3g\n", v.Difference, v.From, v.To, v.T, v.Freedom, v.P)
	}
	fmt.Fprintln(w, v.Conclusion())
	for _, note := range v.Notes {
		fmt.Fprintln(w, "note: "+note)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}
