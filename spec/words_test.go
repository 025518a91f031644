package spec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// parse reads a spec that names no file.
func parse(src string) (*Model, error) { return Parse("m.yaml", []byte(src), nil) }

// TestRounded looks at every number that a spec can have at the ends of what float32 holds: an accepted value never
// becomes 0 or infinite where it was not, or reaches an end that its range leaves out.
func TestRounded(t *testing.T) {
	seen := map[*typ]bool{}
	var numbers []*typ
	var walk func(t *typ)
	walk = func(t *typ) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		if t.form == numberForm {
			numbers = append(numbers, t)
		}
		for _, k := range t.keys {
			walk(k.typ)
		}
		for _, w := range t.words {
			walk(w.typ)
		}
		walk(t.item)
	}
	for _, k := range kinds {
		walk(k.typ)
	}
	if len(numbers) < 30 {
		t.Fatalf("only %d numbers found in the tables", len(numbers))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range numbers {
		values := []float64{5e-324, 1e-46, 1e-45, 1e-40, 1e-38, 1.2e-38, 1 - 1e-12, 1 - 1e-6, 1 + 1e-12, 1e39,
			math.MaxFloat64}
		for range 50 {
			values = append(values, math.Exp(r.Float64()*200-110))
		}
		for _, x := range values {
			var v value
			node, _ := parseYAML("m.yaml", fmt.Appendf(nil, "%s", number(x)))
			if scalar(&v, node, n) != "" {
				continue
			}
			y := float64(float32(v.number))
			if (y == 0) != (v.number == 0) || math.IsInf(y, 0) || n.rng.openLow && y <= n.rng.low ||
				n.rng.openHigh && y >= n.rng.high {
				t.Errorf("%s accepts %v, which is %v in float32", n, x, y)
			}
		}
	}
	for _, k := range kinds { // and what a spec says when it leaves a number out is a number that it may say
		for _, key := range k.typ.keys {
			if def, ok := key.def.(float64); ok && rounded(def, key.typ.rng) != "" {
				t.Errorf("the default of %s is %v", key.name, def)
			}
		}
	}

	const layers = "kind: rnn\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n"
	for src, want := range map[string]string{
		layers + "optimizer: {adam: {epsilon: 1e-46}}\n": "m.yaml:3:29: optimizer.adam.epsilon: expected a " +
			"number above 0 and at most 1, found 1e-46, which is too small for the numbers of a model: " +
			"1.1754943508222875e-38 is the least above 0 (float32)",
		layers + "optimizer: {adam: {betas: [0.9, 0.99999999]}}": "m.yaml:3:33: optimizer.adam.betas[1]: expected a " +
			"number from 0 to less than 1, found 0.99999999, which the numbers of a model round to 1 (float32)",
	} {
		if _, err := parse(src); err == nil || err.Error() != want {
			t.Errorf("%s\ngives %v, want %s", src, err, want)
		}
	}
}

// The line that says which version of YAML follows may stand in front of a spec.
func TestVersionLine(t *testing.T) {
	const spec = "kind: rnn\nlayers: [one_hot, {rnn: {units: 3}}, dense]\n"
	for _, head := range []string{"%YAML 1.2\n---\n", "%YAML 1.1\n---\n", "%YAML 1.2 # a comment\n---\n",
		"\uFEFF%YAML 1.2\n---\n", "# first\n\n%YAML\t1.2\r\n---\r\n"} {
		if _, err := parse(head + spec); err != nil {
			t.Errorf("%q: %v", head, err)
		}
		// Places in errors stay what they were.
		_, err := parse(head + spec + "sed: 1\n")
		if want := fmt.Sprintf("m.yaml:%d:1: unknown key", strings.Count(head, "\n")+3); err == nil ||
			!strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", head, err, want)
		}
	}
	for _, src := range []string{"%YAML 2.0\n---\n" + spec, spec + "%YAML 1.2\n"} {
		if _, err := parse(src); err == nil {
			t.Errorf("%q is accepted", src)
		}
	}
}

