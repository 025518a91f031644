package emit

import (
	"go/scanner"
	"go/token"
	"strings"
)

// columns is how wide lines of generated code may be, a tab counting for four.
const columns = 120

// breakLines breaks lines of formatted code that are too wide, behind commas and operators: behind those that the
// fewest brackets are around, of these the last that fits. What follows is indented once more by the formatter.
// Comments are wrapped where they are written, and stay.
func breakLines(src []byte) []byte {
	var out []string
	raw := false // inside of a raw string
	for _, line := range strings.SplitAfter(string(src), "\n") {
		starts := raw
		raw = raw != (strings.Count(line, "`")%2 == 1)
		indent := line[:len(line)-len(strings.TrimLeft(line, "\t"))]
		for first := true; !starts && !raw && wide(line) > columns; first = false {
			at := breakAt(line, columns/3, first)
			if at < 0 {
				at = breakAt(line, 0, first)
			}
			if at < 0 {
				break
			}
			out = append(out, line[:at]+"\n")
			line = indent + "\t" + strings.TrimLeft(line[at:], " ")
		}
		out = append(out, line)
	}
	return []byte(strings.Join(out, ""))
}

// wide is the width of a line.
func wide(line string) int {
	w := 0
	for _, r := range strings.TrimSuffix(line, "\n") {
		if w++; r == '\t' {
			w += 3
		}
	}
	return w
}

// breakAt is where to break a line so that more than least columns stay in front, or -1. first says that the line
// begins a statement, or an element of a list, and does not go on with one.
func breakAt(line string, least int, first bool) int {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(line))
	s.Init(file, []byte(line), func(token.Position, string) {}, scanner.ScanComments)
	best, depth, around := -1, 0, len(line)
	for {
		pos, tok, _ := s.Scan()
		switch tok {
		case token.EOF:
			return best
		case token.COMMENT:
			return -1 // it would go with what follows
		case token.LPAREN, token.LBRACK, token.LBRACE:
			depth++
		case token.RPAREN, token.RBRACK, token.RBRACE:
			depth--
		case token.COMMA, token.LAND, token.LOR:
			end := file.Offset(pos) + len(tok.String())
			rank := depth
			if tok == token.COMMA && depth == 0 && first {
				rank = 1 // of a list of variables: no better than in a call
			}
			if wide(line[:end]) <= columns && wide(line[:end]) > least && rank <= around {
				best, around = end, rank
			}
		}
	}
}
