package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/train"
)

func newTokenizer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokenizer",
		Short: "Make, try out and convert the tokenizers of published models",
		Long: `Tokenizer reads tokenizer.json files, SentencePiece models and tiktoken files, and makes such
files from texts. A spec names one:

  tokenizer: {file: tokenizer.json}`,
		Example: `  gradsmith tokenizer train poems.txt --like gpt2 --size 8000 -o tokenizer.json
  echo "It was" | gradsmith tokenizer encode tokenizer.json --names
  gradsmith tokenizer stats tokenizer.json poems.txt`,
	}
	cmd.AddCommand(newTokenizerTrain(), newTokenizerEncode(), newTokenizerDecode(), newTokenizerStats(),
		newTokenizerConvert())
	return cmd
}

// readTokenizer reads a tokenizer of any form.
func readTokenizer(path, encoding string) (*tokenizer.Tokenizer, formats.Form, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("%s cannot be read: %w", path, cause(err))
	}
	t, form, err := formats.Parse(data, encoding)
	if err != nil {
		return nil, form, fmt.Errorf("%s: %w", path, err)
	}
	return t, form, nil
}

func encodingFlag(cmd *cobra.Command, encoding *string) {
	cmd.Flags().StringVar(encoding, "encoding", "",
		"of a tiktoken file that is not a published one: the encoding `NAME` that says how it splits, such as "+
			"cl100k_base")
}

// formOf is the form that a file's name asks for.
func formOf(path string) formats.Form {
	switch filepath.Ext(path) {
	case ".model":
		return formats.SentencePiece
	case ".tiktoken":
		return formats.TikToken
	}
	return formats.JSON
}

func newTokenizerTrain() *cobra.Command {
	var out, match, field, like string
	var o train.Options
	var balance float64
	cmd := &cobra.Command{
		Use:   "train TEXT...",
		Short: "Learn a tokenizer from texts",
		Long: `Train learns a tokenizer from texts, or from the files of folders. What --like names is its shape:

  gpt2    byte-pair encoding over bytes, of words with the blanks before them
  llama3  the same, with numbers in groups of three digits
  qwen    the same, with digits by themselves and texts in the normal form NFC
  llama2  byte-pair encoding over characters; other characters are their bytes
  t5      Unigram over characters of texts in the normal form NFKC; others are their bytes
  bert    WordPiece, of words in lower case without accents

With --balance each TEXT, such as a folder a language, or each part of the only folder that is named, counts as if
its size had been raised to the power 1/T: languages that are seen little get more tokens of their own. The form of the file follows from its name: .model is
a SentencePiece model, .tiktoken a tiktoken file, any other a tokenizer.json.`,
		Example: `  gradsmith tokenizer train poems.txt --size 8000 -o tokenizer.json
  gradsmith tokenizer train english german sorbian --like llama2 --size 16000 --balance 3 -o three.model`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, texts []string) error {
			o.Style = train.Style(like)
			l, err := train.New(o)
			if err != nil {
				return err
			}
			groups, err := data.Groups(match, texts...)
			if err != nil {
				return err
			}
			work := cli.NewWork(cmd.ErrOrStderr(), "reading "+strings.TrimPrefix(ofTexts(texts), " of "))
			defer work.End()
			for _, path := range groups {
				l.Group()
				err := text.Input{Paths: []string{path}, Match: match, Field: field}.Texts(func(s text.Source) error {
					if !utf8.ValidString(s.Text) && o.Style != train.GPT2 && o.Style != train.Llama3 {
						return fmt.Errorf("%s: the text is not UTF-8, which the style %s needs", s.Name, o.Style)
					}
					l.Add(s.Text)
					return nil
				})
				if err != nil {
					return err
				}
			}
			work.Now(fmt.Sprintf("learning %d tokens", o.Size))
			t, err := l.Learn(balance)
			if err != nil {
				return err
			}
			work.End()
			written, err := formats.Format(t, formOf(out))
			if err != nil {
				return err
			}
			if err := output(cmd, out, written); err != nil {
				return err
			}
			if out != "" {
				few := ""
				if t.Vocab() < o.Size {
					few = fmt.Sprintf(", fewer than the %d asked for: nothing else occurs often enough", o.Size)
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s of %d tokens%s%s\n", out, t.Kind(), t.Vocab(), ofTexts(texts),
					few)
			}
			return nil
		},
	}
	outFlag(cmd, &out)
	cmd.Flags().StringVar(&match, "match", "", "of a folder, read the files with names like `PATTERN`, such as '*.go'")
	cmd.Flags().StringVar(&field, "field", "", "the texts are JSON objects, one a line: read the field `NAME` of each")
	cmd.Flags().StringVar(&like, "like", "gpt2", "the `SHAPE` of the tokenizer: gpt2, llama3, qwen, llama2, t5 or bert")
	cmd.Flags().IntVar(&o.Size, "size", 8000, "learn `N` tokens, special ones and bytes included")
	cmd.Flags().IntVar(&o.Least, "least", 2, "merge no pair that occurs fewer than `N` times")
	cmd.Flags().StringArrayVar(&o.Special, "special", nil, "add the special token `TOKEN`; may be given several times")
	cmd.Flags().BoolVar(&o.Cased, "cased", false, "like bert: keep capital letters and accents")
	cmd.Flags().Float64Var(&o.Coverage, "coverage", 0.9995,
		"like llama2, t5 and bert: the `SHARE` of the characters that get tokens of their own, the most frequent ones")
	cmd.Flags().Float64Var(&balance, "balance", 1,
		"balance the texts at the temperature `T`, 1 or more; 1 leaves their sizes as they are")
	cmd.RegisterFlagCompletionFunc("like", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, s := range train.Styles {
			names = append(names, string(s))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// eachLine gives the lines of texts, or those of standard input when there are none.
func eachLine(cmd *cobra.Command, texts []string, do func(line string) error) error {
	if len(texts) == 0 {
		r := bufio.NewReader(cmd.InOrStdin())
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				if err := do(text.TrimBreak(line)); err != nil {
					return err
				}
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("standard input cannot be read: %w", err)
			}
		}
	}
	lines, err := text.Input{Paths: texts}.Lines()
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := do(line); err != nil {
			return err
		}
	}
	return nil
}

