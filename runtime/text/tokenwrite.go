package text

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// WriteTokens makes token files of what in names: the tokens that [Read] would make of it, with the options but for
// Validation. Where path ends with [TokenSuffix] it is one file; otherwise it is a folder, and has a file for each
// shard tokens. It gives what stands in the last one. On an error a file is as it was; of a folder, which must have had
// no token files, those stay that are complete, and are no text without the others.
func WriteTokens(path string, in Input, tok Tokenizer, o Options, shard int) (*TokenInfo, error) {
	w := &tokenWriter{vocab: tok.Vocab(), chars: charsOf(tok)}
	w.info = TokenInfo{Tokenizer: tok.Digest(), Vocab: tok.Vocab(), Width: 4, Separator: o.Separator,
		Condition: o.Condition}
	if o.Condition != "" {
		w.info.Drop = o.Drop
	}
	if tok.Vocab() <= 1<<8 {
		w.info.Width = 1
	} else if tok.Vocab() <= 1<<16 {
		w.info.Width = 2
	}
	if w.name = func(int) string { return path }; !strings.HasSuffix(path, TokenSuffix) {
		if shard < 1 {
			return nil, fmt.Errorf("shards of %d tokens: give 1 or more", shard)
		}
		w.most = shard
		w.name = func(i int) string { return filepath.Join(path, fmt.Sprintf("%05d%s", i, TokenSuffix)) }
		if err := files.MkdirAll(path); err != nil {
			return nil, err
		}
		if there, err := tokenNames([]string{path}); err == nil {
			return nil, fmt.Errorf("%s exists: name another folder, or remove the token files in it", there[0])
		}
	}
	b := newBuilder(tok, o)
	b.out = w
	if err := b.checkDrop(); err != nil {
		return nil, err
	}
	err := in.texts(b.reserve, func(s Source) error {
		if err := b.add(s); err != nil {
			return err
		}
		if w.stuck {
			return errStuck
		}
		return w.err
	})
	if errors.Is(err, errStuck) {
		w.end() // which tells why
		return nil, w.err
	}
	if err == nil && w.total == 0 {
		err = fmt.Errorf("%s: the text is empty", in.Name())
	}
	if err != nil {
		w.giveUp(err)
		return nil, err
	}
	w.info.Last, w.info.Sorted, w.info.Name = true, b.sorted, in.Name()
	w.info.Text = hex.EncodeToString(b.hash.Sum(nil))
	if w.end(); w.err != nil {
		return nil, w.err
	}
	return &w.last, nil
}

var errStuck = errors.New("the token file cannot be written")

// tokenWriter writes the tokens of a builder into files.
type tokenWriter struct {
	name  func(shard int) string
	most  int // tokens of a file; 0 for all
	vocab int
	chars []int     // that each token begins
	info  TokenInfo // of the file that is being written
	last  TokenInfo // of the one before
	total int       // tokens in all
	docs  int       // documents in all
	stuck bool      // the file cannot be written
	err   error

	open   *bufio.Writer // nil before the first token of a file
	pipe   *io.PipeWriter
	done   chan error // of the writing of the file
	hash   hash.Hash
	starts []int // of documents in this file
	counts []int // of characters before each block of it
}

// begin begins a document.
func (w *tokenWriter) begin() (before int) {
	if w.most > 0 && w.info.Tokens == w.most {
		w.end() // the document stands in the next file
	}
	w.starts = append(w.starts, w.info.Tokens)
	w.docs++
	return w.docs - 1
}

// add adds tokens to the last document.
func (w *tokenWriter) add(tokens []int32) {
	for _, t := range tokens {
		if w.most > 0 && w.info.Tokens == w.most {
			w.end()
		}
		if w.open == nil {
			w.start()
		}
		if w.info.Tokens%tokenBlock == 0 {
			w.counts = append(w.counts, w.info.Chars)
		}
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], uint32(t))
		if _, err := w.open.Write(b[:w.info.Width]); err != nil {
			w.stuck = true
			return
		}
		w.info.Tokens++
		w.info.Chars += w.chars[t]
		w.total++
	}
}

// start begins a file, which a goroutine writes as files.Write asks for it.
func (w *tokenWriter) start() {
	r, pipe := io.Pipe()
	w.pipe, w.done, w.hash = pipe, make(chan error, 1), sha256.New()
	name, done := w.name(w.info.Shard), w.done
	go func() {
		err := files.Write(name, func(to io.Writer) error {
			_, err := io.Copy(to, r)
			return err
		})
		r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // whoever writes on is told
		done <- err
	}()
	w.open = bufio.NewWriterSize(io.MultiWriter(pipe, w.hash), 1<<18)
	w.open.WriteString(tokenHead + strings.Repeat(" ", headLength-len(tokenHead)-1) + "\n")
}

// end ends a file.
func (w *tokenWriter) end() {
	if w.open == nil {
		w.start()
	}
	w.info.Documents = len(w.starts)
	_, documents, _ := w.info.size()
	w.open.Write(make([]byte, documents-headLength-w.info.Width*w.info.Tokens))
	for _, list := range [][]int{w.starts, append(w.counts, w.info.Chars)} {
		for _, n := range list {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], uint64(n))
			w.open.Write(b[:])
		}
	}
	w.open.Flush()
	w.info.Content = hex.EncodeToString(w.hash.Sum(nil))
	text, err := json.Marshal(w.info)
	if err == nil {
		sum := sha256.Sum256(text)
		text = append(append(text, sum[:]...), binary.LittleEndian.AppendUint64(nil, uint64(len(text)))...)
		_, err = w.pipe.Write(append(text, tokenEnd...))
	}
	w.pipe.CloseWithError(err)
	if written := <-w.done; written != nil {
		err = fmt.Errorf("can't write the token file %s: %w", w.name(w.info.Shard), files.Cause(written))
	}
	if w.err == nil {
		w.err = err
	}
	w.last = w.info
	w.info.Shard, w.info.First, w.info.Before = w.info.Shard+1, w.info.First+w.info.Tokens, w.last.digest()
	w.info.Tokens, w.info.Documents, w.info.Chars, w.info.Content = 0, 0, 0, ""
	w.open, w.starts, w.counts = nil, w.starts[:0], w.counts[:0]
}

// giveUp leaves the file that is being written as it was.
func (w *tokenWriter) giveUp(err error) {
	if w.open != nil {
		w.pipe.CloseWithError(err)
		<-w.done
	}
}
