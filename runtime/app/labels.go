package app

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/vector"
)

// labelFlags say what the labels of examples are: those of a file, or one for all of them. Models that are not
// conditional have no such flags, and no labels.
type labelFlags struct {
	files pathList
	one   int   // below 0 for none
	two   []int // of two ends
}

const labelData = "`FILE` with the label of each of them, a whole number a line or IDX" + several

// add adds the flag that names a file, of a conditional model.
func (f *labelFlags) add(a *program, fs *pflag.FlagSet) {
	f.one = -1
	if a.Info.Labels > 0 {
		f.files = paths(a.Labels)
		fs.Var(&f.files, "labels", labelData)
	}
}

// addOne adds the flag that names one label, of a conditional model.
func (f *labelFlags) addOne(a *program, fs *pflag.FlagSet, what string) {
	f.one = -1
	if a.Info.Labels > 0 {
		fs.IntVar(&f.one, "label", -1, fmt.Sprintf("`LABEL` of %s, from 0 to %d", what, a.Info.Labels-1))
		fs.Lookup("label").DefValue = "0" // which help does not show: there is none
	}
}

// addBoth adds both, of a command that takes examples from anywhere.
func (f *labelFlags) addBoth(a *program, fs *pflag.FlagSet) {
	if f.addOne(a, fs, "all of them, in place of --labels"); a.Info.Labels > 0 {
		fs.Var(&f.files, "labels", labelData)
	}
}

// labelledLines goes on with the help of a command that prints a line for each label.
func (a *program) labelledLines() string {
	if a.Info.Labels == 0 {
		return ""
	}
	return " A\nline then begins with its label and a tab."
}

// single is the one label that the flag names; below 0 for none.
func (f *labelFlags) single(a *program, given bool) (int, error) {
	if given && (f.one < 0 || f.one >= a.Info.Labels) {
		return 0, fmt.Errorf("--label %d: the model's labels are 0 to %d", f.one, a.Info.Labels-1)
	}
	return f.one, nil
}

// needed refuses a command that is told no label of the one example that it is about, of a conditional model.
func (f *labelFlags) needed(a *program, cmd *cobra.Command, what string) error {
	if a.Info.Labels == 0 {
		return nil
	}
	if !cmd.Flags().Changed("label") {
		return fmt.Errorf("the model is conditional: name the label of the %s with --label, from 0 to %d", what,
			a.Info.Labels-1)
	}
	_, err := f.single(a, true)
	return err
}

// of gives the labels of n examples of a file; nil where the model is not conditional.
func (f *labelFlags) of(a *program, name string, n int, what string, given bool) (*vector.Labels, error) {
	if a.Info.Labels == 0 {
		return nil, nil
	}
	one, err := f.single(a, given)
	if err != nil {
		return nil, err
	}
	if one >= 0 {
		return vector.NewLabels("--label", repeated(one, n), a.Info.Labels)
	}
	return a.labels(f.files.paths, name, n, what)
}

// labelStream gives the labels of examples that come one after the other.
type labelStream struct {
	name, what string // of the examples
	one        int    // of all of them, where the file names none
	file       *vector.Labels
	given      int
}

// stream is the labels of examples whose number is not known; nil where the model is not conditional.
func (f *labelFlags) stream(a *program, name, what string, given bool) (*labelStream, error) {
	if a.Info.Labels == 0 {
		return nil, nil
	}
	one, err := f.single(a, given)
	s := &labelStream{name: name, what: what, one: one}
	switch {
	case err != nil:
		return nil, err
	case one < 0 && len(f.files.paths) == 0:
		return nil, a.noLabels(name, what)
	case one < 0:
		s.file, err = a.readLabels(f.files.paths)
	}
	return s, err
}

// next is the labels of the next n examples.
func (s *labelStream) next(n int) ([]int32, error) {
	if s == nil {
		return nil, nil
	}
	s.given += n
	if s.file == nil {
		return repeated(s.one, n), nil
	}
	if s.given > len(s.file.Values) {
		return nil, fmt.Errorf("%s has %d labels, and %s has more %ss: one label must stand for each, in their order",
			s.file.Name, len(s.file.Values), s.name, s.what)
	}
	return s.file.Values[s.given-n : s.given], nil
}

// end finds labels that are left over.
func (s *labelStream) end() error {
	if s == nil || s.file == nil {
		return nil
	}
	return s.file.Of(s.name, s.given, s.what)
}

// labels reads the labels of n examples of a file.
func (a *program) labels(paths []string, name string, n int, what string) (*vector.Labels, error) {
	if len(paths) == 0 {
		return nil, a.noLabels(name, what)
	}
	l, err := a.readLabels(paths)
	if err == nil {
		err = l.Of(name, n, what)
	}
	return l, err
}

// readLabels reads the labels of files, one behind the other.
func (a *program) readLabels(paths []string) (*vector.Labels, error) {
	var all []int32
	for _, path := range paths {
		l, err := vector.ReadLabels(path, a.Info.Labels)
		if err != nil || len(paths) == 1 {
			return l, err
		}
		all = append(all, l.Values...)
	}
	return vector.NewLabels(strings.Join(paths, ", "), all, a.Info.Labels)
}

