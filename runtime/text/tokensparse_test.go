package text

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// sparse makes a token file of n tokens of 2 bytes, all of them 0, that takes no room on the disk but for what stands
// behind them: a document for each 1,000 tokens, and the numbers of characters.
func sparse(tb testing.TB, tok Tokenizer, n int) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "sparse.tokens")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	i := TokenInfo{Tokenizer: tok.Digest(), Vocab: tok.Vocab(), Width: 2, Separator: "\n\n", Last: true, Tokens: n,
		Documents: n / 1000, Chars: n}
	all, documents, chars := i.size()
	part := make([]byte, 0, all-documents)
	for d := range i.Documents {
		part = binary.LittleEndian.AppendUint64(part, uint64(1000*d))
	}
	for b := range blocks(n) - 1 {
		part = binary.LittleEndian.AppendUint64(part, uint64(b*tokenBlock))
	}
	part = binary.LittleEndian.AppendUint64(part, uint64(n))
	text, err := json.Marshal(i)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(text)
	part = append(append(part, text...), sum[:]...)
	part = append(binary.LittleEndian.AppendUint64(part, uint64(len(text))), tokenEnd...)
	if _, err := f.WriteAt([]byte(tokenHead), 0); err != nil {
		tb.Fatal(err)
	}
	if _, err := f.WriteAt(part, int64(documents)); err != nil {
		tb.Skip(err) // the file system has no files of this size
	}
	if chars != documents+8*i.Documents {
		tb.Fatal("the file is not what it should be")
	}
	return path
}

// first opens token files and reads the first window of a training on them, in random order.
func first(tb testing.TB, tok Tokenizer, path string) {
	tb.Helper()
	t, err := OpenTokens(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer t.Close()
	c, err := t.Corpus(tok, Options{Validation: 0.01, Separator: "\n\n"})
	if err != nil {
		tb.Fatal(err)
	}
	w, err := c.Train.Shuffled(32, 256, 1)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := c.Validation.Whole(32, 256)
	if err != nil {
		tb.Fatal(err)
	}
	var b model.Batch
	w.SetPosition(3, int64(w.Windows()/2))
	if !w.Next(&b) || !v.Next(&b) {
		tb.Fatal(w.Err(), v.Err())
	}
}

// TestLargeTokens begins trainings on 10 MB and on 10 GB of tokens: the same memory is made for both.
func TestLargeTokens(t *testing.T) {
	maps := []string{"darwin", "dragonfly", "freebsd", "linux", "netbsd", "openbsd"}
	if !slices.Contains(maps, runtime.GOOS) || strconv.IntSize < 64 {
		t.Skip("the system does not map files, so that they are read, or none that are so large")
	}
	tok := wide{ASCII(), 300}
	var bytes [2]uint64
	for i, mb := range []int{10, 10_000} {
		path := sparse(t, tok, mb*500_000)
		first(t, tok, path)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		first(t, tok, path)
		runtime.ReadMemStats(&after)
		bytes[i] = after.TotalAlloc - before.TotalAlloc
	}
	if bytes[1] > bytes[0]+bytes[0]/4+4096 {
		t.Errorf("to begin takes %d bytes of memory for 10 MB and %d for 10 GB", bytes[0], bytes[1])
	}
}

// BenchmarkTokens begins trainings on token files of some sizes: each opens a file, splits it and reads a window from
// the middle of a pass in random order, and one to validate on.
func BenchmarkTokens(b *testing.B) {
	tok := wide{ASCII(), 300}
	for _, mb := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("%dMB", mb), func(b *testing.B) {
			path := sparse(b, tok, mb*500_000)
			for b.Loop() {
				first(b, tok, path)
			}
		})
	}
}
