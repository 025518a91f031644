package emit

import (
	"strings"
	"unicode"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/graph"
)

// initialisms are written in capitals in exported names, as Go programmers expect.
var initialisms = map[string]string{"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}

// exported is the Go name for a layer or a parameter: "lstm1" is LSTM1, "out_proj" is OutProj.
func exported(name string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '.' }) {
		word := strings.TrimRightFunc(part, unicode.IsDigit)
		if up, ok := initialisms[word]; ok {
			b.WriteString(up + part[len(word):])
			continue
		}
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// local is the Go name for a value inside of a function: its name without the layer's.
func local(name string) string {
	name = name[strings.LastIndexByte(name, '.')+1:]
	return lower(name)
}

// lower is a name that is not exported: "lstm1.gx" is lstm1Gx.
func lower(name string) string {
	var b strings.Builder
	for i, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '.' }) {
		if i > 0 {
			part = strings.ToUpper(part[:1]) + part[1:]
		}
		b.WriteString(part)
	}
	return b.String()
}

// product is an expression for a dimension, with the names of its parts.
func product(d graph.Dim) jen.Code {
	var terms []jen.Code
	runs := d.Ordered()
	if len(runs) == 2 && runs[0] == "steps" && runs[1] == "batch" {
		runs = []string{"rows"}
	}
	for _, r := range runs {
		terms = append(terms, jen.Id(r))
	}
	if d.Name != "" {
		for _, t := range strings.Split(d.Name, "*") {
			if unicode.IsDigit(rune(t[0])) {
				n := 0
				for _, c := range t {
					n = n*10 + int(c-'0')
				}
				terms = append(terms, jen.Lit(n))
				continue
			}
			terms = append(terms, jen.Id(t))
		}
	} else if d.N != 1 || len(terms) == 0 {
		terms = append(terms, jen.Lit(d.N))
	}
	s := jen.Add(terms[0])
	for _, t := range terms[1:] {
		s = s.Op("*").Add(t)
	}
	return s
}

// shapeText is a shape for a comment, in numbers but for the run-time sizes.
func shapeText(s graph.Shape) string {
	parts := make([]string, len(s))
	for i, d := range s {
		if parts[i] = d.String(); d.N == 0 {
			parts[i] = d.Name // a number that the caller gives
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
