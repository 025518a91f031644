package cli

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Prepare makes a program's commands check what their flags say before they run, and help with flags that there are
// not. elsewhere says what stands in for flags of sister programs and of others, by their names: of each the first is
// meant that the command has, such as "--source FILE" for "data". rules are those of all commands.
func Prepare(root *cobra.Command, elsewhere map[string][]string, rules []Rule) {
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return mistyped(cmd, err, elsewhere) })
	before := root.PersistentPreRunE
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := Check(cmd.Flags(), rules); err != nil {
			return err
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

// mistyped adds to the error about a flag that a command does not have which one was meant.
func mistyped(cmd *cobra.Command, err error, elsewhere map[string][]string) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	name := unknown.GetSpecifiedName()
	if len(name) < 2 { // a letter
		return fmt.Errorf("%s has no flag -%s: see %s --help", cmd.Name(), name, cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	help := ""
	if i := slices.IndexFunc(elsewhere[name], func(words string) bool { return has(cmd, words) }); i >= 0 {
		help = "it takes " + elsewhere[name][i]
	} else if near := Nearest(name, names); near != "" {
		help = "did you mean --" + near + "?"
	} else if owners := owners(cmd, name); len(owners) > 0 {
		help = "it is a flag of " + strings.Join(owners, " and ")
	} else {
		help = fmt.Sprintf("see %s --help", cmd.CommandPath())
	}
	return fmt.Errorf("%s has no flag --%s: %s", cmd.Name(), name, help)
}

// has reports whether cmd has the first flag that words of help name.
func has(cmd *cobra.Command, words string) bool {
	for _, w := range strings.Fields(words) {
		if name, ok := strings.CutPrefix(w, "--"); ok {
			return cmd.Flags().Lookup(strings.TrimRight(name, ",;.")) != nil
		}
	}
	return false
}

// owners are the other commands of the program that have the flag.
func owners(cmd *cobra.Command, flag string) []string {
	var all []string
	for _, c := range cmd.Root().Commands() {
		if c != cmd && !c.Hidden && c.Flags().Lookup(flag) != nil {
			all = append(all, c.Name())
		}
	}
	return all
}

// Nearest is the name at the least edit distance from s, or "" where none is near.
func Nearest(s string, names []string) string {
	best, at := "", 0
	for _, name := range names {
		d := distance(s, name)
		if (d <= max(1, min(len(name), len(s))/3) || len(s) > 2 && strings.HasPrefix(name, s)) &&
			(best == "" || d < at) {
			best, at = name, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// A Rule says of some flags when they act: given where they do not, they are refused, and not left without effect.
type Rule struct {
	Flags []string
	Acts  func(fs *pflag.FlagSet) bool
	Why   string // what is so where they do not act: "a beam draws nothing"
	Do    string // what to do: "leave out --beam"
}

// Given reports whether a flag of fs was given a value on the command line.
func Given(fs *pflag.FlagSet, name string) bool {
	f := fs.Lookup(name)
	return f != nil && f.Changed
}

// Value is the value of a flag as text; "" where fs has no such flag.
func Value(fs *pflag.FlagSet, name string) string {
	if f := fs.Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// Number is the value of a flag as a number, and other where fs has none.
func Number(fs *pflag.FlagSet, name string, other float64) float64 {
	if x, err := strconv.ParseFloat(Value(fs, name), 64); err == nil {
		return x
	}
	return other
}

// negative are the numbers below 0 that have a meaning, by their flags.
var negative = map[string]string{"tokens": "-1", "label": "-1", "frequency-penalty": "any", "presence-penalty": "any",
	"length-penalty": "any", "by": "any"}

// largest are the counts that memory is set aside for, by their flags. No other count may be above what fits 31 bits.
var largest = map[string]int{"beam": 1024, "columns": 1_000_000}

// Check looks at the flags that were given: numbers must be finite and, as float32, in which models compute, not turn
// into 0 or infinity; counts must not be negative, nor larger than any that makes sense; and each must have an effect.
func Check(fs *pflag.FlagSet, rules []Rule) error {
	var err error
	fs.Visit(func(f *pflag.Flag) {
		if err == nil {
			err = checkNumber(f)
		}
	})
	if err != nil {
		return err
	}
	for _, r := range rules {
		if i := slices.IndexFunc(r.Flags, func(name string) bool { return Given(fs, name) }); i >= 0 && !r.Acts(fs) {
			return fmt.Errorf("--%s has no effect here: %s; leave it out, or %s", r.Flags[i], r.Why, r.Do)
		}
	}
	return nil
}

func checkNumber(f *pflag.Flag) error {
	text := f.Value.String()
	switch f.Value.Type() {
	case "float64":
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil
		}
		y := float64(float32(x))
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			return fmt.Errorf("--%s %s: give a finite number", f.Name, text)
		case math.IsInf(y, 0):
			return fmt.Errorf("--%s %s: models compute with numbers up to %.4g (float32)", f.Name, text,
				math.MaxFloat32)
		case x != 0 && y == 0 && f.Name != "temperature": // whose limit at 0 has a meaning
			return fmt.Errorf("--%s %s: models compute with numbers from %.4g on (float32), for which this is 0",
				f.Name, text, 0x1p-126)
		case x < 0 && negative[f.Name] == "":
			return fmt.Errorf("--%s %s: it must not be negative", f.Name, text)
		}
	case "int":
		if strings.HasPrefix(text, "-") && negative[f.Name] != "any" && negative[f.Name] != text {
			least := "0 or more"
			if m := negative[f.Name]; m != "" {
				least = m + " or more"
			}
			return fmt.Errorf("--%s %s: give %s", f.Name, text, least)
		}
		most := cmp.Or(largest[f.Name], math.MaxInt32)
		if n, err := strconv.Atoi(text); err == nil && n > most {
			return fmt.Errorf("--%s %s: give at most %d", f.Name, text, most)
		}
	}
	return nil
}
