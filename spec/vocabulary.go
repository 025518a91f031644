package spec

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A vocabulary file of tokenizer `chars` holds its characters, and one of `words` its words, one a line in the order
// of their tokens, each as a Go string literal in double quotes: "a", "\n", "\u00a0", "é", " the". Quotes make blanks,
// newlines and characters that look alike visible, and diffs readable. Empty lines and lines that begin with # are
// comments.
//
// A vocabulary file of tokenizer `bpe` holds its merges, one a line in the order in which they are made: two tokens
// with a blank in between, in characters that stand for bytes, as in GPT-2. Two merges may make the same token in
// different ways. Its first line is a comment when it begins with #; a merge of a later line can begin with it. A
// merges.txt of GPT-2 is such a file.

// FormatVocabulary writes a vocabulary file of characters. Comment, which may be empty, goes on the first line.
func FormatVocabulary(chars []rune, comment string) []byte {
	words := make([]string, len(chars))
	for i, c := range chars {
		words[i] = string(c)
	}
	return FormatWords(words, comment)
}

// FormatWords writes a vocabulary file of words. Comment, which may be empty, goes on the first line.
func FormatWords(words []string, comment string) []byte {
	var b strings.Builder
	writeComment(&b, comment)
	for _, w := range words {
		b.WriteString(strconv.Quote(w))
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// FormatMerges writes a vocabulary file of byte-pair encoding. The first line is a comment, which may be empty.
func FormatMerges(merges []string, comment string) []byte {
	var b strings.Builder
	writeComment(&b, cmp.Or(comment, "merges"))
	for _, m := range merges {
		b.WriteString(m)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

func writeComment(b *strings.Builder, comment string) {
	if comment != "" {
		fmt.Fprintf(b, "# %s\n", strings.ReplaceAll(comment, "\n", " "))
	}
}

// MaxVocabulary is the number of tokens that a vocabulary can have.
const MaxVocabulary = maxVocab

// vocabularyText is the text of a vocabulary file without the byte order mark that some editors put in front. The
// error is of a file that no spec can name: one that is too large, or not text.
func vocabularyText(file string, src []byte) (string, error) {
	if len(src) > maxFile {
		return "", Errors{{File: file, Msg: fmt.Sprintf("the vocabulary has %d bytes, more than the %d that are "+
			"allowed: leave out the longest or the rarest of its tokens", len(src), maxFile)}}
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	if pos, ok := badByte([]byte(text)); ok {
		return "", Errors{{file, pos, "the vocabulary is not UTF-8 text"}}
	}
	return text, nil
}

// maxProblems bounds what is reported of a vocabulary: where a text was named in its place every line is wrong.
const maxProblems = 10

// vocabularyErrors collects what is wrong with a vocabulary file.
type vocabularyErrors struct {
	file string
	errs Errors
}

func (e *vocabularyErrors) errorf(line int, format string, args ...any) {
	e.errs = append(e.errs, Error{e.file, Pos{Line: line, Col: 1}, fmt.Sprintf(format, args...)})
}

// ParseVocabulary reads a vocabulary file of characters. The error, if any, is of type Errors, with file as the name of
// the file.
func ParseVocabulary(file string, src []byte) ([]rune, error) {
	words, err := parseQuoted(file, src, "character",
		func(s string) bool { return utf8.RuneCountInString(s) == 1 && utf8.ValidString(s) },
		"one character as a Go string, such as \"a\" or \"\\n\"", "gradsmith vocab TEXT")
	if err != nil {
		return nil, err
	}
	chars := make([]rune, len(words))
	for i, w := range words {
		chars[i], _ = utf8.DecodeRuneInString(w)
	}
	return chars, nil
}

// ParseWords reads a vocabulary file of words. The error, if any, is of type Errors, with file as the name of the file.
func ParseWords(file string, src []byte) ([]string, error) {
	return parseQuoted(file, src, "word", func(s string) bool { return s != "" },
		"one word as a Go string, such as \" the\" or \"\\n\"", "gradsmith vocab TEXT --words N")
}

// parseQuoted reads a list of Go strings, one a line, for which good holds.
func parseQuoted(file string, src []byte, what string, good func(string) bool, expected, command string) ([]string,
	error) {
	text, err := vocabularyText(file, src)
	if err != nil {
		return nil, err
	}
	e := vocabularyErrors{file: file}
	var words []string
	first := map[string]int{}
	for i, text := range strings.Split(text, "\n") {
		line := i + 1
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		s, err := strconv.Unquote(text)
		if err != nil || text[0] != '"' || !good(s) {
			e.errorf(line, "expected %s, found %s; `%s` makes such a file", expected, quote(text), command)
			if len(e.errs) >= maxProblems {
				break
			}
			continue
		}
		if at, ok := first[s]; ok {
			e.errorf(line, "the %s %s is already in line %d", what, quote(s), at)
			continue
		}
		first[s] = line
		words = append(words, s)
	}
	switch {
	case len(e.errs) > 0:
	case len(words) < 2:
		e.errorf(1, "a vocabulary needs at least 2 %ss, found %d", what, len(words))
	case len(words) > maxVocab:
		e.errorf(1, "a vocabulary has at most %d %ss, found %d", maxVocab, what, len(words))
	}
	if len(e.errs) > 0 {
		return nil, e.errs
	}
	return words, nil
}

// byteChars are the characters that stand for the bytes in merges, in the order of GPT-2: bytes that print stand for
// themselves, the others are the characters from U+0100 on.
var byteChars = func() string {
	var b strings.Builder
	others := 0
	for c := rune(0); c < 256; c++ {
		if c >= '!' && c <= '~' || c >= 0xA1 && c <= 0xAC || c >= 0xAE {
			b.WriteRune(c)
		} else {
			others++
		}
	}
	for i := range others {
		b.WriteRune(rune(256 + i))
	}
	return b.String()
}()

// ParseMerges reads a vocabulary file of byte-pair encoding. The error, if any, is of type Errors, with file as the
// name of the file.
func ParseMerges(file string, src []byte) ([]string, error) {
	text, err := vocabularyText(file, src)
	if err != nil {
		return nil, err
	}
	e := vocabularyErrors{file: file}
	lines := map[string]int{} // of each merge
	known := map[string]bool{}
	for _, c := range byteChars {
		known[string(c)] = true
	}
	var merges []string
	for i, text := range strings.Split(text, "\n") {
		line := i + 1
		text = strings.TrimRight(text, "\r")
		if text == "" || line == 1 && text[0] == '#' {
			continue
		}
		left, right, ok := strings.Cut(text, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			e.errorf(line, "expected two tokens with a blank in between, such as Ġ t, found %s; `gradsmith vocab "+
				"TEXT --bpe N` makes such a file", quote(text))
		} else if bad := unknownToken(known, left, right); bad != "" {
			e.errorf(line, "the token %s is made by no line before this one; merges stand in the order in which they "+
				"are made", quote(bad))
		} else if at, twice := lines[text]; twice {
			e.errorf(line, "the tokens %s are already merged in line %d", quote(text), at)
		} else {
			known[left+right] = true // which another merge may make too
			lines[text] = line
			merges = append(merges, text)
		}
		if len(e.errs) >= maxProblems {
			break
		}
	}
	if n := len(known); len(e.errs) == 0 && n > maxVocab {
		e.errorf(1, "a vocabulary has at most %d tokens, found %d", maxVocab, n)
	}
	if len(e.errs) > 0 {
		return nil, e.errs
	}
	return merges, nil
}

// mergedTokens is the number of tokens of byte-pair encoding: the bytes, and what merges make, each once.
func mergedTokens(merges []string) int {
	made := map[string]bool{}
	for _, m := range merges {
		made[strings.Replace(m, " ", "", 1)] = true
	}
	return 256 + len(made)
}

// unknownToken returns the token that is not known, or "".
func unknownToken(known map[string]bool, tokens ...string) string {
	for _, t := range tokens {
		if !known[t] {
			return t
		}
	}
	return ""
}