func newTokenizerEncode() *cobra.Command {
	var encoding string
	var o tokenizer.Options
	var names bool
	cmd := &cobra.Command{
		Use:   "encode TOKENIZER [FILE...]",
		Short: "Turn lines of texts into tokens",
		Long: `Encode prints the numbers of the tokens of each line, of files or of standard input, on a line. Special tokens
that are spelt out in a text stay text unless --special is given.`,
		Example: `  echo "It was" | gradsmith tokenizer encode tokenizer.json
  gradsmith tokenizer encode tokenizer.json poems.txt --names`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, _, err := readTokenizer(args[0], encoding)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			n := 0
			err = eachLine(cmd, args[1:], func(line string) error {
				n++
				tokens, err := t.EncodeWith(line, o)
				if err != nil {
					return fmt.Errorf("line %d: %w", n, err)
				}
				words := make([]string, len(tokens))
				for i, x := range tokens {
					words[i] = strconv.Itoa(int(x))
					if names {
						words[i] = strconv.Quote(t.Name(x))
					}
				}
				fmt.Fprintln(w, strings.Join(words, " "))
				if len(args) == 1 {
					return w.Flush() // who types wants to see
				}
				return nil
			})
			return errors.Join(err, w.Flush())
		},
	}
	encodingFlag(cmd, &encoding)
	cmd.Flags().BoolVar(&names, "names", false, "print tokens as the file spells them, in quotes")
	cmd.Flags().BoolVar(&o.Special, "special", false, "make special tokens of what spells one")
	cmd.Flags().BoolVar(&o.Template, "template", false,
		"add the tokens that the file puts around a text, such as [CLS] and [SEP]")
	return cmd
}

func newTokenizerDecode() *cobra.Command {
	var encoding string
	var special bool
	cmd := &cobra.Command{
		Use:   "decode TOKENIZER [FILE...]",
		Short: "Turn lines of tokens into text",
		Long:  "Decode prints the text of the numbers on each line, of files or of standard input.",
		Example: "  echo \"It was\" | gradsmith tokenizer encode tokenizer.json | gradsmith tokenizer decode " +
			"tokenizer.json",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, _, err := readTokenizer(args[0], encoding)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			n := 0
			err = eachLine(cmd, args[1:], func(line string) error {
				n++
				var tokens []int32
				for _, f := range strings.Fields(line) {
					x, err := strconv.ParseInt(f, 10, 32)
					if err != nil || x < 0 || int(x) >= t.Vocab() {
						return fmt.Errorf("line %d: %q is not the number of a token, 0 to %d", n, f, t.Vocab()-1)
					}
					tokens = append(tokens, int32(x))
				}
				if special {
					fmt.Fprintln(w, t.DecodeAll(tokens))
				} else {
					fmt.Fprintln(w, t.Decode(tokens))
				}
				return nil
			})
			return errors.Join(err, w.Flush())
		},
	}
	encodingFlag(cmd, &encoding)
	cmd.Flags().BoolVar(&special, "special", false, "print special tokens by their names; they are left out otherwise")
	return cmd
}

// tokenizerStats is what stats prints.
type tokenizerStats struct {
	Tokenizer    string  `json:"tokenizer"`
	Form         string  `json:"form"`
	Model        string  `json:"model"`
	Vocabulary   int     `json:"vocabulary"`
	Special      int     `json:"special_tokens"`
	Bytes        int     `json:"bytes,omitempty"`
	Characters   int     `json:"characters,omitempty"`
	Words        int     `json:"words,omitempty"`
	Tokens       int     `json:"tokens,omitempty"`
	BytesAToken  float64 `json:"bytes_a_token,omitempty"`
	TokensAWord  float64 `json:"tokens_a_word,omitempty"`
	Used         int     `json:"tokens_used,omitempty"`
	ComesBack    bool    `json:"comes_back,omitempty"`
	FirstChanged string  `json:"first_changed,omitempty"`
}

