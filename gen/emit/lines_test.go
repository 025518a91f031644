package emit

import (
	"go/format"
	"strings"
	"testing"
)

// TestLines holds that code whose lines are broken is the same code, and no wider than it may be.
func TestLines(t *testing.T) {
	const src = `package p

var s = "a, b, (c" + "` + "x, y" + `"

func f(a, b []float32, c int) bool {
	kernel.GemmNN(a.filtersRealFiltered5, a.filtersRealWindows5, p.Filters.W5, rows, filtersFilters, 5*seenSize, kernel.Bias(p.Filters.B5), kernel.ThenReLU())
	if n := len(tokens); n == 0 || n%d.batch != 0 || n > chunk*d.batch && someOtherCondition(n, chunk) || yetAnotherCondition(n, chunk, "a long, long text, (with) brackets") {
		return true
	}
	loss, norm = m.step(b, func(x []float32) { copy(x, y) }, "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
	return false
}
`
	got, err := format.Source(breakLines([]byte(src)))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(got)) {
		if wide(line) > columns {
			t.Errorf("%d columns: %s", wide(line), line)
		}
	}
	strip := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, ",", ", ")), " ") }
	if strip(string(got)) != strip(src) {
		t.Errorf("it is other code:\n%s", got)
	}
	if again, _ := format.Source(breakLines(got)); string(again) != string(got) {
		t.Errorf("broken lines are broken again:\n%s", again)
	}
}
