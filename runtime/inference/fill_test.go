package inference_test

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestFillWithin compares what stands in place of masks with the likeliest of all texts of a language.
func TestFillWithin(t *testing.T) {
	m := bert.NewSeeded(2)
	info := m.Info()
	mask := bert.Tokenizer.Piece(info.Masking.Token)
	v := constrain.NewVocabulary(bert.Tokenizer)
	within := func(text, expression string) (string, []inference.Blank, error) {
		t.Helper()
		l, err := constrain.Regexp(expression)
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Compile(v)
		if err != nil {
			t.Fatal(err)
		}
		return inference.FillWithin(m, bert.Tokenizer, text, 3, c)
	}
	const expression = `e|[a-c][d-f]|ca|(fad|b[ce]d)`
	re := regexp.MustCompile(`\A(?:` + expression + `)\z`)
	for _, masks := range []int{1, 2, 3} {
		text := "a" + strings.Repeat(mask, masks) + "b"
		got, blanks, err := within(text, expression)
		if err != nil {
			t.Fatal(err)
		}
		// All texts of so many tokens, of which each is a character.
		n := masks + 2
		tokens, err := bert.Tokenizer.Encode("a" + strings.Repeat("a", masks) + "b")
		if err != nil {
			t.Fatal(err)
		}
		for i := range masks {
			tokens[1+i] = info.Masking.Token
		}
		logits, err := m.Logits(&model.Batch{Steps: n, Batch: 1, Tokens: tokens, Targets: make([]int32, n),
			Reset: make([]int32, n)})
		if err != nil {
			t.Fatal(err)
		}
		choice := int(info.Masking.Token)
		rows := make([][]float32, masks)
		for i := range rows {
			rows[i] = make([]float32, choice)
			kernel.Softmax(rows[i], logits[(1+i)*info.Vocab:(1+i)*info.Vocab+choice], 1, choice)
		}
		best, want := math.Inf(-1), ""
		var try func(text string, weight float64)
		try = func(text string, weight float64) {
			if len(text) == masks {
				if weight > best && re.MatchString(text) {
					best, want = weight, text
				}
				return
			}
			for token := range choice {
				try(text+bert.Tokenizer.Piece(int32(token)), weight+math.Log(float64(rows[len(text)][token])))
			}
		}
		try("", 0)
		if want = "a" + want + "b"; got != want {
			t.Errorf("%d masks are %q, the likeliest is %q", masks, got, want)
		}
		for i, x := range blanks {
			if len(x.Tokens) == 0 || len(x.Tokens) != len(x.Probabilities) || !slices.IsSortedFunc(x.Probabilities,
				func(a, b float32) int { return int(math.Copysign(1, float64(b-a))) }) {
				t.Errorf("mask %d of %d: %+v", i, masks, x)
			}
		}
	}
	// Masks that do not follow each other are texts of their own.
	if got, _, err := within("a"+mask+"b"+mask+mask, expression); err != nil || !regexp.MustCompile(
		`\Aaeb([a-c][d-f]|ca)\z`).MatchString(got) {
		t.Errorf("it is %q, %v", got, err)
	}
	if got, _, err := within("a"+strings.Repeat(mask, 4)+"b", expression); err == nil ||
		!strings.Contains(err.Error(), "which are 4") {
		t.Errorf("four masks are %q, %v", got, err)
	}
}
