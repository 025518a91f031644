package cli

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestUnescape(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "plain": "plain", `a\nb`: "a\nb", `\n\n`: "\n\n", `a\\nb`: `a\nb`, `\t\r\\`: "\t\r\\",
		`\u4f60\u597d`: "你好", "你好": "你好", `say "hi"`: `say "hi"`,
		`it's`: "it's", `\x41`: "A", "a\xffb": "a\xffb", "a\nb": "a\nb",
	} {
		if got, err := Unescape(s); err != nil || got != want {
			t.Errorf("%q is %q, %v, want %q", s, got, err, want)
		}
	}
	for _, s := range []string{`\d`, `C:\users`, `\`, `a\`, `\x4`, `\u12`, `\é`, `\'`} {
		if got, err := Unescape(s); err == nil || !strings.Contains(err.Error(), `write \\ for a backslash`) {
			t.Errorf("%q is %q, %v", s, got, err)
		}
	}
}

// What a flag shows of its value gives the value again: a checkpoint keeps it so.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a\n\nb", `\`, `"`, "\x00\xff", "你\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var p, q string
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		TextVar(fs, &p, "p", "", s, "")
		TextVar(fs, &q, "q", "", "", "")
		shown := fs.Lookup("p").Value.String()
		if strings.ContainsAny(shown, "\n\r") {
			t.Errorf("%q is shown as %q, on several lines", s, shown)
		}
		if err := fs.Set("q", shown); err != nil || q != s {
			t.Errorf("%q is shown as %q, which gives %q, %v", s, shown, q, err)
		}
	})
}
