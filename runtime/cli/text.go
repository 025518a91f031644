package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Escapes says, for help, what Unescape does.
const Escapes = `In TEXT, \n is a newline, \t a tab, \\ a backslash and \u4f60 the character of that number in hexadecimal.`

// Unescape reads text of a command line: the escapes of Go's strings stand for what they mean there, and a backslash
// before anything else is an error. It is the one rule for every flag and argument that takes text of a model.
func Unescape(s string) (string, error) {
	var b strings.Builder
	for rest := s; rest != ""; {
		if rest[0] != '\\' {
			n := strings.IndexByte(rest, '\\')
			if n < 0 {
				n = len(rest)
			}
			b.WriteString(rest[:n])
			rest = rest[n:]
			continue
		}
		c, multibyte, tail, err := strconv.UnquoteChar(rest, 0)
		if err != nil {
			what := rest
			if r := []rune(rest); len(r) > 2 {
				what = string(r[:2])
			}
			return "", fmt.Errorf(`%s means nothing; write \\ for a backslash`, what)
		}
		if c < 0x80 || !multibyte {
			b.WriteByte(byte(c))
		} else {
			b.WriteRune(c)
		}
		rest = tail
	}
	return b.String(), nil
}

// Escape is the text that Unescape makes s of, on one line.
func Escape(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// textValue is a flag that takes text with escapes.
type textValue struct{ p *string }

func (v textValue) Set(s string) error {
	u, err := Unescape(s)
	if err == nil {
		*v.p = u
	}
	return err
}
func (v textValue) String() string {
	if v.p == nil {
		return ""
	}
	return Escape(*v.p)
}
func (v textValue) Type() string { return "string" }

// TextVar defines a flag that takes text with escapes; value is the default, without them.
func TextVar(fs *pflag.FlagSet, p *string, name, short, value, usage string) {
	*p = value
	fs.VarP(textValue{p}, name, short, usage)
}

// textsValue is a flag that may be given several times, each time with text with escapes.
type textsValue struct{ p *[]string }

func (v textsValue) Set(s string) error {
	u, err := Unescape(s)
	if err == nil {
		*v.p = append(*v.p, u)
	}
	return err
}
func (v textsValue) String() string {
	if v.p == nil || len(*v.p) == 0 {
		return ""
	}
	var all []string
	for _, s := range *v.p {
		all = append(all, Escape(s))
	}
	return strings.Join(all, " ")
}
func (v textsValue) Type() string { return "string" }

// TextsVar defines a flag that takes text with escapes, and may be given several times.
func TextsVar(fs *pflag.FlagSet, p *[]string, name, usage string) { fs.Var(textsValue{p}, name, usage) }
