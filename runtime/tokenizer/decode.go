package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder makes text of the spellings of tokens.
type decoder interface {
	// decode changes and returns the list.
	decode(tokens []string) []string
	// piece is the text of a token that is neither the first nor the last.
	piece(s string) string
}

type decoders []decoder

func (l decoders) decode(tokens []string) []string {
	for _, d := range l {
		tokens = d.decode(tokens)
	}
	return tokens
}

func (l decoders) piece(s string) string {
	fused := false
	for _, d := range l {
		switch d.(type) {
		case fuse:
			fused = true
		case stripDecoder:
			if fused {
				continue // it works on the ends of the whole text
			}
		}
		s = d.piece(s)
	}
	return s
}

// parseDecoder makes the decoder of the value at a path of the file.
func parseDecoder(path string, raw json.RawMessage) (decoder, error) {
	kind, err := typeOf(path, raw)
	if err != nil || kind == "" {
		return nil, err
	}
	switch kind {
	case "Sequence":
		list, err := sequence(path, raw, "decoders", parseDecoder)
		return decoders(list), err
	case "ByteLevel":
		var b byteLevel
		return byteDecoder{}, settings(path, raw, &b)
	case "Metaspace":
		return parseMetaspace(path, raw)
	case "Replace":
		return parseReplace(path, raw)
	case "ByteFallback":
		return byteFallback{}, nil
	case "Fuse":
		return fuse{}, nil
	case "Strip":
		var d stripDecoder
		err := settings(path, raw, &d)
		if err == nil && utf8.RuneCountInString(d.Content) != 1 {
			err = fmt.Errorf("%s: content: expected one character, found %q", path, d.Content)
		}
		return d, err
	case "WordPiece":
		d := wordDecoder{Prefix: "##", Cleanup: true}
		err := settings(path, raw, &d)
		return d, err
	case "BPEDecoder":
		d := suffixDecoder{Suffix: "</w>"}
		err := settings(path, raw, &d)
		return d, err
	}
	return nil, unsupported(path, "decoder", kind,
		"BPEDecoder, ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece")
}

// byteDecoder makes bytes of the characters that stand for them.
type byteDecoder struct{}

func (d byteDecoder) decode(tokens []string) []string {
	for i, t := range tokens {
		tokens[i] = d.piece(t)
	}
	return tokens
}

func (byteDecoder) piece(s string) string {
	if b, ok := bytesOf(s); ok {
		return b
	}
	return s
}

// byteFallback makes the byte of <0x41>.
type byteFallback struct{}

func (d byteFallback) decode(tokens []string) []string {
	for i, t := range tokens {
		tokens[i] = d.piece(t)
	}
	return tokens
}

func (byteFallback) piece(s string) string {
	if b, ok := fallbackByte(s); ok {
		return string([]byte{b})
	}
	return s
}

// fallbackByte is the byte of a token such as <0x41>.
func fallbackByte(s string) (byte, bool) {
	if len(s) != 6 || !strings.HasPrefix(s, "<0x") || s[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(s[3:5], 16, 8)
	return byte(b), err == nil
}

// fuse makes one text of all tokens.
type fuse struct{}

func (fuse) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }
func (fuse) piece(s string) string           { return s }

// stripDecoder takes up to that many characters off the ends of each token.
type stripDecoder struct {
	Type    string `json:"type"`
	Content string `json:"content"`
	Start   int    `json:"start"`
	Stop    int    `json:"stop"`
}

func (d stripDecoder) decode(tokens []string) []string {
	for i, t := range tokens {
		tokens[i] = d.piece(t)
	}
	return tokens
}

func (d stripDecoder) piece(s string) string {
	for range d.Start {
		s = strings.TrimPrefix(s, d.Content)
	}
	for range d.Stop {
		s = strings.TrimSuffix(s, d.Content)
	}
	return s
}

// wordDecoder puts blanks between words and takes the mark of a word's later parts off.
type wordDecoder struct {
	Type    string `json:"type"`
	Prefix  string `json:"prefix"`
	Cleanup bool   `json:"cleanup"`
}

func (d wordDecoder) decode(tokens []string) []string {
	for i, t := range tokens {
		if i > 0 {
			tokens[i] = d.piece(t)
		} else if d.Cleanup {
			tokens[i] = cleanup(t)
		}
	}
	return tokens
}

func (d wordDecoder) piece(s string) string {
	if rest, ok := strings.CutPrefix(s, d.Prefix); ok {
		s = rest
	} else {
		s = " " + s
	}
	if d.Cleanup {
		s = cleanup(s)
	}
	return s
}

// cleanup takes blanks that English has not.
func cleanup(s string) string {
	if !strings.Contains(s, " ") {
		return s
	}
	for _, r := range [...][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}

// suffixDecoder makes blanks of the mark at the end of words, but not of that of the last one.
type suffixDecoder struct {
	Type   string `json:"type"`
	Suffix string `json:"suffix"`
}

func (d suffixDecoder) decode(tokens []string) []string {
	for i, t := range tokens {
		if i < len(tokens)-1 {
			tokens[i] = d.piece(t)
		} else {
			tokens[i] = strings.ReplaceAll(t, d.Suffix, "")
		}
	}
	return tokens
}

func (d suffixDecoder) piece(s string) string { return strings.ReplaceAll(s, d.Suffix, " ") }
