package interchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/sentencepiece"
)

// The files of a model that was made for two languages: how each is taken apart, and which numbers the pieces of both
// have.
const (
	sourcePieces = "source.spm"
	targetPieces = "target.spm"
	pieceNumbers = "vocab.json"
)

// What becomes of them: SentencePiece models whose pieces stand in the order of their numbers.
const (
	sourceModel = "source.model"
	targetModel = "target.model"
)

// hasPair tells whether the folder has a tokenizer for each of two languages.
func (f *folder) hasPair() bool {
	_, err := files.Stat(filepath.Join(f.dir, sourcePieces))
	return !errors.Is(err, fs.ErrNotExist)
}

// readPair reads the tokenizers of two languages.
func (f *folder) readPair() error {
	path := filepath.Join(f.dir, pieceNumbers)
	data, err := readText(path)
	if err != nil {
		return err
	}
	var numbers map[string]int
	if err := json.Unmarshal(data, &numbers); err != nil {
		return fmt.Errorf("%s is not an object of numbers: %w", path, err)
	}
	pieces := make([]string, len(numbers))
	for _, piece := range slices.Sorted(maps.Keys(numbers)) {
		switch n := numbers[piece]; {
		case n < 0 || n >= len(pieces):
			return fmt.Errorf("%s: the piece %q has the number %d, of %d pieces", path, piece, n, len(pieces))
		case pieces[n] != "":
			return fmt.Errorf("%s: the pieces %q and %q have the number %d", path, pieces[n], piece, n)
		default:
			pieces[n] = piece
		}
	}
	if f.sourceData, _, err = f.numbered(sourcePieces, pieces); err != nil {
		return err
	}
	f.sourceFile, f.tokenizerFile = sourceModel, targetModel
	f.tokenizerData, f.tokenizer, err = f.numbered(targetPieces, pieces)
	return err
}

// numbered is a SentencePiece model with its pieces in an order, in which there may be others, which no text has, and
// without those that have no place in it.
func (f *folder) numbered(name string, pieces []string) ([]byte, *tokenizer.Tokenizer, error) {
	path := filepath.Join(f.dir, name)
	data, err := readText(path)
	if err != nil {
		return nil, nil, err
	}
	m, err := sentencepiece.Read(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	has := map[string]tokenizer.ScoredPiece{}
	for _, p := range m.Pieces {
		has[p.Text] = p
	}
	m.Pieces = nil
	left := len(has)
	for _, text := range pieces {
		p, ok := has[text]
		if ok {
			left--
		} else if p = (tokenizer.ScoredPiece{Text: text, Type: tokenizer.Unused}); text == "<pad>" {
			p.Type = tokenizer.Control
		}
		m.Pieces = append(m.Pieces, p)
	}
	if left > 0 {
		f.notes = append(f.notes, fmt.Sprintf("%d of %d pieces of %s have no number in %s: a text is taken apart "+
			"without them.", left, len(has), name, pieceNumbers))
	}
	t, err := m.New()
	if err != nil {
		return nil, nil, fmt.Errorf("%s and %s: %w", path, pieceNumbers, err)
	}
	if data, err = sentencepiece.Format(m); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, t, nil
}
