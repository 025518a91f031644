package wordvector

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// fastTextMagic begins fastText's models (Bojanowski et al. 2017; fastText 0.1 to 0.9, versions 11 and 12 of the form).
const fastTextMagic = 793712314

// fastTextArgs is what a model says of its training; numbers are 32 bits in little-endian order, as all in the file.
type fastTextArgs struct {
	Dim, Ws, Epoch, MinCount, Neg, WordNgrams, Loss, Model, Bucket, Minn, Maxn, LrUpdateRate int32
	T                                                                                        float64
}

// readFastText reads a model: its words, then a matrix of a row a word and a row a bucket, which parts of words are
// put into by their hash. The vector of a word is the mean of its row and those of its parts.
func readFastText(in *bufio.Reader, width int, want func(string) bool, parts []string, v *Vectors) error {
	cut := func(what string, err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%s: %w", what, errCut)
		}
		return err
	}
	read := func(what string, to any) error { return cut(what, binary.Read(in, binary.LittleEndian, to)) }
	var head struct{ Magic, Version int32 }
	var args fastTextArgs
	if err := errors.Join(read("its head", &head), read("its settings", &args)); err != nil {
		return err
	}
	if head.Version != 11 && head.Version != 12 {
		return fmt.Errorf("it is a fastText model of version %d, of which 11 and 12 are known", head.Version)
	}
	if int(args.Dim) != width {
		return wrongWidth(int(args.Dim), width)
	}
	const supervised = 3
	if head.Version == 11 && args.Model == supervised {
		args.Maxn = 0
	}
	var sizes struct {
		Size, Words, Labels int32
		Tokens, Pruned      int64
	}
	if err := read("its list of words", &sizes); err != nil {
		return err
	}
	if sizes.Words < 0 || sizes.Labels < 0 || int64(sizes.Size) != int64(sizes.Words)+int64(sizes.Labels) ||
		args.Bucket < 0 || args.Minn < 0 || args.Maxn < 0 {
		return errors.New("its head contradicts itself: it is damaged")
	}
	f := &fastText{args: args, words: int64(sizes.Words), rows: map[string]*fastTextWord{}, pruned: sizes.Pruned,
		kept: map[int32]int32{}}
	for i := range sizes.Size {
		what := fmt.Sprintf("word %d of %d", i+1, sizes.Size)
		word, err := readWord(in, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		var entry struct {
			Count int64
			Label int8
		}
		if err := read(what, &entry); err != nil {
			return err
		}
		if _, there := f.rows[string(word)]; i < sizes.Words && !there && want(string(word)) {
			f.rows[string(word)] = &fastTextWord{own: int64(i)}
		}
	}
	if sizes.Pruned > int64(args.Bucket) {
		return errors.New("its list of parts of words is longer than there are: it is damaged")
	}
	for range max(0, sizes.Pruned) {
		var pair struct{ Bucket, Row int32 }
		if err := read("its list of parts of words", &pair); err != nil {
			return err
		}
		f.kept[pair.Bucket] = pair.Row
	}
	for _, word := range parts {
		if _, there := f.rows[word]; !there {
			f.rows[word] = &fastTextWord{own: -1}
		}
	}
	var quantized bool
	if err := read("its matrix", &quantized); err != nil {
		return err
	}
	if quantized {
		return errors.New("it is a quantized fastText model (.ftz), which has no vectors of its own: take the .bin " +
			"or the .vec file")
	}
	var shape struct{ Rows, Width int64 }
	if err := read("its matrix", &shape); err != nil {
		return err
	}
	buckets := int64(args.Bucket)
	if sizes.Pruned >= 0 {
		buckets = sizes.Pruned
	}
	if shape.Width != int64(width) || shape.Rows != f.words+buckets {
		return fmt.Errorf("its matrix is %d × %d, and %d × %d for its words and their parts: it is damaged", shape.Rows,
			shape.Width, f.words+buckets, width)
	}
	v.Words = int(f.words)
	return f.sum(in, shape.Rows, width, v)
}

// fastText is a model while it is read.
type fastText struct {
	args   fastTextArgs
	words  int64
	rows   map[string]*fastTextWord // words that are asked for
	pruned int64                    // rows that parts of words have, or -1 where each bucket has one
	kept   map[int32]int32          // of a bucket its row, where not all have one
}

// fastTextWord is a word that is asked for: its own row, or -1.
type fastTextWord struct{ own int64 }

// sum reads the matrix, and adds each row to the words that it is a part of.
func (f *fastText) sum(in io.Reader, rows int64, width int, v *Vectors) error {
	users := map[int64][]string{} // of a row the words that it is added to, as often as they have it
	number := map[string]int{}
	for word, w := range f.rows {
		all := f.parts(word)
		if w.own >= 0 {
			all = append(all, w.own)
		}
		for _, row := range all {
			users[row] = append(users[row], word)
		}
		if number[word] = len(all); len(all) > 0 {
			v.Found[word] = make([]float32, width)
			v.Derived[word] = w.own < 0
		}
	}
	row := make([]byte, 4*width)
	for i := range rows {
		numbers, err := readRow(in, row)
		if err != nil {
			return fmt.Errorf("row %d of %d of its matrix: %w", i+1, rows, err)
		}
		for _, word := range users[i] {
			to := v.Found[word]
			for k, x := range numbers {
				to[k] += x / float32(number[word])
			}
		}
	}
	for word, derived := range v.Derived {
		if !derived {
			delete(v.Derived, word)
		}
	}
	return nil
}

// parts is the rows of the parts of a word, between < and >: the sequences of minn to maxn characters.
func (f *fastText) parts(word string) []int64 {
	const end = "</s>" // of a line, which has no parts
	if word == end || f.args.Bucket == 0 {
		return nil
	}
	var rows []int64
	s := "<" + word + ">"
	continues := func(i int) bool { return i < len(s) && s[i]&0xC0 == 0x80 }
	for i := range len(s) {
		if continues(i) {
			continue
		}
		for j, n := i, int32(1); j < len(s) && n <= f.args.Maxn; n++ {
			for j++; continues(j); j++ {
			}
			if n < f.args.Minn || n == 1 && (i == 0 || j == len(s)) {
				continue
			}
			bucket := int32(fastTextHash(s[i:j]) % uint32(f.args.Bucket))
			if f.pruned < 0 {
				rows = append(rows, f.words+int64(bucket))
			} else if row, ok := f.kept[bucket]; ok {
				rows = append(rows, f.words+int64(row))
			}
		}
	}
	return rows
}

// fastTextHash is FNV-1a of 32 bits with the sign of bytes carried along, as fastText has it.
func fastTextHash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h ^= uint32(int32(int8(s[i])))
		h *= 16777619
	}
	return h
}
