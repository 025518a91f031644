package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	_ "github.com/gradsmith/gradsmith/runtime/data/zstd" // texts may be compressed with it
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/spec"
)

func newVocab() *cobra.Command {
	var out, match, field string
	var least, words, bpe int
	cmd := &cobra.Command{
		Use:   "vocab TEXT...",
		Short: "Make a vocabulary file for the tokenizers chars, words and bpe from texts",
		Long: `Vocab makes a vocabulary file from texts, or from the files of folders. It goes beside a spec,
which names it:

  tokenizer: {chars: poet.vocab}    the characters of UTF-8 texts, in the order of their code points
  tokenizer: {words: poet.words}    with --words: the most frequent words, with the blanks before them
  tokenizer: {bpe: poet.bpe}        with --bpe: byte-pair encoding, as GPT-2 has it

The file is text: a quoted string a line, or two tokens to merge. Characters and words are
counted as if all lines ended in \n; a model that is made of them reads \r\n as \n too.`,
		Example: `  gradsmith vocab poems.txt -o poet.vocab
  gradsmith vocab poems.txt --bpe 4000 -o poet.bpe
  gradsmith vocab "$(go env GOROOT)/src" --match '*.go' --bpe 16000 -o code.bpe`,
		Args: cli.Args("TEXT..."),
		RunE: func(cmd *cobra.Command, texts []string) error {
			var data []byte
			var comment string
			var err error
			in := text.Input{Paths: texts, Match: match, Field: field}
			of := ofTexts(texts)
			work := cli.NewWork(cmd.ErrOrStderr(), "reading "+strings.TrimPrefix(of, " of "))
			defer work.End()
			switch flags := cmd.Flags(); {
			case flags.Changed("words"):
				if words < 2 {
					return fmt.Errorf("--words: a vocabulary needs at least 2 words, not %d", words)
				}
				if words > spec.MaxVocabulary {
					return fmt.Errorf("--words %d: a spec takes at most %d", words, spec.MaxVocabulary)
				}
				data, comment, err = wordFile(in, of, words, least)
			case flags.Changed("bpe"):
				if bpe < 257 {
					return fmt.Errorf("--bpe: the 256 bytes are tokens, so that there are at least 257, not %d", bpe)
				}
				if bpe > spec.MaxVocabulary {
					return fmt.Errorf("--bpe %d: a spec takes at most %d tokens", bpe, spec.MaxVocabulary)
				}
				data, comment, err = mergeFile(in, of, bpe, least, work)
			default:
				data, comment, err = characterFile(in, of, least)
			}
			if err != nil {
				var problems spec.Errors
				if errors.As(err, &problems) {
					return fmt.Errorf("%s: %s", strings.Join(texts, ", "), problems[0].Msg)
				}
				return err
			}
			work.End()
			if err := output(cmd, out, data); err != nil {
				return err
			}
			if out != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", out, comment)
			}
			return nil
		},
	}
	outFlag(cmd, &out)
	cmd.Flags().StringVar(&match, "match", "", "of a folder, read the files with names like `PATTERN`, such as '*.go'")
	cmd.Flags().StringVar(&field, "field", "", "the texts are JSON objects, one a line: read the field `NAME` of each")
	cmd.Flags().IntVar(&words, "words", 0, "list words, the `N` most frequent ones at most")
	cmd.Flags().IntVar(&bpe, "bpe", 0, "learn byte-pair encoding of `N` tokens, the 256 bytes included")
	cmd.Flags().IntVar(&least, "least", 1,
		"leave out what occurs fewer than `N` times; for characters the spec then needs an unknown one")
	cmd.MarkFlagsMutuallyExclusive("words", "bpe")
	return cmd
}

// ofTexts is the end of a vocabulary's comment.
func ofTexts(texts []string) string {
	var names []string
	for _, path := range texts {
		names = append(names, filepath.Base(path))
	}
	if more := len(names) - 3; more > 1 {
		names = append(names[:3], fmt.Sprintf("and %d more", more))
	}
	return " of " + strings.Join(names, ", ")
}

// without is what a comment says of what was left out.
func without(dropped, least int) string {
	if dropped < 1 {
		return ""
	}
	return fmt.Sprintf(", without %d that occur fewer than %d times", dropped, least)
}

// characterFile makes a vocabulary file of characters, and its comment.
func characterFile(in text.Input, of string, least int) ([]byte, string, error) {
	counts := map[rune]int{}
	if err := in.Texts(func(s text.Source) error { return countCharacters(s, counts) }); err != nil {
		return nil, "", err
	}
	var chars []rune
	for c, n := range counts {
		if n >= least {
			chars = append(chars, c)
		}
	}
	slices.Sort(chars)
	comment := fmt.Sprintf("%d characters%s%s", len(chars), of, without(len(counts)-len(chars), least))
	data := spec.FormatVocabulary(chars, comment)
	_, err := spec.ParseVocabulary("", data)
	return data, comment, err
}

// wordFile makes a vocabulary file of words, and its comment.
func wordFile(in text.Input, of string, size, least int) ([]byte, string, error) {
	pieces, err := countPieces(in, unixBreaks)
	if err != nil {
		return nil, "", err
	}
	words := pieces.Words(size, least)
	all, some := 0, 0
	for _, n := range pieces {
		all += n
	}
	for _, w := range words {
		some += pieces[w]
	}
	comment := fmt.Sprintf("%d words%s, %.1f%% of the text", len(words), of, 100*float64(some)/float64(max(all, 1)))
	data := spec.FormatWords(words, comment)
	_, err = spec.ParseWords("", data)
	return data, comment, err
}

// mergeFile makes a vocabulary file of byte-pair encoding, and its comment.
func mergeFile(in text.Input, of string, size, least int, work *cli.Work) ([]byte, string, error) {
	pieces, err := countPieces(in, asItIs)
	if err != nil {
		return nil, "", err
	}
	work.Now("learning merges" + of)
	merges := pieces.Merges(size, least)
	comment := fmt.Sprintf("%d tokens%s", 256+len(merges), of)
	if 256+len(merges) < size {
		comment += fmt.Sprintf(", fewer than the %d asked for: no other pair occurs %d times", size, max(least, 2))
	}
	data := spec.FormatMerges(merges, comment)
	_, err = spec.ParseMerges("", data)
	return data, comment, err
}

// unixBreaks is a text in which lines end in \n, as tokenizers of characters and of words read it.
func unixBreaks(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func asItIs(s string) string { return s }

// countPieces counts what words and merges are made of.
func countPieces(in text.Input, form func(string) string) (text.Pieces, error) {
	pieces := text.Pieces{}
	err := in.Texts(func(s text.Source) error {
		pieces.Add(form(s.Text))
		return nil
	})
	return pieces, err
}

// countCharacters adds up the characters of a text.
func countCharacters(s text.Source, counts map[rune]int) error {
	s.Text = unixBreaks(s.Text)
	line, col := 1, 1
	for i, c := range s.Text {
		if c == utf8.RuneError && !strings.HasPrefix(s.Text[i:], string(utf8.RuneError)) {
			return fmt.Errorf("%s:%d:%d: the text is not UTF-8; convert it, or use the tokenizer bytes", s.Name, line,
				col)
		}
		counts[c]++
		col++
		if c == '\n' {
			line, col = line+1, 1
		}
	}
	return nil
}
