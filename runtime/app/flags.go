package app

import (
	"os"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/cli"
)

// elsewhere says what stands in for flags of programs of other kinds of models, and of other libraries: of each name
// the first that a command has.
var elsewhere = map[string][]string{
	"data":             {"--source FILE and --target FILE"},
	"source":           {"--data FILE"},
	"target":           {"--data FILE"},
	"valid":            {"--valid-source FILE and --valid-target FILE", "--validation SHARE"},
	"valid-source":     {"--valid FILE", "--validation SHARE"},
	"valid-target":     {"--valid FILE", "--validation SHARE"},
	"val":              {"--validation SHARE"},
	"val-split":        {"--validation SHARE"},
	"validation-split": {"--validation SHARE"},
	"input":            {"--data FILE", "--source FILE and --target FILE"},
	"file":             {"--data FILE", "--source FILE and --target FILE"},
	"text":             {"--prompt TEXT", "--data FILE"},
	"start":            {"--prompt TEXT"},
	"epochs":           {"--passes N"},
	"epoch":            {"--passes N"},
	"iterations":       {"--steps N"},
	"iters":            {"--steps N"},
	"max-steps":        {"--steps N"},
	"lr":               {"--rate RATE"},
	"learning-rate":    {"--rate RATE"},
	"batch-size":       {"--batch N"},
	"micro-batches":    {"--accumulate N"},
	"shards":           {"--accumulate N"},
	"seq-len":          {"--window N"},
	"block-size":       {"--window N"},
	"context":          {"--window N"},
	"length":           {"--tokens N"},
	"max-tokens":       {"--tokens N"},
	"max-length":       {"--tokens N"},
	"n":                {"--number N"},
	"num":              {"--number N"},
	"count":            {"--number N"},
	"num-samples":      {"--number N", "--samples N"},
	"beams":            {"--beam WIDTH"},
	"num-beams":        {"--beam WIDTH"},
	"beam-size":        {"--beam WIDTH"},
	"checkpoint":       {"--model FILE", "--out FILE"},
	"ckpt":             {"--model FILE", "--out FILE"},
	"weights":          {"--model FILE", "--out FILE"},
	"load":             {"--model FILE", "--from FILE"},
	"model":            {"--out FILE"},
	"output":           {"--out FILE"},
	"save":             {"--out FILE"},
	"continue":         {"--resume"},
	"force":            {"--overwrite"},
	"workers":          {"--threads N"},
	"jobs":             {"--threads N"},
}