func newTokenizerStats() *cobra.Command {
	var encoding, match string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "stats TOKENIZER [FILE...]",
		Short: "Say what a tokenizer is, and what it makes of texts",
		Long: `Stats says what a tokenizer is and, of files of text, how many tokens they are, how many of the vocabulary they
use, and whether they come back as they were when they are decoded.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, form, err := readTokenizer(args[0], encoding)
			if err != nil {
				return err
			}
			s := tokenizerStats{Tokenizer: args[0], Form: string(form), Model: t.Kind(), Vocabulary: t.Vocab()}
			for x := range t.Vocab() {
				if t.Special(int32(x)) {
					s.Special++
				}
			}
			if len(args) > 1 {
				used := make([]bool, t.Vocab())
				s.ComesBack = true
				err := text.Input{Paths: args[1:], Match: match}.Texts(func(src text.Source) error {
					tokens, err := t.Encode(src.Text)
					if err != nil {
						return fmt.Errorf("%s: %w", src.Name, err)
					}
					s.Bytes += len(src.Text)
					s.Characters += utf8.RuneCountInString(src.Text)
					s.Words += len(strings.FieldsFunc(src.Text, unicode.IsSpace))
					s.Tokens += len(tokens)
					for _, x := range tokens {
						used[x] = true
					}
					if s.ComesBack && t.Decode(tokens) != src.Text {
						s.ComesBack, s.FirstChanged = false, src.Name
					}
					return nil
				})
				if err != nil {
					return err
				}
				for _, u := range used {
					if u {
						s.Used++
					}
				}
				s.BytesAToken = float64(s.Bytes) / float64(max(s.Tokens, 1))
				s.TokensAWord = float64(s.Tokens) / float64(max(s.Words, 1))
			}
			w := cmd.OutOrStdout()
			if asJSON {
				e := json.NewEncoder(w)
				e.SetIndent("", "  ")
				return e.Encode(s)
			}
			fmt.Fprintf(w, "%s: %s in the form %s, %d tokens, %d of them special\n", s.Tokenizer, s.Model, s.Form,
				s.Vocabulary, s.Special)
			if len(args) > 1 {
				fmt.Fprintf(w, "%d bytes, %d characters, %d words: %d tokens, %.2f bytes a token, %.2f tokens a word\n",
					s.Bytes, s.Characters, s.Words, s.Tokens, s.BytesAToken, s.TokensAWord)
				fmt.Fprintf(w, "%d tokens of the vocabulary are used, %.1f%%\n", s.Used,
					100*float64(s.Used)/float64(s.Vocabulary))
				if s.ComesBack {
					fmt.Fprintln(w, "the texts come back as they were when they are decoded")
				} else {
					fmt.Fprintf(w, "the texts do not come back as they were when they are decoded: %s is the first "+
						"that changes\n", s.FirstChanged)
				}
			}
			return nil
		},
	}
	encodingFlag(cmd, &encoding)
	cmd.Flags().StringVar(&match, "match", "", "of a folder, read the files with names like `PATTERN`, such as '*.go'")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newTokenizerConvert() *cobra.Command {
	var encoding, out string
	cmd := &cobra.Command{
		Use:   "convert TOKENIZER -o FILE",
		Short: "Write a tokenizer in another form",
		Long: `Convert writes a tokenizer.json or, where the name ends so, a SentencePiece .model or a .tiktoken file. What the other
form cannot hold is an error.`,
		Example: "  gradsmith tokenizer convert cl100k_base.tiktoken -o tokenizer.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, _, err := readTokenizer(args[0], encoding)
			if err != nil {
				return err
			}
			data, err := formats.Format(t, formOf(out))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			// What was written has to be read as the same.
			again, _, err := formats.Parse(data, encodingOf(out, encoding))
			if err == nil && (again.Vocab() < t.Vocab()-len(t.Added()) || !slices.Equal(sample(t), sample(again))) {
				err = errors.New("it would make other tokens")
			}
			if err != nil && !strings.Contains(err.Error(), "name the encoding") {
				return fmt.Errorf("%s as %s: %w", args[0], formOf(out), err)
			}
			return output(cmd, out, data)
		},
	}
	encodingFlag(cmd, &encoding)
	outFlag(cmd, &out)
	return cmd
}

func encodingOf(out, encoding string) string {
	if formOf(out) == formats.TikToken {
		return encoding
	}
	return ""
}

// sample is the tokens of some texts.
func sample(t *tokenizer.Tokenizer) []int32 {
	tokens, err := t.Encode("The quick brown fox isn't 1,234.5 miles away;\n  naïve Größe Привет 你好 مرحبا 👩‍👩‍👧‍👦")
	if err != nil {
		return nil
	}
	return tokens
}
