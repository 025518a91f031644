package app

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// squareSide is the side of a square image of n pixels, or 0 where n is not a square.
func squareSide(n int) int {
	if s := int(math.Round(math.Sqrt(float64(n)))); s*s == n {
		return s
	}
	return 0
}

// grid draws vectors of size numbers as gray images of the given width, so many in a row, in PNG: black where a number
// is 0 and white where it is 1, or the least and the largest of all where numbers have no bounds.
func grid(x []float32, size, width, columns int, v *model.Vector) ([]byte, error) {
	low, high := float32(v.Low), float32(v.High)
	if !v.Bounded {
		low, high = x[0], x[0]
		for _, n := range x {
			low, high = min(low, n), max(high, n)
		}
	}
	const gap = 1
	height, count := size/width, len(x)/size
	rows := (count + columns - 1) / columns
	img := image.NewGray(image.Rect(0, 0, columns*(width+gap)+gap, rows*(height+gap)+gap))
	for i := range img.Pix {
		img.Pix[i] = 96 // between the images
	}
	for i := range count {
		left, top := i%columns*(width+gap)+gap, i/columns*(height+gap)+gap
		for k, n := range x[i*size : (i+1)*size] {
			shade := 255 * (n - low) / max(high-low, 1e-20)
			img.SetGray(left+k%width, top+k/width, color.Gray{Y: uint8(max(0, min(255, shade)) + 0.5)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("can't draw the images: %w", err)
	}
	return b.Bytes(), nil
}

// writeFile writes what a command has made, and says so.
func writeFile(cmd *cobra.Command, path string, data []byte, what string) error {
	if err := put(path, data); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", path, what)
	return nil
}

// put writes what a command has made: all of it, or nothing.
func put(path string, data []byte) error {
	if err := files.WriteFile(path, data); err != nil {
		return fmt.Errorf("can't write %s: %w", path, files.Cause(err))
	}
	return nil
}
