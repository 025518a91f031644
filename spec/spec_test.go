package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write what the tests find to the golden files")

// TestErrors holds the text of every error, because people read it: testdata/errors/CASE/{model.yaml, want.txt}.
func TestErrors(t *testing.T) {
	eachCase(t, "errors", func(t *testing.T, dir string) string {
		m, err := load(dir)
		if err == nil {
			t.Fatalf("no error for %s: %+v", dir, m)
		}
		var all Errors
		if !errors.As(err, &all) || len(all) == 0 {
			t.Fatalf("an error of type %T without places: %v", err, err)
		}
		return err.Error() + "\n"
	})
}

// TestValid holds the checked models, with every default: testdata/valid/CASE/{model.yaml, want.txt}.
func TestValid(t *testing.T) {
	schema := compileSchema(t)
	eachCase(t, "valid", func(t *testing.T, dir string) string {
		m, err := load(dir)
		if err != nil {
			t.Fatal(err)
		}
		src, err := os.ReadFile(filepath.Join(dir, "model.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, src); err != nil {
			t.Errorf("the decoder accepts what the schema does not: %v", err)
		}
		return dump(m)
	})
}

func eachCase(t *testing.T, folder string, run func(t *testing.T, dir string) string) {
	dirs, err := filepath.Glob(filepath.Join("testdata", folder, "*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases in testdata/%s: %v", folder, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			got := run(t, dir)
			path := filepath.Join(dir, "want.txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v; run the test with -update to write it", err)
			}
			if got != string(want) {
				t.Errorf("%s:\n--- got\n%s--- want\n%s", path, got, want)
			}
		})
	}
}

// load parses a case under the plain name model.yaml, so that goldens do not hold paths.
func load(dir string) (*Model, error) {
	src, err := os.ReadFile(filepath.Join(dir, "model.yaml"))
	if err != nil {
		return nil, err
	}
	return Parse("model.yaml", src, func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) })
}

var inner = regexp.MustCompile(`\{Pos:\{Line:(\d+) Col:(\d+) In:(?:<nil>|0x[0-9a-f]+)\} ?`)

