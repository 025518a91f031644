// Package normalize brings texts to one of Unicode's normal forms (Unicode Standard Annex 15), and makes a tokenizer
// read texts in one. It must not know what tokens are.
package normalize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Form is a normal form.
type Form = norm.Form

// The normal forms: of characters that mean the same, NFC has the composed and NFD the decomposed ones; NFKC and NFKD
// also replace what only looks different, such as ﬁ, ² and full-width letters.
const (
	NFC  = norm.NFC
	NFD  = norm.NFD
	NFKC = norm.NFKC
	NFKD = norm.NFKD
)

// String is s in a normal form. Bytes that are not UTF-8 stay as they are. Unlike the method of [Form], it puts nothing
// into long runs of combining marks: that one breaks them by U+034F, for the sake of bounded buffers.
func String(f Form, s string) string {
	if f.IsNormalString(s) && !longRun(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		start, end := findRun(s)
		for start > 0 && start < end && !f.PropertiesString(s[start:]).BoundaryBefore() {
			_, size := utf8.DecodeLastRuneInString(s[:start])
			start -= size // it may go together with what stands before it
		}
		b.WriteString(f.String(s[:start]))
		if start < end {
			b.WriteString(slowly(f, s[start:end]))
		}
		s = s[end:]
	}
	return b.String()
}

// A run of more marks than this, each of which may decompose into three, is longer than the method of Form takes.
const longMarks = 9

func longRun(s string) bool {
	start, _ := findRun(s)
	return start < len(s)
}

// findRun finds the first long run of marks, with the character before it, and where it ends; else both are len(s).
func findRun(s string) (start, end int) {
	marks, from, last := 0, 0, 0
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		if r >= utf8.RuneSelf && unicode.IsMark(r) {
			if marks == 0 {
				from = last
			}
			marks++
		} else {
			if marks > longMarks {
				return from, i
			}
			marks, last = 0, i
		}
		i += size
	}
	if marks > longMarks {
		return from, len(s)
	}
	return len(s), len(s)
}

// slowly normalizes by the definition: decompose, order by class, compose.
func slowly(f Form, s string) string {
	decompose, compose := norm.NFD, f == norm.NFC || f == norm.NFKC
	if f == norm.NFKC || f == norm.NFKD {
		decompose = norm.NFKD
	}
	type char struct {
		text  string
		class uint8
	}
	var chars []char
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			chars = append(chars, char{s[:1], 0})
		} else {
			for _, d := range decompose.String(s[:size]) {
				text := string(d)
				chars = append(chars, char{text, norm.NFD.PropertiesString(text).CCC()})
			}
		}
		s = s[size:]
	}
	for i := 0; i < len(chars); {
		j := i
		for j < len(chars) && chars[j].class != 0 {
			j++
		}
		slices.SortStableFunc(chars[i:j], func(a, b char) int { return int(a.class) - int(b.class) })
		i = j + 1
	}
	if compose {
		starter, last := -1, uint8(0) // last: class of the character before, among those that stay
		n := 0
		for _, c := range chars {
			// A character is blocked from the starter by one of the same or a higher class between them.
			if starter >= 0 && (n == starter+1 || last != 0 && last < c.class) {
				if both := norm.NFC.String(chars[starter].text + c.text); utf8.RuneCountInString(both) == 1 &&
					c.text != "" {
					chars[starter].text = both
					continue
				}
			}
			if c.class == 0 {
				starter = n
			}
			last = c.class
			chars[n] = c
			n++
		}
		chars = chars[:n]
	}
	var b strings.Builder
	for _, c := range chars {
		b.WriteString(c.text)
	}
	return b.String()
}

// Parse finds a form by its name: nfc, nfd, nfkc or nfkd.
func Parse(name string) (Form, error) {
	for f, n := range map[Form]string{NFC: "nfc", NFD: "nfd", NFKC: "nfkc", NFKD: "nfkd"} {
		if n == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("the normal form %q is not known: expected nfc, nfd, nfkc or nfkd", name)
}

// Tokenizer makes a tokenizer read texts in a normal form.
func Tokenizer(f Form, t model.Tokenizer) model.Tokenizer { return tokenizer{t, f} }

type tokenizer struct {
	model.Tokenizer
	form Form
}

func (t tokenizer) Encode(s string) ([]int32, error) { return t.Tokenizer.Encode(String(t.form, s)) }

// Special tells whether a token stands for no text, where the tokenizer has such tokens.
func (t tokenizer) Special(token int32) bool {
	s, ok := t.Tokenizer.(interface{ Special(int32) bool })
	return ok && s.Special(token)
}

// Digest tells the forms apart.
func (t tokenizer) Digest() string {
	h := sha256.Sum256([]byte(fmt.Sprintf("normalize %d %s", t.form, t.Tokenizer.Digest())))
	return hex.EncodeToString(h[:])
}
