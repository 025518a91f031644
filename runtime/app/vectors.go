package app

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/vector"
)

// vectors reads the vectors that a flag or the program names.
func (a *program) vectors(flag string) (*vector.Set, error) {
	if flag == "" {
		flag = a.Data
	}
	if flag == "" {
		return nil, errors.New("no vectors: name a file with --data FILE (CSV, NPY or IDX)")
	}
	return vector.Read(flag, *a.Info.Vector)
}

// vectorMaterial reads what a model of vectors is trained on.
func (a *program) vectorMaterial(f *trainFlags) (*material, error) {
	set, err := a.vectors(f.data)
	if err != nil {
		return nil, err
	}
	m := &material{}
	m.Digest = fmt.Sprintf("%s %d %v", set.Digest, f.batch, f.validation)
	rows := f.batch
	if d := a.Info.Adversary; d != nil {
		rows *= d.Steps // each step of the discriminator reads its own
	}
	learn := set
	m.text = fmt.Sprintf("%s: ", set.Name)
	if f.validation > 0 {
		var valid *vector.Set
		if learn, valid, err = set.Split(f.validation); err != nil {
			return nil, err
		}
		if m.Validation, err = valid.Whole(f.batch); err != nil {
			return nil, err
		}
		m.text += fmt.Sprintf("%s vectors to learn, %s to validate", thousands(learn.Len()), thousands(valid.Len()))
	} else {
		m.text += fmt.Sprintf("%s vectors to learn", thousands(learn.Len()))
	}
	if m.Train, err = learn.Shuffled(rows, f.seed); err != nil {
		return nil, err
	}
	return m, nil
}

// side is the side of the square that a vector's numbers make, or 0.
func side(width int) int {
	s := int(math.Round(math.Sqrt(float64(width))))
	if s < 2 || s*s != width {
		return 0
	}
	return s
}

// writePicture draws vectors as gray squares in a grid, low being black and high white, and writes it to path as PNG.
func writePicture(path string, vectors []float32, width, columns int, low, high float64) error {
	s := side(width)
	if s == 0 {
		return fmt.Errorf("vectors of %d numbers are no squares, so there is no picture of them", width)
	}
	const gap = 2
	n := len(vectors) / width
	columns = min(columns, n)
	rows := (n + columns - 1) / columns
	img := image.NewGray(image.Rect(0, 0, columns*(s+gap)-gap, rows*(s+gap)-gap))
	for i := range img.Pix {
		img.Pix[i] = 0x60 // between the squares
	}
	for i, x := range vectors[:n*width] {
		at, v := i/width, i%width
		shade := math.Round(255 * (float64(x) - low) / (high - low))
		img.SetGray(at%columns*(s+gap)+v%s, at/columns*(s+gap)+v/s, color.Gray{Y: uint8(max(0, min(255, shade)))})
	}
	w, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("can't write the picture: %w", err)
	}
	if err := errors.Join(png.Encode(w, img), w.Close()); err != nil {
		return fmt.Errorf("can't write the picture: %w", err)
	}
	return nil
}

// writeVectors prints vectors as CSV, a line each.
func writeVectors(w io.Writer, vectors []float32, width int) error {
	var b strings.Builder
	for i, x := range vectors {
		fmt.Fprintf(&b, "%.6g", x)
		if (i+1)%width == 0 {
			b.WriteByte('\n')
			if _, err := io.WriteString(w, b.String()); err != nil {
				return fmt.Errorf("can't print: %w", err)
			}
			b.Reset()
			continue
		}
		b.WriteByte(',')
	}
	return nil
}

// limits are the numbers that black and white stand for in pictures: those of the model, or of the vectors where it sets none.
func (a *program) limits(vectors []float32) (low, high float64) {
	if v := a.Info.Vector; v.Bounded {
		return v.Low, v.High
	}
	low, high = math.Inf(1), math.Inf(-1)
	for _, x := range vectors {
		low, high = min(low, float64(x)), max(high, float64(x))
	}
	if !(low < high) {
		return low - 0.5, low + 0.5
	}
	return low, high
}
