package interchange

import (
	"fmt"
	"slices"
	"strings"
)

// form is how a tensor of a checkpoint lies.
type form int

const (
	linear form = iota // a matrix [outputs, inputs], as PyTorch's Linear has it
	conv               // a matrix [inputs, outputs], as GPT-2's Conv1D has it
	vector             // [features]
	table              // rows of features; there may be more of them than the parameter has
)

// part is what a tensor gives of a parameter: some columns of a matrix, some features of a vector, or a table.
type part struct {
	tensor string // as published; see [folder.find]
	form   form
	width  int           // columns or features that it gives
	to     func(int) int // which of these an output of the tensor becomes; nil keeps their order
	how    string        // in words what to does
	skip   int           // of a table or vector: rows or numbers at its beginning that are left out
	add    float32       // to each number
	again  []int         // of a table: rows that stand behind the others once more
	row    string        // of a table: another one, whose first row is added to each
	more   bool          // the tensor may have more outputs, of tokens that no text has
	row1   bool          // of a vector: the tensor is a matrix of one row
	// of a table that is in no tensor: its numbers
	made func(row, column int) float32
}

// expects is the shape that the tensor must have for a parameter of rows × columns. A dimension of −1 is free: a table
// may have more rows than are needed.
func (p *part) expects(rows int) []int {
	switch {
	case p.row1 && p.more:
		return []int{1, -1}
	case p.more && p.form == linear:
		return []int{-1, rows}
	case p.more:
		return []int{-1}
	}
	switch p.form {
	case linear:
		return []int{p.width, rows}
	case conv:
		return []int{rows, p.width}
	case vector:
		return []int{p.width}
	}
	return []int{-1, p.width}
}

// says is in words what becomes of the tensor, in a parameter of which it gives the columns from on.
func (p *part) says(from, columns, rows int, t *tensor) string {
	var words []string
	if p.made != nil {
		return p.how
	}
	if p.form == linear {
		words = append(words, "transposed")
	}
	if p.how != "" {
		words = append(words, p.how)
	}
	if p.add != 0 {
		words = append(words, fmt.Sprintf("%v added", p.add))
	}
	rows -= len(p.again)
	if p.form == table && (p.skip > 0 || t.Shape[0] > rows) {
		words = append(words, fmt.Sprintf("rows %d to %d", p.skip, p.skip+rows-1))
	}
	for _, r := range p.again {
		words = append(words, fmt.Sprintf("row %d once more behind them", r))
	}
	outputs := t.Shape[0]
	if p.row1 {
		outputs = t.Shape[1]
	}
	if p.more && outputs > p.width {
		words = append(words, fmt.Sprintf("outputs %d to %d", p.skip, p.skip+p.width-1))
	}
	if p.row != "" {
		words = append(words, "the first row of "+p.row+" added to each")
	}
	if p.width < columns {
		words = append(words, fmt.Sprintf("columns %d to %d", from, from+p.width-1))
	}
	if len(words) == 0 {
		return "as it is"
	}
	return strings.Join(words, ", ")
}

// chunk is how many numbers of a tensor are read at a time.
const chunk = 1 << 18

// fill writes the part into the columns from on of a parameter of rows × columns. A vector is a matrix of one row.
func (p *part) fill(f *folder, dst []float32, rows, columns, from int) error {
	if p.made != nil {
		for i := range rows {
			for j := range p.width {
				dst[i*columns+from+j] = p.made(i, j)
			}
		}
		return nil
	}
	t, err := f.find(p.tensor)
	if err != nil {
		return err
	}
	to := p.to
	if to == nil {
		to = func(i int) int { return i }
	}
	outputs := p.width // of the tensor's rows, which are read some at a time
	width := rows
	if p.form != linear {
		outputs, width = rows-len(p.again), p.width
	}
	var first []float32
	if p.row != "" {
		r, err := f.find(p.row)
		if err != nil {
			return err
		}
		first = make([]float32, p.width)
		if err := r.read(0, first); err != nil {
			return err
		}
	}
	some := max(1, min(chunk/max(1, width), outputs))
	f.chunk = slices.Grow(f.chunk[:0], some*width)[:some*width] // again for the next one, so that nothing piles up
	buffer := f.chunk
	for at := 0; at < outputs+len(p.again); {
		n, place := min(some, outputs-at), p.skip+at
		if at >= outputs { // one of those that stand there again
			n, place = 1, p.again[at-outputs]
		}
		x := buffer[:n*width]
		if err := t.read(place*width, x); err != nil {
			return err
		}
		if p.add != 0 {
			for i := range x {
				x[i] += p.add
			}
		}
		if p.form == linear {
			// Column by column of what is read, so that what is written lies side by side.
			for i := range width {
				row := dst[i*columns+from : i*columns+from+p.width]
				for j := range n {
					row[to(at+j)] = x[j*width+i]
				}
			}
			at += n
			continue
		}
		for j := range n {
			row := dst[(at+j)*columns+from : (at+j)*columns+from+p.width]
			for i, v := range x[j*width : (j+1)*width] {
				if first != nil {
					v += first[i]
				}
				row[to(i)] = v
			}
		}
		at += n
	}
	return nil
}

// check reports parts that do not make up a parameter of a shape, or whose tensors are missing or of another shape.
func check(p parameter, shape []int, f *folder) error {
	rows, columns := matrixOf(shape)
	sum := 0
	for i := range p.parts {
		part := &p.parts[i]
		sum += part.width
		if (part.form == vector) != (len(shape) == 1) {
			return fmt.Errorf("interchange: %s of shape %v is made of %s, whose form is another", p.name, shape,
				part.tensor)
		}
		for _, name := range []string{part.tensor, part.row} {
			if name == "" {
				continue
			}
			t, err := f.find(name)
			if err != nil {
				return err
			}
			if !t.float {
				return fmt.Errorf(
					"%s: the tensor %s has the type %s; it must be one of numbers that are read: F32, F16 or BF16",
					t.file, t.Name,
					t.Type)
			}
			want := part.expects(rows)
			least := rows - len(part.again) + part.skip
			switch {
			case name == part.row:
				least = 1
			case part.more:
				least = part.skip + part.width
			}
			fits := len(t.Shape) == len(want)
			for d := range want {
				fits = fits && (t.Shape[d] == want[d] || want[d] < 0 && t.Shape[d] >= least)
			}
			if !fits {
				said := strings.Replace(fmt.Sprint(want), "-1", fmt.Sprintf("%d or more", least), 1)
				return fmt.Errorf("%s: the tensor %s has the shape %v, but config.json and the tokenizer make it %s",
					t.file,
					t.Name, t.Shape, said)
			}
		}
	}
	if sum != columns {
		return fmt.Errorf("interchange: %s of shape %v is made of %d columns", p.name, shape, sum)
	}
	return nil
}

func matrixOf(shape []int) (rows, columns int) {
	if len(shape) == 1 {
		return 1, shape[0]
	}
	return shape[0], shape[1]
}

// numbers makes a parameter, in memory that is used again for the next one.
func (f *folder) numbers(p parameter, shape []int) ([]float32, error) {
	rows, columns := matrixOf(shape)
	f.buffer = slices.Grow(f.buffer[:0], rows*columns)[:rows*columns]
	from := 0
	for i := range p.parts {
		if err := p.parts[i].fill(f, f.buffer, rows, columns, from); err != nil {
			return nil, err
		}
		from += p.parts[i].width
	}
	return f.buffer, nil
}