// dump prints a model for the goldens: a line a part, places as @line:column.
func dump(m *Model) string {
	var b strings.Builder
	var line func(label string, v any)
	line = func(label string, v any) {
		if c, ok := v.(Composite); ok {
			fmt.Fprintf(&b, "%s @%d:%d %s %s %d features, blocks %v\n", label, c.LayerPos().Line, c.LayerPos().Col,
				c.LayerKind(), c.LayerName(), c.OutputWidth(), Base(c).Blocks)
			for i, list := range c.Lists() {
				for _, l := range list {
					line(fmt.Sprintf("%s %d", label, i), l)
				}
			}
			return
		}
		if l, ok := v.(Layer); ok && Base(l).Pos.In != nil {
			fmt.Fprintf(&b, "%s @%d:%d of %s, used at %d\n", label, l.LayerPos().Line, l.LayerPos().Col,
				l.LayerPos().In.Block, l.LayerPos().In.Line)
			Base(l).Pos.In = nil
		}
		text := fmt.Sprintf("%+v", v)
		if a, ok := v.(*Attention); ok && a.Relative != nil {
			text = strings.Replace(text, fmt.Sprintf("%p", a.Relative), fmt.Sprintf("%+v", *a.Relative), 1)
		}
		if r, ok := v.(*Recurrent); ok && r.Attention != nil {
			text = strings.Replace(text, fmt.Sprintf("%p", r.Attention), fmt.Sprintf("%+v", *r.Attention), 1)
		}
		s := inner.ReplaceAllString(text, "@$1:$2{")
		fmt.Fprintf(&b, "%s %s\n", label, strings.TrimPrefix(s, "&"))
	}
	fmt.Fprintf(&b, "file %s kind %s name %s seed %d description %q\ndigest %s\narchitecture %s\n", m.File, m.Kind,
		m.Name, m.Seed, m.Description, m.Digest, m.Architecture())
	line("shape", m.Shape)
	if m.Vectors != nil {
		line("vectors", *m.Vectors)
	} else {
		tokenizer := m.Tokenizer
		// of a whole file, enough to see that it is there
		tokenizer.Data = tokenizer.Data[:min(len(tokenizer.Data), 16)]
		line("tokenizer", tokenizer)
	}
	if m.Labels != nil {
		line("labels", *m.Labels)
	}
	label := "layer"
	switch {
	case m.Latent != nil:
		line("vectors", m.Vectors)
		for _, l := range m.Encoder {
			line("encoder", l)
		}
		line("latent", m.Latent)
		line("likelihood", m.Likelihood)
		label = "decoder"
	case m.EncoderDecoder():
		line("source", m.Source)
		for _, l := range m.Encoder {
			line("encoder", l)
		}
		label = "decoder"
	case m.EncoderOnly():
		line("masking", m.Masking)
		label = "encoder"
	case m.DecoderOnly():
		label = "decoder"
	case m.GAN != nil:
		label = "generator"
	}
	for _, l := range m.Layers {
		line(label, l)
	}
	if g := m.GAN; g != nil {
		for _, l := range g.Discriminator {
			line("discriminator", l)
		}
		line("noise", g.Noise)
		if g.Text != nil {
			line("text", *g.Text)
		}
		line("penalty", g.Penalty)
		line("discriminator optimizer", g.Optimizer)
		fmt.Fprintf(&b, "feature matching %v critic steps %d ema %v\n", g.FeatureMatching, g.CriticSteps, g.EMA)
	}
	line("loss", m.Loss)
	line("optimizer", m.Optimizer)
	if m.EMA > 0 {
		fmt.Fprintf(&b, "ema %v\n", m.EMA)
	}
	line("schedule", m.Schedule)
	line("clip", m.Clip)
	if m.Adapter != nil {
		line("adapter", *m.Adapter)
	}
	line("train", m.Train)
	return b.String()
}

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("spec.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("spec.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate applies the schema to a spec as an editor would.
func validate(s *jsonschema.Schema, src []byte) error {
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		return err
	}
	j, err := json.Marshal(v)
	if err != nil {
		return err
	}
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// TestSchemaRejects checks that editors see what a schema can see: keys, words, types and ranges.
func TestSchemaRejects(t *testing.T) {
	schema := compileSchema(t)
	const good = "kind: rnn\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n"
	if err := validate(schema, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{
		"layers: [one_hot]",
		"kind: gnn",
		"kind: rnn",
		"kind: rnn\nlayers: []",
		"kind: rnn\nlayers: [one_hot, {rnn: {unit: 3}}, dense]",
		"kind: rnn\nlayers: [one_hot, {rnn: {units: 0}}, dense]",
		"kind: rnn\nlayers: [one_hot, rnn, dense]",
		"kind: rnn\nlayers: [one_hot, {rnn: {units: 3}, lstm: {units: 3}}, dense]",
		good + "batch: 3",
		good + "shape: {batch: 1.5}",
		good + "seed: -1",
		good + "name: A",
		good + "optimizer: adom",
		good + "optimizer: {adam: {betas: [0.9]}}",
		good + "optimizer: {adam: {betas: [0.9, 1]}}",
		good + "init: uniform",
		good + "clip: 0",
		good + "decode: q3",
		good + "decode: {weight: q8}",
		good + "train: {validation: 1}",
		good + "encoder: [one_hot]",
		"kind: attention\ndecoder: [one_hot, transformer, dense]",
		"kind: attention\ndecoder: [one_hot, {transformer: {heads: 0}}, dense]",
		"kind: attention\ndecoder: [one_hot, {transformer: {heads: 4, rotary: 7}}, dense]",
		"kind: attention\ndecoder: [one_hot, {transformer: {heads: 4, norm_at: 1}}, dense]",
		"kind: attention\ndecoder: [one_hot, {positions: learn}, {transformer: {heads: 4}}, dense]",
		"kind: attention\ndecoder: [one_hot, {transformer: {heads: 4}}, dense]\nlayers: []",
		"kind: attention\ndecoder: [one_hot, {transformer: {heads: 4}}, dense]\nsource: {step: 1}",
		"kind: attention\nencoder: [one_hot, {transformer: {heads: 4, rotary: true}}, dense]\nmasking: {share: 0}",
		"kind: attention\nencoder: [one_hot, {gru: {units: 4}}]\ndecoder: [one_hot, {gru: {units: 4, attention: " +
			"luong}}, dense]",
	} {
		if err := validate(schema, []byte(src)); err == nil {
			t.Errorf("the schema accepts\n%s", src)
		}
		if _, err := Parse("m.yaml", []byte(src), nil); err == nil {
			t.Errorf("the decoder accepts\n%s", src)
		}
	}
}

// TestTable checks that the description of the language is consistent in itself.
func TestTable(t *testing.T) {
	seen := map[*typ]bool{}
	var visit func(path string, t *typ)
	visit = func(path string, ty *typ) {
		if seen[ty] {
			return
		}
		seen[ty] = true
		if ty.short != "" && ty.key(ty.short) == nil {
			t.Errorf("%s: a plain value stands for the key %q, which there is not", path, ty.short)
		}
		names := map[string]bool{}
		for _, k := range ty.keys {
			p := path + "." + k.name
			if names[k.name] {
				t.Errorf("%s is there twice", p)
			}
			names[k.name] = true
			if k.doc == "" || !strings.HasSuffix(k.doc, ".") {
				t.Errorf("%s: its meaning is not a sentence: %q", p, k.doc)
			}
			if k.required && (k.def != nil || k.defDoc != "") {
				t.Errorf("%s is required and has a default", p)
			}
			if !k.required && k.def == nil && k.defDoc == "" {
				t.Errorf("%s has no default and does not say what leaving it out means", p)
			}
			for _, other := range k.also {
				if ty.key(other) != nil {
					t.Errorf("%s: %q is said to mean it, but is a key of its own", p, other)
				}
			}
			if k.def != nil {
				var n yaml.Node
				if err := yaml.Unmarshal([]byte(literal(k.def)), &n); err != nil {
					t.Fatal(err)
				}
				d := &decoder{file: "table"}
				d.decode(n.Content[0], k.typ, p)
				if len(d.errs) > 0 {
					t.Errorf("%s: its default is not valid: %v", p, d.errs)
				}
			}
			visit(p, k.typ)
		}
		for _, w := range ty.words {
			if w.doc == "" && len(ty.words) > 1 {
				t.Errorf("%s: the word %s has no meaning", path, w.name)
			}
			if w.typ != nil {
				visit(path+"."+w.name, w.typ)
			}
		}
		if ty.item != nil {
			visit(path, ty.item)
		}
	}
	for _, k := range kinds {
		visit(k.name, k.typ)
	}
}

var fenced = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestReference checks the examples of the reference, and that it names every key and word.
func TestReference(t *testing.T) {
	page := Reference()
	schema := compileSchema(t)
	examples := fenced.FindAllStringSubmatch(page, -1)
	if len(examples) < 2 {
		t.Fatalf("found %d examples", len(examples))
	}
	for _, e := range examples {
		if _, err := Parse("example.yaml", []byte(e[1]), nil); err != nil {
			t.Errorf("an example is not valid: %v\n%s", err, e[1])
		}
		if err := validate(schema, []byte(e[1])); err != nil {
			t.Error(err)
		}
	}
	// GitHub makes the name of a heading from its text: two of the same text would be told apart by numbers that
	// change when a third one comes.
	headings := map[string]int{}
	for _, h := range regexp.MustCompile(`(?m)^##+ (.*)$`).FindAllStringSubmatch(
		regexp.MustCompile("(?s)```.*?```").ReplaceAllString(page, ""), -1) {
		name := strings.ReplaceAll(regexp.MustCompile(`[^\pL\pN_ -]`).ReplaceAllString(strings.ToLower(h[1]), ""), " ",
			"-")
		if headings[name]++; headings[name] > 1 {
			t.Errorf("there are two headings %q", h[1])
		}
	}
	links := regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(page, -1)
	for _, link := range links {
		if headings[link[1]] != 1 {
			t.Errorf("a link leads to %q, which there is %d times", link[1], headings[link[1]])
		}
	}
	if len(links) < 50 {
		t.Errorf("found %d links", len(links))
	}
	// Where kinds have a key of one name each, its link leads to their own.
	for _, want := range []string{"[encoder](#encoder-of-kind-vae)", "[encoder](#encoder-of-kind-attention)",
		"[loss](#loss-of-kind-gan)", "[loss](#loss)"} {
		if !strings.Contains(page, "| see "+want+" |") {
			t.Errorf("no key has the link %s", want)
		}
	}
}

// TestGenerated fails when the pages that are made from this package are stale.
func TestGenerated(t *testing.T) {
	for path, want := range map[string]string{
		"../docs/spec.md":          Reference(),
		"../docs/spec.schema.json": string(Schema()),
	} {
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is stale; run `go generate ./spec` (%v)", path, err)
		}
	}
}

func TestDigestAndArchitecture(t *testing.T) {
	parse := func(src string, vocab string) *Model {
		t.Helper()
		m, err := Parse("a/b.yaml", []byte(src), func(string) ([]byte, error) { return []byte(vocab), nil })
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	const base = "kind: rnn\ntokenizer: {chars: v}\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n"
	const vocab = "\"a\"\n\"b\"\n"
	m := parse(base, vocab)
	if m.Name != "b" || m.File != "b.yaml" {
		t.Errorf("name %q and file %q", m.Name, m.File)
	}
	for _, c := range []struct {
		what                 string
		src, vocab           string
		sameDigest, sameArch bool
	}{
		{"line ends", strings.ReplaceAll(base, "\n", "\r\n"), strings.ReplaceAll(vocab, "\n", "\r\n"), true, true},
		{"a comment", base + "# x\n", vocab, false, true},
		{"a comment in the vocabulary", base, "# x\n" + vocab, false, true},
		{"training", base + "train: {passes: 3}\noptimizer: sgd\nseed: 7\nshape: {batch: 1}\n", vocab, false, true},
		{"dropout", strings.Replace(base, "}}, dense", "}}, {dropout: 0.5}, dense", 1), vocab, false, true},
		{"the vocabulary's order", base, "\"b\"\n\"a\"\n", false, false},
		{"words", strings.Replace(base, "chars", "words", 1), vocab, false, false},
		{"merges", strings.Replace(base, "chars", "bpe", 1), "a b\n", false, false},
		{"a layer's name", strings.Replace(base, "units: 3", "units: 3, name: x", 1), vocab, false, false},
		{"a layer's size", strings.Replace(base, "units: 3", "units: 4", 1), vocab, false, false},
		{"the activation", strings.Replace(base, "units: 3", "units: 3, activation: relu", 1), vocab, false, false},
	} {
		o := parse(c.src, c.vocab)
		if got := o.Digest == m.Digest; got != c.sameDigest {
			t.Errorf("%s: the same digest: %v, want %v", c.what, got, c.sameDigest)
		}
		if got := o.Architecture() == m.Architecture(); got != c.sameArch {
			t.Errorf("%s: the same architecture: %v, want %v", c.what, got, c.sameArch)
		}
	}
}

// TestAttentionArchitecture checks which settings of attention models decide whether a checkpoint fits.
func TestAttentionArchitecture(t *testing.T) {
	architecture := func(src string) string {
		t.Helper()
		m, err := Parse("m.yaml", []byte(src), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		return m.Architecture()
	}
	const (
		gpt = "kind: attention\ndecoder: [{embedding: {size: 8, name: e}}, {positions: learned}, {transformer: " +
			"{heads: 2}}, dense]\n"
		bert = "kind: attention\nencoder: [{embedding: {size: 8}}, {positions: sinusoidal}, {transformer: " +
			"{heads: 2}}, dense]\n"
		translate = "kind: attention\nencoder: [one_hot, {gru: {units: 4}}]\ndecoder: [one_hot, {gru: {units: 4, " +
			"attention: dot}}, dense]\n"
	)
	for _, c := range []struct {
		src, old, new string
		same          bool
	}{
		{gpt, "kind", "seed: 4\nkind", true},
		{gpt, "kind", "shape: {batch: 2}\nkind", true},
		{gpt, "kind", "shape: {steps: 2}\nkind", false},
		{bert, "kind", "shape: {steps: 2}\nkind", true},
		{bert, "kind", "masking: 0.3\nkind", true},
		{translate, "kind", "source: {steps: 9}\nkind", true},
		{translate, "kind", "source: {tokenizer: ascii}\nkind", false},
		{translate, "dot", "scaled_dot", false},
		{translate, "attention: dot", "attention: {dot: {input_feeding: false}}", false},
		{translate, "units: 4}}]\ndec", "units: 2, bidirectional: true}}]\ndec", false},
		{gpt, "heads: 2", "heads: 2, dropout: 0.1, attention_dropout: 0.1", true},
		{gpt, "heads: 2", "heads: 2, init: zeros", true},
		{gpt, "heads: 2", "heads: 4", false},
		{gpt, "heads: 2", "heads: 2, kv_heads: 1", false},
		{gpt, "heads: 2", "heads: 2, layers: 2", false},
		{gpt, "heads: 2", "heads: 2, hidden: 8", false},
		{gpt, "heads: 2", "heads: 2, activation: relu", false},
		{gpt, "heads: 2", "heads: 2, norm: rmsnorm", false},
		{gpt, "heads: 2", "heads: 2, norm_at: post", false},
		{gpt, "heads: 2", "heads: 2, window: 4", false},
		{gpt, "heads: 2", "heads: 2, prefix: 4", false},
		{gpt, "heads: 2", "heads: 2, rotary: true", false},
		{gpt, "heads: 2", "heads: 2, alibi: true", false},
		{gpt, "heads: 2", "heads: 2, bias: false", false},
		{gpt, "dense", "{dense: {tie: e}}", false},
		{gpt, ", dense", ", rmsnorm, dense", false},
	} {
		changed := strings.Replace(c.src, c.old, c.new, 1)
		if changed == c.src {
			t.Fatalf("nothing to change: %q in %s", c.old, c.src)
		}
		if got := architecture(changed) == architecture(c.src); got != c.same {
			t.Errorf("%s: the same architecture: %v, want %v", c.new, got, c.same)
		}
	}
}

// TestSpecials checks the numbers of the special tokens.
func TestSpecials(t *testing.T) {
	m, err := Load("testdata/valid/attention_both/model.yaml")
	if err != nil {
		t.Fatal(err)
	}
	target, source := &m.Tokenizer, &m.Source.Tokenizer
	for _, c := range []struct {
		name string
		t    *Tokenizer
		want int
	}{
		{BeginToken, target, 96}, {EndToken, target, 97}, {MaskToken, target, -1}, {BeginToken, source, -1},
		{EndToken, source, 256},
	} {
		if got := c.t.Special(c.name); got != c.want {
			t.Errorf("%s is %d, want %d", c.name, got, c.want)
		}
	}
}

func TestVocabulary(t *testing.T) {
	chars := []rune("\n\t \"'\\#aé\u00a0\u200b日\U0001f600")
	got, err := ParseVocabulary("v", FormatVocabulary(chars, "a\ncomment"))
	if err != nil || string(got) != string(chars) {
		t.Errorf("read back %q, %v", string(got), err)
	}
	if _, err := ParseVocabulary("v", []byte("\"a\"\n")); err == nil {
		t.Error("no error for a vocabulary of one character")
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing.yaml")} {
		if _, err := Load(path); err == nil || strings.Count(err.Error(), "\n") > 0 ||
			!strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("Load(%s): %v", path, err)
		}
	}
	m, err := Load("testdata/valid/most/model.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.Tokenizer.Chars); got != "?\naéb" {
		t.Errorf("the vocabulary is %q", got)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"units", "layers", "dropout", "init", "init_state"}
	for in, want := range map[string]string{
		"unit": "units", "Units": "units", "untis": "units", "drop_out": "dropout", "initstate": "init_state",
		"zzz": "", "": "", "u": "",
	} {
		if got := nearest(in, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", in, got, want)
		}
	}
}
