// Package formats reads tokenizers of every form that the project knows, by their content. It links all readers, and an
// engine for expressions; a program that embeds one tokenizer imports the reader of its form.
package formats

import (
	"bytes"
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	_ "github.com/gradsmith/gradsmith/runtime/tokenizer/lookahead" // files may have any expression
	"github.com/gradsmith/gradsmith/runtime/tokenizer/sentencepiece"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/tiktoken"
)

// Form is a form of tokenizer files.
type Form string

// The forms.
const (
	JSON          Form = "tokenizer.json"
	SentencePiece Form = "sentencepiece"
	TikToken      Form = "tiktoken"
)

// Detect tells the form of a file by its content.
func Detect(data []byte) Form {
	switch trimmed := bytes.TrimLeft(data, " \t\r\n\uFEFF"); {
	case len(trimmed) > 0 && trimmed[0] == '{':
		return JSON
	case tiktoken.Is(data):
		return TikToken
	}
	return SentencePiece
}

// Parse reads a tokenizer. Encoding is the name of a tiktoken file's encoding, see tiktoken.Encodings; "" recognises
// published ones, and files of other forms have none.
func Parse(data []byte, encoding string) (*tokenizer.Tokenizer, Form, error) {
	form := Detect(data)
	if encoding != "" && form != TikToken {
		return nil, form, fmt.Errorf("an encoding is for tiktoken files, and this is not one")
	}
	var t *tokenizer.Tokenizer
	var err error
	switch form {
	case JSON:
		t, err = tokenizer.Parse(data)
	case SentencePiece:
		if t, err = sentencepiece.Parse(data); err != nil {
			err = fmt.Errorf("the file is no tokenizer.json, tiktoken file or SentencePiece model that can be read: %w",
				err)
		}
	case TikToken:
		if encoding == "" {
			t, err = tiktoken.Parse(data)
			break
		}
		var e tiktoken.Encoding
		if e, err = tiktoken.Named(encoding); err == nil {
			t, err = e.Parse(data)
		}
	}
	return t, form, err
}

// Format writes a tokenizer in a form, or says why the form cannot hold it.
func Format(t *tokenizer.Tokenizer, form Form) ([]byte, error) {
	switch form {
	case JSON:
		return t.JSON()
	case SentencePiece:
		m, err := t.SentencePiece()
		if err != nil {
			return nil, err
		}
		return sentencepiece.Format(m)
	case TikToken:
		return tiktoken.Format(t)
	}
	return nil, fmt.Errorf("the form %q is not known: known are %s, %s and %s", form, JSON, SentencePiece, TikToken)
}
