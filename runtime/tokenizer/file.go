package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
)

// rawFile is a tokenizer.json. Its parts stay as they are, so that writing a file that was read changes nothing but the
// spelling of its lists.
type rawFile struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	Added         []Added         `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// maxTokens bounds the numbers of tokens: a file with one number of a billion must not fill the memory.
const maxTokens = 1 << 22

// Parse reads a tokenizer.json. What it says of truncation and padding is kept for writing, and otherwise left to the
// caller.
func Parse(data []byte) (*Tokenizer, error) {
	var raw rawFile
	if err := strict(data, &raw); err != nil {
		return nil, fmt.Errorf("the file is not a tokenizer.json: %w", err)
	}
	if raw.Version != "1.0" {
		return nil, fmt.Errorf("version: expected 1.0, found %s", quote(raw.Version))
	}
	for _, part := range []*json.RawMessage{&raw.Normalizer, &raw.PreTokenizer, &raw.PostProcessor, &raw.Decoder} {
		if len(*part) == 0 {
			*part = json.RawMessage("null")
		}
		var b bytes.Buffer
		if err := json.Compact(&b, *part); err != nil {
			return nil, err
		}
		*part = b.Bytes()
	}
	if len(raw.Model) == 0 {
		return nil, errors.New("the file is not a tokenizer.json: it has no model")
	}
	t := &Tokenizer{raw: raw, special: map[int32]bool{}, ofAdded: map[int32]bool{}, content: map[int32]string{}}
	var err error
	if t.normalizer, err = parseNormalizer("normalizer", raw.Normalizer); err != nil {
		return nil, err
	}
	if t.splitter, err = parseSplitter("pre_tokenizer", raw.PreTokenizer); err != nil {
		return nil, err
	}
	if t.byteLevel, err = endsInBytes(t.splitter); err != nil {
		return nil, err
	}
	if t.decoder, err = parseDecoder("decoder", raw.Decoder); err != nil {
		return nil, err
	}
	for _, a := range raw.Added {
		if a.Special {
			t.special[a.ID] = true
		}
	}
	if err := t.parseModel(raw.Model); err != nil {
		return nil, err
	}
	t.raw.Model = nil
	if err := t.add(raw.Added); err != nil {
		return nil, err
	}
	if t.template, err = parseTemplate("post_processor", raw.PostProcessor, t); err != nil {
		return nil, err
	}
	t.finish()
	return t, nil
}

// finish makes what follows from the parts.
func (t *Tokenizer) finish() {
	t.pieces = make([]string, len(t.tokens))
	for x, s := range t.tokens {
		if t.decoder == nil {
			s = " " + s
		} else if !t.special[int32(x)] {
			s = t.decoder.piece(s)
		}
		t.pieces[x] = s
	}
	t.digest = sync.OnceValue(t.sum)
}

// endsInBytes tells whether the pieces of a splitter are bytes.
func endsInBytes(s splitter) (bool, error) {
	switch s := s.(type) {
	case byteLevel:
		return true, nil
	case splitters:
		for i, x := range s {
			is, err := endsInBytes(x)
			if err != nil {
				return false, err
			}
			if is {
				if i < len(s)-1 {
					return false, fmt.Errorf("pre_tokenizer.pretokenizers[%d]: another one behind ByteLevel is not "+
						"supported", i+1)
				}
				return true, nil
			}
		}
	}
	return false, nil
}

// add takes the added tokens over.
func (t *Tokenizer) add(added []Added) error {
	t.added = added
	for i := range added {
		a := &added[i]
		if a.ID < 0 || a.ID >= maxTokens {
			return fmt.Errorf("added_tokens[%d]: id: expected 0 to %d, found %d", i, maxTokens-1, a.ID)
		}
		if a.Content == "" {
			return fmt.Errorf("added_tokens[%d]: content: it is empty", i)
		}
		for int(a.ID) >= len(t.tokens) {
			t.tokens = append(t.tokens, "")
		}
		if old := t.tokens[a.ID]; old != "" && old != a.Content {
			return fmt.Errorf("added_tokens[%d]: id: %d is the token %s already", i, a.ID, quote(old))
		}
		if x, ok := t.numbers[a.Content]; ok && x != a.ID {
			return fmt.Errorf("added_tokens[%d]: content: %s is the token %d already", i, quote(a.Content), x)
		}
		if t.tokens[a.ID] == "" {
			t.ofAdded[a.ID] = true
		}
		t.tokens[a.ID] = a.Content
		t.numbers[a.Content] = a.ID
		if a.Special {
			t.special[a.ID] = true
		}
		if !a.Normalized {
			t.plain.add(a.Content, a)
			continue
		}
		spelt := a.Content
		if t.normalizer != nil {
			spelt = t.normalizer.normalize(spelt)
			t.tokens[a.ID], t.content[a.ID] = spelt, a.Content // the decoder undoes it
		}
		t.normal.add(spelt, a)
	}
	return nil
}

// parseModel reads the model.
func (t *Tokenizer) parseModel(raw json.RawMessage) error {
	kind, err := typeOf("model", raw)
	if err != nil && !strings.Contains(err.Error(), "no type") {
		return err
	}
	if kind == "" {
		kind = guess(raw)
	}
	if t.byteLevel && kind != "BPE" {
		return fmt.Errorf("model.type: %s over bytes is not supported; BPE is", kind)
	}
	switch kind {
	case "BPE":
		var f struct {
			bpeSettings
			Vocab  map[string]int32 `json:"vocab"`
			Merges mergeList        `json:"merges"`
		}
		if err := strict(raw, &f); err != nil {
			return fmt.Errorf("model: %w", err)
		}
		if err := t.list(f.Vocab); err != nil {
			return err
		}
		t.model, err = newBPE(f.bpeSettings, t.tokens, t.numbers, f.Merges, t.byteLevel, t.Special)
		return err
	case "WordPiece":
		f := struct {
			wordSettings
			Vocab map[string]int32 `json:"vocab"`
		}{wordSettings: wordSettings{Unknown: "[UNK]", Prefix: "##", Longest: 100}}
		if err := strict(raw, &f); err != nil {
			return fmt.Errorf("model: %w", err)
		}
		if err := t.list(f.Vocab); err != nil {
			return err
		}
		t.model, err = newWordPiece(f.wordSettings, t.numbers, t.Special)
		return err
	case "WordLevel":
		var f struct {
			levelSettings
			Vocab map[string]int32 `json:"vocab"`
		}
		if err := strict(raw, &f); err != nil {
			return fmt.Errorf("model: %w", err)
		}
		if err := t.list(f.Vocab); err != nil {
			return err
		}
		t.model = newWordLevel(f.levelSettings, t.numbers, t.Special)
		return nil
	case "Unigram":
		var f struct {
			unigramSettings
			Vocab []scored `json:"vocab"`
		}
		if err := strict(raw, &f); err != nil {
			return fmt.Errorf("model: %w", err)
		}
		if len(f.Vocab) > maxTokens {
			return fmt.Errorf("model.vocab: it has %d tokens, more than the %d that are supported", len(f.Vocab),
				maxTokens)
		}
		t.numbers = make(map[string]int32, len(f.Vocab))
		scores := make([]float64, len(f.Vocab))
		for x, v := range f.Vocab {
			t.tokens = append(t.tokens, v.piece)
			t.numbers[v.piece] = int32(x)
			scores[x] = v.score
		}
		t.model, err = newUnigram(f.unigramSettings, t.tokens, t.numbers, scores, t.Special)
		return err
	}
	return unsupported("model", "model", kind, "BPE, Unigram, WordLevel, WordPiece")
}

// guess is the kind of a model of an old file, which does not say it.
func guess(raw json.RawMessage) string {
	var keys map[string]json.RawMessage
	json.Unmarshal(raw, &keys)
	switch {
	case keys["merges"] != nil:
		return "BPE"
	case keys["max_input_chars_per_word"] != nil:
		return "WordPiece"
	case bytes.HasPrefix(bytes.TrimSpace(keys["vocab"]), []byte("[")):
		return "Unigram"
	}
	return "WordLevel"
}

// list takes the tokens of a vocabulary over.
func (t *Tokenizer) list(vocab map[string]int32) error {
	largest := int32(-1)
	for s, x := range vocab {
		if x < 0 || x >= maxTokens {
			return fmt.Errorf("model.vocab: %s has the number %d, and numbers go from 0 to %d", quote(s), x,
				maxTokens-1)
		}
		largest = max(largest, x)
	}
	t.numbers = vocab
	if vocab == nil {
		t.numbers = map[string]int32{}
	}
	t.tokens = make([]string, largest+1)
	taken := make([]bool, largest+1)
	for s, x := range vocab {
		if taken[x] {
			return fmt.Errorf("model.vocab: %s and %s have the same number %d", quote(min(s, t.tokens[x])),
				quote(max(s, t.tokens[x])), x)
		}
		t.tokens[x], taken[x] = s, true
	}
	return nil
}

// mergeList reads merges as pairs, or as old files have them, as texts with a blank in between.
type mergeList [][2]string

func (m *mergeList) UnmarshalJSON(data []byte) error {
	if rest := bytes.TrimLeft(data, "[ \t\r\n"); len(rest) > 0 && rest[0] == '"' &&
		!bytes.HasPrefix(bytes.TrimSpace(data[1:]), []byte("[")) {
		var lines []string
		if err := json.Unmarshal(data, &lines); err != nil {
			return err
		}
		*m = make(mergeList, len(lines))
		for i, s := range lines {
			a, b, ok := strings.Cut(s, " ")
			if !ok || strings.Contains(b, " ") {
				return fmt.Errorf("merges[%d]: expected two tokens with a blank in between, found %s", i, quote(s))
			}
			(*m)[i] = [2]string{a, b}
		}
		return nil
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return err
	}
	*m = make(mergeList, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("merges[%d]: expected two tokens, found %d", i, len(p))
		}
		(*m)[i] = [2]string{p[0], p[1]}
	}
	return nil
}

// scored is a token of Unigram with its score.
type scored struct {
	piece string
	score float64
}

func (s *scored) UnmarshalJSON(data []byte) error {
	pair := []any{&s.piece, &s.score}
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("expected a token and its score, found %s", quote(string(data)))
	}
	return nil
}

func (s scored) MarshalJSON() ([]byte, error) {
	if math.IsNaN(s.score) || math.IsInf(s.score, 0) {
		return nil, fmt.Errorf("the score of %s is %v", quote(s.piece), s.score)
	}
	return encode([]any{s.piece, s.score})
}

// JSON writes a tokenizer.json, which the Hugging Face library reads as well.
func (t *Tokenizer) JSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"version":"1.0"`)
	for _, part := range []struct {
		key   string
		value any
	}{
		{"truncation", t.raw.Truncation}, {"padding", t.raw.Padding}, {"added_tokens", t.added},
		{"normalizer", t.raw.Normalizer},
		{"pre_tokenizer", t.raw.PreTokenizer}, {"post_processor", t.raw.PostProcessor}, {"decoder", t.raw.Decoder},
	} {
		data, err := encode(part.value)
		if err != nil {
			return nil, err
		}
		if part.key == "added_tokens" && t.added == nil {
			data = []byte("[]")
		}
		fmt.Fprintf(&b, ",\n%q:%s", part.key, data)
	}
	b.WriteString(",\n\"model\":")
	set, err := encode(t.model.settings())
	if err != nil {
		return nil, err
	}
	b.Write(set[:len(set)-1]) // without the brace
	b.WriteString(",\"vocab\":")
	if m, ok := t.model.(*unigram); ok {
		b.WriteByte('[')
		for x, score := range m.scores {
			data, err := encode(scored{t.spelt(int32(x)), score})
			if err != nil {
				return nil, err
			}
			comma(&b, x > 0)
			b.Write(data)
		}
		b.WriteByte(']')
	} else {
		b.WriteByte('{')
		first := true
		for x := range t.tokens {
			if s := t.spelt(int32(x)); s != "" && !t.onlyAdded(int32(x)) {
				data, err := encode(s)
				if err != nil {
					return nil, err
				}
				comma(&b, !first)
				fmt.Fprintf(&b, "%s:%d", data, x)
				first = false
			}
		}
		b.WriteByte('}')
	}
	if m, ok := t.model.(*bpe); ok {
		b.WriteString(",\"merges\":[")
		for i, p := range m.pairs {
			data, err := encode([2]string{t.spelt(p.Left), t.spelt(p.Right)})
			if err != nil {
				return nil, err
			}
			comma(&b, i > 0)
			b.Write(data)
		}
		b.WriteByte(']')
	}
	b.WriteString("}}\n")
	return b.Bytes(), nil
}

