package wordvector

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

func all(string) bool { return true }

// some are words and vectors of three numbers.
func some(r *rand.Rand, n int) (words []string, rows [][]float32) {
	for i := range n {
		row := make([]float32, 3)
		for k := range row {
			row[k] = float32(r.NormFloat64())
		}
		words, rows = append(words, fmt.Sprintf("wörd%d", i)), append(rows, row)
	}
	return words, rows
}

// written is the file of each form.
func written(words []string, rows [][]float32) map[Form][]byte {
	var text, glove, binaries bytes.Buffer
	fmt.Fprintf(&text, "%d 3\n", len(words))
	fmt.Fprintf(&binaries, "%d 3\n", len(words))
	for i, w := range words {
		line := fmt.Sprintf("%s %v %v %v\n", w, rows[i][0], rows[i][1], rows[i][2])
		text.WriteString(line)
		glove.WriteString(line)
		binaries.WriteString(w + " ")
		binary.Write(&binaries, binary.LittleEndian, rows[i])
		binaries.WriteByte('\n')
	}
	return map[Form][]byte{Word2VecText: text.Bytes(), GloVe: glove.Bytes(), Word2VecBinary: binaries.Bytes()}
}

func TestForms(t *testing.T) {
	words, rows := some(rand.New(rand.NewPCG(1, 1)), 50)
	for form, file := range written(words, rows) {
		v, err := Read(bytes.NewReader(file), 3, func(s string) bool { return s != words[7] }, nil)
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		if v.Form != form || v.Words != 50 || len(v.Found) != 49 {
			t.Errorf("%s: taken for %s, %d of %d words", form, v.Form, len(v.Found), v.Words)
		}
		for i, w := range words {
			if got, ok := v.Found[w]; ok == (i == 7) || ok && fmt.Sprint(got) != fmt.Sprint(rows[i]) {
				t.Errorf("%s: %s is %v, want %v", form, w, got, rows[i])
			}
		}
		for _, width := range []int{2, 4} {
			if _, err := Read(bytes.NewReader(file), width, all, nil); err == nil ||
				!strings.Contains(err.Error(), fmt.Sprintf("have 3 numbers, and %d are needed", width)) {
				t.Errorf("%s: %d numbers: %v", form, width, err)
			}
		}
	}
	// What word2vec's binary files lack in some programs, a word of GloVe with blanks, a word that comes twice, CR LF.
	v, err := Read(strings.NewReader("1 3\nword "+strings.Repeat("\x00\x00\x80\x3f", 3)), 3, all, nil)
	if err != nil || fmt.Sprint(v.Found["word"]) != "[1 1 1]" {
		t.Errorf("%v, %v", v, err)
	}
	v, err = Read(strings.NewReader("a 1 2 3\r\n. . . 4 5 6\na 7 8 9"), 3, all, nil)
	if err != nil || fmt.Sprint(v.Found) != "map[. . .:[4 5 6] a:[1 2 3]]" || v.Words != 3 {
		t.Errorf("%v, %v", v, err)
	}
}

// fastText has what fastText 0.9.2 says of a model: print-word-vectors.
const fastText92 = `the -0.23907 0.8995 0.40572
zebra -0.32592 0.94756 0.31934
naïves -0.31724 1.0964 0.45595
</s> -0.46677 1.0014 0.19083
語 -0.30857 0.76467 0.20421
over -0.34629 0.92137 0.2675`

