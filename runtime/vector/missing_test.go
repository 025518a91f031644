package vector

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestMissing: what is missing is an error unless something is chosen to stand in for it, and is told of then.
func TestMissing(t *testing.T) {
	read := func(content string, o Options) (*Set, error) {
		path := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return Read([]string{path}, model.Vector{Width: 3}, o)
	}
	table := "1,2,3\n,NA,5\n3, nan ,?\n"
	var array strings.Builder
	header := "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
	fmt.Fprintf(&array, "\x93NUMPY\x01\x00%c\x00%s", len(header), header)
	array.WriteString("\x00\x00\x80\x3f\x00\x00\xc0\x7f\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\xc0\xff")

	for _, c := range []struct {
		content string
		o       Options
		want    string
		said    string
	}{
		{table, Options{Missing: MissingZero}, "[1 2 3 0 0 5 3 0 0]",
			"4 of 9 numbers missing, at 3 places of the vectors: 0 stands in"},
		{table, Options{Missing: MissingMean}, "[1 2 3 2 2 5 3 2 4]", "the mean of the others"},
		{table, Options{Missing: MissingMean, Scale: 2}, "[0.5 1 1.5 1 1 2.5 1.5 1 2]", "the mean of the others"},
		{array.String(), Options{Missing: MissingMean}, "[1 2 2 0 2 2]", "2 of 6 numbers missing, at 2 places"},
		{"5,2,3\n", Options{Missing: MissingMean}, "[5 2 3]", ""},
	} {
		s, err := read(c.content, c.o)
		if err != nil {
			t.Errorf("%+v: %v", c.o, err)
			continue
		}
		if got := fmt.Sprint(s.Data); got != c.want {
			t.Errorf("%q, %+v: %s, want %s", c.content, c.o, got, c.want)
		}
		if said := strings.Join(s.Warnings, ""); !strings.Contains(said, c.said) || (c.said == "") != (said == "") {
			t.Errorf("%+v: said %q", c.o, said)
		}
	}
	for want, x := range map[string]struct {
		content string
		o       Options
	}{
		"line 2, column 1: the number is missing (\"\"): say what stands in": {table, Options{}},
		"line 3, column 2: the number is missing (\"nan\")": {"1,2,3\n4,5,6\n3, nan ,7\n",
			Options{Missing: MissingError}},
		"NaN in row 1, column 2 is not a finite number: if it stands for one that is missing": {array.String(),
			Options{}},
		"no vector has a number at place 2": {"1,,3\n4,,6\n", Options{Missing: MissingMean}},
		"Inf":                               {"1,inf,3\n", Options{Missing: MissingZero}},
		`"median" does not stand in`:        {table, Options{Missing: "median"}},
	} {
		if _, err := read(x.content, x.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, %+v: %v, want %s", x.content, x.o, err, want)
		}
	}
}
