package tokenizer

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/subword"
)

// splitter takes a text apart into pieces, which tokens do not cross: the library's pre-tokenizer. Start says that the
// text, or piece, begins the whole text.
type splitter interface {
	split(s string, start bool, give func(piece string, start bool))
}

// splitters split one after the other.
type splitters []splitter

func (l splitters) split(s string, start bool, give func(string, bool)) {
	if len(l) == 0 {
		give(s, start)
		return
	}
	if len(l) == 1 {
		l[0].split(s, start, give)
		return
	}
	l[0].split(s, start, func(s string, start bool) { l[1:].split(s, start, give) })
}

const supportedSplits = "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Sequence, " +
	"Split, Whitespace, WhitespaceSplit"

// parseSplitter makes the pre-tokenizer of the value at a path of the file.
func parseSplitter(path string, raw json.RawMessage) (splitter, error) {
	kind, err := typeOf(path, raw)
	if err != nil || kind == "" {
		return nil, err
	}
	switch kind {
	case "Sequence":
		list, err := sequence(path, raw, "pretokenizers", parseSplitter)
		return splitters(list), err
	case "ByteLevel":
		b := byteLevel{Prefix: true, Expression: true}
		err := settings(path, raw, &b)
		return b, err
	case "Metaspace":
		return parseMetaspace(path, raw)
	case "Split":
		return parseSplit(path, raw)
	case "Whitespace":
		return delimiters{func(s string) (int, bool) {
			switch r, size := utf8.DecodeRuneInString(s); {
			case isWord(r):
				return size + span(s[size:], isWord), false
			case unicode.IsSpace(r):
				return size + span(s[size:], unicode.IsSpace), true
			default:
				return size + span(s[size:], func(r rune) bool { return !isWord(r) && !unicode.IsSpace(r) }), false
			}
		}, "Removed"}, nil
	case "WhitespaceSplit":
		return characters(unicode.IsSpace, "Removed"), nil
	case "BertPreTokenizer":
		return splitters{characters(unicode.IsSpace, "Removed"), characters(isPunctuation, "Isolated")}, nil
	case "Punctuation":
		p := struct {
			Type     string `json:"type"`
			Behavior string `json:"behavior"`
		}{Behavior: "Isolated"}
		if err := settings(path, raw, &p); err != nil {
			return nil, err
		}
		return characters(isPunctuation, p.Behavior), checkBehavior(path, p.Behavior)
	case "Digits":
		var d struct {
			Type string `json:"type"`
			Each bool   `json:"individual_digits"`
		}
		if err := settings(path, raw, &d); err != nil {
			return nil, err
		}
		if d.Each {
			return characters(unicode.IsNumber, "Isolated"), nil
		}
		return characters(unicode.IsNumber, "Contiguous"), nil
	case "CharDelimiterSplit":
		var d struct {
			Type      string `json:"type"`
			Delimiter string `json:"delimiter"`
		}
		if err := settings(path, raw, &d); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(d.Delimiter) != 1 {
			return nil, fmt.Errorf("%s: delimiter: expected one character, found %q", path, d.Delimiter)
		}
		return delimiters{literal(d.Delimiter), "Removed"}, nil
	}
	return nil, unsupported(path, "pre-tokenizer", kind, supportedSplits)
}

// addsBlank tells whether a splitter may put a blank in front of a text.
func addsBlank(s splitter) bool {
	switch s := s.(type) {
	case splitters:
		for _, x := range s {
			if addsBlank(x) {
				return true
			}
		}
		return false
	case byteLevel:
		return s.Prefix
	case pieces:
		return false
	case delimiters:
		return s.behavior == "Removed"
	}
	return s != nil
}

// byteLevel splits as GPT-2 does; behind it a piece is bytes.
type byteLevel struct {
	Type       string `json:"type"`
	Prefix     bool   `json:"add_prefix_space"`
	Trim       bool   `json:"trim_offsets"`
	Expression bool   `json:"use_regex"`
}

func (b byteLevel) split(s string, start bool, give func(string, bool)) {
	if b.Prefix && s != "" && s[0] != ' ' {
		s = " " + s
	}
	if !b.Expression {
		give(s, start)
		return
	}
	pieces{subword.SplitGPT2}.split(s, start, give)
}

