package gen_test

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// columns is the longest line of Go code, with tabs of four columns.
const columns = 120

// TestColumns reads every Go file of the repository, generated ones too: no line is longer than columns, but one that a
// text of the program makes long. Such a text is not cut, as people look for it whole.
func TestColumns(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "demo") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		texts := texts(src)
		for i, line := range strings.Split(string(src), "\n") {
			if n := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); n > columns && !texts[i+1] {
				t.Errorf("%s:%d: %d columns; at most %d, with tabs of four", path, i+1, n, columns)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Fatalf("only %d files were read", files)
	}
}

// texts gives the lines of a file, from 1, that have a text of at least half a line, or a part of one over several
// lines.
func texts(src []byte) map[int]bool {
	lines := map[int]bool{}
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, 0)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return lines
		}
		first := file.Line(pos)
		last := first + strings.Count(lit, "\n")
		if tok == token.STRING && (last > first || utf8.RuneCountInString(lit) >= columns/2) {
			for i := first; i <= last; i++ {
				lines[i] = true
			}
		}
	}
}
