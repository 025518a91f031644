package vector

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/gradsmith/gradsmith/runtime/data"
)

// png reads an image as a vector.
func (s *reading) png(r *data.Reader) error {
	content, err := r.Bytes()
	if err != nil {
		return err
	}
	c, err := png.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("is a PNG image, but damaged: %w", err)
	}
	size := c.Width * c.Height // of at most 2³¹−1 each
	if size != s.Width && size*3 != s.Width {
		return fmt.Errorf("has %d×%d pixels, %d in all, and the model's vectors have %d numbers: that takes as many "+
			"shades of grey, or three numbers a pixel", c.Width, c.Height, size, s.Width)
	}
	m, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("is a PNG image, but damaged: %w", err)
	}
	if o, ok := m.(interface{ Opaque() bool }); ok && !o.Opaque() {
		return fmt.Errorf("has transparent pixels: flatten the image on a background first")
	}
	unit, shift := float32(255), 8
	switch m.(type) {
	case *image.Gray16, *image.RGBA64, *image.NRGBA64:
		unit, shift = 65535, 0
	}
	add := func(x uint32) { s.Data = append(s.Data, s.scaled(float32(x>>shift), unit)) }
	for y := range c.Height {
		for x := range c.Width {
			at := m.At(m.Bounds().Min.X+x, m.Bounds().Min.Y+y)
			if size == s.Width {
				add(uint32(color.Gray16Model.Convert(at).(color.Gray16).Y))
				continue
			}
			red, green, blue, _ := at.RGBA()
			add(red)
			add(green)
			add(blue)
		}
	}
	return nil
}
