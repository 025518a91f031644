package names

import (
	"go/token"
	"go/types"
	"math/rand/v2"
	"testing"
)

// TestScopes gives names to random wants and checks that each is an identifier that means nothing else, and the same
// whenever it is asked for.
func TestScopes(t *testing.T) {
	wants := []string{"x", "type", "map", "new", "len", "w5", "w5b", "x2", "", "1", "_", "a_b", "é", "é1", "h·2",
		"kernel", "fields"}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		pkg := Package()
		pkg.Reserve("kernel")
		scopes := []*Scope{pkg}
		seen := map[*Scope]map[string]bool{pkg: {}}
		keyed := map[*Scope]map[any]string{pkg: {}}
		for range 60 {
			s := scopes[r.IntN(len(scopes))]
			want := wants[r.IntN(len(wants))]
			var name string
			switch key := r.IntN(30); r.IntN(3) {
			case 0:
				inner := s.Inner()
				scopes = append(scopes, inner)
				seen[inner], keyed[inner] = map[string]bool{}, map[any]string{}
				continue
			case 1:
				name = s.Fresh(want)
			default:
				name = s.For(key, want)
				if before, ok := keyed[s][key]; ok {
					if before != name {
						t.Fatalf("seed %d: %d is %s and %s", seed, key, before, name)
					}
					continue
				}
				keyed[s][key] = name
			}
			if !token.IsIdentifier(name) || types.Universe.Lookup(name) != nil || name == "kernel" {
				t.Fatalf("seed %d: %q for %q", seed, name, want)
			}
			for at := s; at != nil; at = at.outer {
				if seen[at][name] {
					t.Fatalf("seed %d: %q is given twice", seed, name)
				}
			}
			seen[s][name] = true
		}
	}
}

// TestForms compares the forms of names with what Go programmers write.
func TestForms(t *testing.T) {
	for name, want := range map[string][2]string{
		"lstm.1":    {"LSTM1", "lstm1"},
		"out_proj":  {"OutProj", "outProj"},
		"lstm.1.gx": {"LSTM1Gx", "lstm1Gx"},
		"gru2":      {"GRU2", "gru2"},
		"a.QKV":     {"AQKV", "aQKV"},
	} {
		if got := [2]string{Exported(name), Lower(name)}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
