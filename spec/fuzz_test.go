package spec

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzParse checks that no input makes Parse panic, that every error has a place, and that what Parse accepts is
// complete, the same when parsed again, and valid by the schema.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*/model.yaml", "testdata/valid/*/model.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range paths {
			src, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	schema := compileSchema(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := Parse("model.yaml", src, readVocabulary)
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 || m != nil {
				t.Fatalf("an error of type %T with the model %v", err, m)
			}
			for _, e := range all {
				if e.Msg == "" || strings.ContainsAny(e.Msg, "\n\r\x00") {
					t.Errorf("an error that is not one line: %q", e.Msg)
				}
				if e.Line < 1 || e.Col < 1 {
					t.Errorf("an error without a place: %v", e)
				}
			}
			return
		}
		layers, tokens := 3, m.Vocab()
		if m.Vectors != nil {
			layers, tokens = 1, m.Vectors.Size+1
		}
		if tokens < 2 || m.Shape.Batch < 1 || m.Shape.Steps < 1 || m.Name == "" || len(m.Layers) < layers {
			t.Errorf("an incomplete model: %+v", m)
		}
		stacks := append(append([]Layer{}, m.Layers...), m.Encoder...)
		if g := m.GAN; g != nil {
			if stacks = append(stacks, g.Discriminator...); (m.Vectors == nil) != (g.Text != nil) ||
				len(m.Layers) < 1 || len(g.Discriminator) < 1 || g.Text == nil && g.Noise.Size < 1 ||
				g.CriticSteps < 1 {
				t.Errorf("an incomplete pair of networks: %+v", m)
			}
		}
		for _, l := range stacks {
			if l.OutputWidth() < 1 || l.LayerName() == "" || l.LayerPos().Line < 1 {
				t.Errorf("an incomplete layer: %+v", l)
			}
		}
		again, err := Parse("model.yaml", src, readVocabulary)
		if err != nil || dump(again) != dump(m) {
			t.Errorf("parsed again: %v, %v", again, err)
		}
		if err := validate(schema, src); err != nil {
			t.Errorf("the decoder accepts what the schema does not: %v", err)
		}
	})
}

// FuzzVocabulary checks that no input makes the readers of vocabularies panic and that what they accept can be written
// and read back.
func FuzzVocabulary(f *testing.F) {
	f.Add([]byte("# comment\n\"a\"\n\"\\n\"\n\"\\u00e9\"\n"))
	f.Add([]byte("\"a\"\na\n'a'\n"))
	f.Add([]byte("\"a\"\n\" the\"\n"))
	f.Add([]byte("#version: 0.2\nĠ t\nh e\nĠt he\n# #\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if chars, err := ParseVocabulary("v", src); err == nil {
			again, err := ParseVocabulary("v", FormatVocabulary(chars, "x"))
			if err != nil || string(again) != string(chars) {
				t.Errorf("read back %q, want %q: %v", string(again), string(chars), err)
			}
		}
		if words, err := ParseWords("v", src); err == nil {
			again, err := ParseWords("v", FormatWords(words, "x"))
			if err != nil || !slices.Equal(again, words) {
				t.Errorf("read back %q, want %q: %v", again, words, err)
			}
		}
		if merges, err := ParseMerges("v", src); err == nil {
			again, err := ParseMerges("v", FormatMerges(merges, ""))
			if err != nil || !slices.Equal(again, merges) {
				t.Errorf("read back %q, want %q: %v", again, merges, err)
			}
		}
	})
}
