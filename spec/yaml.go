package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxNodes bounds a spec after its aliases are expanded; a few lines of aliases can stand for more nodes than a
// machine can hold.
const maxNodes = 20000

// maxDepth bounds the nesting. The language needs 6.
const maxDepth = 64

// parseYAML returns the root of the only document in src, with its aliases expanded, or nil and what is wrong.
func parseYAML(file string, src []byte) (*yaml.Node, Errors) {
	fail := func(pos Pos, format string, args ...any) (*yaml.Node, Errors) {
		return nil, Errors{{File: file, Pos: pos, Msg: fmt.Sprintf(format, args...)}}
	}
	if len(src) > maxFile {
		return fail(Pos{}, "the spec has %d bytes, more than the %d that are allowed", len(src), maxFile)
	}
	if pos, ok := badByte(src); ok {
		return fail(pos, "the spec is not UTF-8 text; save it as UTF-8")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(withoutVersion(src)))
	var doc yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && (len(doc.Content) == 0 || isNull(doc.Content[0])) {
		return fail(Pos{Line: 1, Col: 1},
			"the spec is empty; begin with the line `kind: rnn`, or write one with `gradsmith init`")
	}
	if err != nil {
		return nil, Errors{syntaxError(file, src, err)}
	}
	var next yaml.Node
	if err := decoder.Decode(&next); err == nil {
		return fail(position(&next), "a second document begins here; a spec is one document, so put each model in a "+
			"file of its own")
	} else if !errors.Is(err, io.EOF) {
		return nil, Errors{syntaxError(file, src, err)}
	}
	e := expander{left: maxNodes}
	root := e.expand(doc.Content[0], 0)
	if e.msg != "" {
		return fail(e.pos, "%s", e.msg)
	}
	return root, nil
}

var versionLine = regexp.MustCompile(`^%YAML[ \t]+1\.[0-9]+[ \t]*(#.*)?\r?$`)

// withoutVersion makes a comment of the line that says which version of YAML follows, such as `%YAML 1.2`: the library
// knows 1.1 alone, and what a spec has in it means the same in each of them. All else keeps its place.
func withoutVersion(src []byte) []byte {
	at := 0
	for line := range bytes.Lines(src) {
		text := bytes.TrimPrefix(bytes.TrimRight(line, "\n"), []byte("\uFEFF"))
		switch {
		case versionLine.Match(text):
			src = bytes.Clone(src)
			src[at+bytes.IndexByte(line, '%')] = '#'
			return src
		case len(bytes.TrimSpace(text)) > 0 && text[0] != '#' && text[0] != '%':
			return src // the document begins
		}
		at += len(line)
	}
	return src
}

func position(n *yaml.Node) Pos { return Pos{Line: n.Line, Col: n.Column} }

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// badByte finds the first byte that is not UTF-8.
func badByte(src []byte) (Pos, bool) {
	if utf8.Valid(src) {
		return Pos{}, false
	}
	pos := Pos{Line: 1, Col: 1}
	for len(src) > 0 {
		r, size := utf8.DecodeRune(src)
		switch {
		case r == utf8.RuneError && size == 1:
			return pos, true
		case r == '\n':
			pos = Pos{Line: pos.Line + 1, Col: 1}
		default:
			pos.Col++
		}
		src = src[size:]
	}
	return Pos{}, false
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntaxError gives an error of the YAML library the form of the others. The library tells the line only, and for tabs
// it tells neither what is wrong nor always the right line.
func syntaxError(file string, src []byte, err error) Error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	lines := strings.Split(string(src), "\n")
	line = max(1, min(line, len(lines)))
	for _, at := range []int{line, line + 1, line - 1} {
		if at < 1 || at > len(lines) {
			continue
		}
		text := lines[at-1]
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			return Error{file, Pos{Line: at, Col: tab + 1}, "a tab stands in the indentation; YAML wants spaces"}
		}
	}
	text := lines[line-1]
	col := 1 + len(text) - len(strings.TrimLeft(text, " "))
	return Error{file, Pos{Line: line, Col: col}, "this is not valid YAML: " + msg}
}

// expander copies a tree with a copy of its anchor's value in place of each alias.
type expander struct {
	left int
	pos  Pos
	msg  string
}

func (e *expander) expand(n *yaml.Node, depth int) *yaml.Node {
	if e.msg != "" {
		return n
	}
	e.left--
	switch {
	case e.left < 0:
		e.pos, e.msg = position(n), fmt.Sprintf("the spec has more than %d values, counting those that aliases "+
			"repeat; a model needs far fewer", maxNodes)
		return n
	case depth > maxDepth:
		e.pos, e.msg = position(n), fmt.Sprintf("values are nested more than %d deep, or an alias contains itself",
			maxDepth)
		return n
	case n.Kind == yaml.AliasNode:
		c := *e.expand(n.Alias, depth+1)
		// The value is reported where it is used: that is the place that says what it means.
		c.Line, c.Column = n.Line, n.Column
		return &c
	}
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = e.expand(child, depth+1)
	}
	return &c
}
