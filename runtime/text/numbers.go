package text

import (
	"fmt"
	"strconv"
	"strings"
)

// numbers is the tokenizer of whole numbers.
type numbers struct {
	size   int
	digest string
}

// Numbers is the tokenizer of the whole numbers from 0 to size − 1, written in digits with blanks in between: of
// sequences that are not text. It panics when size is below 1.
func Numbers(size int) Tokenizer {
	if size < 1 {
		panic(fmt.Sprintf("text: a vocabulary of %d numbers", size))
	}
	return &numbers{size: size, digest: digest("numbers", []string{strconv.Itoa(size)}, -1)}
}

// Encode takes blanks, tabs and newlines between numbers. The error of what is not a number, or not one of the
// vocabulary, names its place from 1.
func (t *numbers) Encode(s string) ([]int32, error) {
	fields := strings.Fields(s)
	tokens := make([]int32, len(fields))
	for i, f := range fields {
		n, err := strconv.Atoi(f)
		if err != nil || n < 0 || n >= t.size {
			return nil, fmt.Errorf("number %d, %q, is not one of 0 to %d: the tokens of this model are whole numbers "+
				"with blanks in between", i+1, f, t.size-1)
		}
		tokens[i] = int32(n)
	}
	return tokens, nil
}

func (t *numbers) Decode(tokens []int32) string {
	var b strings.Builder
	for i, token := range tokens {
		if i > 0 {
			b.WriteByte(' ')
		}
		check(token, t.size)
		b.WriteString(strconv.Itoa(int(token)))
	}
	return b.String()
}

// Piece has a blank behind the number, so that pieces in a row can be read.
func (t *numbers) Piece(token int32) string {
	check(token, t.size)
	return strconv.Itoa(int(token)) + " "
}

// Frame says that pieces in a row have a blank behind the last number, which Decode leaves out.
func (t *numbers) Frame() (before, behind string) { return "", " " }

func (t *numbers) Vocab() int     { return t.size }
func (t *numbers) Digest() string { return t.digest }
