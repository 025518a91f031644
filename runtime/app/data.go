package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/vector"
)

// pathList is a flag that names files and may be given several times.
type pathList struct {
	paths []string
	given bool
}

// paths is a list with a default, which may be empty.
func paths(def string) pathList {
	if def == "" {
		return pathList{}
	}
	return pathList{paths: []string{def}}
}

// Set adds a path; the first one takes the place of the default.
func (p *pathList) Set(path string) error {
	if !p.given {
		p.paths, p.given = nil, true
	}
	if path != "" {
		p.paths = append(p.paths, path)
	}
	return nil
}

func (p *pathList) String() string { return strings.Join(p.paths, ", ") }

// Type is the name of the type in help.
func (p *pathList) Type() string { return "files" }

// Append, Replace and GetSlice make it a value of several paths.
func (p *pathList) Append(path string) error { return p.Set(path) }

// Replace puts others in the place of all paths.
func (p *pathList) Replace(paths []string) error {
	p.paths, p.given = paths, true
	return nil
}

// GetSlice gives the paths.
func (p *pathList) GetSlice() []string { return p.paths }

// keptValue is the value of a flag as a checkpoint keeps it: of several paths a list in JSON.
func keptValue(f *pflag.Flag) string {
	s, ok := f.Value.(pflag.SliceValue)
	if !ok {
		return f.Value.String()
	}
	all := s.GetSlice()
	if len(all) == 1 && !strings.HasPrefix(all[0], "[") {
		return all[0]
	}
	b, _ := json.Marshal(all) // of strings, which cannot fail
	return string(b)
}

// restore gives a flag the value that a checkpoint has kept.
func restore(flags *pflag.FlagSet, name, value string) error {
	f := flags.Lookup(name)
	if f == nil {
		return fmt.Errorf("there is no flag --%s", name)
	}
	if s, ok := f.Value.(pflag.SliceValue); ok && strings.HasPrefix(value, "[") {
		var all []string
		if err := json.Unmarshal([]byte(value), &all); err == nil {
			if err := flags.Set(name, ""); err != nil { // marks it as given
				return err
			}
			return s.Replace(all)
		}
	}
	return flags.Set(name, value)
}

// dataFlags name what a command reads, and say how.
type dataFlags struct {
	paths                   pathList
	match, field, separator string
	raw, shuffle, header    bool
	scale                   float64
	balance                 float64 // the temperature at which groups are drawn
	column                  string  // of labels
	missing                 string  // what stands in for numbers that are missing
	condition               string
	drop                    float64 // share of the documents without their condition, or of sentences without label
}

const several = "; may be given several times"

// addText adds the flags of a text that a model of text reads.
func (d *dataFlags) addText(a *program, fs *pflag.FlagSet, what string) {
	d.paths = paths(a.Data)
	fs.Var(&d.paths, "data", "text `FILE`"+what+", or a folder of them"+several+a.orOpticks())
	fs.StringVar(&d.match, "match", a.Match, "of a folder, the files with names like `PATTERN`, such as '*.go'")
	fs.StringVar(&d.field, "field", "", fieldUsage+": each is a document")
	cli.TextVar(fs, &d.separator, "separator", "", a.Info.Training.Separator,
		"`TEXT` that ends a document within a file; \\n is a newline")
	if _, err := a.Tokenizer.Encode("\x00\xff"); err == nil {
		fs.BoolVar(&d.raw, "raw", false, "read any files, byte by byte, even those that are no text")
	}
}

// addLabelDrop adds the flag of trainings that leave labels out.
func (d *dataFlags) addLabelDrop(a *program, fs *pflag.FlagSet) {
	if a.Info.LearnsUnlabelled() {
		fs.Float64Var(&d.drop, "label-drop", a.Info.Training.Drop,
			"`SHARE` of the sentences that are read without their label, so that --guidance can be asked for later")
	}
}

// addCondition adds the flags of documents that begin with a condition.
func (d *dataFlags) addCondition(a *program, fs *pflag.FlagSet) {
	drop := a.Info.Training.Drop
	if a.Info.Training.Condition == "" {
		drop = 0.1
	}
	cli.TextVar(fs, &d.condition, "condition", "", a.Info.Training.Condition,
		"`TEXT` that ends the condition which each document begins with")
	fs.Float64Var(&d.drop, "condition-drop", drop,
		"`SHARE` of the documents of which the condition is left out, all but its end, so that --guidance can be "+
			"asked for later")
}

const fieldUsage = "read the field `NAME` of JSON objects, one a line, or the column of that number of lines with tabs"

// addLines adds those of lines, such as sentences.
func (d *dataFlags) addLines(a *program, fs *pflag.FlagSet, usage, def string) {
	d.paths = paths(def)
	fs.Var(&d.paths, "data", usage)
	fs.StringVar(&d.field, "field", "", fieldUsage)
	d.addColumn(a, fs, "read the label from the field `NAME` as well, or from the column of that number; takes --field")
}

// addVectors adds those of vectors.
func (d *dataFlags) addVectors(a *program, fs *pflag.FlagSet) {
	d.paths = paths(a.Data)
	fs.Var(&d.paths, "data", vectorData)
	fs.StringVar(&d.match, "match", "", "of a folder, the files with names like `PATTERN`, such as '*.png'")
	fs.Float64Var(&d.scale, "scale", 0, "divide all numbers by this `NUMBER`, such as 255 (default: bytes of NPY, "+
		"IDX and PNG by 255)")
	fs.StringVar(&d.missing, "missing", string(vector.MissingError),
		"`WHAT` stands in for a number that is missing: zero, mean (of the others at its place), or error for nothing")
	fs.BoolVar(&d.header, "header", false, "the first line of CSV names the columns, even if with numbers")
	usage := "of CSV, the column that is the label, by its `NAME` in the first line or its number from 1"
	if a.Info.Labels == 0 {
		usage += "; it is left out"
	}
	fs.StringVar(&d.column, "label-column", "", usage)
}