// pieces splits where one piece after the other ends.
type pieces struct{ next subword.Split }

func (p pieces) split(s string, start bool, give func(string, bool)) {
	for len(s) > 0 {
		n := p.next(s)
		give(s[:n], start)
		s, start = s[n:], false
	}
}

// metaspace writes ▁ for a blank, and splits in front of it.
type metaspace struct {
	mark   string
	prefix string // always, first or never
	cut    bool
}

func parseMetaspace(path string, raw json.RawMessage) (metaspace, error) {
	p := struct {
		Type        string  `json:"type"`
		Replacement string  `json:"replacement"`
		Spelt       *string `json:"str_rep"`
		Prefix      *bool   `json:"add_prefix_space"`
		Scheme      string  `json:"prepend_scheme"`
		Split       *bool   `json:"split"`
	}{Replacement: "▁"}
	if err := settings(path, raw, &p); err != nil {
		return metaspace{}, err
	}
	if utf8.RuneCountInString(p.Replacement) != 1 {
		return metaspace{}, fmt.Errorf("%s: replacement: expected one character, found %q", path, p.Replacement)
	}
	m := metaspace{p.Replacement, p.Scheme, p.Split == nil || *p.Split}
	switch {
	case m.prefix == "" && p.Prefix != nil && !*p.Prefix:
		m.prefix = "never"
	case m.prefix == "":
		m.prefix = "always"
	case m.prefix != "always" && m.prefix != "first" && m.prefix != "never":
		return m, fmt.Errorf("%s: prepend_scheme: expected always, first or never, found %q", path, m.prefix)
	}
	return m, nil
}

func (m metaspace) split(s string, start bool, give func(string, bool)) {
	s = strings.ReplaceAll(s, " ", m.mark)
	if s != "" && !strings.HasPrefix(s, m.mark) && (m.prefix == "always" || m.prefix == "first" && start) {
		s = m.mark + s
	}
	if !m.cut {
		give(s, start)
		return
	}
	delimiters{literal(m.mark), "MergedWithNext"}.split(s, start, give)
}

func (m metaspace) decode(tokens []string) []string {
	for i, t := range tokens {
		blank := " "
		if i == 0 && m.prefix != "never" {
			blank = ""
		}
		tokens[i] = strings.ReplaceAll(t, m.mark, blank)
	}
	return tokens
}

func (m metaspace) piece(s string) string { return strings.ReplaceAll(s, m.mark, " ") }

// delimiters splits at what next finds, in one of the library's five ways. Next gives the length of what stands at the
// beginning of a text that is not empty, and whether it is a delimiter.
type delimiters struct {
	next     func(s string) (n int, delimiter bool)
	behavior string
}

func checkBehavior(path, behavior string) error {
	switch behavior {
	case "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous":
		return nil
	}
	return fmt.Errorf("%s: behavior: expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous, "+
		"found %q", path, behavior)
}

func (d delimiters) split(s string, start bool, give func(string, bool)) {
	from, at := 0, 0 // the piece that is put together stands from from to at
	was := false     // what came last was a delimiter
	for at < len(s) {
		n, is := d.next(s[at:])
		joined := false // what comes now goes on the piece
		switch d.behavior {
		case "MergedWithPrevious":
			joined = is && !was
		case "MergedWithNext":
			joined = was && !is
		case "Contiguous":
			joined = is == was
		}
		if !joined && from < at {
			give(s[from:at], start && from == 0)
			from = at
		}
		at += n
		if is && d.behavior == "Removed" {
			from = at
		}
		was = is
	}
	if from < at {
		give(s[from:at], start && from == 0)
	}
}

// literal finds a text.
func literal(delimiter string) func(string) (int, bool) {
	return func(s string) (int, bool) {
		switch i := strings.Index(s, delimiter); {
		case i < 0:
			return len(s), false
		case i == 0:
			return len(delimiter), true
		default:
			return i, false
		}
	}
}

// characters splits at single characters.
func characters(is func(rune) bool, behavior string) delimiters {
	return delimiters{func(s string) (int, bool) {
		r, size := utf8.DecodeRuneInString(s)
		if is(r) {
			return size, true
		}
		return size + span(s[size:], func(r rune) bool { return !is(r) }), false
	}, behavior}
}

