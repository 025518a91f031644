package serve

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
)

// openAPI describes the API in the form of OpenAPI 3.1. The bodies are those of the table, so that the description
// cannot tell other members than what is decoded.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	paths := map[string]any{}
	for _, x := range s.table() {
		method, path, _ := strings.Cut(x.pattern, " ")
		failure := map[string]any{"description": "an error",
			"content": content(map[string]any{"$ref": "#/components/schemas/Error"})}
		op := map[string]any{
			"summary": x.about,
			"responses": map[string]any{"200": map[string]any{"description": "the answer",
				"content": content(map[string]any{"type": "object"})}, "default": failure},
		}
		if x.body != nil {
			op["requestBody"] = map[string]any{"required": true, "content": content(schemaOf(reflect.TypeOf(x.body)))}
		}
		if strings.Contains(path, "{name}") {
			op["parameters"] = []any{map[string]any{"name": "name", "in": "path", "required": true,
				"schema": map[string]any{"type": "string"}}}
		}
		paths[path] = map[string]any{strings.ToLower(method): op}
	}
	answer(w, http.StatusOK, map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "gradsmith", "version": "1",
			"description": "Models that gradsmith compiled, in the API of OpenAI and with extensions of llama.cpp's " +
				"server."},
		"paths": paths,
		"components": map[string]any{
			"schemas": map[string]any{"Error": map[string]any{"type": "object",
				"properties": map[string]any{"error": schemaOf(reflect.TypeFor[Problem]())}}},
			"securitySchemes": map[string]any{"key": map[string]any{"type": "http", "scheme": "bearer"}},
		},
	})
	return nil
}

func content(schema any) map[string]any {
	return map[string]any{"application/json": map[string]any{"schema": schema}}
}

// schemaOf is the JSON schema of a type.
func schemaOf(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[texts]():
		text := map[string]any{"type": "string"}
		return map[string]any{"anyOf": []any{text, map[string]any{"type": "array", "items": text},
			map[string]any{"type": "null"}}}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	}
	members := map[string]any{}
	add(t, members)
	return map[string]any{"type": "object", "properties": members, "additionalProperties": false}
}

// add adds the members of a struct, those of embedded ones included.
func add(t reflect.Type, members map[string]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			add(f.Type, members)
		case name != "" && f.IsExported():
			members[name] = schemaOf(f.Type)
		}
	}
}
