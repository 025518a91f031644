package text

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestDrawer: a pass has as many examples as there are, of each group its share, none twice more often than another
// of its group, and the same ones each time, in whatever order passes are asked for.
func TestDrawer(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		n, groups := 1+r.IntN(400), int32(1+r.IntN(6))
		of := make([]int32, n)
		sizes := make([]int, groups)
		for i := range of {
			of[i] = min(r.Int32N(groups), r.Int32N(groups))
			sizes[of[i]]++
		}
		temperature := 1 + 5*r.Float64()
		d := newDrawer(of, temperature, 7)
		counts := make([]int, n)
		const passes = 5
		var first []int32
		for pass := range passes {
			order := make([]int32, n)
			for i := range order {
				order[i] = -1
			}
			d.draw(order, pass)
			for _, i := range order {
				counts[i]++
			}
			if pass == 3 {
				first = slices.Clone(order)
			}
		}
		again := make([]int32, n)
		if newDrawer(of, temperature, 7).draw(again, 3); !slices.Equal(again, first) {
			t.Fatal("another pass 3")
		}
		shares := data.Shares(sizes, temperature)
		for g, all := range d.groups {
			least, most, sum := 1<<30, 0, 0
			for _, i := range all {
				least, most, sum = min(least, counts[i]), max(most, counts[i]), sum+counts[i]
			}
			if len(all) > 0 && most > least+1 {
				t.Fatalf("an example of group %d came %d times, another one %d times", g, most, least)
			}
			if want := passes * shares[g] * float64(n); float64(sum) > want+passes || float64(sum) < want-passes {
				t.Fatalf("group %d of %d of %d came %d times in %d passes at temperature %v, want %v", g, len(all), n,
					sum, passes, temperature, want)
			}
		}
	}
}

// TestBalancedPairs reads groups from files and folders.
func TestBalancedPairs(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, lines int) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		line := strings.Repeat(name[:1], 2)
		if err := os.WriteFile(path, []byte(strings.Repeat(line+"\t"+line+"\n", lines)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("a.tsv", 90)
	write("b/one.tsv", 4)
	write("b/two.tsv", 5)
	from := WithSpecials(Chars("abc"), "</s>")
	o := PairOptions{Source: model.Source{Steps: 6, Vocab: 4, End: 3, AnswerBegin: 3, AnswerEnd: 4}, Steps: 7,
		Balance: 1e9}
	for _, paths := range [][]string{{dir}, {filepath.Join(dir, "a.tsv"), filepath.Join(dir, "b")}} {
		p, err := ReadPairs(PairInput{Sources: Paths(paths...)}, from, WithSpecials(Chars("abc"), "<s>", "</s>"), o)
		if err != nil {
			t.Fatal(err)
		}
		if s := p.Tail(0.05); !strings.Contains(s, "1 group") {
			t.Errorf("no word of what the end lacks: %q", s)
		}
		p.Shuffle()
		train, _, err := p.Split(0.1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := train.Shuffled(8, 1)
		if err != nil {
			t.Fatal(err)
		}
		var w model.Batch
		seen := map[int32]int{}
		for b.Next(&w) {
			for _, x := range w.Source[:w.Batch] {
				seen[x]++
			}
		}
		if n := seen[0] + seen[1]; n != train.Len() || seen[0]-seen[1] > 1 || seen[1]-seen[0] > 1 {
			t.Errorf("%v: groups came %v times in a pass of %d", paths, seen, train.Len())
		}
	}
	if _, err := ReadPairs(PairInput{Sources: Paths(filepath.Join(dir, "a.tsv"))}, from, from, o); err == nil ||
		!strings.Contains(err.Error(), "one group") {
		t.Errorf("one file alone is balanced: %v", err)
	}
}