// acting says of flags when they act. What is given where it does not is refused: a flag without effect lets its user
// believe in one. A seed is none of them where nothing is drawn: what it promises, the same text again, is kept.
var acting = []cli.Rule{
	{
		Flags: []string{"temperature", "top-k", "top-p", "min-p", "typical", "repetition-penalty", "frequency-penalty",
			"presence-penalty", "number",
			"min-tokens", "no-repeat", "dry", "epsilon", "eta", "xtc", "dynamic-temperature", "mirostat", "best-of",
			"contrastive", "guidance", "mix", "contrast", "away", "interactive"},
		Acts: func(fs *pflag.FlagSet) bool { return fs.Lookup("top-k") == nil || cli.Number(fs, "beam", 0) == 0 },
		Why:  "a beam searches for the likeliest text and draws nothing", Do: "leave out --beam",
	},
	{
		Flags: []string{"temperature", "top-k", "top-p", "min-p", "typical", "repetition-penalty", "frequency-penalty",
			"presence-penalty", "number",
			"no-repeat", "dry", "epsilon", "eta", "xtc", "dynamic-temperature", "mirostat", "best-of", "guidance",
			"mix", "contrast", "away"},
		Acts: func(fs *pflag.FlagSet) bool { return cli.Number(fs, "contrastive", 0) == 0 },
		Why:  "contrastive search takes what is best each time and draws nothing", Do: "leave out --contrastive",
	},
	{
		Flags: []string{"guidance", "mix", "contrast", "away"},
		Acts:  func(fs *pflag.FlagSet) bool { return cli.Number(fs, "best-of", 0) == 0 },
		Why:   "the best of several texts is that of one model alone", Do: "leave out --best-of",
	},
	{
		Flags: []string{"beam-groups", "diversity"},
		Acts:  func(fs *pflag.FlagSet) bool { return cli.Number(fs, "beam", 0) > 1 },
		Why:   "there is no beam to split", Do: "give a --beam of 2 or more",
	},
	needs("diversity", "beam-groups", "there are no groups that could keep apart", "give --beam-groups of 2 or more"),
	needs("dry-base", "dry", "repetitions are not penalized", "give --dry"),
	needs("dry-allowed", "dry", "repetitions are not penalized", "give --dry"),
	needs("xtc-threshold", "xtc", "likely tokens are never left out", "give --xtc"),
	needs("mirostat-rate", "mirostat", "there is nothing to learn", "give --mirostat"),
	needs("contrastive-tokens", "contrastive", "there is no contrastive search", "give --contrastive"),
	needs("contrast-strength", "contrast", "no model is held against this one", "give --contrast and --other-model"),
	needs("negative-prompt", "guidance", "there is no guidance", "give --guidance above 1, such as 1.5"),
	needs("attribute-weight", "away", "there is no attribute", "give --toward FILE and --away FILE"),
	needs("attribute-tokens", "away", "there is no attribute", "give --toward FILE and --away FILE"),
	needs("judge-tokens", "judge", "the discriminator is not asked", "give --judge above 0, such as 1"),
	{
		Flags: []string{"condition-drop"},
		Acts:  func(fs *pflag.FlagSet) bool { return fs.Lookup("condition").Value.String() != "" },
		Why:   "documents begin with no condition", Do: "give --condition TEXT, which ends it",
	},
	{
		Flags: []string{"layers-every"},
		Acts: func(fs *pflag.FlagSet) bool {
			return cli.Given(fs, "log") || cli.Given(fs, "tensorboard") || cli.Given(fs, "watch")
		},
		Why: "there is no log for the norms", Do: "give --log FILE or --tensorboard FOLDER, or --watch",
	},
	needs("lens-steps", "tuned-lens", "there is no tuned lens", "give --tuned-lens FILE"),
	needs("json-spacing", "json-schema", "there is no schema", "give --json-schema FILE"),
	{
		Flags: []string{"top-k", "top-p", "min-p", "typical", "epsilon", "eta", "xtc", "dynamic-temperature",
			"mirostat", "best-of"},
		Acts: func(fs *pflag.FlagSet) bool { return cli.Number(fs, "temperature", 1) != 0 },
		Why:  "at a temperature of 0 the likeliest token is taken each time", Do: "give a --temperature above 0",
	},
	{
		Flags: []string{"length-penalty", "coverage-penalty"},
		Acts:  func(fs *pflag.FlagSet) bool { return cli.Number(fs, "beam", 2) > 1 },
		Why:   "without a beam there is one answer and nothing to rank", Do: "give a --beam of 2 or more",
	},
	{
		Flags: []string{"rise"},
		Acts:  func(fs *pflag.FlagSet) bool { return cli.Number(fs, "scheduled-sampling", 1) > 0 },
		Why:   "there is no scheduled sampling whose share could rise", Do: "give --scheduled-sampling",
	},
	{
		Flags: []string{"validation"},
		Acts: func(fs *pflag.FlagSet) bool {
			return !cli.Given(fs, "valid") && !cli.Given(fs, "valid-source")
		},
		Why: "the data to validate on is another file", Do: "leave out that file",
	},
	{
		Flags: []string{"target"},
		Acts:  func(fs *pflag.FlagSet) bool { return cli.Given(fs, "source") },
		Why:   "answers need sources", Do: "give --source FILE",
	},
	{
		Flags: []string{"valid-target"},
		Acts:  func(fs *pflag.FlagSet) bool { return cli.Given(fs, "valid-source") },
		Why:   "answers need sources", Do: "give --valid-source FILE",
	},
	{
		Flags: []string{"valid-labels"},
		Acts:  func(fs *pflag.FlagSet) bool { return cli.Given(fs, "valid") },
		Why:   "there is nothing else to validate on that would have labels", Do: "give --valid FILE",
	},
	{
		Flags: []string{"passes"},
		Acts:  func(fs *pflag.FlagSet) bool { return !cli.Given(fs, "steps") },
		Why:   "--steps says how long the training is", Do: "leave out --steps",
	},
	{
		Flags: []string{"vectors"},
		Acts:  func(fs *pflag.FlagSet) bool { return !cli.Given(fs, "resume") },
		Why:   "the training goes on with the parameters that it has", Do: "leave out --resume",
	},
	needs("vectors-of", "vectors", "there are no vectors to begin with", "give --vectors FILE"),
	{
		Flags: []string{"labels"},
		Acts:  func(fs *pflag.FlagSet) bool { return !cli.Given(fs, "label") },
		Why:   "--label gives all of them the same", Do: "leave out --label",
	},
	{
		Flags: []string{"curve"},
		Acts:  func(fs *pflag.FlagSet) bool { return cli.Given(fs, "plane") },
		Why:   "there is no file of curves to put it into", Do: "give --plane FILE",
	},
	{
		Flags: []string{"match"},
		Acts: func(fs *pflag.FlagSet) bool {
			info, err := os.Stat(cli.Value(fs, "data"))
			return err != nil || info.IsDir()
		},
		Why: "it chooses among the files of a folder, and --data names a file", Do: "name a folder with --data",
	},
	{
		Flags: []string{"width", "columns"},
		Acts: func(fs *pflag.FlagSet) bool {
			out := fs.Lookup("out")
			return out == nil || fs.Lookup("width") == nil ||
				len(out.Value.String()) > 4 && out.Value.String()[len(out.Value.String())-4:] == ".png"
		},
		Why: "numbers have no pictures", Do: "write pictures with --out FILE.png",
	},
	{
		Flags: []string{"prompt", "number"},
		Acts:  func(fs *pflag.FlagSet) bool { return !cli.Given(fs, "interactive") },
		Why:   "each line that is typed is a prompt of its own", Do: "leave out --interactive",
	},
}

// needs is the rule of a flag that acts together with another only.
func needs(flag, other, why, do string) cli.Rule {
	return cli.Rule{Flags: []string{flag},
		Acts: func(fs *pflag.FlagSet) bool { return fs.Lookup(other) == nil || cli.Given(fs, other) }, Why: why, Do: do}
}
