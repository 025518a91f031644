package vector

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/data"
)

// csv reads lines of numbers with commas in between.
func (s *reading) csv(r *data.Reader) error {
	text, err := r.Text()
	if err != nil {
		return err
	}
	in := csv.NewReader(text)
	in.FieldsPerRecord, in.ReuseRecord, in.LazyQuotes = -1, true, true
	t := table{reading: s, label: -1}
	for first := true; ; {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(fields) == 1 && strings.TrimSpace(fields[0]) == "" {
			continue // a line of blanks
		}
		line, _ := in.FieldPos(0)
		if first {
			first = false
			header, err := t.header(fields)
			if err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
			if header {
				continue
			}
			t.warn(line, fields)
		}
		if err := t.row(line, fields); err != nil {
			return err
		}
	}
}

// table is a file of CSV that is being read.
type table struct {
	*reading
	names []string // of the columns, where the first line has them
	label int      // the column of labels, from 0, or -1
}

// header reports whether the first line names the columns, and finds the one of labels.
func (t *table) header(fields []string) (bool, error) {
	names := t.Header
	if !names {
		names = true
		for _, f := range fields {
			if isNumber(f) {
				names = false
			}
		}
	}
	if t.Column == "" {
		if names {
			t.names = trimmed(fields)
		}
		return names, nil
	}
	if n, err := strconv.Atoi(t.Column); err == nil {
		if n < 1 || n > len(fields) {
			return false, fmt.Errorf("there is no column %d for labels: the line has %s, counted from 1", n,
				count(len(fields), "column"))
		}
		t.label = n - 1
		if !isNumber(fields[t.label]) {
			names = true // of a label, whatever the names of the other columns are
		}
	} else {
		for i, f := range trimmed(fields) {
			if f == t.Column || t.label < 0 && strings.EqualFold(f, t.Column) {
				t.label = i
			}
		}
		if t.label < 0 {
			found := trimmed(fields)
			if len(found) > 5 {
				found = append(found[:5], "…")
			}
			return false, fmt.Errorf("no column is named %q, as that of the labels should be: the line reads %s; a "+
				"column can also be given by its number, from 1", t.Column, quote(strings.Join(found, ",")))
		}
		names = true
	}
	if names {
		t.names = trimmed(fields)
	}
	return names, nil
}

func trimmed(fields []string) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = strings.TrimSpace(f)
	}
	return out
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(s), 32)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// warn says that a first line that is read as data may be the numbers of the columns.
func (t *table) warn(line int, fields []string) {
	if len(fields) < 3 {
		return
	}
	start, err := strconv.Atoi(strings.TrimSpace(fields[0]))
	if err != nil || start != 0 && start != 1 {
		return
	}
	for i, f := range fields {
		if strings.TrimSpace(f) != strconv.Itoa(start+i) {
			return
		}
	}
	t.Warnings = append(t.Warnings, fmt.Sprintf("%s: line %d, which reads %s,%s,%s,…, is read as a vector: if it "+
		"numbers the columns, say that it is a header (--header)",
		t.parts[len(t.parts)-1].name, line, fields[0], fields[1], fields[2]))
}

// row reads a line.
func (t *table) row(line int, fields []string) error {
	want := t.Width
	if t.label >= 0 {
		want++
	}
	from := len(t.Data)
	for i, f := range fields {
		f = strings.TrimSpace(f)
		if i == t.label {
			if err := t.class(line, f); err != nil {
				return err
			}
			continue
		}
		if isMissing(f) {
			if t.Missing.refused() {
				return fmt.Errorf("line %d, column %d: the number is missing (%s): say what stands in for it with "+
					"--missing zero or --missing mean, or leave the line out", line, i+1, quote(f))
			}
			t.Data = append(t.Data, float32(math.NaN()))
			continue
		}
		x, err := strconv.ParseFloat(f, 32)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			advice := ""
			if t.Len() == 0 && from == 0 && t.names == nil {
				advice = "; if the line names the columns, say that it is a header (--header)"
			}
			return fmt.Errorf("line %d, column %d: %s is not a number%s", line, i+1, quote(f), advice)
		}
		t.Data = append(t.Data, t.scaled(float32(x), 0))
	}
	if len(fields) != want {
		return t.width(line, len(fields), want)
	}
	t.places = append(t.places, line)
	return nil
}

// class reads the label of a line.
func (t *table) class(line int, f string) error {
	if t.Classes == 0 {
		return nil
	}
	x, err := strconv.ParseFloat(f, 64) // tables of numbers are often written with a point in each, as 7.0
	if err != nil || x != float64(int32(x)) {
		return fmt.Errorf("line %d, column %d: %s is not a label: labels are whole numbers from 0 on", line, t.label+1,
			quote(f))
	}
	if x < 0 || x >= float64(t.Classes) {
		return fmt.Errorf("line %d, column %d: %s is not one of the model's labels, which are 0 to %d: number the "+
			"labels from 0 on, or give the spec a larger labels.count", line, t.label+1, quote(f), t.Classes-1)
	}
	t.labels = append(t.labels, int32(x))
	return nil
}

// width is the error for a line of another number of columns.
func (t *table) width(line, got, want int) error {
	if t.label >= 0 {
		return fmt.Errorf("line %d has %s, the model's vectors have %d and a label", line, count(got, "column"),
			t.Width)
	}
	advice := ""
	if got == want+1 {
		advice = "; if one column is a label, name it (--label-column NAME or its number, from 1)"
		if len(t.names) > 0 && strings.EqualFold(t.names[0], "label") {
			advice = "; the first column is named label, as in Kaggle's digits: name it with --label-column label, " +
				"and where the others are pixels from 0 to 255 add --scale 255"
		}
	}
	return fmt.Errorf("line %d has %s, the model's vectors have %d%s", line, count(got, "number"), want, advice)
}
