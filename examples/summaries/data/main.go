// Command data takes functions and the first sentences of their doc comments from the source of the Go toolchain at
// hand, as pairs to learn from and to be asked about:
//
//	go run ./examples/summaries/data -out FOLDER
//
// A line of FOLDER/train.tsv has a function in one line, without comments and cut off behind some of its body, a tab,
// and the sentence; FOLDER/held.tsv has those of packages that are held out whole, chosen by a hash of their paths,
// so that they are the same ones everywhere. FOLDER/texts/train.txt has the lines of train as text, for a tokenizer
// to be learnt from.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"hash/fnv"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	most     = 180 // bytes of a function
	fewest   = 3   // words of a sentence
	longest  = 130 // bytes of it
	heldOut  = 20  // one of so many packages is
	skipping = "vendor testdata internal/trace/testtrace"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "summaries", "write to the folder `DIR`")
	src := flag.String("src", filepath.Join(build.Default.GOROOT, "src"), "read the Go files below the folder `DIR`")
	flag.Parse()
	var learn, held []string
	err := filepath.WalkDir(*src, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains(strings.Fields(skipping), d.Name()) || strings.HasPrefix(d.Name(), "_")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		lines, err := functions(path)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(*src, filepath.Dir(path))
		if err != nil {
			return err
		}
		h := fnv.New32a()
		h.Write([]byte(filepath.ToSlash(pkg)))
		if h.Sum32()%heldOut == 0 {
			held = append(held, lines...)
		} else {
			learn = append(learn, lines...)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	learn, held = distinct(learn, nil), distinct(held, learn)
	for name, lines := range map[string][]string{"train.tsv": learn, "held.tsv": held,
		filepath.Join("texts", "train.txt"): texts(learn)} {
		path := filepath.Join(*out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o666); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("%d functions to learn from, %d of packages that are held out\n", len(learn), len(held))
}

// functions lists the lines of a file.
func functions(path string) ([]string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	var lines []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Doc == nil || f.Body == nil {
			continue
		}
		sentence := strings.Join(strings.Fields(new(doc.Package).Synopsis(f.Doc.Text())), " ")
		if len(strings.Fields(sentence)) < fewest || len(sentence) > longest || strings.HasPrefix(sentence, "TODO") ||
			strings.HasPrefix(sentence, "Deprecated") {
			continue
		}
		f.Doc = nil
		var b bytes.Buffer
		if err := printer.Fprint(&b, set, f); err != nil { // a node alone is printed without comments
			return nil, err
		}
		lines = append(lines, cut(strings.Join(strings.Fields(b.String()), " "))+"\t"+sentence)
	}
	return lines, nil
}

// cut shortens a function at a blank.
func cut(s string) string {
	if len(s) <= most {
		return s
	}
	if i := strings.LastIndexByte(s[:most+1], ' '); i > 0 {
		return s[:i]
	}
	return strings.ToValidUTF8(s[:most], "")
}

// distinct leaves out lines that stand there already, or whose function is in others: the same code for two systems.
func distinct(lines, others []string) []string {
	seen := map[string]bool{}
	for _, l := range others {
		code, _, _ := strings.Cut(l, "\t")
		seen[code] = true
	}
	var left []string
	for _, l := range lines {
		code, _, _ := strings.Cut(l, "\t")
		if !seen[code] {
			seen[code] = true
			left = append(left, l)
		}
	}
	return left
}

// texts is both sides of lines, one below the other.
func texts(lines []string) []string {
	return strings.Split(strings.Join(lines, "\t"), "\t")
}
