package app

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// constraintFlags say what language is written.
type constraintFlags struct {
	regex, schema, grammar string
	spacing                string
	choices, ban, require  []string

	made *constrain.Constraint // once it was asked for
}

func (f *constraintFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.regex, "regex", "", "write what this regular `EXPRESSION` matches as a whole")
	fs.StringVar(&f.schema, "json-schema", "", "write JSON that is valid under the JSON Schema in this `FILE`")
	fs.StringVar(&f.spacing, "json-spacing", "free", "blanks in that JSON: free, single or none")
	fs.StringVar(&f.grammar, "grammar", "", "write a text of the grammar in this `FILE`, in GBNF")
	cli.TextsVar(fs, &f.choices, "choices", "write this `TEXT` or one of the others; give it several times")
	cli.TextsVar(fs, &f.ban, "ban", "never write this `TEXT`; may be given several times")
	cli.TextsVar(fs, &f.require, "require", "write this `TEXT` somewhere; may be given several times")
}

// set reports whether there is any constraint.
func (f *constraintFlags) set() bool {
	return f.regex != "" || f.schema != "" || f.grammar != "" || len(f.choices)+len(f.ban)+len(f.require) > 0
}

// compile makes the constraint for the tokens of t, or nil where no flag asks for one.
func (f *constraintFlags) compile(t model.Tokenizer) (*constrain.Constraint, error) {
	if !f.set() {
		return nil, nil
	}
	spacing, ok := map[string]constrain.Spacing{"free": constrain.FreeSpacing, "single": constrain.SingleSpacing,
		"none": constrain.CompactSpacing}[f.spacing]
	if !ok {
		return nil, fmt.Errorf("--json-spacing %q: give free, single or none", f.spacing)
	}
	var all []*constrain.Language
	for _, x := range []struct {
		flag string
		set  bool
		make func() (*constrain.Language, error)
	}{
		{"--regex", f.regex != "", func() (*constrain.Language, error) { return constrain.Regexp(f.regex) }},
		{"--json-schema", f.schema != "",
			func() (*constrain.Language, error) { return constrain.JSONSchemaFile(f.schema, spacing) }},
		{"--grammar", f.grammar != "", func() (*constrain.Language, error) { return constrain.GrammarFile(f.grammar) }},
		{"--choices", len(f.choices) > 0,
			func() (*constrain.Language, error) { return constrain.Choices(f.choices...) }},
		{"--ban and --require", len(f.ban)+len(f.require) > 0, func() (*constrain.Language, error) {
			return constrain.Containing(constrain.Phrases{Required: f.require, Banned: f.ban})
		}},
	} {
		if !x.set {
			continue
		}
		l, err := x.make()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.flag, err)
		}
		all = append(all, l)
	}
	l := all[0]
	for _, other := range all[1:] {
		l = constrain.And(l, other)
	}
	return l.Compile(constrain.NewVocabulary(t))
}

// constraint is compile, once.
func (f *constraintFlags) constraint(a *program) (*constrain.Constraint, error) {
	if f.made == nil {
		var err error
		if f.made, err = f.compile(a.Tokenizer); err != nil {
			return nil, err
		}
	}
	return f.made, nil
}

// steeringFlags are those of sample beyond the cuts and penalties.
type steeringFlags struct {
	constraintFlags
	bias                            []string
	minTokens, noRepeat             int
	dry, dryBase                    float64
	dryAllowed                      int
	epsilon, eta                    float64
	xtcChance, xtcThreshold         float64
	dynamic                         float64
	mirostat, mirostatRate          float64
	groups                          int
	diversity                       float64
	bestOf                          int
	contrastive                     float64
	contrastiveK                    int
	negative                        string
	guidance                        float64
	other                           string
	mix, contrast, contrastStrength float64
	toward, away                    string
	attribute                       float64
	judged                          int
}

