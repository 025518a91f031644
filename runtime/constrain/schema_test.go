package constrain

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const person = `{
	"type": "object",
	"properties": {
		"name": {"type": "string", "minLength": 1, "maxLength": 20},
		"age": {"type": "integer", "minimum": 0, "maximum": 130},
		"tags": {"type": "array", "items": {"enum": ["a", "ab", "€", "say \"x\""]}, "maxItems": 4},
		"score": {"type": "number", "exclusiveMinimum": -1.5, "maximum": 2},
		"friend": {"$ref": "#"},
		"other": {"anyOf": [{"type": "null"}, {"type": "boolean"}, {"const": {"x": [1, 2.50]}}]}
	},
	"required": ["name", "age"]
}`

// schemas of the parts that are supported, alone and together.
var schemas = []string{
	`{}`, `true`, `{"type": "object"}`, `{"type": ["string", "null"]}`, person,
	`{"type": "integer"}`, `{"type": "number"}`, `{"type": "boolean"}`,
	`{"type": "integer", "minimum": -12, "maximum": 1234}`,
	`{"type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 9}`,
	`{"type": "integer", "minimum": 99.5}`,
	`{"type": "integer", "maximum": -99}`,
	`{"type": "number", "minimum": 0, "maximum": 1}`,
	`{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}`,
	`{"type": "number", "minimum": 0.25, "exclusiveMaximum": 0.75}`,
	`{"type": "number", "minimum": -3.14, "maximum": -2.7}`,
	`{"type": "number", "exclusiveMaximum": 0, "minimum": -1e-3}`,
	`{"type": "number", "minimum": 1e3, "maximum": 123456.789}`,
	`{"enum": [1, "two", [3], {"four": 4}, null, true]}`,
	`{"enum": [1, "two", null], "type": ["string", "number"]}`,
	`{"const": "a\nb\u0000<&>"}`,
	`{"type": "string", "minLength": 3}`, `{"type": "string", "maxLength": 3}`,
	`{"type": "string", "minLength": 2, "maxLength": 2}`,
	`{"type": "string", "pattern": "^[a-z]+@[a-z]+$"}`, `{"type": "string", "pattern": "b+"}`,
	`{"type": "string", "pattern": "^a|b$"}`, `{"type": "string", "pattern": "^[\"\\\\\\n]{2}"}`,
	`{"type": "string", "format": "date"}`, `{"type": "string", "format": "time"}`,
	`{"type": "string", "format": "date-time"}`, `{"type": "string", "format": "duration"}`,
	`{"type": "string", "format": "email"}`, `{"type": "string", "format": "hostname"}`,
	`{"type": "string", "format": "ipv4"}`, `{"type": "string", "format": "ipv6"}`,
	`{"type": "string", "format": "uri"}`, `{"type": "string", "format": "uuid"}`,
	`{"type": "array", "items": {"type": "integer"}}`,
	`{"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "boolean"}}`, `{"items": false}`,
	`{"type": "array", "maxItems": 0}`,
	`{"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false}`,
	`{"prefixItems": [{"const": 1}, {"const": 2}], "minItems": 1, "maxItems": 4, "items": {"const": 3}}`,
	`{"prefixItems": [{"const": 1}, false]}`,
	`{"prefixItems": [{"const": 1}, {"const": 2}, {"const": 2}], "minItems": 3}`,
	`{"type": "object", "additionalProperties": {"type": "integer"}}`,
	`{"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2}`,
	`{"properties": {"a": {"type": "integer"}, "ab": {"type": "integer"}, "": {"type": "null"}, "é\"": {"type": "null"}}, "additionalProperties": {"type": "string"}}`,
	`{"properties": {"a": false, "b": true}, "required": ["b"], "additionalProperties": false}`,
	`{"required": ["x", "y"]}`, `{"required": ["x"], "additionalProperties": {"type": "null"}}`,
	`{"$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["value", "next"]}}, "$ref": "#/$defs/node"}`,
	`{"$defs": {"a/b~c": {"type": "null"}}, "type": "array", "items": {"$ref": "#/$defs/a~1b~0c"}}`,
	`{"anyOf": [{"type": "string"}, {"minimum": 3}], "title": "both"}`,
	`{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "anyOf": [{"properties": {"b": {"type": "null"}}, "required": ["b"]}, {"properties": {"c": {"type": "null"}}}]}`,
	`{"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "object"}]}`,
	`{"oneOf": [{"type": "object", "properties": {"kind": {"const": "x"}, "n": {"type": "integer"}}, "required": ["kind", "n"]}, {"type": "object", "properties": {"kind": {"enum": ["y", "z"]}}, "required": ["kind"]}]}`,
	`{"oneOf": [{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}, {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"], "additionalProperties": false}]}`,
	`{"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"b": {"type": "string"}, "a": {"minimum": 5}}, "required": ["b"]}]}`,
	`{"allOf": [{"type": ["integer", "string"], "minimum": 3}, {"type": "number", "maximum": 8, "minimum": 1}]}`,
	`{"$defs": {"base": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}}, "allOf": [{"$ref": "#/$defs/base"}], "properties": {"x": {"type": "null"}}}`,
	`{"allOf": [{"enum": [1, 2, 3]}, {"enum": [2, 3.0, 4]}]}`,
	`{"type": "array", "uniqueItems": false, "items": {"$ref": "#"}, "$comment": "nested lists", "examples": [[]]}`,
}