// span is the length of the characters at the beginning of s for which in holds.
func span(s string, in func(rune) bool) int {
	if i := strings.IndexFunc(s, func(r rune) bool { return !in(r) }); i >= 0 {
		return i
	}
	return len(s)
}

// isPunctuation is BERT's: the categories P, and what prints in ASCII and is no letter, digit or blank.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7F && !(r >= '0' && r <= '9') && !(r|0x20 >= 'a' && r|0x20 <= 'z')
	}
	return unicode.IsPunct(r)
}

// pattern is a text or an expression of the file.
type pattern struct {
	String *string
	Regex  *string
}

func (p pattern) text() string {
	if p.String == nil {
		return ""
	}
	return *p.String
}

// Search gives the places of the matches of an expression in a text, in their order, without empty ones.
type Search func(s string) ([][2]int, error)

// Expressions compiles expressions that look ahead or behind, which Go's package regexp does not take. It is nil unless
// the program imports the package lookahead, which sets it.
var Expressions func(expression string) (Search, error)

func parseSplit(path string, raw json.RawMessage) (splitter, error) {
	var p struct {
		Type     string  `json:"type"`
		Pattern  pattern `json:"pattern"`
		Behavior string  `json:"behavior"`
		Invert   bool    `json:"invert"`
	}
	if err := settings(path, raw, &p); err != nil {
		return nil, err
	}
	if err := checkBehavior(path, p.Behavior); err != nil {
		return nil, err
	}
	if p.Pattern.Regex == nil {
		if p.Pattern.text() == "" {
			return nil, fmt.Errorf("%s: pattern: it is empty", path)
		}
		next := literal(*p.Pattern.String)
		if p.Invert {
			next = inverted(next)
		}
		return delimiters{next, p.Behavior}, nil
	}
	expression := *p.Pattern.Regex
	if next, ok := subword.FindSplit(expression); ok &&
		(p.Behavior == "Isolated" && !p.Invert || p.Behavior == "Removed" && p.Invert) {
		return pieces{next}, nil
	}
	search, err := compile(expression)
	if err != nil {
		return nil, fmt.Errorf("%s: pattern: %w", path, err)
	}
	_, err = regexp.Compile(expression)
	return matches{search, err != nil, p.Behavior, p.Invert}, nil
}

// compile makes a search of an expression.
func compile(expression string) (Search, error) {
	x, err := regexp.Compile(expression)
	if err == nil {
		return func(s string) ([][2]int, error) {
			var places [][2]int
			for _, at := range x.FindAllStringIndex(s, -1) {
				if at[0] < at[1] {
					places = append(places, [2]int{at[0], at[1]})
				}
			}
			return places, nil
		}, nil
	}
	if Expressions == nil {
		return nil, fmt.Errorf("the expression %q needs an engine that looks ahead: import "+
			"github.com/gradsmith/gradsmith/runtime/tokenizer/lookahead (%w)", expression, err)
	}
	return Expressions(expression)
}

func inverted(next func(string) (int, bool)) func(string) (int, bool) {
	return func(s string) (int, bool) {
		n, is := next(s)
		return n, !is
	}
}

// matches splits at the matches of an expression.
type matches struct {
	search   Search
	ahead    bool // by the engine of the package lookahead
	behavior string
	invert   bool
}

func looksAhead(s splitter) bool {
	switch s := s.(type) {
	case matches:
		return s.ahead
	case splitters:
		return slices.ContainsFunc(s, looksAhead)
	}
	return false
}

// searchFailed is what split panics with when a search fails, which encode makes an error of.
type searchFailed struct{ err error }

func (m matches) split(s string, start bool, give func(string, bool)) {
	places, err := m.search(s)
	if err != nil {
		panic(searchFailed{err})
	}
	at := 0
	delimiters{func(rest string) (int, bool) {
		n, is := len(rest), false
		if len(places) > 0 {
			if n = places[0][0] - at; n == 0 {
				n, is = places[0][1]-at, true
				places = places[1:]
			}
		}
		at += n
		return n, is != m.invert
	}, m.behavior}.split(s, start, give)
}
