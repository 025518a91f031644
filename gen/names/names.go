// Package names gives the identifiers of generated code. It is the one place where an identifier is decided: whatever
// a spec calls its layers, parameters and values, two things in one block of Go code never have the same name, and
// none has one that means something else there.
//
// It knows Go's words and nothing of specs, graphs or what is emitted.
package names

import (
	"fmt"
	"go/token"
	"go/types"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scope is a block of Go code, or the fields and methods of a type.
type Scope struct {
	outer *Scope
	taken map[string]bool
	given map[any]string // names by what they are for
}

// Package is the scope of a package: keywords and predeclared identifiers are taken in it.
func Package() *Scope {
	s := Members()
	s.Reserve(types.Universe.Names()...)
	return s
}

// Members is the scope of the fields and methods of a type, which are never read without what stands in front of the
// dot: keywords alone are taken in it.
func Members() *Scope {
	return &Scope{taken: map[string]bool{}, given: map[any]string{}}
}

// Inner is a scope in s, in which all names of s are known: none is given again.
func (s *Scope) Inner() *Scope {
	return &Scope{outer: s, taken: map[string]bool{}, given: map[any]string{}}
}

// Reserve takes names that code has whatever the spec says.
func (s *Scope) Reserve(names ...string) {
	for _, n := range names {
		s.taken[n] = true
	}
}

// Without is s with some of its names free again: for blocks of code in which they have no meaning.
func (s *Scope) Without(names ...string) *Scope {
	w := &Scope{outer: s.outer, taken: maps.Clone(s.taken), given: maps.Clone(s.given)}
	for _, n := range names {
		delete(w.taken, n)
	}
	return w
}

// Taken reports whether the name means something in s.
func (s *Scope) Taken(name string) bool {
	for ; s != nil; s = s.outer {
		if s.taken[name] {
			return true
		}
	}
	return token.IsKeyword(name) || name == "_"
}

// Given reports whether s itself has reserved the name or given it to something.
func (s *Scope) Given(name string) bool { return s.taken[name] }

// For is the name of what key identifies: want when it is asked for first, or the nearest name to it that is free, and
// the same from then on.
func (s *Scope) For(key any, want string) string {
	if n, ok := s.given[key]; ok {
		return n
	}
	n := s.Fresh(want)
	s.given[key] = n
	return n
}

// Known is the name that For has given to key, in s or around it, or "".
func (s *Scope) Known(key any) string {
	for ; s != nil; s = s.outer {
		if n, ok := s.given[key]; ok {
			return n
		}
	}
	return ""
}

// Fresh is want, or the nearest name to it that is free, for something that no other call asks for: the second x is
// x2, the second w5 is w5b.
func (s *Scope) Fresh(want string) string {
	base := Identifier(want)
	name := base
	for i := 2; s.Taken(name); i++ {
		name = base + ordinal(base, i)
	}
	s.taken[name] = true
	return name
}

// ordinal tells the i-th thing of a name from the first: by a number, or by a letter where the name ends in a number
// already.
func ordinal(base string, i int) string {
	if last, _ := utf8.DecodeLastRuneInString(base); !unicode.IsDigit(last) {
		return fmt.Sprint(i)
	}
	letters := ""
	for ; i > 0; i = (i - 1) / 26 {
		letters = string(rune('a'+(i-1)%26)) + letters
	}
	return letters
}

// Identifier is the text without what cannot stand in an identifier; "x" where nothing is left.
func Identifier(text string) string {
	id := strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
	if first, _ := utf8.DecodeRuneInString(id); !unicode.IsLetter(first) && first != '_' {
		return "x" + id
	}
	return id
}

// initialisms are written in capitals in exported names, as Go programmers expect.
var initialisms = map[string]string{"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}

// words are the parts of the name of something, which dots and underscores separate.
func words(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '.' })
}

// Exported is the exported form of a name: "lstm.1" is LSTM1, "out_proj" is OutProj.
func Exported(name string) string {
	var b strings.Builder
	for _, part := range words(name) {
		word := strings.TrimRightFunc(part, unicode.IsDigit)
		if up, ok := initialisms[word]; ok {
			b.WriteString(up + part[len(word):])
			continue
		}
		b.WriteString(UpperFirst(part))
	}
	return b.String()
}

// Lower is the form of a name that is not exported: "lstm.1.gx" is lstm1Gx.
func Lower(name string) string {
	var b strings.Builder
	for i, part := range words(name) {
		if i > 0 {
			part = UpperFirst(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

// UpperFirst is s with a capital in front.
func UpperFirst(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[n:]
}