// A plain value stands for the key that matters, and means the same as that key alone.
func TestShortForms(t *testing.T) {
	long := "kind: vae\nvectors: 9\nencoder: [{dense: {units: 8}}]\nlatent: {size: 16}\ndecoder: [dense]\n"
	short := "kind: vae\nvectors: 9\nencoder: [{dense: 8}]\nlatent: 16\ndecoder: [dense]\n"
	same(t, long, short)
	for _, cell := range []string{"rnn", "lstm", "gru"} {
		long = "kind: rnn\nlayers: [{embedding: {size: 7}}, {" + cell + ": {units: 128}}, dense]\n"
		short = "kind: rnn\nlayers: [{embedding: 7}, {" + cell + ": 128}, dense]\n"
		same(t, long, short)
	}
	for src, want := range map[string]string{
		"kind: rnn\nlayers: [one_hot, {lstm: much}, dense]\n":                              `m.yaml:2:26: lstm: expected a whole number from 1 to 65536, found "much"`,
		"kind: rnn\nlayers: [one_hot, lstm, dense]\n":                                      `m.yaml:2:19: lstm: the key "units" is missing; it takes a whole number from 1 to 65536`,
		"kind: vae\nvectors: 9\nencoder: [{dense: 8}]\nlatent: 0\ndecoder: [dense]\n":      `m.yaml:4:9: latent: expected a whole number from 1 to 65536, found 0`,
		"kind: transformer\nlayers: [{embedding: 8}, {transformer: {heads: 2}}, dense]\n":  `m.yaml:1:7: kind: expected one of rnn, attention, vae, gan, found "transformer"; did you mean "attention"?`,
		"kind: LSTM\nlayers: [{embedding: 8}, {lstm: 9}, dense]\n":                         `m.yaml:1:7: kind: expected one of rnn, attention, vae, gan, found "LSTM"; did you mean "rnn"?`,
		"kind: variational-autoencoder\nencoder: []\ndecoder: []\nlatent: 8\nvectors: 3\n": `m.yaml:1:7: kind: expected one of rnn, attention, vae, gan, found "variational-autoencoder"; did you mean "vae"?`,
	} {
		if _, err := parse(src); err == nil || err.Error() != want {
			t.Errorf("%s\ngives %v, want %s", src, err, want)
		}
	}
}

func same(t *testing.T, long, short string) {
	t.Helper()
	a, err := parse(long)
	if err != nil {
		t.Fatal(err)
	}
	b, err := parse(short)
	if err != nil {
		t.Fatal(err)
	}
	if a.Architecture() != b.Architecture() {
		t.Errorf("%s\nand\n%s\nare two models", long, short)
	}
	schema := compileSchema(t)
	for _, src := range []string{long, short} {
		if err := validate(schema, []byte(src)); err != nil {
			t.Errorf("%s\nis refused by the schema: %v", src, err)
		}
	}
}

func TestSummary(t *testing.T) {
	for src, want := range map[string]string{
		"kind: rnn\nlayers: [{embedding: {name: e, size: 7}}, {gru: 5}, dense]\n": "a model of kind rnn: layers e " +
			"(embedding), gru, dense; 256 tokens",
		"kind: vae\nvectors: 9\nencoder: [{dense: {name: read, units: 8}}]\nlatent: 16\ndecoder: [{dense: {name: " +
			"write}}]\nlabels: {count: 3, size: 4}\n": "a model of kind vae: encoder read (dense); latent vector of " +
			"16 numbers; decoder write (dense); vectors of 9 numbers; 3 labels",
		"kind: gan\nvectors: 9\ngenerator: [{dense: {name: g}}]\ndiscriminator: [{dense: {name: d}}]\n": "a model of kind gan: generator g (dense); discriminator d (dense); vectors of 9 numbers",
		"kind: attention\nencoder: [{embedding: {name: s, size: 8}}, {transformer: {name: r, heads: 2, rotary: " +
			"true}}]\ndecoder: [{embedding: 8}, {transformer: {heads: 2, rotary: true}}, dense]\n": "a model of kind attention: encoder s (embedding), r (transformer); decoder embedding, transformer, dense; 257 tokens of sources, 258 of answers",
		"kind: attention\nencoder: [{embedding: 8}, positions, {transformer: {heads: 2}}, dense]\nmasking: {share: " +
			"0.15}\n": "a model of kind attention: encoder embedding, positions, transformer, dense; 257 tokens",
	} {
		m, err := parse(src)
		if err != nil {
			t.Errorf("%s\n%v", src, err)
			continue
		}
		if got := m.Summary(); got != want {
			t.Errorf("%s\nis %q, want %q", src, got, want)
		}
	}
}
