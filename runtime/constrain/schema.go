package constrain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// Spacing says what blanks JSON has between its parts.
type Spacing int

const (
	FreeSpacing    Spacing = iota // none, a blank, or a newline and up to 20 blanks or tabs, in each place
	CompactSpacing                // none
	SingleSpacing                 // a blank behind colons and commas
)

// JSONSchema is the language of the JSON texts that a JSON Schema (draft 2020-12; of older drafts what means the same)
// describes. It writes the properties of an object in the order of the schema, those that it names first, and no other
// ones where properties are named, unless additionalProperties says so. All that it allows is valid; not all that is
// valid is allowed.
//
// Supported are:
//
//   - any type: type (one or several), enum, const, $ref to #, #/$defs/… and any other place of the same schema,
//     anyOf, oneOf whose branches exclude each other by their types, values or a required property, allOf of what
//     can be merged
//   - objects: properties, required, additionalProperties, maxProperties and a minProperties of 1 where no
//     properties are named
//   - arrays: items, prefixItems, minItems, maxItems
//   - strings: minLength, maxLength, or pattern, or format, which is one of date, time, date-time, duration, email,
//     hostname, ipv4, ipv6, uri and uuid
//   - numbers: minimum, maximum, exclusiveMinimum, exclusiveMaximum; integers have at most 15 digits, numbers 15
//     before and 15 behind the point and an exponent of two
//   - annotations: $schema, $id (of the root), $comment, title, description, default, examples, deprecated,
//     readOnly, writeOnly
//
// Any other keyword is an error that names its place, as is a combination of these that is not supported.
func JSONSchema(schema []byte, spacing Spacing) (*Language, error) {
	doc, err := readJSON(schema)
	if err != nil {
		return nil, fmt.Errorf("constrain: JSON schema: %w", err)
	}
	c := &schemaCompiler{doc: doc, language: &Language{}, refs: map[string]int{}, shared: map[string]int{},
		spacing: spacing}
	c.add("root") // the first
	e, err := c.schema(doc, "#")
	if err == nil && e == nil {
		err = errors.New("#: the schema allows nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("constrain: JSON schema: %w", err)
	}
	c.language.rules[0].body = e
	return c.language, nil
}

// JSONSchemaFile is [JSONSchema] of a file.
func JSONSchemaFile(name string, spacing Spacing) (*Language, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("can't read the JSON schema: %w", err)
	}
	l, err := JSONSchema(b, spacing)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// object is an object of JSON, in the order of its text.
type object struct {
	keys   []string
	values map[string]any
}

func (o *object) get(key string) any { return o.values[key] }

func (o *object) has(key string) bool {
	_, ok := o.values[key]
	return ok
}

func (o *object) set(key string, v any) {
	if !o.has(key) {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

func (o *object) clone() *object {
	n := &object{values: map[string]any{}}
	for _, k := range o.keys {
		n.set(k, o.values[k])
	}
	return n
}

// mostSchemaDepth bounds how deep a schema may be nested.
const mostSchemaDepth = 200

// readJSON reads a text of JSON: objects as *object, numbers as json.Number.
func readJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value func(depth int) (any, error)
	value = func(depth int) (any, error) {
		if depth > mostSchemaDepth {
			return nil, fmt.Errorf("it is nested more than %d deep", mostSchemaDepth)
		}
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t {
		case json.Delim('{'):
			o := &object{values: map[string]any{}}
			for d.More() {
				k, err := d.Token()
				if err != nil {
					return nil, err
				}
				key := k.(string)
				if o.has(key) {
					return nil, fmt.Errorf("key %q is there twice", key)
				}
				v, err := value(depth + 1)
				if err != nil {
					return nil, err
				}
				o.set(key, v)
			}
			_, err := d.Token()
			return o, err
		case json.Delim('['):
			list := []any{}
			for d.More() {
				v, err := value(depth + 1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := d.Token()
			return list, err
		}
		return t, nil
	}
	v, err := value(0)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is more behind its end")
		}
	}
	if err != nil {
		line := bytes.Count(text[:min(int(d.InputOffset()), len(text))], []byte("\n")) + 1
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends too early")
		}
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	return v, nil
}

// marshal writes a value as JSON without blanks.
func marshal(v any) string {
	switch v := v.(type) {
	case *object:
		var b strings.Builder
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(marshal(k) + ":" + marshal(v.values[k]))
		}
		return b.String() + "}"
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = marshal(x)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case json.Number:
		return v.String()
	case string:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return strconv.Quote(v) // there is no string that can't be encoded
		}
		return strings.TrimSuffix(b.String(), "\n")
	case bool:
		return strconv.FormatBool(v)
	}
	return "null"
}

