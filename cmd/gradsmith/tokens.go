package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/normalize"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
	"github.com/gradsmith/gradsmith/spec"
)

func newTokens() *cobra.Command {
	var out, match, field, separator, condition string
	var drop float64
	var shard int
	var raw, verify bool
	cmd := &cobra.Command{
		Use:   "tokens SPEC TEXT...",
		Short: "Make token files of texts, which a training maps into memory",
		Long: `Tokens makes the tokens of texts, or of the files of folders, once, with the tokenizer of a
spec, for texts that are larger than memory or that many trainings read:

  gradsmith tokens poet.yaml books/ -o books.tokens
  poet train --data books.tokens

The training begins as soon as with a small text: the file is mapped into memory, and what
is needed of it is read when it is needed. It has a digest of the tokenizer and of the
texts: a model with another tokenizer refuses it, and a training is resumed with the same
tokens alone. With -o FOLDER it is several files, of --shard tokens each.

One text at a time is in memory while they are made: of a large text it should be several
files, rather than one. With --verify the arguments behind the spec are token files, which
are compared with their digests.`,
		Args: cobra.MinimumNArgs(2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string,
			cobra.ShellCompDirective) {
			if len(args) == 0 {
				return specs(cmd, args, toComplete)
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := spec.Load(args[0])
			if err != nil {
				return err
			}
			if m.Vectors != nil || m.EncoderDecoder() || m.Latent != nil || m.GAN != nil {
				return fmt.Errorf("%s: a model of kind %s reads no running text: token files are for language models and "+
					"encoders", args[0], m.Kind)
			}
			tok, err := tokenizerOf(&m.Tokenizer)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if verify {
				return verifyTokens(cmd, tok, args[1:])
			}
			if out == "" {
				return fmt.Errorf("name the file to write with -o FILE%s, or a folder for several", text.TokenSuffix)
			}
			o := text.Options{Separator: m.Train.Separator, Condition: m.Train.Condition, Drop: m.Train.Drop}
			flags := cmd.Flags()
			if flags.Changed("separator") {
				o.Separator = separator
			}
			if flags.Changed("condition") {
				if o.Condition = condition; m.Train.Condition == "" {
					o.Drop = usualDrop
				}
			}
			if flags.Changed("condition-drop") {
				o.Drop = drop
			}
			in := text.Input{Paths: args[1:], Match: match, Field: field, Raw: raw}
			work := cli.NewWork(cmd.ErrOrStderr(), "reading "+in.Name())
			defer work.End()
			info, err := text.WriteTokens(out, in, tok, o, shard)
			if err != nil {
				return err
			}
			work.End()
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d tokens of %s in %d files, %d bytes a token\n", out,
				info.First+info.Tokens, in.Name(), info.Shard+1, info.Width)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&out, "out", "o", "", "`FILE`"+text.TokenSuffix+" to write, or a folder for several")
	fs.IntVar(&shard, "shard", 500_000_000, "of a folder, the tokens of a file")
	fs.StringVar(&match, "match", "", "of a folder of texts, read the files with names like `PATTERN`, such as '*.go'")
	fs.StringVar(&field, "field", "", "the texts are JSON objects, one a line: read the field `NAME` of each")
	cli.TextVar(fs, &separator, "separator", "", "", "`TEXT` that ends a document within a file; \\n is a newline "+
		"(default: that of the spec)")
	cli.TextVar(fs, &condition, "condition", "", "", "`TEXT` that ends the condition which each document begins with "+
		"(default: that of the spec)")
	fs.Float64Var(&drop, "condition-drop", 0, "`SHARE` of the documents of which the condition is left out (default: "+
		"that of the spec)")
	fs.BoolVar(&raw, "raw", false, "read any files, byte by byte, even those that are no text")
	fs.BoolVar(&verify, "verify", false, "compare token files with their digests, and write nothing")
	return cmd
}

// usualDrop is the share of documents that lose their condition where a spec does not say it, as in train.
const usualDrop = 0.1

// verifyTokens reads token files to their ends.
func verifyTokens(cmd *cobra.Command, tok text.Tokenizer, paths []string) error {
	t, err := text.OpenTokens(paths...)
	if err != nil {
		return err
	}
	defer t.Close()
	if t.Info.Tokenizer != tok.Digest() {
		return fmt.Errorf("%s: made with another tokenizer than the spec's", strings.Join(paths, ", "))
	}
	work := cli.NewWork(cmd.ErrOrStderr(), "reading "+strings.Join(paths, ", "))
	defer work.End()
	if err := t.Verify(); err != nil {
		return err
	}
	work.End()
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d tokens of %s in %d files, sound\n", strings.Join(paths, ", "), t.Tokens(),
		t.Info.Name, t.Shards())
	return nil
}

// tokenizerOf is the tokenizer that generated code has.
func tokenizerOf(t *spec.Tokenizer) (text.Tokenizer, error) {
	var opts []text.Option
	if t.OrBytes {
		opts = append(opts, text.OrBytes())
	}
	if t.Unknown != 0 {
		opts = append(opts, text.Unknown(t.Unknown))
	}
	var tok text.Tokenizer
	switch t.Kind {
	case "numbers":
		tok = text.Numbers(t.Vocab - len(t.Specials))
	case "bytes":
		tok = text.Bytes()
	case "ascii":
		tok = text.ASCII(opts...)
	case "chars":
		tok = text.Chars(string(t.Chars), opts...)
	case "words":
		var list strings.Builder
		for _, w := range t.Words {
			fmt.Fprintf(&list, "%q\n", w)
		}
		if tok = text.Words(list.String()); t.OrBytes {
			tok = text.WordsOrBytes(list.String())
		}
	case "bpe":
		tok = text.BPE(strings.Join(t.Merges, "\n"))
	case "file":
		read, _, err := formats.Parse(t.Data, t.Split)
		if err != nil {
			return nil, err
		}
		tok = read
	default:
		return nil, fmt.Errorf("there is no tokenizer %s", t.Kind)
	}
	if t.Normal != "" {
		form, err := normalize.Parse(t.Normal)
		if err != nil {
			return nil, err
		}
		tok = normalize.Tokenizer(form, tok)
	}
	if len(t.Specials) > 0 {
		tok = text.WithSpecials(tok, t.Specials...)
	}
	return tok, nil
}
