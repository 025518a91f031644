package text

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

func TestNumbers(t *testing.T) {
	n := Numbers(12)
	got, err := n.Encode(" 0 11\t7\n3 ")
	if err != nil || !slices.Equal(got, []int32{0, 11, 7, 3}) {
		t.Fatalf("%v, %v", got, err)
	}
	if s := n.Decode(got); s != "0 11 7 3" {
		t.Errorf("decoded to %q", s)
	}
	if p := n.Piece(11); p != "11 " || n.Vocab() != 12 {
		t.Errorf("piece %q of %d", p, n.Vocab())
	}
	for _, bad := range []string{"1 12", "-1", "x", "1.5", "99999999999999999999"} {
		if _, err := n.Encode(bad); err == nil || !strings.Contains(err.Error(), "0 to 11") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if Numbers(12).Digest() != n.Digest() || Numbers(13).Digest() == n.Digest() {
		t.Error("the digest does not tell vocabularies apart")
	}
}

func TestLineSet(t *testing.T) {
	end := model.Imitation{Begin: 8, End: 9}
	s, err := NewLineSet("f", []string{"1 2", "3 4 5 6", "7", "1 2 3"}, WithSpecials(Numbers(8), "<s>", "</s>"), end, 4)
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 3 || s.Skipped != 1 || !slices.Equal(s.Line(1), []int32{7, 9, 9, 9}) {
		t.Fatalf("%d lines, %d skipped, the second is %v", s.Len(), s.Skipped, s.Line(1))
	}
	w, err := s.Whole(2)
	if err != nil {
		t.Fatal(err)
	}
	var b model.Batch
	w.Next(&b)
	if !slices.Equal(b.Tokens, []int32{8, 8, 1, 7, 2, 9, 9, 9}) ||
		!slices.Equal(b.Targets, []int32{1, 7, 2, 9, 9, -1, -1, -1}) ||
		!slices.Equal(b.Reset, []int32{1, 1, 0, 0, 0, 0, 0, 0}) {
		t.Errorf("the first batch reads %v, predicts %v, resets %v", b.Tokens, b.Targets, b.Reset)
	}
	if !w.Next(&b) || b.Batch != 1 || w.Next(&b) || w.Tokens() != 12 {
		t.Errorf("the second batch has %d lines", b.Batch)
	}

	fixed := model.Imitation{Begin: 0, End: -1}
	if _, err := NewLineSet("f", []string{"1 2", "1 2 3"}, Numbers(8), fixed, 2); err == nil ||
		!strings.HasPrefix(err.Error(), "f:2: ") {
		t.Errorf("a line of another length: %v", err)
	}
	if _, err := NewLineSet("f", []string{"1 2", "1 9"}, Numbers(8), fixed, 2); err == nil ||
		!strings.HasPrefix(err.Error(), "f:2: ") {
		t.Errorf("a line with another number: %v", err)
	}
	if _, err := NewLineSet("f", []string{"1 2"}, WithSpecials(Numbers(8), "<s>", "</s>"), end, 2); err == nil {
		t.Error("lines that are all too long are no error")
	}
	if _, err := s.Shuffled(4, 1); err == nil {
		t.Error("fewer lines than a batch are no error")
	}
}

// TestEncodeJudged: what is judged need not have room for its end, what is learnt must.
func TestEncodeJudged(t *testing.T) {
	tok, end := WithSpecials(Numbers(8), "<s>", "</s>"), model.Imitation{Begin: 8, End: 9}
	for line, want := range map[string][]int32{"1 2 3 4": {1, 2, 3, 4}, "1 2 3": {1, 2, 3, 9}, "": {9, 9, 9, 9}} {
		if got, err := EncodeJudged(line, tok, end, 4); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %v, %v; want %v", line, got, err, want)
		}
	}
	var long *LongLineError
	if _, err := EncodeJudged("1 2 3 4 5", tok, end, 4); !errors.As(err, &long) || long.Most != 4 {
		t.Errorf("5 tokens for 4: %v", err)
	}
	if _, err := EncodeLine("1 2 3 4", tok, end, 4); !errors.As(err, &long) || long.Most != 3 {
		t.Errorf("4 tokens to learn: %v", err)
	}
	if _, err := EncodeJudged("1 2", Numbers(8), model.Imitation{End: -1}, 4); err == nil {
		t.Error("a line of another length is no error")
	}
}

// A pass gives every line at most once, passes differ, and a position is found again.
func TestLineBatches(t *testing.T) {
	var lines []string
	for i := range 7 {
		lines = append(lines, string(rune('0'+i))+" 0")
	}
	s, err := NewLineSet("f", lines, Numbers(8), model.Imitation{End: -1}, 2)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Shuffled(3, 5)
	if err != nil {
		t.Fatal(err)
	}
	pass := func() []int32 {
		var b model.Batch
		var seen []int32
		for w.Next(&b) {
			seen = append(seen, b.Targets[:b.Batch]...)
		}
		return seen
	}
	first := pass()
	w.NextPass()
	second := pass()
	sorted := slices.Clone(first)
	slices.Sort(sorted)
	if len(first) != 6 || len(slices.Compact(sorted)) != 6 || slices.Equal(first, second) || w.Windows() != 2 ||
		w.Tokens() != 12 {
		t.Errorf("the passes are %v and %v", first, second)
	}
	w.SetPosition(0, 1)
	if again := pass(); !slices.Equal(again, first[3:]) {
		t.Errorf("from the second batch on the first pass is %v", again)
	}
	train, valid, err := s.Split(0.3)
	if err != nil || train.Len()+valid.Len() != 7 || valid.Line(0)[0] != int32(train.Len()) {
		t.Errorf("split into %d and %d: %v", train.Len(), valid.Len(), err)
	}
}