// comma goes to a new line between the elements of a list.
func comma(b *bytes.Buffer, between bool) {
	if between {
		b.WriteByte(',')
	}
	b.WriteByte('\n')
}

// spelt is how the file spells a token: added ones before they are normalized.
func (t *Tokenizer) spelt(x int32) string {
	if s, ok := t.content[x]; ok {
		return s
	}
	return t.tokens[x]
}

// onlyAdded tells whether a token is not of the model's own vocabulary: those behind it.
func (t *Tokenizer) onlyAdded(x int32) bool { return t.ofAdded[x] }

// encode writes JSON with characters such as < as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// strict decodes JSON whose keys are all known.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the end of the object")
	}
	return nil
}

// settings decodes the settings of a part.
func settings(path string, raw json.RawMessage, v any) error {
	if err := strict(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// sequence reads the parts of a sequence, which stand under key.
func sequence[T any](path string, raw json.RawMessage, key string, parse func(string, json.RawMessage) (T, error)) ([]T,
	error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(parts[key], &elements); err != nil || parts[key] == nil {
		return nil, fmt.Errorf("%s.%s: expected a list", path, key)
	}
	list := make([]T, len(elements))
	for i, e := range elements {
		at := fmt.Sprintf("%s.%s[%d]", path, key, i)
		if string(e) == "null" {
			return nil, fmt.Errorf("%s: expected a part, found null", at)
		}
		var err error
		if list[i], err = parse(at, e); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func unsupported(path, what, kind, supported string) error {
	return fmt.Errorf("%s: the %s %s is not supported; supported are %s", path, what, kind, supported)
}
