package spec

import (
	"bytes"
	"encoding/json"
)

// Schema returns the JSON Schema (draft 2020-12) of the language, with which editors complete and check specs. What
// Parse accepts, the schema accepts; some of what only fits together or not, such as widths, it cannot tell.
func Schema() []byte {
	defs := map[string]any{}
	kindWords := &typ{form: enumForm}
	var branches []any
	for _, k := range kinds {
		kindWords.words = append(kindWords.words, word{name: k.name, doc: k.doc})
		defs[k.name] = k.typ.schema(defs, false)
		branches = append(branches, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"kind": map[string]any{"const": k.name}}},
			"then": map[string]any{"$ref": "#/$defs/" + k.name},
		})
	}
	kind := kindWords.schema(defs, false)
	kind["description"] = "The kind of model."
	root := map[string]any{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "gradsmith spec",
		"description": "A generative text model, from which gradsmith generates a Go package.",
		"type":        "object",
		"properties":  map[string]any{"kind": kind},
		"required":    []string{"kind"},
		"allOf":       branches,
		"$defs":       defs,
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // the tree holds nothing that JSON cannot say
	}
	return b.Bytes()
}

// schema returns the schema of a type. Named types go to defs and are referred to. Inner is false for a whole spec,
// which unlike the objects in it cannot be left empty.
func (t *typ) schema(defs map[string]any, inner bool) map[string]any {
	if t.name == "" {
		return t.inlineSchema(defs, inner)
	}
	if defs[t.name] == nil {
		defs[t.name] = true // a place, in case the type contains itself
		defs[t.name] = t.inlineSchema(defs, inner)
	}
	return map[string]any{"$ref": "#/$defs/" + t.name}
}

func (t *typ) inlineSchema(defs map[string]any, inner bool) map[string]any {
	s := map[string]any{}
	if t.doc != "" {
		s["description"] = t.doc
	}
	switch t.form {
	case libraryForm:
		s["type"] = []string{"object", "null"}
		s["propertyNames"] = map[string]any{"pattern": "^(?:" + nameType.pattern + ")$"}
	case integerForm:
		s["type"], s["minimum"], s["maximum"] = "integer", t.low, t.high
	case numberForm:
		s["type"] = "number"
		low, high := "minimum", "maximum"
		if t.rng.openLow {
			low = "exclusiveMinimum"
		}
		if t.rng.openHigh {
			high = "exclusiveMaximum"
		}
		s[low], s[high] = t.rng.low, t.rng.high
	case textForm:
		s["type"], s["minLength"], s["maxLength"] = "string", t.runes.low, t.runes.high
		if t.pattern != "" {
			s["pattern"] = "^(?:" + t.pattern + ")$"
		}
	case boolForm:
		s["type"] = "boolean"
	case enumForm:
		s["anyOf"] = constants(t.words)
	case choiceForm:
		var alone []word
		props := map[string]any{}
		for i := range t.words {
			w := &t.words[i]
			if w.alone() {
				alone = append(alone, *w)
			}
			settings := map[string]any{"type": []string{"object", "null"}, "maxProperties": 0}
			if w.typ != nil {
				settings = w.typ.schema(defs, true)
			}
			settings["description"] = w.doc
			props[w.name] = settings
		}
		settings := map[string]any{
			"type":                 "object",
			"properties":           props,
			"additionalProperties": false,
			"minProperties":        1,
			"maxProperties":        1,
		}
		if t.layers { // blocks of the spec
			delete(settings, "additionalProperties")
			settings["propertyNames"] = map[string]any{"pattern": "^(?:" + nameType.pattern + ")$"}
			s["anyOf"] = append(constants(alone),
				map[string]any{"type": "string", "pattern": "^(?:" + nameType.pattern + ")$",
					"not": map[string]any{"enum": t.names()}, "description": "A block of the spec."}, settings)
			break
		}
		s["anyOf"] = append(constants(alone), settings)
	case objectForm:
		object := map[string]any{"type": "object", "additionalProperties": false}
		props := map[string]any{}
		var required []string
		for _, k := range t.keys {
			p := k.typ.schema(defs, true)
			p["description"] = k.doc
			if k.defDoc != "" {
				p["description"] = k.doc + " Default: " + k.defDoc + "."
			}
			if k.def != nil {
				p["default"] = k.def
			}
			props[k.name] = p
			if k.required {
				required = append(required, k.name)
			}
		}
		object["properties"] = props
		if required != nil {
			object["required"] = required
		} else if inner {
			object["type"] = []string{"object", "null"}
		}
		if t.switched {
			s["anyOf"] = []any{object, map[string]any{"type": "boolean"}}
			break
		}
		if t.short == "" {
			for key, v := range object {
				s[key] = v
			}
			break
		}
		s["anyOf"] = []any{object, t.key(t.short).typ.schema(defs, true)}
	case listForm:
		s["type"], s["items"], s["minItems"], s["maxItems"] = "array", t.item.schema(defs, true), t.least, t.most
	}
	return s
}

// constants gives each word a description of its own, which editors show beside it.
func constants(words []word) []any {
	var all []any
	for _, w := range words {
		c := map[string]any{"const": w.name}
		if w.doc != "" {
			c["description"] = w.doc
		}
		all = append(all, c)
	}
	return all
}
