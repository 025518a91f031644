package sample

import "testing"

func BenchmarkNext(b *testing.B) {
	for _, c := range []struct {
		name  string
		vocab int
		opts  []Option
	}{
		{"96", 96, nil},
		{"96, temperature", 96, []Option{Temperature(0.8)}},
		{"96, top-p", 96, []Option{TopP(0.9), Temperature(0.8)}},
		{"50257, top-k and top-p", 50257, []Option{TopK(40), TopP(0.95), MinP(0.05), Temperature(0.8)}},
		{"50257, greedy", 50257, []Option{Greedy()}},
		{"50257, temperature", 50257, []Option{Temperature(0.8)}},
		{"50257, top-p", 50257, []Option{TopP(0.95)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			logits := make([]float32, c.vocab)
			for i := range logits {
				logits[i] = float32(i*7919%c.vocab) / float32(c.vocab) * 10
			}
			s, err := NewSampler(c.vocab, append(c.opts, Seed(1))...)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Next(logits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
