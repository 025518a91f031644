package app

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/wordvector"
)

// vectorFlags name word vectors that an embedding begins with.
type vectorFlags struct{ file, of string }

func (v *vectorFlags) add(a *program, fs *pflag.FlagSet) {
	names := a.embeddings()
	if len(names) == 0 {
		return
	}
	fs.StringVar(&v.file, "vectors", "",
		"begin an embedding with the word vectors of `FILE`, of word2vec, GloVe or fastText")
	of := "the `NAME` of the embedding that begins with them"
	if len(names) > 1 {
		of += ": " + strings.Join(names, " or ")
	}
	fs.StringVar(&v.of, "vectors-of", "", of)
}

// embeddings lists the layers that look up tokens.
func (a *program) embeddings() []string {
	var names []string
	for _, l := range a.Info.Layers {
		if l.Kind == "embedding" {
			names = append(names, l.Name)
		}
	}
	return names
}

// table is the table of the embedding that the flags name, and the tokenizer of its rows.
func (v *vectorFlags) table(a *program, m model.LanguageModel) (model.Tensor, model.Tokenizer, error) {
	names := a.embeddings()
	if v.of == "" {
		if len(names) > 1 {
			return model.Tensor{}, nil, fmt.Errorf("--vectors %s: the model has the embeddings %s: say with "+
				"--vectors-of which one begins with them", v.file, strings.Join(names, " and "))
		}
		v.of = names[0]
	}
	for _, l := range a.Info.Layers {
		if l.Kind != "embedding" || l.Name != v.of {
			continue
		}
		tokens := a.Tokenizer
		if a.SourceTokenizer != nil && strings.HasPrefix(l.Output, "source") {
			tokens = a.SourceTokenizer
		}
		for _, x := range m.Tensors() {
			if x.Name == l.Name+".table" {
				return x, tokens, nil
			}
		}
		return model.Tensor{}, nil, fmt.Errorf("--vectors-of %s: the embedding has the table of another one: name that",
			v.of)
	}
	return model.Tensor{}, nil, fmt.Errorf("--vectors-of %s: the model has no such embedding: it has %s", v.of,
		strings.Join(names, ", "))
}

// fill puts the vectors into the table, and says what was found. A token that is no word of the file keeps what it
// was drawn with. A word in lower case stands in for one that has only that.
func (v *vectorFlags) fill(a *program, m model.LanguageModel, errOut io.Writer) error {
	table, tokens, err := v.table(a, m)
	if err != nil {
		return err
	}
	of, lower := map[string][]int{}, map[string]bool{} // the tokens of each word; words in lower case
	var words []string
	for i := range table.Shape[0] {
		word := ""
		if i < tokens.Vocab() {
			word = strings.TrimSpace(tokens.Piece(int32(i)))
		}
		if word == "" || strings.ContainsRune(word, '\uFFFD') {
			continue // a special token, a blank, or a part of a character
		}
		if of[word] == nil {
			words = append(words, word)
		}
		of[word] = append(of[word], i)
		lower[strings.ToLower(word)] = true
	}
	r, err := data.Open(v.file)
	if err != nil {
		return err
	}
	defer r.Close()
	work := cli.NewWork(errOut, "reading "+v.file)
	found, err := wordvector.Read(r, table.Shape[1], func(word string) bool { return of[word] != nil || lower[word] },
		words)
	if err == nil { // a compressed file is checked to its end, which a model of fastText has behind what is read
		if _, err = io.Copy(io.Discard, r); err == nil {
			err = r.End()
		}
	}
	work.End()
	if err != nil {
		return fmt.Errorf("%s: %w", v.file, err)
	}
	direct, folded, made, total := 0, 0, 0, 0
	var missing []string
	for _, word := range words {
		total += len(of[word])
		row, kind := found.Found[word], &direct
		if low := strings.ToLower(word); row == nil || found.Derived[word] {
			if better := found.Found[low]; better != nil && !found.Derived[low] {
				row, kind = better, &folded
			} else {
				kind = &made
			}
		}
		if row == nil {
			missing = append(missing, word)
			continue
		}
		*kind += len(of[word])
		for _, i := range of[word] {
			copy(table.Value[i*table.Shape[1]:(i+1)*table.Shape[1]], row)
		}
	}
	if direct+folded+made == 0 {
		return fmt.Errorf("%s has %s words, and none is a token of %s, such as %s", v.file, thousands(found.Words),
			v.of, someOf(words))
	}
	s := fmt.Sprintf("%s: %s of %s tokens of %s begin with vectors of %s (%s)", a.Info.Name,
		thousands(direct+folded+made), thousands(total), v.of, v.file, found.Form)
	if folded > 0 {
		s += fmt.Sprintf(", %s of them with that of the word in lower case", thousands(folded))
	}
	if made > 0 {
		s += fmt.Sprintf(", %s of them with one of their parts", thousands(made))
	}
	if len(missing) > 0 {
		s += "; not in it: " + someOf(missing)
	}
	fmt.Fprintln(errOut, s)
	return nil
}

// someOf lists the first few words.
func someOf(words []string) string {
	const few = 8
	var b strings.Builder
	for i, w := range words[:min(few, len(words))] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(oneLine(w))
	}
	if more := len(words) - few; more > 0 {
		fmt.Fprintf(&b, " and %s more", thousands(more))
	}
	return b.String()
}

func (v *vectorFlags) check(f *trainFlags) error {
	if v.file != "" && f.from != "" {
		return errors.New("--vectors and --from contradict each other: parameters of a checkpoint have the embedding " +
			"already; give one of them")
	}
	return nil
}