func TestFastText(t *testing.T) {
	model, err := os.ReadFile("testdata/fasttext.bin")
	if err != nil {
		t.Fatal(err)
	}
	v, err := Read(bytes.NewReader(model), 3, all, []string{"zebra", "naïves", "語"})
	if err != nil {
		t.Fatal(err)
	}
	if v.Form != FastText || v.Words != 11 || len(v.Found) != 14 || len(v.Derived) != 3 || !v.Derived["zebra"] {
		t.Errorf("%d of %d words, derived %v", len(v.Found), v.Words, v.Derived)
	}
	text, err := os.ReadFile("testdata/fasttext.vec")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Read(bytes.NewReader(text), 3, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	said, err := Read(strings.NewReader(fastText92), 3, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	for word, row := range said.Found {
		want.Found[word] = row
	}
	if len(want.Found) != 14 {
		t.Errorf("the text has %d words", len(want.Found))
	}
	for word, row := range want.Found {
		for k, x := range row {
			if got := v.Found[word]; got == nil || math.Abs(float64(got[k]-x)) > 1e-4 {
				t.Errorf("%s is %v, want %v", word, got, row)
				break
			}
		}
	}
	if _, err := Read(bytes.NewReader(model), 4, all, nil); err == nil ||
		!strings.Contains(err.Error(), "have 3 numbers") {
		t.Errorf("another width: %v", err)
	}
	quantized := bytes.Clone(model)
	at := bytes.LastIndex(quantized[:300], []byte{0, 0, 31, 0, 0, 0, 0, 0, 0, 0}) // not quantized, 31 rows
	quantized[at+1] = 1
	if _, err := Read(bytes.NewReader(quantized), 3, all, nil); err == nil || !strings.Contains(err.Error(), ".ftz") {
		t.Errorf("a quantized model: %v", err)
	}
}

// TestCut: no file that ends too early is taken for a whole one. Of text that does not say how long it is a line that
// ends early is found, where its last number is cut it cannot be.
func TestCut(t *testing.T) {
	words, rows := some(rand.New(rand.NewPCG(2, 2)), 5)
	files := written(words, rows)
	model, err := os.ReadFile("testdata/fasttext.bin")
	if err != nil {
		t.Fatal(err)
	}
	files[FastText] = model[:len(model)-output]
	for form, file := range files {
		for n := range len(file) {
			if form == GloVe && (n == 0 || file[n-1] == '\n' ||
				bytes.Count(file[bytes.LastIndexByte(file[:n], '\n')+1:n], []byte(" ")) == 3) {
				continue
			}
			if form == Word2VecText && bytes.Count(file[:n], []byte("\n")) == 5 &&
				bytes.Count(file[bytes.LastIndexByte(file[:n], '\n')+1:n], []byte(" ")) == 3 {
				continue // its last number may be cut
			}
			if form == Word2VecBinary && n == len(file)-1 {
				continue // its last line break
			}
			if _, err := Read(bytes.NewReader(file[:n]), 3, all, []string{"zebra"}); err == nil {
				t.Errorf("%s: %d of %d bytes are taken", form, n, len(file))
			}
		}
	}
}

// output is the bytes of fasttext.bin behind its matrix of words: what it is trained with, which nothing reads.
const output = 1 + 8 + 8 + 11*3*4

// TestFaults: what is said of files that are damaged or of another kind.
func TestFaults(t *testing.T) {
	nan := "\x00\x00\xc0\x7f"
	for file, want := range map[string]string{
		"":                                 "empty",
		"a 1 2 3\nb 1 x 3\n":               `line 2: "x" is not a number`,
		"a 1 2 3\nb 1 nan 3\n":             "line 2: NaN is not a number that a parameter can have",
		"a 1 2 3\nb 1 2 inf\n":             "line 2: +Inf",
		"a 1 2 3\nb 1 2 1e39":              "line 2: 1e+39",
		"a 1 2 3\nb 1 2 1e999":             "line 2: +Inf",
		"a 1 2 3\nb 1 2\n":                 "line 2 has 2 numbers behind its word, not 3",
		"a 1 2 3\n\nb 1 2 3\n":             "line 2 has 0 numbers",
		"2 3\na 1 2 3\n":                   "says that it has 2 words, and has 1",
		"1 3\na 1 2 3\nb 1 2 3\n":          "says that it has 1 words, and has 2",
		"2 3\na 1 2 3\nb 1 2":              "line 3 has 2 numbers",
		"hello\nworld\n":                   "neither two numbers",
		"1 3\na " + nan + nan + nan + "\n": `word 1 of 1, "a": NaN`,
		"2 3\na " + strings.Repeat("\x00\x00\x80\x3f", 3) + "\n":     "word 2 of 2: the file ends here",
		"1 3\na " + strings.Repeat("\x00\x00\x80\x3f", 3) + "\nmore": "goes on behind its last word",
	} {
		if _, err := Read(strings.NewReader(file), 3, all, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	words, rows := some(rand.New(rand.NewPCG(3, 3)), 3)
	for _, file := range written(words, rows) {
		f.Add(file)
	}
	model, err := os.ReadFile("testdata/fasttext.bin")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(model)
	f.Fuzz(func(t *testing.T, file []byte) {
		v, err := Read(bytes.NewReader(file), 3, all, []string{"zebra"})
		if err != nil {
			return
		}
		for word, row := range v.Found {
			if len(row) != 3 {
				t.Fatalf("%q has %d numbers", word, len(row))
			}
			for _, x := range row {
				if x != x {
					t.Fatalf("%q is %v", word, row)
				}
			}
		}
	})
}
