package tokenizer

import (
	"encoding/json"
	"fmt"
)

// template puts tokens around a text or a pair of texts: the library's post-processor.
type template struct{ single, pair []slot }

// slot is a place of a template: tokens, or a text.
type slot struct {
	tokens []int32
	text   bool
	second bool // the second text of a pair
}

// apply fills a template.
func (t *template) apply(dst []int32, slots []slot, text func(dst []int32, second bool) ([]int32, error)) ([]int32,
	error) {
	var err error
	for _, s := range slots {
		if !s.text {
			dst = append(dst, s.tokens...)
			continue
		}
		if dst, err = text(dst, s.second); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// parseTemplate makes the post-processor of the value at a path of the file.
func parseTemplate(path string, raw json.RawMessage, t *Tokenizer) (*template, error) {
	kind, err := typeOf(path, raw)
	if err != nil || kind == "" {
		return nil, err
	}
	text, second := slot{text: true}, slot{text: true, second: true}
	switch kind {
	case "ByteLevel": // it changes offsets alone
		var b byteLevel
		return nil, settings(path, raw, &b)
	case "Sequence":
		list, err := sequence(path, raw, "processors",
			func(path string, raw json.RawMessage) (*template, error) { return parseTemplate(path, raw, t) })
		var found *template
		for i, x := range list {
			if x == nil {
				continue
			}
			if found != nil {
				return nil, fmt.Errorf("%s.processors[%d]: a second one that adds tokens is not supported", path, i)
			}
			found = x
		}
		return found, err
	case "BertProcessing", "RobertaProcessing":
		var p struct {
			Type   string `json:"type"`
			Sep    named  `json:"sep"`
			Cls    named  `json:"cls"`
			Trim   bool   `json:"trim_offsets"`
			Prefix bool   `json:"add_prefix_space"`
		}
		if err := settings(path, raw, &p); err != nil {
			return nil, err
		}
		for _, n := range []named{p.Sep, p.Cls} {
			if err := t.inRange(path, n.id); err != nil {
				return nil, err
			}
		}
		sep, cls := slot{tokens: []int32{p.Sep.id}}, slot{tokens: []int32{p.Cls.id}}
		if kind == "BertProcessing" {
			return &template{[]slot{cls, text, sep}, []slot{cls, text, sep, second, sep}}, nil
		}
		return &template{[]slot{cls, text, sep}, []slot{cls, text, sep, sep, second, sep}}, nil
	case "TemplateProcessing":
		var p struct {
			Type    string          `json:"type"`
			Single  []templatePiece `json:"single"`
			Pair    []templatePiece `json:"pair"`
			Special map[string]struct {
				ID     string   `json:"id"`
				IDs    []int32  `json:"ids"`
				Tokens []string `json:"tokens"`
			} `json:"special_tokens"`
		}
		if err := settings(path, raw, &p); err != nil {
			return nil, err
		}
		slots := func(key string, pieces []templatePiece) ([]slot, error) {
			var list []slot
			for i, x := range pieces {
				switch {
				case x.Sequence != nil && x.Sequence.ID == "A":
					list = append(list, text)
				case x.Sequence != nil && x.Sequence.ID == "B" && key == "pair":
					list = append(list, second)
				case x.Special != nil:
					s, ok := p.Special[x.Special.ID]
					if !ok {
						return nil, fmt.Errorf("%s.%s[%d]: the token %s is not one of special_tokens", path, key, i,
							quote(x.Special.ID))
					}
					for _, id := range s.IDs {
						if err := t.inRange(path, id); err != nil {
							return nil, err
						}
					}
					list = append(list, slot{tokens: s.IDs})
				default:
					return nil, fmt.Errorf("%s.%s[%d]: expected a SpecialToken or the Sequence A or, in a pair, B",
						path, key, i)
				}
			}
			return list, nil
		}
		single, err := slots("single", p.Single)
		if err != nil {
			return nil, err
		}
		pair, err := slots("pair", p.Pair)
		return &template{single, pair}, err
	}
	return nil, unsupported(path, "post-processor", kind,
		"BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing")
}

func (t *Tokenizer) inRange(path string, x int32) error {
	if x < 0 || int(x) >= len(t.tokens) {
		return fmt.Errorf("%s: the token %d is not one of 0 to %d", path, x, len(t.tokens)-1)
	}
	return nil
}

// templatePiece is a place of a template in the file.
type templatePiece struct {
	Sequence *templateID `json:"Sequence"`
	Special  *templateID `json:"SpecialToken"`
}

type templateID struct {
	ID     string `json:"id"`
	TypeID int    `json:"type_id"`
}

// named is a token with its name: ["[CLS]", 101].
type named struct {
	name string
	id   int32
}

func (n *named) UnmarshalJSON(data []byte) error {
	pair := []any{&n.name, &n.id}
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("expected the name of a token and its number, found %s", quote(string(data)))
	}
	return nil
}

// Around gives the tokens that the file puts in front of a text and behind it.
func (t *Tokenizer) Around() (before, behind []int32) {
	if t.template == nil {
		return nil, nil
	}
	within := false
	for _, s := range t.template.single {
		switch {
		case s.text:
			within = true
		case within:
			behind = append(behind, s.tokens...)
		default:
			before = append(before, s.tokens...)
		}
	}
	return before, behind
}
