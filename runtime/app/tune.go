package app

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// tuningFlags say which parameters a training moves.
type tuningFlags struct{ train, freeze, rates string }

func (t *tuningFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&t.train, "train", "", "`PATTERNS` of the parameters that learn, by their names in the checkpoint, with "+
		"commas in between: 'blocks.*,out'; the others stay")
	fs.StringVar(&t.freeze, "freeze", "", "`PATTERNS` of parameters that stay as they are")
	fs.StringVar(&t.rates, "rate-of", "", "`PATTERN=FACTOR` on the learning rate of parameters, with commas in between: "+
		"'embed=0.1,out=2'")
}

// tuning is what the flags say.
func (t *tuningFlags) tuning() (by model.Tuning, err error) {
	by.Train, by.Freeze = listed(t.train), listed(t.freeze)
	for _, x := range listed(t.rates) {
		pattern, factor, ok := strings.Cut(x, "=")
		f, err := strconv.ParseFloat(factor, 64)
		if !ok || err != nil {
			return by, fmt.Errorf("--rate-of %s: give a pattern and a factor, as in 'embed=0.1'", x)
		}
		by.Rates = append(by.Rates, model.RateOf{Pattern: pattern, Factor: f})
	}
	return by, nil
}

// listed is what stands between commas.
func listed(s string) []string {
	if s == "" {
		return nil
	}
	all := strings.Split(s, ",")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

// tune makes m move what the flags say, and tells how much that is.
func (a *program) tune(m model.LanguageModel, t *tuningFlags) (text string, err error) {
	by, err := t.tuning()
	if err != nil || by.Whole() && a.Info.Adapter == nil {
		return "", err
	}
	tunable, ok := m.(model.Tunable)
	if !ok {
		return "", fmt.Errorf("--train, --freeze and --rate-of: the code of %s is of an earlier version of gradsmith: "+
			"generate it again", a.Info.Name)
	}
	if err := tunable.Tune(by); err != nil {
		return "", err
	}
	moved := 0
	for _, x := range m.Tensors() {
		if by.Factor(x.Name) != 0 && x.Grad != nil {
			moved += len(x.Value)
		}
	}
	return fmt.Sprintf(", of which %s learn", thousands(moved)), nil
}
