// Command draw renders the letters and digits of Go's fonts as images of 28 by 28 pixels, and writes them to a file in
// the format of the MNIST database: what the autoencoder beside it is trained on. Which of them each image shows it
// writes to another file, of the same format: the labels that a conditional model is told.
//
//	go run . -o ../glyphs.idx -labels ../glyphs.labels.idx
//
// It is a module of its own, so that nothing else depends on golang.org/x/image.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"image"
	"log"
	"math/rand/v2"
	"os"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gobolditalic"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomediumitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/gomonobolditalic"
	"golang.org/x/image/font/gofont/gomonoitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/gofont/gosmallcaps"
	"golang.org/x/image/font/gofont/gosmallcapsitalic"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

const (
	side  = 28
	chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

var fonts = [][]byte{
	goregular.TTF, goitalic.TTF, gobold.TTF, gobolditalic.TTF, gomedium.TTF, gomediumitalic.TTF,
	gomono.TTF, gomonoitalic.TTF, gomonobold.TTF, gomonobolditalic.TTF, gosmallcaps.TTF, gosmallcapsitalic.TTF,
}

// sizes are in pixels an em, shifts in pixels away from the middle of the image.
var (
	sizes  = []float64{18, 21, 24, 27}
	shifts = []image.Point{{0, 0}, {1, 0}, {-1, 0}, {0, 1}, {0, -1}}
)

func main() {
	out := flag.String("o", "glyphs.idx", "`FILE` for the images")
	names := flag.String("labels", "",
		"`FILE` for the place of each image's letter in "+chars+", from 0 on; none where it is empty")
	flag.Parse()
	images, err := draw()
	if err != nil {
		log.Fatal(err)
	}
	// In an order of no meaning, so that the end of the file, which a training validates on, is like the rest.
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(images), func(i, j int) { images[i], images[j] = images[j], images[i] })
	pixels, labels := idx(len(images), side, side), idx(len(images))
	for _, img := range images {
		pixels, labels = append(pixels, img.pixels...), append(labels, img.label)
	}
	if err := os.WriteFile(*out, pixels, 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d images of %d by %d\n", *out, len(images), side, side)
	if *names == "" {
		return
	}
	if err := os.WriteFile(*names, labels, 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d labels, 0 to %d\n", *names, len(images), len(chars)-1)
}

// idx is the beginning of a file of bytes of that shape.
func idx(shape ...int) []byte {
	data := []byte{0, 0, 0x08, byte(len(shape))}
	for _, n := range shape {
		data = binary.BigEndian.AppendUint32(data, uint32(n))
	}
	return data
}

// picture is an image, white on black, and the place of its letter in chars.
type picture struct {
	pixels []byte
	label  byte
}

// draw gives the images.
func draw() ([]picture, error) {
	var images []picture
	for _, ttf := range fonts {
		parsed, err := opentype.Parse(ttf)
		if err != nil {
			return nil, err
		}
		for _, size := range sizes {
			face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
			if err != nil {
				return nil, err
			}
			for label, c := range chars { // of a byte each
				bounds, _, ok := face.GlyphBounds(c)
				if !ok {
					return nil, fmt.Errorf("a font has no %q", c)
				}
				// The middle of what is drawn comes to the middle of the image.
				middle := bounds.Min.Add(bounds.Max).Div(fixed.I(2))
				for _, shift := range shifts {
					img := image.NewGray(image.Rect(0, 0, side, side))
					d := font.Drawer{Dst: img, Src: image.White, Face: face,
						Dot: fixed.P(side/2+shift.X, side/2+shift.Y).Sub(middle)}
					d.DrawString(string(c))
					images = append(images, picture{img.Pix, byte(label)})
				}
			}
		}
	}
	return images, nil
}
