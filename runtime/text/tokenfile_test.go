package text

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/filestest"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// tokenTexts are some documents, in two files.
func tokenTexts(t *testing.T) Input {
	t.Helper()
	dir := t.TempDir()
	var all [2]strings.Builder
	for i := range 300 {
		fmt.Fprintf(&all[i/150], "document %d of %s\n\n", i, strings.Repeat("some ", i*i%23))
	}
	var in Input
	for i := range all {
		in.Paths = append(in.Paths, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(in.Paths[i], []byte(all[i].String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// wide is a tokenizer of more tokens than a byte, or two of them, has.
type wide struct {
	Tokenizer
	add int32
}

func (w wide) Encode(s string) ([]int32, error) {
	tokens, err := w.Tokenizer.Encode(s)
	for i := range tokens {
		tokens[i] += w.add
	}
	return tokens, err
}
func (w wide) Vocab() int               { return w.Tokenizer.Vocab() + int(w.add) }
func (w wide) Piece(token int32) string { return w.Tokenizer.Piece(max(0, token-w.add)) }
func (w wide) Digest() string           { return fmt.Sprint(w.Tokenizer.Digest(), w.add) }

// TestTokenFiles makes token files, and compares what is read of them with what is read of the texts: by tokenizers of
// all sizes of vocabularies, in one file and in shards of any length, split and cut into windows in all ways.
func TestTokenFiles(t *testing.T) {
	in := tokenTexts(t)
	for _, tok := range []Tokenizer{ASCII(), wide{ASCII(), 300}, wide{ASCII(), 1 << 17}} {
		for _, o := range []Options{{}, {Separator: "\n\n"}, {Separator: "\n\n", Condition: " of", Drop: 0.4}} {
			for _, shard := range []int{0, 301, 1000, 1 << 20} {
				path := filepath.Join(t.TempDir(), "x.tokens")
				if shard > 0 {
					path = t.TempDir()
				}
				if shard == 301 && tok.Vocab() > 256 {
					continue // many files once are enough
				}
				info, err := WriteTokens(path, in, tok, o, shard)
				if err != nil {
					t.Fatal(err)
				}
				files, err := OpenTokens(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := files.Verify(); err != nil || files.Shards() != info.Shard+1 || shard == 1000 &&
					files.Shards() < 5 {
					t.Errorf("%d files, %v", files.Shards(), err)
				}
				for _, validation := range []float64{0, 0.1, 0.5} {
					o.Validation = validation
					want, err := Read(in, tok, o)
					if err != nil {
						t.Fatal(err)
					}
					got, err := files.Corpus(tok, o)
					if err != nil {
						t.Fatal(err)
					}
					sameParts(t, got.Train, want.Train)
					if (got.Validation == nil) != (want.Validation == nil) || got.Sorted != want.Sorted {
						t.Fatalf("%+v, want %+v", got, want)
					}
					if want.Validation != nil {
						sameParts(t, got.Validation, want.Validation)
					}
				}
				files.Close()
			}
		}
	}
}

// sameParts compares parts, and windows of them.
func sameParts(t *testing.T, got, want *Part) {
	t.Helper()
	if got.Tokens() != want.Tokens() || got.Documents() != want.Documents() || got.Chars() != want.Chars() {
		t.Fatalf("%d tokens, %d documents, %d characters, want %d, %d, %d", got.Tokens(), got.Documents(), got.Chars(),
			want.Tokens(), want.Documents(), want.Chars())
	}
	for _, cut := range []func(p *Part) (*Windows, error){
		func(p *Part) (*Windows, error) { return p.Windows(3, 17) },
		func(p *Part) (*Windows, error) { return p.Whole(5, 23) },
	} {
		a, err := cut(got)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cut(want)
		if err != nil {
			t.Fatal(err)
		}
		var x, y model.Batch
		for b.Next(&y) {
			if !a.Next(&x) || fmt.Sprint(x) != fmt.Sprint(y) {
				t.Fatalf("window %d is\n%v, want\n%v; %v", b.Position(), x, y, a.Err())
			}
		}
		if a.Next(&x) || a.Err() != nil {
			t.Fatalf("there are more windows, or %v", a.Err())
		}
	}
	// In random order the same pieces stand in the windows of a pass, each once, and another pass has another order.
	a, err := got.Shuffled(2, 13, 5)
	if err != nil {
		t.Fatal(err)
	}
	var orders []string
	for pass := range 2 {
		a.SetPosition(pass, 0)
		var x model.Batch
		var pieces []string
		for a.Next(&x) {
			for row := range 2 {
				var piece []int32
				for s := range x.Steps {
					piece = append(piece, x.Tokens[2*s+row])
				}
				pieces = append(pieces, fmt.Sprint(piece))
			}
		}
		orders = append(orders, fmt.Sprint(pieces))
		var all []string
		offset := int(model.Key(5, uint64(pass)) % 13)
		for at := offset; len(all) < a.pieces; at += 13 {
			var piece []int32
			for s := range 13 {
				piece = append(piece, want.at(at+s))
			}
			all = append(all, fmt.Sprint(piece))
		}
		slices.Sort(pieces)
		slices.Sort(all)
		left := len(all) - len(pieces)
		for _, p := range pieces {
			i, ok := slices.BinarySearch(all, p)
			if !ok {
				t.Fatalf("pass %d has a piece %v that the text has not, or too often", pass, p)
			}
			all = slices.Delete(all, i, i+1)
		}
		if left > 1 {
			t.Errorf("pass %d leaves %d pieces out", pass, left)
		}
	}
	if orders[0] == orders[1] {
		t.Error("two passes have the same order")
	}
}

// TestTokenFilesDamaged cuts a token file short at every byte and changes every byte of it: it is not opened, or not
// verified, and the error names it.
func TestTokenFilesDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.tokens")
	source := filepath.Join(dir, "text")
	if err := os.WriteFile(source, []byte("one two\n\nthree\n\nfour"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteTokens(path, Paths(source), ASCII(), Options{Separator: "\n\n"}, 0); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, data []byte) {
		t.Helper()
		name := filepath.Join(dir, "y.tokens")
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		files, err := OpenTokens(name)
		if err == nil {
			err = files.Verify()
			files.Close()
		}
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for i := range good {
		try(fmt.Sprintf("cut at %d", i), good[:i])
		for _, bit := range []byte{1, 128} {
			data := slices.Clone(good)
			data[i] ^= bit
			try(fmt.Sprintf("byte %d", i), data)
		}
	}
	try("longer", append(slices.Clone(good), 0))
	for _, c := range []struct {
		o    Options
		tok  Tokenizer
		want string
	}{{Options{}, ASCII(), "separator"}, {Options{Separator: "\n\n"}, Bytes(), "another tokenizer"},
		{Options{Separator: "\n\n", Condition: "x"}, ASCII(), "conditions"},
		{Options{Separator: "\n\n", Validation: 0.99}, ASCII(), "not enough"}} {
		files, err := OpenTokens(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := files.Corpus(c.tok, c.o); err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
		files.Close()
	}
}

// TestShardsOfTokens leaves shards out, has some twice, and mixes those of two texts.
func TestShardsOfTokens(t *testing.T) {
	in := tokenTexts(t)
	one, two := t.TempDir(), t.TempDir()
	if _, err := WriteTokens(one, in, ASCII(), Options{}, 5000); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteTokens(two, in, ASCII(), Options{Separator: "\n"}, 5000); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range []string{"00000", "00001", "00002", "00003"} {
		all = append(all, filepath.Join(one, name+TokenSuffix))
	}
	for want, names := range map[string][]string{
		"shard 0 is missing":             all[1:],
		"shard 1 is missing":             {all[0], all[2]},
		"are both shard 2":               {all[0], all[1], all[2], all[2], all[3]},
		"has more":                       all[:3],
		"there are no token files":       {t.TempDir()},
		"no such file":                   {filepath.Join(one, "none")},
		"is no token file":               {in.Paths[0]},
		"does not go on where " + all[0]: {all[0], filepath.Join(two, "00001"+TokenSuffix), all[2], all[3]},
	} {
		if _, err := OpenTokens(names...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := WriteTokens(one, in, ASCII(), Options{}, 5000); err == nil || !strings.Contains(err.Error(),
		"exists") {
		t.Errorf("over a text that is there: %v", err)
	}
	if !AreTokens(one) || !AreTokens(all[2]) || AreTokens(in.Paths[0]) || AreTokens(t.TempDir()) {
		t.Error("token files are not known as such")
	}
}

// TestTokensChange changes a file while its windows are read: there is no next one, and the error names the file.
func TestTokensChange(t *testing.T) {
	in := tokenTexts(t)
	for what, change := range map[string]func(path string) error{
		"has changed while it was read: it had": func(path string) error { return os.Truncate(path, 5000) },
		"has changed while it was read: it was written": func(path string) error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("x"), 200)
			return errors.Join(err, f.Close(), os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)))
		},
	} {
		path := filepath.Join(t.TempDir(), "x.tokens")
		if _, err := WriteTokens(path, in, ASCII(), Options{}, 0); err != nil {
			t.Fatal(err)
		}
		files, err := OpenTokens(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := files.Corpus(ASCII(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		w, err := c.Train.Shuffled(2, 10, 1)
		if err != nil {
			t.Fatal(err)
		}
		var b model.Batch
		if !w.Next(&b) || w.Err() != nil {
			t.Fatal(w.Err())
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		m := NewMasked(w, model.Masking{}, 1)
		if m.Next(&b) || m.Err() == nil || !strings.Contains(m.Err().Error(), path+" "+what) {
			t.Errorf("%v, want %s", m.Err(), what)
		}
		w.err = nil
		if runtime.GOOS == "linux" && strings.HasSuffix(what, "had") {
			// Shortened between the look at its size and the reading of its end.
			files.shards[0].size = 5000
			for range w.Windows() {
				w.Next(&b)
			}
			if w.Err() == nil || !strings.Contains(w.Err().Error(), path) {
				t.Errorf("read behind the end: %v", w.Err())
			}
		}
		files.Close()
	}
}

// TestTokenFaults lets every call fail that making token files makes of the disk: one file is what it was or what it is
// to be, and a folder of them is a text or known to be none.
func TestTokenFaults(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "text")
	if err := os.WriteFile(source, []byte(strings.Repeat("one two three\n", 20)), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []bool{false, true} {
		filestest.Each(t, func(t *testing.T, do func(func() error) (filestest.Fault, error)) {
			path := filepath.Join(t.TempDir(), "x.tokens")
			if folder {
				path = filepath.Join(filepath.Dir(path), "folder")
			} else if _, err := WriteTokens(path, Paths(source), ASCII(), Options{Separator: "\n"}, 0); err != nil {
				t.Fatal(err)
			}
			fault, err := do(func() error {
				_, err := WriteTokens(path, Paths(source), ASCII(), Options{}, 100)
				return err
			})
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %q", fault, err)
			}
			files, opened := OpenTokens(path)
			switch {
			case opened == nil:
				if e := files.Verify(); e != nil || err == nil && files.Info.Separator != "" {
					t.Errorf("%v: %v leaves %v, %v", fault, err, files.Info, e)
				}
				files.Close()
			case err == nil || !folder:
				t.Errorf("%v: %v leaves %v", fault, err, opened)
			case errors.Is(opened, fs.ErrNotExist):
			}
		})
	}
}
