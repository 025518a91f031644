package serve

import (
	"errors"
	"strings"
	"testing"
)

// TestFormOf finds every template by what it writes, with a text of the system by default and without, and no other.
func TestFormOf(t *testing.T) {
	for _, x := range templates {
		for _, system := range []string{"", "You are a parrot.", "A parrot.\n\n"} {
			render := func(messages []Message) (string, error) {
				return x.text(system, messages), nil
			}
			f, ok := FormOf(render)
			if want := (Form{x.name, system, true}); !ok || f != want {
				t.Errorf("%s with %q: found %+v, %v", x.name, system, f, ok)
			}
			f, ok = FormOf(func(messages []Message) (string, error) {
				if messages[0].Role == "system" {
					return "", errors.New("no system")
				}
				return render(messages)
			})
			if want := (Form{x.name, system, false}); !ok || f != want {
				t.Errorf("%s with %q, without messages of the system: found %+v, %v", x.name, system, f, ok)
			}
			for _, other := range []func(string) string{
				func(s string) string { return s + "\n" },
				func(s string) string { return strings.Replace(s, "How", " How", 1) },
				func(s string) string { return strings.Replace(s, "Well.", "Well. ", 1) },
			} {
				f, ok := FormOf(func(messages []Message) (string, error) {
					s, err := render(messages)
					return other(s), err
				})
				if ok {
					t.Errorf("%s with %q: another one is taken for %+v", x.name, system, f)
				}
			}
		}
	}
	if _, ok := FormOf(func([]Message) (string, error) { return "", errors.New("broken") }); ok {
		t.Error("one that fails has a form")
	}
}
