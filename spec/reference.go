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
	r := &referenceWriter{}
	r.page() // to know all headings, so that those that would be the same can say of which kind they are
	r.headings = r.sections
	r.page()
	return r.String()
}

// page writes the page.
func (r *referenceWriter) page() {
	r.Reset()
	r.printed, r.own, r.sections = map[*typ]*section{}, map[*typ]bool{}, nil
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
	r.shared = map[*typ]*section{}
	for _, key := range several {
		r.shared[items(key.typ)] = &section{key: key}
	}
	for _, k := range kinds {
		r.kind = k.name
		r.printf("\n## Kind `%s`\n\n%s\n\n", k.name, k.doc)
		r.keys(k.typ)
		for _, key := range k.typ.keys {
			if uses[key] == 1 {
				r.section(key)
			}
		}
	}
	r.kind = ""
	r.printf("\n## Keys of several kinds\n")
	for _, key := range several {
		r.section(key)
	}
}

type referenceWriter struct {
	strings.Builder
	printed  map[*typ]*section // the section of a type
	shared   map[*typ]*section // those of the types of keys of several kinds
	own      map[*typ]bool     // types of the keys of kinds, which have sections of their own
	sections []*section        // that were written
	headings []*section        // that the page has
	kind     string            // whose keys are being written; empty for those of several
}

// section is a heading of the page, with the key that it describes.
type section struct {
	key  *key
	kind string
}

// alone reports whether no other heading has the name of s.
func (r *referenceWriter) alone(s *section) bool {
	n := 0
	for _, o := range r.headings {
		if o.key.name == s.key.name {
			n++
		}
	}
	return n < 2
}

// heading is the text of a section's heading, link a link to it.
func (r *referenceWriter) heading(s *section) string {
	if s.kind == "" || r.alone(s) {
		return "`" + s.key.name + "`"
	}
	return fmt.Sprintf("`%s` of kind `%s`", s.key.name, s.kind)
}

func (r *referenceWriter) link(s *section) string {
	return fmt.Sprintf("[%s](#%s)", s.key.name, anchor(r.heading(s)))
}

// anchor is the name by which a page on GitHub links to a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(heading, "`", "")), " ", "-")
}

// about is the section that describes a key, or else its type.
func (r *referenceWriter) about(k *key) *section {
	same := r.shared[items(k.typ)]
	for _, s := range r.headings {
		if s.key == k {
			return s
		}
		if same == nil && items(s.key.typ) == items(k.typ) {
			same = s
		}
	}
	if same == nil {
		return &section{key: k} // as long as the headings are not known
	}
	return same
}

// items is the type of the items of a list, and any other type itself.
func items(t *typ) *typ {
	if t.form == listForm {
		return t.item
	}
	return t
}

func (r *referenceWriter) printf(format string, args ...any) {
	fmt.Fprintf(&r.Builder, format, args...)
}

// section describes a key whose values have keys or words of their own.
func (r *referenceWriter) section(k *key) {
	doc, t := k.doc, items(k.typ)
	if t.form != objectForm && t.form != choiceForm {
		return
	}
	s := &section{key: k, kind: r.kind}
	r.sections = append(r.sections, s)
	r.printf("\n### %s\n\n%s", r.heading(s), doc)
	other, ok := r.printed[t]
	if o := r.shared[t]; o != nil && o.key != k {
		other, ok = o, true
	}
	if ok {
		r.printf(" Its words are those of %s.\n", r.link(other))
		return
	}
	r.printed[t] = s
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
			if other.typ != nil && r.table(other.typ) == r.table(w.typ) {
				names = append(names, "`"+other.name+"`")
				done[other.name] = true
			}
		}
		r.printf("\nSettings of %s:\n\n%s", strings.Join(names, ", "), r.table(w.typ))
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
		if _, ok := r.printed[k.typ]; !ok && !r.own[k.typ] && k.typ.cell == "" &&
			(k.typ.form == choiceForm || k.typ.form == objectForm) {
			r.section(k)
		}
	}
}

func (r *referenceWriter) keys(t *typ) { r.WriteString(r.table(t)) }

// table lists the keys of an object.
func (r *referenceWriter) table(t *typ) string {
	var b strings.Builder
	b.WriteString("| key | takes | default | meaning |\n|---|---|---|---|\n")
	for _, k := range t.keys {
		takes := cell(k.typ.String())
		switch {
		case k.typ.cell != "":
			takes = k.typ.cell
		case k.typ.form == choiceForm || k.typ.form == objectForm ||
			k.typ.form == listForm && k.typ.item.form == choiceForm:
			takes = "see " + r.link(r.about(k))
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
