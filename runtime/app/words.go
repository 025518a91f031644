package app

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// spells reports whether the tokenizer has every character of s, so that the model can read it and write it.
func (a *program) spells(s string) bool {
	if a.Tokenizer == nil { // of vectors
		return false
	}
	tokens, err := a.Tokenizer.Encode(s)
	return err == nil && a.Tokenizer.Decode(tokens) == s
}

// example is a text of a word or two that the model can read, for help: in English where it knows that, and in its own
// alphabet elsewhere.
func (a *program) example() string {
	for _, s := range []string{a.Prompt, "It was", "it was", "1 2 3"} {
		if s = strings.TrimSpace(s); s != "" && a.spells(s) {
			return s
		}
	}
	if a.Tokenizer == nil {
		return ""
	}
	var b strings.Builder
	for t := range a.ordinary() {
		p := strings.TrimSpace(a.Tokenizer.Piece(int32(t)))
		if r, _ := utf8.DecodeRuneInString(p); p != "" && utf8.ValidString(p) &&
			(unicode.IsLetter(r) || unicode.IsDigit(r)) {
			b.WriteString(p)
		}
		if utf8.RuneCountInString(b.String()) >= 3 {
			break
		}
	}
	return b.String()
}

// ordinary is the number of tokens that texts can have, which come before those that have a meaning of their own.
func (a *program) ordinary() int {
	if m := a.Info.Masking; m != nil {
		return int(m.Token)
	}
	return a.Info.Vocab
}

// leads reports whether words have the blank before them in their first token, as in byte-pair encoding: then a text
// that ends in a blank goes on with a word that has none, of which the model has seen few.
func (a *program) leads() bool {
	for t := range a.ordinary() {
		p := a.Tokenizer.Piece(int32(t))
		if len(p) < 2 || p[0] != ' ' {
			continue
		}
		if r, _ := utf8.DecodeRuneInString(p[1:]); unicode.IsLetter(r) {
			return true
		}
	}
	return false
}

// warnBlank warns of a blank at the end of a text that the model goes on with, or fills in something behind.
func (a *program) warnBlank(errOut io.Writer, s, where string) {
	if strings.HasSuffix(s, " ") && a.leads() {
		fmt.Fprintf(errOut, "%s: warning: a blank stands %s, and to this model a word begins with the blank before "+
			"it: leave it out\n", a.Info.Name, where)
	}
}

// aboutBlanks goes on with the help of a command that reads text.
func (a *program) aboutBlanks(where string) string {
	if !a.leads() {
		return ""
	}
	return "\n\nA word's first token has the blank before it, so leave no blank " + where + "."
}
