package normalize

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

var forms = []Form{NFC, NFD, NFKC, NFKD}

// texts are random ones in which marks, characters that decompose and Hangul are frequent.
func texts(r *rand.Rand, most int) string {
	var b strings.Builder
	for range r.IntN(most) {
		switch r.IntN(6) {
		case 0:
			b.WriteRune('a' + r.Int32N(26))
		case 1:
			b.WriteRune(0x300 + r.Int32N(0x50))
		case 2:
			b.WriteRune(0x1100 + r.Int32N(0x100))
		case 3:
			b.WriteRune(0xC0 + r.Int32N(0x180))
		case 4:
			b.WriteRune(0x900 + r.Int32N(0x80))
		default:
			b.WriteRune(rune([]int{0xAC00, 0xAC01, 0x1E69, 0x0344, 0xFB01, 0x2126, 0x0F73, 0x1D15E, 0x302A, 0x3099,
				0xFF76}[r.IntN(11)]))
		}
	}
	return b.String()
}

// TestDefinition compares the definition, which long runs take, with the library where both apply, and String with
// both.
func TestDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		s := texts(r, 12)
		for _, f := range forms {
			want := f.String(s)
			if got := slowly(f, s); got != want {
				t.Fatalf("form %d of %+q by the definition: %+q, want %+q", f, s, got, want)
			}
			if got := String(f, s); got != want {
				t.Fatalf("form %d of %+q: %+q, want %+q", f, s, got, want)
			}
		}
	}
}

// TestLongRuns: the parts of a text that a long run cuts it into are those of the whole, and nothing is put into it.
func TestLongRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		s := texts(r, 6) + strings.Repeat(string(0x300+r.Int32N(0x50)), r.IntN(100)) + texts(r,
			6) + strings.Repeat("\u0344", r.IntN(30)) + texts(r, 6)
		for _, f := range forms {
			got, want := String(f, s), slowly(f, s)
			if got != want {
				t.Fatalf("form %d of %+q: %+q, want %+q", f, s, got, want)
			}
			if strings.ContainsRune(got, '\u034F') && !strings.ContainsRune(s, '\u034F') {
				t.Fatalf("form %d of %+q has U+034F", f, s)
			}
		}
	}
	if got := String(NFC, strings.Repeat("\u0300", 50)); got != strings.Repeat("\u0300", 50) {
		t.Errorf("a run of marks became %+q", got)
	}
}

// TestLeftAlone: scripts from right to left, joiners and variation selectors have no other form.
func TestLeftAlone(t *testing.T) {
	for _, s := range []string{"שלום עולם", "مرحبا بالعالم", "\u202Bאב\u202C", "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈",
		"می\u200cخواهم", "\xff\xfea\x80"} {
		for _, f := range forms {
			if got := String(f, s); got != s {
				t.Errorf("form %d of %+q is %+q", f, s, got)
			}
		}
	}
}

func FuzzString(f *testing.F) {
	f.Add("e\u0301" + strings.Repeat("\u0300", 40))
	f.Add("\xff\u0300\uAC00\u11A8")
	f.Fuzz(func(t *testing.T, s string) {
		for _, form := range forms {
			once := String(form, s)
			if twice := String(form, once); twice != once {
				t.Fatalf("form %d of %+q: %+q, and again %+q", form, s, once, twice)
			}
		}
	})
}

func BenchmarkString(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"ASCII", strings.Repeat("plain words in a row ", 1000)},
		{"composed", strings.Repeat("Größe naïve café ", 1000)},
		{"decomposed", norm.NFD.String(strings.Repeat("Größe naïve café ", 1000))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			for range b.N {
				String(NFC, c.text)
			}
		})
	}
}
