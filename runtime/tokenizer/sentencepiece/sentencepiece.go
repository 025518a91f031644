// Package sentencepiece reads and writes the model files of the SentencePiece library (Kudo and Richardson 2018),
// which are protocol buffers. What a model does stands in the package tokenizer; this one must not know it.
package sentencepiece

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

// The numbers of the fields, as sentencepiece_model.proto has them.
const (
	modelPieces, modelTrainer, modelNormalizer = 1, 2, 3
	pieceText, pieceScore, pieceType           = 1, 2, 3
	trainerType, trainerSize, trainerSuffix    = 3, 4, 24
	trainerFallback                            = 35
	trainerUnknown, trainerBegin, trainerEnd   = 40, 41, 42
	normalizerName, normalizerCharsmap         = 1, 2
	normalizerPrefix, normalizerCollapse       = 3, 4
	normalizerEscape                           = 5
	typeUnigram, typeBPE                       = 1, 2
)

// Parse reads a model file and makes its tokenizer.
func Parse(data []byte) (*tokenizer.Tokenizer, error) {
	m, err := Read(data)
	if err != nil {
		return nil, err
	}
	return m.New()
}

// Read reads a model file. Models of the kinds word and char, with blanks at the ends of words or with blanks that are
// not escaped are errors.
func Read(data []byte) (*tokenizer.SentencePiece, error) {
	m := &tokenizer.SentencePiece{Prefix: true, Collapse: true}
	kind := uint64(typeUnigram)
	err := each(data, func(n protowire.Number, v value) error {
		switch n {
		case modelPieces:
			p := tokenizer.ScoredPiece{Type: tokenizer.Normal}
			err := each(v.bytes, func(n protowire.Number, v value) error {
				switch n {
				case pieceText:
					p.Text = string(v.bytes)
				case pieceScore:
					p.Score = math.Float32frombits(v.fixed)
				case pieceType:
					if v.number > 255 {
						return fmt.Errorf("the type %d is not supported", v.number)
					}
					p.Type = tokenizer.PieceType(v.number)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(m.Pieces), err)
			}
			if math.IsNaN(float64(p.Score)) || math.IsInf(float64(p.Score), 0) {
				return fmt.Errorf("piece %d: its score is %v", len(m.Pieces), p.Score)
			}
			m.Pieces = append(m.Pieces, p)
		case modelTrainer:
			return each(v.bytes, func(n protowire.Number, v value) error {
				switch n {
				case trainerType:
					kind = v.number
				case trainerFallback:
					m.Fallback = v.number != 0
				case trainerSuffix:
					if v.number != 0 {
						return errors.New("trainer_spec.treat_whitespace_as_suffix is not supported")
					}
				}
				return nil
			})
		case modelNormalizer:
			return each(v.bytes, func(n protowire.Number, v value) error {
				switch n {
				case normalizerName:
					m.Rules = string(v.bytes)
				case normalizerCharsmap:
					m.Charsmap = append([]byte(nil), v.bytes...)
				case normalizerPrefix:
					m.Prefix = v.number != 0
				case normalizerCollapse:
					m.Collapse = v.number != 0
				case normalizerEscape:
					if v.number == 0 {
						return errors.New("normalizer_spec.escape_whitespaces: false is not supported")
					}
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the file is not a SentencePiece model: %w", err)
	case len(m.Pieces) == 0:
		return nil, errors.New("the file is not a SentencePiece model: it has no pieces")
	case kind != typeUnigram && kind != typeBPE:
		return nil, fmt.Errorf("trainer_spec.model_type: the kind %d is not supported; unigram and bpe are", kind)
	}
	m.BPE = kind == typeBPE
	return m, nil
}

// value is what a field holds, by its kind.
type value struct {
	bytes  []byte
	number uint64
	fixed  uint32
}

// each calls give for the fields of a message.
func each(data []byte, give func(protowire.Number, value) error) error {
	for at := 0; at < len(data); {
		number, kind, n := protowire.ConsumeTag(data[at:])
		if n < 0 {
			return fmt.Errorf("byte %d: %w", at, protowire.ParseError(n))
		}
		at += n
		var v value
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(data[at:])
		case protowire.Fixed32Type:
			v.fixed, n = protowire.ConsumeFixed32(data[at:])
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(data[at:])
		default:
			n = protowire.ConsumeFieldValue(number, kind, data[at:])
		}
		if n < 0 {
			return fmt.Errorf("byte %d: %w", at, protowire.ParseError(n))
		}
		at += n
		if err := give(number, v); err != nil {
			return err
		}
	}
	return nil
}

// Format writes a model file, which the SentencePiece library reads as well. A normal form that is not written out as
// rules cannot be written.
func Format(m *tokenizer.SentencePiece) ([]byte, error) {
	if m.Form != "" {
		return nil, fmt.Errorf("a SentencePiece model cannot say that texts are brought to the form %s", m.Form)
	}
	var out []byte
	unknown, begin, end := -1, -1, -1
	for i, p := range m.Pieces {
		var b []byte
		b = protowire.AppendTag(b, pieceText, protowire.BytesType)
		b = protowire.AppendString(b, p.Text)
		b = protowire.AppendTag(b, pieceScore, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, math.Float32bits(p.Score))
		if p.Type != tokenizer.Normal {
			b = appendNumber(b, pieceType, int(p.Type))
		}
		out = appendMessage(out, modelPieces, b)
		switch {
		case p.Type == tokenizer.Unknown:
			unknown = i
		case p.Type == tokenizer.Control && (p.Text == "<s>" || p.Text == "<bos>"):
			begin = i
		case p.Type == tokenizer.Control && (p.Text == "</s>" || p.Text == "<eos>"):
			end = i
		}
	}
	var trainer []byte
	kind := typeUnigram
	if m.BPE {
		kind = typeBPE
	}
	trainer = appendNumber(trainer, trainerType, kind)
	trainer = appendNumber(trainer, trainerSize, len(m.Pieces))
	trainer = appendBool(trainer, trainerFallback, m.Fallback)
	trainer = appendNumber(trainer, trainerUnknown, unknown)
	trainer = appendNumber(trainer, trainerBegin, begin)
	trainer = appendNumber(trainer, trainerEnd, end)
	out = appendMessage(out, modelTrainer, trainer)
	var n []byte
	n = protowire.AppendTag(n, normalizerName, protowire.BytesType)
	n = protowire.AppendString(n, m.Rules)
	n = protowire.AppendTag(n, normalizerCharsmap, protowire.BytesType)
	n = protowire.AppendBytes(n, m.Charsmap)
	n = appendBool(n, normalizerPrefix, m.Prefix)
	n = appendBool(n, normalizerCollapse, m.Collapse)
	n = appendBool(n, normalizerEscape, true)
	return appendMessage(out, modelNormalizer, n), nil
}

func appendMessage(b []byte, number protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), message)
}

func appendNumber(b []byte, number protowire.Number, x int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(x))
}

func appendBool(b []byte, number protowire.Number, is bool) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), protowire.EncodeBool(is))
}