// validator is an independent one.
func validator(t testing.TB, schema string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestJSONSchema writes random texts for each schema and has them read by encoding/json and validated by a library.
func TestJSONSchema(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	for _, schema := range schemas {
		t.Run(schema[:min(len(schema), 60)], func(t *testing.T) {
			valid := validator(t, schema)
			for spacing := range SingleSpacing + 1 {
				l := must(t)(JSONSchema([]byte(schema), spacing))
				for _, v := range []*Vocabulary{bytesAlone, pieced(1500, 3, true)} {
					c := compile(t, l, v)
					shortest := int(c.tokensToEnd(c.engine.first))
					texts := map[string]bool{}
					for i := range 20 {
						text, ended := write(t, c, shortest+i, r)
						if !ended {
							t.Fatalf("%q does not end", text)
						}
						if !json.Valid([]byte(text)) {
							t.Fatalf("%q is not JSON", text)
						}
						doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
						if err != nil {
							t.Fatalf("%q: %v", text, err)
						}
						if err := valid.Validate(doc); err != nil {
							t.Fatalf("%q is not valid: %v", text, err)
						}
						texts[text] = true
					}
				}
			}
		})
	}
}

// TestJSONSchemaAllows holds against texts that a schema must allow and must not.
func TestJSONSchemaAllows(t *testing.T) {
	for _, c := range []struct {
		schema   string
		yes, not []string
	}{
		{`{"type":"number","minimum":0,"maximum":1}`, []string{"0", "1", "0.5", "0.001", "1.0"},
			[]string{"1.1", "-0.1", "2", "00", "0.", "1e5"}},
		{`{"type":"number","minimum":0.25,"exclusiveMaximum":0.75}`, []string{"0.25", "0.7499", "0.333"},
			[]string{"0.75", "0.2", "0.24999", "1"}},
		{`{"type":"number","minimum":-10,"maximum":10}`, []string{"-10", "10", "-3", "-3.5", "0", "9.999"},
			[]string{"10.5", "-11", "-10.01"}},
		{`{"type":"integer","minimum":-12,"maximum":1234}`,
			[]string{"-12", "-1", "0", "9", "10", "999", "1000", "1234"}, []string{"-13", "1235", "1.0", "-0", "0012"}},
		{`{"type":"string","maxLength":2}`, []string{`""`, `"ab"`, `"€€"`, `"\n\u00e9"`, `"\ud834\udd1e𝄞"`},
			[]string{`"abc"`, "\"a\nb\"", `"\ud834"`, `"\x"`}},
		{person,
			[]string{`{"name":"x","age":1}`, `{"name": "x", "age": 130, "tags": [ "a","€"]}`,
				"{\n  \"name\": \"x\",\n  \"age\": 3\n}",
				`{"name":"x","age":1,"friend":{"name":"y","age":2},"other":{"x":[1,2.50]}}`},
			[]string{`{"name":"","age":1}`, `{"age":1,"name":"x"}`, `{"name":"x"}`, `{"name":"x","age":131}`,
				`{"name":"x","age":1,"more":1}`, `{"name":"x","age":1,}`}},
		{`{"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}`,
			[]string{`{}`, `{"a":1}`, `{"a":1,"b":"x"}`, `{"b":"x","aa":"y"}`, `{"":"x"}`},
			[]string{`{"a":"x"}`, `{"b":1}`, `{"\u0061":"x"}`, `{"b":"x","a":1}`}},
		{`{"type":"string","pattern":"^a|b$"}`, []string{`"a"`, `"axyz"`, `"xyb"`, `"b"`},
			[]string{`"xa"`, `"bx"`, `""`}},
	} {
		k := compile(t, must(t)(JSONSchema([]byte(c.schema), FreeSpacing)), bytesAlone)
		for _, s := range c.yes {
			if ok, _ := accepts(k, s); !ok {
				t.Errorf("%s must allow %s", c.schema, s)
			}
		}
		for _, s := range c.not {
			if ok, _ := accepts(k, s); ok {
				t.Errorf("%s must not allow %s", c.schema, s)
			}
		}
	}
}

// TestUnsupported has a schema for each mistake, and what the error must say.
func TestUnsupported(t *testing.T) {
	for _, c := range []struct{ schema, want string }{
		{`{"type":"object","properties":{"a/b":{"type":"array","uniqueItems":true}}}`, "#/properties/a~1b/uniqueItems"},
		{`{"patternProperties":{}}`, "#/patternProperties"},
		{`{"properties":{"x":{"not":{}}}}`, "#/properties/x/not"},
		{`{"if":{}}`, "#/if"},
		{`{"type":"integer","multipleOf":3}`, "#/multipleOf"},
		{`{"items":{"$dynamicRef":"#x"}}`, "#/items/$dynamicRef"},
		{`{"$ref":"http://example.com/x"}`, "#/$ref"},
		{`{"$ref":"#/$defs/no"}`, "#/$ref"},
		{`{"$defs":{"a":{"nonsense":1}},"$ref":"#/$defs/a"}`, "#/$defs/a/nonsense"},
		{`{"type":"strin"}`, "#/type"},
		{`{"format":"regex"}`, "#/format"},
		{`{"pattern":"a","minLength":2}`, "#/pattern"},
		{`{"pattern":"("}`, "#/pattern"},
		{`{"pattern":"a\\b"}`, "#/pattern"},
		{`{"oneOf":[{"type":"number"},{"type":"integer"}]}`, "#/oneOf"},
		{`{"oneOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}`, "#/oneOf"},
		{`{"minItems":-1}`, "#/minItems"},
		{`{"maxLength":1e9}`, "#/maxLength"},
		{`{"minimum":"1"}`, "#/minimum"},
		{`{"minimum":1e99999}`, "#/minimum"},
		{`{"items":[{}]}`, "#/items"},
		{`{"enum":[1],"minimum":0}`, "#/minimum"},
		{`{"allOf":[{"pattern":"a"},{"pattern":"b"}]}`, "#/allOf/1/pattern"},
		{`{"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}]}`,
			"additionalProperties"},
		{`{"properties":{"a":false},"required":["a"]}`, "allows nothing"},
		{`false`, "allows nothing"},
		{`{"required":["a"],"additionalProperties":false}`, "allows nothing"},
		{`{"$ref":"#"}`, "left-recursive"},
		{`[]`, "a schema must stand here"},
		{`{"a":1,"a":2}`, "twice"},
		{"{\n\"type\":}", "line 2"},
		{`{} {}`, "more behind"},
		{`{"type":"object"`, "ends too early"},
	} {
		l, err := JSONSchema([]byte(c.schema), FreeSpacing)
		if err == nil {
			_, err = l.Compile(bytesAlone)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, it must say %q", c.schema, err, c.want)
		}
	}
}