func (f *steeringFlags) add(fs *pflag.FlagSet, condition string) {
	without := "a newline when it is empty"
	if condition != "" {
		without = "what stands in place of a condition"
	}
	f.constraintFlags.add(fs)
	cli.TextsVar(fs, &f.bias, "bias", "add a number to the logit of a token, given as `TEXT=NUMBER`; may be given "+
		"several times")
	fs.IntVar(&f.minTokens, "min-tokens", 0,
		"write this many tokens before a stop string or a constraint may end the text")
	fs.IntVar(&f.noRepeat, "no-repeat", 0, "let no `N` tokens in a row come twice; 0 for no such rule")
	fs.Float64Var(&f.dry, "dry", 0, "penalize tokens that would lengthen a repetition, by this `MULTIPLIER`; 0.8 is "+
		"usual, 0 for none")
	fs.Float64Var(&f.dryBase, "dry-base", sample.DefaultDRYBase,
		"what that penalty grows by for each token of the repetition")
	fs.IntVar(&f.dryAllowed, "dry-allowed", sample.DefaultDRYAllowed,
		"length of a repetition from which it counts, in tokens")
	fs.Float64Var(&f.epsilon, "epsilon", 0, "keep the tokens of this probability or more")
	fs.Float64Var(&f.eta, "eta", 0, "as --epsilon, with a bound that falls where the model is unsure")
	fs.Float64Var(&f.xtcChance, "xtc", 0,
		"with this `CHANCE` at each token, leave out the likeliest but for the last of them")
	fs.Float64Var(&f.xtcThreshold, "xtc-threshold", sample.DefaultXTCThreshold,
		"probability from which a token is among those")
	fs.Float64Var(&f.dynamic, "dynamic-temperature", 0,
		"let the temperature be up to `WIDTH` lower where the model is sure, and higher where it is not")
	fs.Float64Var(&f.mirostat, "mirostat", 0,
		"hold the surprise of tokens at so many `BITS` on average; 5 is usual, 0 for not")
	fs.Float64Var(&f.mirostatRate, "mirostat-rate", sample.DefaultMirostatRate, "how fast it learns")
	fs.IntVar(&f.groups, "beam-groups", 1, "split the beam into `N` groups that keep apart")
	fs.Float64Var(&f.diversity, "diversity", 1, "how far the groups keep apart, in nats a token")
	fs.IntVar(&f.bestOf, "best-of", 0, "write `N` texts and print the one that is likeliest a token")
	fs.Float64Var(&f.contrastive, "contrastive", 0,
		"search for a text that does not repeat itself, by this `ALPHA`; 0.6 is usual, 0 for not")
	fs.IntVar(&f.contrastiveK, "contrastive-tokens", 4, "tokens that this search looks at each time")
	cli.TextVar(fs, &f.negative, "negative-prompt", "", condition,
		"`TEXT` to keep away from, with --guidance: "+without)
	fs.Float64Var(&f.guidance, "guidance", 1,
		"how much the prompt counts beside the negative one; 1 for as much as it does alone")
	fs.StringVar(&f.other, "other-model", "", "checkpoint `FILE` of this model to mix with or to hold against")
	fs.Float64Var(&f.mix, "mix", 0, "draw from the other model with this `SHARE`")
	fs.Float64Var(&f.contrast, "contrast", 0,
		"draw what the other model, a weaker one, finds unlikely, of tokens that are at least `SHARE` times as "+
			"likely as the likeliest; 0.1 is usual")
	fs.Float64Var(&f.contrastStrength, "contrast-strength", 1, "how much the other model counts then")
	fs.StringVar(&f.toward, "toward", "",
		"checkpoint `FILE` of this model, trained on texts with an attribute, to write texts that have it; with --away")
	fs.StringVar(&f.away, "away", "", "checkpoint `FILE` of this model, trained on texts without the attribute")
	fs.Float64Var(&f.attribute, "attribute-weight", 1,
		"how much the attribute counts beside what the model finds likely")
	fs.IntVar(&f.judged, "attribute-tokens", 50,
		"how many of the likeliest tokens are looked at each time; no others are written")
}

// noSteering is what the flags are where none is given.
func noSteering() steeringFlags {
	var f steeringFlags
	f.add(pflag.NewFlagSet("", pflag.ContinueOnError), "")
	return f
}

