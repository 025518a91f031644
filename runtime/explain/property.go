package explain

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Property is something that can be said of every position of a text, and that a unit may go with.
type Property struct {
	Name  string
	About string // what its numbers are
	// Yes says that the numbers are 1 where something is so, and 0 elsewhere.
	Yes bool
	// of gives the number behind each character.
	of func(text string, each func(at int, value float64))
}

// properties are those with a name.
var properties = []*Property{
	{Name: "line-length", About: "characters since the line began",
		of: counted(func(r rune) bool { return r != '\n' })},
	{Name: "word-length", About: "letters and digits since the word began",
		of: counted(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })},
	{Name: "quotes", About: "a quotation is open", Yes: true, of: quotations},
	{Name: "brackets", About: "a bracket is open", Yes: true, of: brackets},
	{Name: "capitals", About: "the character is a capital letter", Yes: true, of: each(unicode.IsUpper)},
	{Name: "digits", About: "the character is a digit", Yes: true, of: each(unicode.IsDigit)},
}

// Properties are the names of the properties that are known.
func Properties() []string {
	var all []string
	for _, p := range properties {
		all = append(all, p.Name)
	}
	return all
}

// PropertyOf is the property of a name: one of [Properties], or else a regular expression of package regexp, whose
// property is that a position stands in what it matches. Quotations are between ", or between “ and ”, and end at an
// empty line at the latest; so do brackets: (, [ and {.
func PropertyOf(name string) (*Property, error) {
	for _, p := range properties {
		if p.Name == name {
			return p, nil
		}
	}
	re, err := regexp.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("%q is none of %s, and no regular expression: %w", name, strings.Join(Properties(),
			", "),
			err)
	}
	if name == "" {
		return nil, fmt.Errorf("an empty property: it is one of %s, or a regular expression", strings.Join(Properties(),
			", "))
	}
	return &Property{Name: name, About: "the position stands in a match", Yes: true,
		of: func(text string, each func(at int, value float64)) {
			at := 0
			until := func(end int, value float64) {
				for ; at < end; at++ {
					each(at, value)
				}
			}
			for _, m := range re.FindAllStringIndex(text, -1) {
				until(m[0], 0)
				until(m[1], 1)
			}
			until(len(text), 0)
		}}, nil
}

// Over is the property behind each token of a text, whose texts are pieces. A token of several characters has the
// number behind its last one; one that has none, such as the end of a document, that of the token before.
func (p *Property) Over(pieces []string) []float64 {
	text := strings.Join(pieces, "")
	behind := make([]float64, len(text)) // of each byte
	last, before := 0, 0.0
	until := func(end int) { // the rest of the character before
		for ; last < end; last++ {
			behind[last] = before
		}
	}
	p.of(text, func(at int, value float64) {
		until(at)
		before = value
	})
	until(len(text))
	all := make([]float64, len(pieces))
	end := 0
	for i, piece := range pieces {
		if end += len(piece); end > 0 {
			all[i] = behind[end-1]
		}
	}
	return all
}

// counted counts characters for which go is true, and begins again behind others.
func counted(on func(r rune) bool) func(string, func(int, float64)) {
	return func(text string, each func(int, float64)) {
		n := 0.0
		for at, r := range text {
			if n++; !on(r) {
				n = 0
			}
			each(at, n)
		}
	}
}

// each is 1 behind characters of a kind.
func each(is func(r rune) bool) func(string, func(int, float64)) {
	return func(text string, each func(int, float64)) {
		for at, r := range text {
			v := 0.0
			if is(r) {
				v = 1
			}
			each(at, v)
		}
	}
}

// paragraph tells where empty lines are: whether a character ends one.
func paragraph() func(r rune) bool {
	blank := false
	return func(r rune) bool {
		switch {
		case r == '\n':
			ends := blank
			blank = true
			return ends
		case !unicode.IsSpace(r):
			blank = false
		}
		return false
	}
}

// quotations are open from their first quotation mark to their last.
func quotations(text string, each func(int, float64)) {
	open := 0.0
	ends := paragraph()
	for at, r := range text {
		switch {
		case ends(r), r == '”':
			open = 0
		case r == '“':
			open = 1
		case r == '"':
			open = 1 - open
		}
		each(at, open)
	}
}

// brackets are open until they are all closed.
func brackets(text string, each func(int, float64)) {
	depth := 0
	ends := paragraph()
	for at, r := range text {
		switch {
		case ends(r):
			depth = 0
		case strings.ContainsRune("([{", r):
			depth++
		case strings.ContainsRune(")]}", r):
			depth = max(0, depth-1)
		}
		each(at, float64(min(depth, 1)))
	}
}