func (d *dataFlags) addColumn(a *program, fs *pflag.FlagSet, usage string) {
	if a.Info.Labels > 0 {
		fs.StringVar(&d.column, "label-column", "", usage)
	}
}

// addShuffle adds the flag of commands that keep the end of examples for validation.
func (d *dataFlags) addShuffle(fs *pflag.FlagSet) {
	fs.BoolVar(&d.shuffle, "shuffle", false,
		"put the data in another order first, the same one each time; of sorted data the end is not like the rest")
}

// addBalance adds the flag of trainings on examples that come in groups.
func (d *dataFlags) addBalance(fs *pflag.FlagSet) {
	fs.Float64Var(&d.balance, "balance", 1,
		"draw from each file, or from each part of the one folder that is named, as if its size were raised to the "+
			"power 1/`T`: 1 leaves sizes as they are, and the larger T, the more equal they are")
}

func (d *dataFlags) checkBalance() error {
	if err := data.CheckTemperature(d.balance); err != nil {
		return fmt.Errorf("--balance: %w", err)
	}
	return nil
}

// text is the text to read: that of the flags, of the program, or the one that ships with Go.
func (d *dataFlags) text(ctx context.Context, a *program) (text.Input, error) {
	in := text.Input{Paths: d.paths.paths, Match: d.match, Field: d.field, Raw: d.raw}
	if d.raw && d.field != "" {
		return in, errors.New("--raw and --field contradict each other: JSON is text")
	}
	if !d.paths.given {
		path, err := a.data(ctx, d.paths.String())
		if err != nil {
			return in, err
		}
		in.Paths = []string{path}
	}
	return in, nil
}

// corpus is the tokens of a text, or of token files, which are mapped into memory.
func (a *program) corpus(in text.Input, o text.Options) (*text.Corpus, error) {
	made := 0
	for _, path := range in.Paths {
		if text.AreTokens(path) {
			made++
		}
	}
	switch {
	case made == 0:
		return text.Read(in, a.Tokenizer, o)
	case made < len(in.Paths):
		return nil, fmt.Errorf("%s are texts and token files: name either", in.Name())
	case in.Field != "" || in.Raw || in.Match != a.Match:
		return nil, fmt.Errorf("%s: --field, --raw and --match are for texts: they were decided when the token files were "+
			"made", in.Name())
	}
	t, err := text.OpenTokens(in.Paths...)
	if err != nil {
		return nil, err
	}
	return t.Corpus(a.Tokenizer, o)
}

// lines is the lines to read; what they are is for the error when there are none.
func (d *dataFlags) lines(what string) (text.Input, error) {
	if len(d.paths.paths) == 0 {
		return text.Input{}, fmt.Errorf("no %s: name a file with one a line with --data FILE", what)
	}
	return text.Input{Paths: d.paths.paths, Field: d.field}, nil
}

// labelled reads lines and, where a column of labels is named, their labels.
func (d *dataFlags) labelled(a *program, what string) (lines []string, labels *vector.Labels, err error) {
	in, err := d.lines(what)
	if err != nil {
		return nil, nil, err
	}
	if d.column == "" {
		lines, err = in.Lines()
		return lines, nil, err
	}
	if d.field == "" {
		return nil, nil, fmt.Errorf("--label-column %s: name the field or the column of the %s with --field", d.column,
			what)
	}
	rows, places, err := in.Fields(d.field, d.column)
	if err != nil {
		return nil, nil, err
	}
	values := make([]int32, len(rows))
	for i, r := range rows {
		n, err := strconv.ParseInt(strings.TrimSpace(r[1]), 10, 32)
		if err != nil || n < 0 || int(n) >= a.Info.Labels {
			return nil, nil, fmt.Errorf("%v: %.40q is not one of the model's labels, which are 0 to %d", places[i],
				r[1], a.Info.Labels-1)
		}
		lines = append(lines, r[0])
		values[i] = int32(n)
	}
	labels, err = vector.NewLabels(in.Name(), values, a.Info.Labels)
	return lines, labels, err
}

// vectors reads the vectors that the flags name.
func (d *dataFlags) vectors(cmd *cobra.Command, a *program) (*vector.Set, error) {
	if len(d.paths.paths) == 0 {
		return nil, fmt.Errorf("no vectors: name a CSV, NPY or IDX file of vectors of %d numbers, or a folder of PNG "+
			"images, with --data FILE", a.Info.Vector.Width)
	}
	if cmd.Flags().Changed("scale") && !(d.scale > 0) {
		return nil, fmt.Errorf("--scale %v: give a number above 0", d.scale)
	}
	s, err := vector.Read(d.paths.paths, *a.Info.Vector,
		vector.Options{Match: d.match, Scale: d.scale, Header: d.header, Column: d.column, Classes: a.Info.Labels,
			Missing: vector.Missing(d.missing)})
	if err != nil {
		return nil, err
	}
	for _, w := range s.Warnings {
		a.warn(cmd, w)
	}
	return s, nil
}

// warn prints a warning.
func (a *program) warn(cmd *cobra.Command, s string) {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", a.Info.Name, s)
}

// warnOfTail warns of examples whose end is not like the rest, where a share of it is kept for validation.
func (a *program) warnOfTail(cmd *cobra.Command, set interface{ Tail(share float64) string }, share float64) {
	if share > 0 {
		if s := set.Tail(share); s != "" {
			a.warn(cmd, s+": put them in another order with --shuffle")
		}
	}
}