// steering makes the options that these flags ask for, of those that count for beams as well.
func (a *program) steering(f *steeringFlags) ([]sample.Option, error) {
	var opts []sample.Option
	c, err := f.compile(a.Tokenizer)
	if err != nil {
		return nil, err
	}
	if c != nil {
		opts = append(opts, sample.Constrain(c))
	}
	for _, s := range f.bias {
		i := strings.LastIndexByte(s, '=')
		x, err := strconv.ParseFloat(s[i+1:], 64)
		if i < 1 || err != nil {
			return nil, fmt.Errorf("--bias %q: give TEXT=NUMBER, such as the=2.5, or -inf for a token that must not "+
				"come", s)
		}
		tokens, err := a.Tokenizer.Encode(s[:i])
		if err != nil {
			return nil, fmt.Errorf("--bias: %w", err)
		}
		if len(tokens) != 1 {
			return nil, fmt.Errorf("--bias %q: the text is %d tokens, give one", s, len(tokens))
		}
		opts = append(opts, sample.LogitBias(tokens[0], x))
	}
	if f.groups != 1 {
		opts = append(opts, sample.DiverseBeams(f.groups, f.diversity))
	}
	if f.other != "" && (f.mix == 0) == (f.contrast == 0) {
		return nil, errors.New("--other-model: say what it is for, by either --mix or --contrast")
	}
	if f.other == "" && (f.mix != 0 || f.contrast != 0) {
		return nil, errors.New("--mix and --contrast need another model: name its checkpoint with --other-model FILE")
	}
	if (f.toward == "") != (f.away == "") {
		return nil, errors.New("give two checkpoints of this model: by --toward FILE one that was trained on texts " +
			"with the attribute, by --away FILE one on texts without it")
	}
	return opts, nil
}

// drawing makes the options that count where tokens are drawn.
func (a *program) drawing(f *steeringFlags, m model.Writer, prompt string) ([]sample.Option, error) {
	opts := []sample.Option{
		sample.MinTokens(f.minTokens), sample.NoRepeat(f.noRepeat), sample.DRY(f.dry, f.dryBase, f.dryAllowed),
		sample.EpsilonCutoff(f.epsilon), sample.EtaCutoff(f.eta),
		sample.XTC(f.xtcChance, f.xtcThreshold), sample.DynamicTemperature(f.dynamic, 1),
		sample.Mirostat(f.mirostat, f.mirostatRate),
	}
	if f.guidance != 1 {
		dec, err := model.NewDecoder(m, 1)
		if err != nil {
			return nil, err
		}
		opts = append(opts, sample.Guidance(dec, f.negative, f.guidance))
	}
	if f.toward != "" {
		toward, err := a.beside("--toward", f.toward)
		if err != nil {
			return nil, err
		}
		away, err := a.beside("--away", f.away)
		if err != nil {
			return nil, err
		}
		// Texts were learnt from their begin, behind a newline; that is what stands in place of an empty prompt.
		begin, err := sample.Prompt(a.Tokenizer, "")
		if err != nil {
			return nil, err
		}
		skip := 0
		if prompt == "" {
			skip = len(begin)
		}
		j, err := sample.Classes(0, begin[len(begin)-1], skip, toward, away)
		if err != nil {
			return nil, err
		}
		opts = append(opts, sample.Judged(j, f.judged, f.attribute))
	}
	if f.other != "" {
		dec, err := a.beside("--other-model", f.other)
		if err != nil {
			return nil, err
		}
		if f.mix != 0 {
			opts = append(opts, sample.Mixed(dec, f.mix))
		} else {
			opts = append(opts, sample.Contrasted(dec, f.contrast, f.contrastStrength))
		}
	}
	return opts, nil
}

// beside makes a decoder of this model with the parameters of another checkpoint, which a flag names.
func (a *program) beside(flag, path string) (model.Decoder, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	m, err := a.trained(path, checkpoint.LoadWeights)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return model.NewDecoder(m.(model.Writer), 1)
}
