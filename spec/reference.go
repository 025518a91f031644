package spec

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:generate go run github.com/gradsmith/gradsmith/cmd/gradsmith docs -o ../docs/spec.md
//go:generate go run github.com/gradsmith/gradsmith/cmd/gradsmith schema -o ../docs/spec.schema.json

// introduction is the part of the reference that no table holds.
//
//go:embed reference.md
var introduction string

// Reference returns the reference page of the language, in Markdown: every key with its values, default and meaning.
func Reference() string {
	r := &referenceWriter{printed: map[*typ]string{}, own: map[*typ]bool{}}
	r.WriteString(introduction)
	uses := map[*key]int{}
	var several []*key // keys that several kinds have, in the order in which they appear
	for _, k := range kinds {
		for _, key := range k.typ.keys {
			if uses[key]++; uses[key] == 2 {
				several = append(several, key)
			}
			r.own[key.typ] = true
		}
	}
	for _, k := range kinds {
		r.printf("\n## Kind `%s`\n\n%s\n\n", k.name, k.doc)
		r.keys(k.typ)
		for _, key := range k.typ.keys {
			if uses[key] == 1 {
				r.section(key.name, key.doc, key.typ)
			}
		}
	}
	r.printf("\n## Keys of several kinds\n")
	for _, key := range several {
		r.section(key.name, key.doc, key.typ)
	}
	return r.String()
}

type referenceWriter struct {
	strings.Builder
	printed map[*typ]string // the section of a type
	own     map[*typ]bool   // types of the keys of kinds, which have sections of their own
}

func (r *referenceWriter) printf(format string, args ...any) {
	fmt.Fprintf(&r.Builder, format, args...)
}

// section describes a key whose values have keys or words of their own.
func (r *referenceWriter) section(name, doc string, t *typ) {
	if t.form == listForm {
		t = t.item
	}
	if t.form != objectForm && t.form != choiceForm {
		return
	}
	r.printf("\n### `%s`\n\n%s", name, doc)
	if other, ok := r.printed[t]; ok {
		r.printf(" Its words are those of [%s](#%s).\n", other, other)
		return
	}
	r.printed[t] = name
	// The type's words may begin with the key's.
	if more := strings.TrimSpace(strings.TrimPrefix(t.doc, doc)); more != "" {
		r.printf(" %s", more)
	}
	r.printf("\n\n")
	if t.form == objectForm {
		r.keys(t)
		r.settings(t)
		return
	}
	r.printf("| word | meaning |\n|---|---|\n")
	for _, w := range t.words {
		r.printf("| `%s` | %s |\n", w.name, cell(w.doc))
	}
	// Words with the same settings share a table.
	done := map[string]bool{}
	for i, w := range t.words {
		if w.typ == nil || done[w.name] {
			continue
		}
		names := []string{"`" + w.name + "`"}
		for _, other := range t.words[i+1:] {
			if other.typ != nil && table(other.typ) == table(w.typ) {
				names = append(names, "`"+other.name+"`")
				done[other.name] = true
			}
		}
		r.printf("\nSettings of %s:\n\n%s", strings.Join(names, ", "), table(w.typ))
	}
	for _, w := range t.words {
		if w.typ != nil {
			r.settings(w.typ)
		}
	}
}

// settings writes sections for the keys of an object that have words or keys themselves.
func (r *referenceWriter) settings(t *typ) {
	for _, k := range t.keys {
		if _, ok := r.printed[k.typ]; !ok && !r.own[k.typ] && k.typ.cell == "" && (k.typ.form == choiceForm || k.typ.form == objectForm) {
			r.section(k.name, k.doc, k.typ)
		}
	}
}

func (r *referenceWriter) keys(t *typ) { r.WriteString(table(t)) }

// table lists the keys of an object.
func table(t *typ) string {
	var b strings.Builder
	b.WriteString("| key | takes | default | meaning |\n|---|---|---|---|\n")
	for _, k := range t.keys {
		takes := cell(k.typ.String())
		switch {
		case k.typ.cell != "":
			takes = k.typ.cell
		case k.typ.form == choiceForm || k.typ.form == objectForm || k.typ.form == listForm && k.typ.item.form == choiceForm:
			section := k.name
			if k.typ == initType {
				section = initKey.name
			}
			takes = fmt.Sprintf("see [%s](#%s)", section, section)
		case k.typ.form == enumForm:
			var words []string
			for _, w := range k.typ.words {
				words = append(words, "`"+w.name+"`")
				if w.doc != "" {
					words[len(words)-1] += " (" + cell(strings.TrimSuffix(w.doc, ".")) + ")"
				}
			}
			takes = strings.Join(words, ", ")
		}
		def := "required"
		switch {
		case k.defDoc != "":
			def = cell(k.defDoc)
		case !k.required:
			def = "`" + literal(k.def) + "`"
		}
		name := "`" + k.name + "`"
		if t.short == k.name {
			name += ", *main*"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, takes, def, cell(k.doc))
	}
	return b.String()
}

// cell makes text fit for a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// literal prints a default as it would stand in a spec.
func literal(def any) string {
	switch def := def.(type) {
	case float64:
		return number(def)
	case []float64:
		var items []string
		for _, x := range def {
			items = append(items, number(x))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(def)
}