// equal reports whether two values are the same in JSON: the order of keys and the form of numbers do not count.
func equal(a, b any) bool {
	switch a := a.(type) {
	case *object:
		b, ok := b.(*object)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for _, k := range a.keys {
			if !b.has(k) || !equal(a.values[k], b.values[k]) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, errX := rational(a)
		y, errY := rational(b)
		return errX == nil && errY == nil && x.Cmp(y) == 0
	}
	switch b.(type) {
	case *object, []any, json.Number:
		return false
	}
	return a == b
}

// rational reads a number. Exponents that would make it huge are errors.
func rational(n json.Number) (*big.Rat, error) {
	if _, exponent, ok := strings.Cut(strings.ToLower(n.String()), "e"); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e < -100 || e > 100 {
			return nil, fmt.Errorf("the number %s is out of range", n)
		}
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok || len(n) > 200 {
		return nil, fmt.Errorf("%q is no number that is supported", n)
	}
	return r, nil
}

// schemaCompiler makes rules of a schema.
type schemaCompiler struct {
	doc      any
	language *Language
	refs     map[string]int // rules of places of the schema
	shared   map[string]int // rules of parts that many schemas use
	spacing  Spacing
	depth    int
}

func (c *schemaCompiler) add(name string) int {
	c.language.rules = append(c.language.rules, rule{name: name})
	return len(c.language.rules) - 1
}

// part gives the rule of a part that is made once.
func (c *schemaCompiler) part(name string, body func() expr) expr {
	i, ok := c.shared[name]
	if !ok {
		i = c.add(name)
		c.shared[name] = i
		c.language.rules[i].body = body()
	}
	return ref(i)
}

// annotations say nothing about what is valid.
var annotations = []string{"$schema", "$comment", "$defs", "definitions", "title", "description", "default", "examples",
	"deprecated", "readOnly", "writeOnly"}

// keywords of each type, and what they need.
var keywords = map[string][]string{
	"object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
	"array":  {"items", "prefixItems", "minItems", "maxItems"},
	"string": {"minLength", "maxLength", "pattern", "format"},
	"number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
}

// types in the order in which they are tried.
var types = []string{"object", "array", "string", "number", "integer", "boolean", "null"}

// neutral keywords are those that are taken where they say nothing.
var neutral = map[string]string{"uniqueItems": "false", "minContains": "0", "unevaluatedProperties": "true",
	"unevaluatedItems": "true", "additionalItems": "true"}

// schema compiles what stands at a place. It gives nil for a schema that allows nothing.
func (c *schemaCompiler) schema(v any, at string) (expr, error) {
	if c.depth++; c.depth > 5*mostSchemaDepth {
		return nil, fmt.Errorf("%s: the schema is nested too deep", at)
	}
	defer func() { c.depth-- }()
	if b, ok := v.(bool); ok {
		if !b {
			return nil, nil
		}
		return c.anyValue(), nil
	}
	o, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("%s: a schema must stand here, an object, true or false", at)
	}
	if err := c.check(o, at); err != nil {
		return nil, err
	}
	if o.has("$ref") && !c.constrains(o, "$ref") {
		return c.reference(o, at)
	}
	o, err := c.flat(o, at, 0)
	if err != nil {
		return nil, err
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		if !o.has(word) {
			continue
		}
		branches, err := c.branches(o, word, at)
		if err != nil {
			return nil, err
		}
		var out choice
		for i, b := range branches {
			e, err := c.schema(b, fmt.Sprintf("%s/%s/%d", at, word, i))
			if err != nil {
				return nil, err
			}
			if e != nil {
				out = append(out, e)
			}
		}
		if len(out) == 0 {
			return nil, nil
		}
		return out, nil
	}
	if o.has("const") || o.has("enum") {
		return c.values(o, at)
	}
	allowed, err := c.typesOf(o, at)
	if err != nil {
		return nil, err
	}
	var out choice
	for _, t := range allowed {
		e, err := c.typed(t, o, at)
		if err != nil {
			return nil, err
		}
		if e != nil {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// check makes an error of keywords that are not supported.
func (c *schemaCompiler) check(o *object, at string) error {
	for _, k := range o.keys {
		if slices.Contains(annotations, k) ||
			slices.Contains([]string{"type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"}, k) ||
			k == "$id" && at == "#" {
			continue
		}
		if want, ok := neutral[k]; ok && marshal(o.values[k]) == want {
			continue
		}
		known := false
		for _, words := range keywords {
			known = known || slices.Contains(words, k)
		}
		if !known {
			return fmt.Errorf("%s/%s: the keyword is not supported", at, pointerEscape(k))
		}
	}
	return nil
}

// constrains reports whether o has keywords besides those given that say what is valid.
func (c *schemaCompiler) constrains(o *object, but ...string) bool {
	for _, k := range o.keys {
		if _, ok := neutral[k]; !ok && k != "$id" && !slices.Contains(annotations, k) && !slices.Contains(but, k) {
			return true
		}
	}
	return false
}

func pointerEscape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

// resolve finds what a reference names.
func (c *schemaCompiler) resolve(o *object, at string) (any, string, error) {
	name, ok := o.get("$ref").(string)
	if !ok {
		return nil, "", fmt.Errorf("%s/$ref: a string must stand here", at)
	}
	rest, ok := strings.CutPrefix(name, "#")
	if !ok || rest != "" && rest[0] != '/' {
		return nil, "", fmt.Errorf("%s/$ref: %q is not supported: only places of the same schema are, such as "+
			"#/$defs/name", at, name)
	}
	v := c.doc
	for rest != "" {
		var part string
		part, rest, ok = strings.Cut(rest[1:], "/")
		if ok {
			rest = "/" + rest
		}
		part = strings.NewReplacer("~1", "/", "~0", "~", "%25", "%").Replace(part)
		switch x := v.(type) {
		case *object:
			if !x.has(part) {
				return nil, "", fmt.Errorf("%s/$ref: there is no %q", at, name)
			}
			v = x.values[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(x) {
				return nil, "", fmt.Errorf("%s/$ref: there is no %q", at, name)
			}
			v = x[i]
		default:
			return nil, "", fmt.Errorf("%s/$ref: there is no %q", at, name)
		}
	}
	return v, name, nil
}

// reference makes the rule of what a reference names, once.
func (c *schemaCompiler) reference(o *object, at string) (expr, error) {
	v, name, err := c.resolve(o, at)
	if err != nil {
		return nil, err
	}
	if name == "#" {
		return ref(0), nil
	}
	if i, ok := c.refs[name]; ok {
		return ref(i), nil
	}
	i := c.add(name)
	c.refs[name] = i
	e, err := c.schema(v, name)
	if err != nil {
		return nil, err
	}
	if e == nil {
		e = choice{} // nothing
	}
	c.language.rules[i].body = e
	return ref(i), nil
}

// flat merges references with neighbours and allOf into o.
func (c *schemaCompiler) flat(o *object, at string, depth int) (*object, error) {
	if depth > 50 {
		return nil, fmt.Errorf("%s: allOf and $ref lead in a circle, or too deep", at)
	}
	if !o.has("allOf") && !o.has("$ref") {
		return o, nil
	}
	out := o.clone()
	delete(out.values, "allOf")
	delete(out.values, "$ref")
	out.keys = slices.DeleteFunc(out.keys, func(k string) bool { return k == "allOf" || k == "$ref" })
	var parts []any
	var places []string
	if o.has("$ref") {
		v, name, err := c.resolve(o, at)
		if err != nil {
			return nil, err
		}
		parts, places = append(parts, v), append(places, name)
	}
	if o.has("allOf") {
		list, ok := o.get("allOf").([]any)
		if !ok || len(list) == 0 {
			return nil, fmt.Errorf("%s/allOf: a list of schemas must stand here", at)
		}
		for i, v := range list {
			parts, places = append(parts, v), append(places, fmt.Sprintf("%s/allOf/%d", at, i))
		}
	}
	for i, v := range parts {
		if v == true {
			continue
		}
		part, ok := v.(*object)
		if !ok {
			return nil, fmt.Errorf("%s: a schema that can be merged must stand here", places[i])
		}
		if err := c.check(part, places[i]); err != nil {
			return nil, err
		}
		part, err := c.flat(part, places[i], depth+1)
		if err != nil {
			return nil, err
		}
		if out, err = c.merge(out, part, places[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// merge is the schema of what is valid under both.
func (c *schemaCompiler) merge(a, b *object, at string) (*object, error) {
	out := a.clone()
	closed := func(o *object) bool { return o.has("additionalProperties") && o.get("additionalProperties") != true }
	names := func(o *object) *object {
		if p, ok := o.get("properties").(*object); ok {
			return p
		}
		return &object{values: map[string]any{}}
	}
	for _, pair := range [...][2]*object{{a, b}, {b, a}} {
		if !closed(pair[0]) {
			continue
		}
		for _, k := range names(pair[1]).keys {
			if !names(pair[0]).has(k) {
				return nil, fmt.Errorf("%s: property %q is named here, and another part of allOf has "+
					"additionalProperties, which would decide on it: this is not supported", at, k)
			}
		}
	}
	for _, k := range b.keys {
		y := b.values[k]
		if slices.Contains(annotations, k) || k == "$id" {
			continue
		}
		if !out.has(k) || equal(out.values[k], y) {
			out.set(k, y)
			continue
		}
		x := out.values[k]
		switch k {
		case "required":
			x, okX := x.([]any)
			y, okY := y.([]any)
			if !okX || !okY {
				return nil, fmt.Errorf("%s/required: a list must stand here", at)
			}
			out.set(k, append(slices.Clone(x), y...))
		case "properties":
			x, okX := x.(*object)
			y, okY := y.(*object)
			if !okX || !okY {
				return nil, fmt.Errorf("%s/properties: an object must stand here", at)
			}
			both := x.clone()
			for _, name := range y.keys {
				if both.has(name) {
					both.set(name, &object{keys: []string{"allOf"},
						values: map[string]any{"allOf": []any{both.values[name], y.values[name]}}})
				} else {
					both.set(name, y.values[name])
				}
			}
			out.set(k, both)
		case "type":
			var types []any
			for _, s := range list(x) {
				for _, t := range list(y) {
					switch {
					case s == t, s == "integer" && t == "number":
						types = append(types, s)
					case t == "integer" && s == "number":
						types = append(types, t)
					}
				}
			}
			out.set(k, types)
		case "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "maximum", "exclusiveMaximum",
			"maxLength", "maxItems", "maxProperties":
			n, okX := x.(json.Number)
			m, okY := y.(json.Number)
			if !okX || !okY {
				return nil, fmt.Errorf("%s/%s: a number must stand here", at, k)
			}
			p, err := rational(n)
			if err != nil {
				return nil, fmt.Errorf("%s/%s: %w", at, k, err)
			}
			q, err := rational(m)
			if err != nil {
				return nil, fmt.Errorf("%s/%s: %w", at, k, err)
			}
			if strings.Contains(strings.ToLower(k), "min") == (q.Cmp(p) > 0) {
				out.set(k, y)
			}
		case "enum":
			var both []any
			for _, v := range list(x) {
				if slices.ContainsFunc(list(y), func(w any) bool { return equal(v, w) }) {
					both = append(both, v)
				}
			}
			out.set(k, both)
		default:
			return nil, fmt.Errorf("%s/%s: two of them can't be merged", at, k)
		}
	}
	return out, nil
}

// list is a list, or that of the one value.
func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

// branches are the schemas of anyOf or oneOf, each merged with what stands beside it.
func (c *schemaCompiler) branches(o *object, word, at string) ([]any, error) {
	l, ok := o.get(word).([]any)
	if !ok || len(l) == 0 {
		return nil, fmt.Errorf("%s/%s: a list of schemas must stand here", at, word)
	}
	base := o.clone()
	delete(base.values, word)
	base.keys = slices.DeleteFunc(base.keys, func(k string) bool { return k == word })
	var out []any
	var parts []*object
	for i, v := range l {
		place := fmt.Sprintf("%s/%s/%d", at, word, i)
		if v == false {
			continue
		}
		part, ok := v.(*object)
		if v == true {
			part, ok = &object{values: map[string]any{}}, true
		}
		if !ok {
			return nil, fmt.Errorf("%s: a schema must stand here", place)
		}
		if err := c.check(part, place); err != nil {
			return nil, err
		}
		if !c.constrains(base) && word == "anyOf" {
			out = append(out, v)
			continue
		}
		flat, err := c.flat(part, place, 0)
		if err != nil {
			return nil, err
		}
		parts = append(parts, flat)
		if !c.constrains(base) {
			out = append(out, v)
			continue
		}
		m, err := c.merge(base, flat, place)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	if word == "oneOf" {
		for i := range parts {
			for j := range i {
				if !c.disjoint(parts[i], parts[j], 0) {
					return nil, fmt.Errorf("%s/oneOf: branches %d and %d may both be valid, and then none is: give "+
						"them different types, values, or a required property of different values, or write anyOf", at,
						j, i)
				}
			}
		}
	}
	return out, nil
}

// disjoint reports whether surely nothing is valid under both.
func (c *schemaCompiler) disjoint(a, b *object, depth int) bool {
	if depth > 10 {
		return false
	}
	finite := func(o *object) ([]any, bool) {
		if o.has("const") {
			return []any{o.get("const")}, true
		}
		l, ok := o.get("enum").([]any)
		return l, ok
	}
	if x, ok := finite(a); ok {
		if y, ok := finite(b); ok {
			return !slices.ContainsFunc(x, func(v any) bool {
				return slices.ContainsFunc(y, func(w any) bool { return equal(v, w) })
			})
		}
	}
	kinds := func(o *object) []string {
		if l, ok := finite(o); ok {
			var out []string
			for _, v := range l {
				out = append(out, typeOf(v))
			}
			return out
		}
		if !o.has("type") {
			return types
		}
		var out []string
		for _, t := range list(o.get("type")) {
			if s, ok := t.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	shared := false
	objects := true
	for _, s := range kinds(a) {
		for _, t := range kinds(b) {
			if s == t || s == "number" && t == "integer" || s == "integer" && t == "number" {
				shared = true
				objects = objects && s == "object"
			}
		}
	}
	if !shared {
		return true
	}
	if !objects {
		return false
	}
	required := func(o *object, name string) bool {
		l, _ := o.get("required").([]any)
		return slices.Contains(l, any(name))
	}
	property := func(o *object, name string) *object {
		p, ok := o.get("properties").(*object)
		if !ok {
			return nil
		}
		s, ok := p.get(name).(*object)
		if !ok {
			return nil
		}
		if s, err := c.flat(s, "", 0); err == nil {
			return s
		}
		return nil
	}
	// Both have a property, and no value of it is valid under both; or one must have what the other must not.
	for _, pair := range [...][2]*object{{a, b}, {b, a}} {
		l, _ := pair[0].get("required").([]any)
		for _, v := range l {
			name, ok := v.(string)
			if !ok {
				continue
			}
			other := property(pair[1], name)
			if other == nil {
				if p, ok := pair[1].get("properties").(*object); pair[1].get("additionalProperties") == false &&
					!(ok && p.has(name)) {
					return true
				}
				continue
			}
			if mine := property(pair[0], name); mine != nil && required(pair[1], name) && c.disjoint(mine, other,
				depth+1) {
				return true
			}
		}
	}
	return false
}

func typeOf(v any) string {
	switch v := v.(type) {
	case *object:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number:
		if r, err := rational(v); err == nil && r.IsInt() {
			return "integer"
		}
		return "number"
	}
	return "null"
}

// typesOf gives the types that o allows: those it names, or those that its keywords are for, or all.
func (c *schemaCompiler) typesOf(o *object, at string) ([]string, error) {
	if !o.has("type") {
		for _, t := range types {
			for _, k := range o.keys {
				if slices.Contains(keywords[t], k) {
					return []string{t}, nil
				}
			}
		}
		return types, nil
	}
	var out []string
	for _, t := range list(o.get("type")) {
		s, ok := t.(string)
		if !ok || !slices.Contains(types, s) {
			return nil, fmt.Errorf("%s/type: %s is not one of %s", at, marshal(t), strings.Join(types, ", "))
		}
		out = append(out, s)
	}
	return out, nil
}

// values compiles enum and const.
func (c *schemaCompiler) values(o *object, at string) (expr, error) {
	var l []any
	if o.has("enum") {
		e, ok := o.get("enum").([]any)
		if !ok {
			return nil, fmt.Errorf("%s/enum: a list must stand here", at)
		}
		l = e
	}
	if o.has("const") {
		v := o.get("const")
		if o.has("enum") && !slices.ContainsFunc(l, func(w any) bool { return equal(v, w) }) {
			return nil, nil
		}
		l = []any{v}
	}
	for _, k := range o.keys {
		if k != "enum" && k != "const" && k != "type" && !slices.Contains(annotations, k) && k != "$id" {
			return nil, fmt.Errorf("%s/%s: beside enum or const the keyword is not supported: leave out the values "+
				"that it forbids", at, k)
		}
	}
	allowed := types
	if o.has("type") {
		var err error
		if allowed, err = c.typesOf(o, at); err != nil {
			return nil, err
		}
	}
	var out choice
	for _, v := range l {
		t := typeOf(v)
		if slices.Contains(allowed, t) || t == "integer" && slices.Contains(allowed, "number") {
			out = append(out, literal(marshal(v)))
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// typed compiles what o allows of one type.
func (c *schemaCompiler) typed(t string, o *object, at string) (expr, error) {
	switch t {
	case "object":
		return c.objectOf(o, at)
	case "array":
		return c.arrayOf(o, at)
	case "string":
		return c.stringOf(o, at)
	case "number", "integer":
		return c.numberOf(o, at, t == "integer")
	case "boolean":
		return choice{literal("true"), literal("false")}, nil
	}
	return literal("null"), nil
}

// count reads a number of things.
func count(o *object, key, at string, otherwise int) (int, error) {
	if !o.has(key) {
		return otherwise, nil
	}
	n, ok := o.get(key).(json.Number)
	if ok {
		if r, err := rational(n); err == nil && r.IsInt() && r.Sign() >= 0 && r.Num().IsInt64() &&
			r.Num().Int64() <= MostNodes {
			return int(r.Num().Int64()), nil
		}
	}
	return 0, fmt.Errorf("%s/%s: %s is not a number from 0 to %d", at, key, marshal(o.get(key)), MostNodes)
}

// space is what may stand where a blank may: behind commas and colons, or within brackets.
func (c *schemaCompiler) space(separator bool) expr {
	switch {
	case c.spacing == FreeSpacing:
		return c.part("space", func() expr {
			return choice{empty, literal(" "),
				sequence{literal("\n"), repeat{newClass(runes{' ', ' '}, runes{'\t', '\t'}), 0, 20}}}
		})
	case c.spacing == SingleSpacing && separator:
		return literal(" ")
	}
	return empty
}

func (c *schemaCompiler) comma() expr { return sequence{literal(","), c.space(true)} }

// member is a key with its value.
func (c *schemaCompiler) member(key, value expr) expr {
	return sequence{key, literal(":"), c.space(true), value}
}

func (c *schemaCompiler) objectOf(o *object, at string) (expr, error) {
	properties := &object{values: map[string]any{}}
	if o.has("properties") {
		p, ok := o.get("properties").(*object)
		if !ok {
			return nil, fmt.Errorf("%s/properties: an object must stand here", at)
		}
		properties = p
	}
	required := map[string]bool{}
	names := slices.Clone(properties.keys)
	if o.has("required") {
		l, ok := o.get("required").([]any)
		if !ok {
			return nil, fmt.Errorf("%s/required: a list must stand here", at)
		}
		for _, v := range l {
			s, ok := v.(string)
			if !ok {
				return nil, fmt.Errorf("%s/required: %s is not a string", at, marshal(v))
			}
			if !properties.has(s) && !required[s] {
				names = append(names, s)
			}
			required[s] = true
		}
	}
	// Properties that are not named, and those that are required and not described.
	var additional, undescribed any = len(names) == 0, true
	if o.has("additionalProperties") {
		additional = o.get("additionalProperties")
		undescribed = additional
	}
	low, err := count(o, "minProperties", at, 0)
	if err != nil {
		return nil, err
	}
	high, err := count(o, "maxProperties", at, unbounded)
	if err != nil {
		return nil, err
	}
	if len(names) > 0 && (o.has("minProperties") || high >= 0 && high < len(names)) || high >= 0 && high < low {
		return nil, fmt.Errorf("%s: minProperties and maxProperties are supported where no properties are named, and "+
			"minProperties is at most maxProperties", at)
	}
	if len(names) > 0 && high >= 0 && additional != false {
		return nil, fmt.Errorf("%s/maxProperties: it is not supported where properties are named and others may follow",
			at)
	}
	if low > 1 {
		return nil, fmt.Errorf("%s/minProperties: only 0 and 1 are supported", at)
	}

	// What follows the named ones: for nothing written yet, and for something.
	var more [2]expr
	more[0], more[1] = empty, empty
	extra, err := c.schema(additional, at+"/additionalProperties")
	if err != nil {
		return nil, err
	}
	if extra != nil {
		key := c.keyBut(names)
		if key != nil {
			i := c.add("")
			c.language.rules[i].body = c.member(key, extra)
			rest := repeat{sequence{c.comma(), ref(i)}, 0, unbounded}
			if high >= 0 {
				rest.max = max(0, high-1)
			}
			more[1] = rest
			switch {
			case high == 0:
			case low == 1:
				more[0] = sequence{ref(i), rest}
			default:
				more[0] = optional(sequence{ref(i), rest})
			}
		}
	} else if low == 1 && len(names) == 0 {
		return nil, nil
	}
	// From the last property to the first, in rules of their own: what follows is the same in many ways.
	for k := len(names) - 1; k >= 0; k-- {
		name := names[k]
		place := at + "/properties/" + pointerEscape(name)
		var value expr
		described, ok := properties.values[name]
		if !ok {
			described, place = undescribed, at+"/additionalProperties"
		}
		if value, err = c.schema(described, place); err != nil {
			return nil, err
		}
		if value == nil && required[name] {
			return nil, nil
		}
		if value == nil {
			continue
		}
		key := literal(marshal(name))
		var now [2]expr
		for begun := range now {
			written := sequence{c.member(key, value), more[1]}
			if begun == 1 {
				written = append(sequence{c.comma()}, written...)
			}
			var e expr = written
			if !required[name] {
				e = choice{written, more[begun]}
			}
			i := c.add("")
			c.language.rules[i].body = e
			now[begun] = ref(i)
		}
		more = now
	}
	return sequence{literal("{"), c.space(false), more[0], c.space(false), literal("}")}, nil
}

// keyBut is a key that is none of the given ones. It has no escapes, so that no name can be written in another way.
func (c *schemaCompiler) keyBut(names []string) expr {
	plain := jsonPlain
	if len(names) == 0 {
		return sequence{literal(`"`), repeat{plain, 0, unbounded}, literal(`"`)}
	}
	// A trie of the names, that is left by any other character.
	rest := repeat{plain, 0, unbounded}
	var but func(names [][]rune) expr
	but = func(names [][]rune) expr {
		var out choice
		end := false
		var used []runes
		groups := map[rune][][]rune{}
		var order []rune
		for _, n := range names {
			if len(n) == 0 {
				end = true
				continue
			}
			if groups[n[0]] == nil {
				order = append(order, n[0])
				used = append(used, runes{n[0], n[0]})
			}
			groups[n[0]] = append(groups[n[0]], n[1:])
		}
		if !end {
			out = append(out, empty)
		}
		for _, r := range order {
			if c := newClass(runes{r, r}).and(plain); len(c) > 0 {
				out = append(out, sequence{c, but(groups[r])})
			}
		}
		if others := newClass(used...).not().and(plain); len(others) > 0 {
			out = append(out, sequence{others, rest})
		}
		return out
	}
	var all [][]rune
	for _, n := range names {
		all = append(all, []rune(n))
	}
	return sequence{literal(`"`), but(all), literal(`"`)}
}

func (c *schemaCompiler) arrayOf(o *object, at string) (expr, error) {
	low, err := count(o, "minItems", at, 0)
	if err != nil {
		return nil, err
	}
	high, err := count(o, "maxItems", at, unbounded)
	if err != nil {
		return nil, err
	}
	if high >= 0 && high < low {
		return nil, nil
	}
	var prefix []expr
	if o.has("prefixItems") {
		l, ok := o.get("prefixItems").([]any)
		if !ok {
			return nil, fmt.Errorf("%s/prefixItems: a list of schemas must stand here", at)
		}
		for i, v := range l {
			e, err := c.schema(v, fmt.Sprintf("%s/prefixItems/%d", at, i))
			if err != nil {
				return nil, err
			}
			if e == nil {
				// There can be no item here, nor behind.
				if low > i {
					return nil, nil
				}
				if high < 0 || high > i {
					high = i
				}
				break
			}
			prefix = append(prefix, e)
		}
	}
	var items any = true
	if o.has("items") {
		items = o.get("items")
		if _, ok := items.([]any); ok {
			return nil, fmt.Errorf("%s/items: a list of schemas is written prefixItems since draft 2020-12", at)
		}
	}
	item, err := c.schema(items, at+"/items")
	if err != nil {
		return nil, err
	}
	if item == nil {
		if low > len(prefix) {
			return nil, nil
		}
		if high < 0 || high > len(prefix) {
			high = len(prefix)
		}
	}
	if high >= 0 && len(prefix) > high {
		prefix = prefix[:high]
	}
	// Behind the prefix.
	n := len(prefix)
	var rest expr = empty
	if high < 0 || high > n {
		i := c.add("")
		c.language.rules[i].body = item
		item = ref(i)
		most := unbounded
		if high >= 0 {
			most = high - n
		}
		if n == 0 {
			if most > 0 {
				most--
			}
			rest = sequence{item, repeat{sequence{c.comma(), item}, max(0, low-1), most}}
			if low == 0 {
				rest = optional(rest)
			}
		} else {
			rest = repeat{sequence{c.comma(), item}, max(0, low-n), most}
		}
	}
	for i := n - 1; i >= 0; i-- {
		e := sequence{prefix[i], rest}
		if i > 0 {
			e = append(sequence{c.comma()}, e...)
		}
		rest = e
		if i >= low {
			rest = optional(e)
		}
	}
	return sequence{literal("["), c.space(false), rest, c.space(false), literal("]")}, nil
}

// char is a character of a string, in any of its forms.
func (c *schemaCompiler) char() expr {
	return c.part("character", func() expr {
		hex := newClass(runes{'0', '9'}, runes{'a', 'f'}, runes{'A', 'F'})
		digits := func(s string) expr {
			var all []runes
			for _, r := range s {
				all = append(all, runes{r, r})
			}
			return newClass(all...)
		}
		return choice{
			jsonPlain,
			sequence{literal(`\`), digits(`"\/bfnrt`)},
			// Four digits that are no half of a surrogate pair, or a pair.
			sequence{literal(`\u`), digits("0123456789abcefABCEF"), hex, hex, hex},
			sequence{literal(`\u`), digits("dD"), digits("01234567"), hex, hex},
			sequence{literal(`\u`), digits("dD"), digits("89abAB"), hex, hex, literal(`\u`), digits("dD"),
				digits("cdefCDEF"), hex, hex},
		}
	})
}

func (c *schemaCompiler) stringOf(o *object, at string) (expr, error) {
	low, err := count(o, "minLength", at, 0)
	if err != nil {
		return nil, err
	}
	high, err := count(o, "maxLength", at, unbounded)
	if err != nil {
		return nil, err
	}
	lengths := o.has("minLength") || o.has("maxLength")
	for _, word := range []string{"pattern", "format"} {
		if !o.has(word) {
			continue
		}
		if lengths || word == "pattern" && o.has("format") {
			return nil, fmt.Errorf("%s/%s: beside minLength, maxLength or format it is not supported: say it all in "+
				"the pattern", at, word)
		}
		s, ok := o.get(word).(string)
		if !ok {
			return nil, fmt.Errorf("%s/%s: a string must stand here", at, word)
		}
		if word == "format" {
			if s, ok = formats[s]; !ok {
				return nil, fmt.Errorf("%s/format: %s is not supported", at, marshal(o.get("format")))
			}
		}
		re, err := syntax.Parse(s, syntax.Perl)
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", at, word, err)
		}
		e, err := regexpCompiler{jsonChars}.text(re, true)
		if errors.Is(err, errNothing) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", at, word, err)
		}
		return sequence{literal(`"`), e, literal(`"`)}, nil
	}
	if high >= 0 && high < low {
		return nil, nil
	}
	return sequence{literal(`"`), repeat{c.char(), low, high}, literal(`"`)}, nil
}

// anyValue is any value of JSON.
func (c *schemaCompiler) anyValue() expr {
	i, ok := c.shared["value"]
	if !ok {
		i = c.add("value")
		c.shared["value"] = i
		str := sequence{literal(`"`), repeat{c.char(), 0, unbounded}, literal(`"`)}
		of := func(left string, part expr, right string) expr {
			return sequence{literal(left), c.space(false),
				optional(sequence{part, repeat{sequence{c.comma(), part}, 0, unbounded}}), c.space(false),
				literal(right)}
		}
		c.language.rules[i].body = choice{
			of("{", c.member(str, ref(i)), "}"), of("[", ref(i), "]"), str, c.anyNumber(false), literal("true"),
			literal("false"), literal("null"),
		}
	}
	return ref(i)
}