func (a *program) noLabels(name, what string) error {
	return fmt.Errorf("no labels: the model is conditional, so name a file with the label of each %s of %s, a whole "+
		"number a line or IDX, with --labels FILE", what, name)
}

// repeated is n times the label.
func repeated(label, n int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(label)
	}
	return x
}

// each calls do for the label that a flag names, or for every label of the model, or once with -1 where it has none.
func (f *labelFlags) each(a *program, given bool, do func(label int) error) error {
	one, err := f.single(a, given)
	if err != nil {
		return err
	}
	if a.Info.Labels == 0 || one >= 0 {
		return do(one)
	}
	for l := range a.Info.Labels {
		if err := do(l); err != nil {
			return err
		}
	}
	return nil
}

// every reports whether what is made has each label in turn.
func (f *labelFlags) every(a *program) bool { return a.Info.Labels > 0 && f.one < 0 }

// columns is how many vectors that are made stand in a row of a picture: a square of them, or a row a label.
func (f *labelFlags) columns(a *program, number int) int {
	if f.every(a) {
		return number
	}
	return int(math.Ceil(math.Sqrt(float64(number))))
}

// addNumber adds the flags that say what is made, and how many; most is the default of models without labels.
func (f *labelFlags) addNumber(a *program, fs *pflag.FlagSet, number *int, most int) {
	f.addOne(a, fs, "what is made")
	what := "how many"
	if a.Info.Labels > 0 {
		most, what = 10, "how many, of each label where --label names none"
	}
	fs.IntVarP(number, "number", "n", most, what)
}

// checkNumber finds numbers of what is made that cannot be.
func (f *labelFlags) checkNumber(a *program, number int) error {
	most := 1_000_000
	if f.every(a) {
		most /= a.Info.Labels
	}
	if number < 1 || number > most {
		return fmt.Errorf("--number %d: give 1 to %d", number, most)
	}
	return nil
}

// eachLabel goes on with the help of a command that makes something of what.
func (a *program) eachLabel(what string) string {
	if a.Info.Labels == 0 {
		return ""
	}
	return " Without --label it does so\nfor each label in turn, with the same " + what +
		", so that one sees what the label alone changes."
}

// rowALabel goes on with the help of the number of columns.
func (a *program) rowALabel() string {
	if a.Info.Labels == 0 {
		return ""
	}
	return ", or a row a label where --label names none"
}

// addTwo adds the flag that names one label, or one for each of two ends, of a conditional model.
func (f *labelFlags) addTwo(a *program, fs *pflag.FlagSet, what string) {
	f.one = -1
	if a.Info.Labels > 0 {
		fs.IntSliceVar(&f.two, "label", nil, fmt.Sprintf("`LABEL` of %s, from 0 to %d", what, a.Info.Labels-1))
	}
}

// betweenLabels goes on with the help of a command that goes from one example to another.
func (a *program) betweenLabels() string {
	if a.Info.Labels == 0 {
		return ""
	}
	return "\n\nWith two labels, --label 3,7, the first half of the points has the first and the rest the second."
}

// between gives the labels of two ends, and those of the steps from one to the other; nil where the model is not
// conditional.
func (f *labelFlags) between(a *program, steps int) (ends, along []int32, err error) {
	if a.Info.Labels == 0 {
		return nil, nil, nil
	}
	switch len(f.two) {
	case 1:
		f.two = append(f.two, f.two[0])
	case 2:
	default:
		return nil, nil, fmt.Errorf("no label: the model is conditional, so name one of 0 to %d with --label, or one "+
			"for each end with a comma in between", a.Info.Labels-1)
	}
	for _, l := range f.two {
		if l < 0 || l >= a.Info.Labels {
			return nil, nil, fmt.Errorf("--label %d: the model's labels are 0 to %d", l, a.Info.Labels-1)
		}
		ends = append(ends, int32(l))
	}
	half := (steps + 1) / 2
	return ends, append(repeated(f.two[0], half), repeated(f.two[1], steps-half)...), nil
}

// examples reads vectors, with their labels where the model is conditional: those of a file or, where the vectors have
// come with labels, these.
func (a *program) examples(cmd *cobra.Command, d *dataFlags, f labelFlags) (*vector.Set, error) {
	set, err := d.vectors(cmd, a)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Info.Labels == 0:
	case set.Labels != nil && f.files.given:
		return nil, fmt.Errorf("%s has labels: leave out --labels %s, or --label-column", set.Name, f.files.String())
	case set.Labels == nil:
		l, err := f.of(a, set.Name, set.Len(), "vector", false)
		if err != nil {
			return nil, err
		}
		if err := set.Label(l); err != nil {
			return nil, err
		}
	}
	if d.shuffle {
		set.Shuffle()
	}
	return set, nil
}
