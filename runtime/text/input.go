package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/data"
)

// Input names the files that texts are read from. They may be compressed with gzip or zstd, and in UTF-16 or UTF-32
// with a byte order mark; what is not text is an error that names the file and says what it is. Package data has the
// rules.
type Input struct {
	Paths []string // files, and folders of them
	Match string   // of the files of a folder, those whose names match this pattern, such as "*.go"; empty takes all
	Field string   // one of [Input.Fields]: what of each line is the text; empty for all of it
	Raw   bool     // take the bytes of the files as they are, whatever they are: for tokenizers that take any
}

// Paths is the Input of files and folders as they are.
func Paths(paths ...string) Input { return Input{Paths: paths} }

// Name is what errors and reports call the input: its paths.
func (in Input) Name() string {
	if more := len(in.Paths) - 3; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(in.Paths[:3], ", "), more)
	}
	return strings.Join(in.Paths, ", ")
}

// each opens the files in their order.
func (in Input) each(do func(r *data.Reader) error) error {
	files, err := data.Files(in.Match, in.Paths...)
	if err != nil {
		return err
	}
	for _, name := range files {
		r, err := data.Open(name)
		if err != nil {
			return err
		}
		err = do(r)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// texts calls each for every text: a file, or the field of a line. reserve is told the bytes of a file before its texts
// come.
func (in Input) texts(reserve func(size int), each func(Source) error) error {
	if in.Field != "" {
		rows, places, err := in.Fields(in.Field)
		for i, r := range rows {
			if err := each(Source{places[i].String(), r[0]}); err != nil {
				return err
			}
		}
		return err
	}
	return in.each(func(r *data.Reader) error {
		read := r.AllText
		if in.Raw {
			read = r.Bytes
		}
		b, err := read()
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		reserve(len(b))
		// The bytes are not written again, so that the string can be a view of them.
		return each(Source{r.Name, unsafe.String(unsafe.SliceData(b), len(b))})
	})
}

// Texts calls each for every text that in names: a file, or the field of a line.
func (in Input) Texts(each func(Source) error) error { return in.texts(func(int) {}, each) }

// Place says where a line stands.
type Place struct {
	File string
	Line int // from 1
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Lines reads all lines, or the field of each where in names one. It is an error when there are none.
func (in Input) Lines() ([]string, error) {
	lines, _, err := in.lines()
	return lines, err
}

// lines is Lines with the places of the lines.
func (in Input) lines() (lines []string, places []Place, err error) {
	if in.Field != "" {
		rows, places, err := in.Fields(in.Field)
		for _, r := range rows {
			lines = append(lines, r[0])
		}
		return lines, places, err
	}
	err = in.each(func(r *data.Reader) error {
		found, err := linesOf(r)
		for i, s := range found {
			lines, places = append(lines, s), append(places, Place{r.Name, i + 1})
		}
		return err
	})
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("%s: there are no lines", in.Name())
	}
	return lines, places, err
}

// Fields reads some columns of every line: of tab-separated text, numbered from 1, or, where they are not all numbers,
// the fields of a JSON object a line, in whose names a dot leads into an object in it. What else a line has is left
// out. It is an error when there are no lines, or when one lacks any of them.
func (in Input) Fields(columns ...string) ([][]string, []Place, error) {
	var rows [][]string
	var places []Place
	numbers := make([]int, len(columns))
	tabs := true
	for i, c := range columns {
		n, err := strconv.Atoi(c)
		numbers[i], tabs = n, tabs && err == nil
		if err == nil && n < 1 {
			return nil, nil, fmt.Errorf("column %d: columns are counted from 1", n)
		}
	}
	if tabs {
		lines, places, err := Input{Paths: in.Paths, Match: in.Match}.lines()
		for i, line := range lines {
			all := strings.Split(line, "\t")
			row := make([]string, len(numbers))
			for k, n := range numbers {
				if n > len(all) {
					return nil, nil, fmt.Errorf("%v: there is no column %d: the line has %s with tabs in between",
						places[i], n, count(len(all), "column"))
				}
				row[k] = all[n-1]
			}
			rows = append(rows, row)
		}
		return rows, places, err
	}
	err := in.each(func(r *data.Reader) error {
		return readObjects(r, columns, func(line int, values []string) error {
			rows, places = append(rows, slices.Clone(values)), append(places, Place{r.Name, line})
			return nil
		})
	})
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("%s: there are no lines", in.Name())
	}
	return rows, places, err
}

// linesOf reads the lines of a file.
func linesOf(r *data.Reader) ([]string, error) {
	b, err := r.AllText()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	return splitLines(unsafe.String(unsafe.SliceData(b), len(b))), nil
}

// splitLines cuts a text into lines, without what ends them: \n or \r\n.
func splitLines(s string) []string {
	lines := make([]string, 0, strings.Count(s, "\n")+1)
	for line := range strings.Lines(s) {
		if trimmed := TrimBreak(line); trimmed != "" || strings.HasSuffix(line, "\n") {
			lines = append(lines, trimmed)
		}
	}
	return lines
}

// TrimBreak is a line without what ends it, \n or \r\n.
func TrimBreak(line string) string {
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
}

// readObjects reads a JSON object a line, and calls each with some of its fields. Empty lines are left out.
func readObjects(r *data.Reader, fields []string, each func(line int, values []string) error) error {
	b, err := r.AllText()
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	values := make([]string, len(fields))
	line := 0
	for row := range bytes.Lines(b) {
		if line++; len(bytes.TrimSpace(row)) == 0 {
			continue
		}
		if !utf8.Valid(row) {
			return fmt.Errorf("%s:%d: the line is not UTF-8", r.Name, line)
		}
		for i, f := range fields {
			if values[i], err = field(row, f); err != nil {
				return fmt.Errorf("%s:%d: %w", r.Name, line, err)
			}
		}
		if err := each(line, values); err != nil {
			return err
		}
	}
	return nil
}

// field is the text of a field of a JSON object: one of that name or, along the dots of the name, one of an object in
// it. A number is its digits.
func field(object []byte, name string) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		return "", fmt.Errorf("the line is not a JSON object: %w", err)
	}
	value, ok := all[name]
	if !ok {
		outer, inner, dots := strings.Cut(name, ".")
		if sub, found := all[outer]; dots && found {
			return field(sub, inner)
		}
		names := make([]string, 0, len(all))
		for n := range all {
			names = append(names, n)
		}
		slices.Sort(names)
		if len(names) > 10 {
			names = append(names[:10], "…")
		}
		return "", fmt.Errorf("the object has no field %q: it has %s", name, strings.Join(names, ", "))
	}
	var s string
	var n json.Number
	if err := json.Unmarshal(value, &s); err == nil && value[0] == '"' {
		return s, nil
	}
	if err := json.Unmarshal(value, &n); err == nil && n != "" {
		return n.String(), nil
	}
	return "", fmt.Errorf("the field %q is not text: it begins with %.20q", name, value)
}

// Columns are the two of the columns "1,2" or the fields "en,de", a source and its answer.
func Columns(s string) (source, answer string, err error) {
	source, answer, ok := strings.Cut(s, ",")
	source, answer = strings.TrimSpace(source), strings.TrimSpace(answer)
	if !ok || source == "" || answer == "" || strings.Contains(answer, ",") {
		return "", "", errors.New("two columns are needed, that of a source and that of its answer, such as 1,2 of " +
			"tab-separated lines or en,de of JSON objects")
	}
	return source, answer, nil
}
