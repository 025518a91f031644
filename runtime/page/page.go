// Package page is the look of the pages that commands write: one file each that needs no other, no script and no
// network, light or dark as the reader's system is. It must know nothing of models.
package page

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math"

	"github.com/gradsmith/gradsmith/runtime/files"
)

//go:embed style.css
var style string

//go:embed head.html
var headText string

//go:embed explain.html
var explainText string

var explainForm = Form("explain", explainText)

// Form is the template of a page. In text, {{template "head" .}} is what every page begins with behind its first lines:
// the style sheet, and the Title, About and Notes, which are a list, of what the page is made of.
func Form(name, text string) *template.Template {
	sheet := func() template.CSS { return template.CSS(style) }
	form := template.New(name).Funcs(template.FuncMap{"style": sheet})
	template.Must(form.New("head").Parse(headText))
	return template.Must(form.Parse(text))
}

// ExplainHead is how every page that explains begins: what begins otherwise is not written over.
const ExplainHead = "<!doctype html>\n<!-- gradsmith explain -->\n"

// Page is a page of sections.
type Page struct {
	Title, About string
	Notes        []string // what could not be shown, and why
	Sections     []Section
}

// Section is a heading with what stands under it.
type Section struct {
	Title, Text string
	Blocks      []Block
}

// Block is one of a text, a table and pictures, with words around it. One that is folded can be opened.
type Block struct {
	Title    string
	Fold     bool
	Open     bool
	Tokens   []Token
	Table    *Table
	Pictures []Picture
	Small    bool // the pictures are many
	Hint     string
}

// Token is a piece of text on a ground that shows a number.
type Token struct {
	Text, Title string
	Ground      template.CSS
	Aim         bool // it is what is explained
}

// Table is a table of cells that numbers colour.
type Table struct {
	Label string // for readers that do not see it
	Head  []string
	Rows  []Row
}

// Row is a row of it.
type Row struct {
	Name  string
	Cells []Token
}

// Picture is a picture in PNG.
type Picture struct {
	Name    string // of its file, without an ending, where pictures are also written beside the page
	Alt     string
	Caption string
	PNG     []byte
}

// Source is the picture as an address that holds it.
func (p Picture) Source() template.URL {
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(p.PNG))
}

// Write writes the page.
func (p *Page) Write(w io.Writer) error {
	if _, err := io.WriteString(w, ExplainHead); err != nil {
		return err
	}
	return explainForm.Execute(w, p)
}

// Pictures are all pictures of the page.
func (p *Page) Pictures() []Picture {
	var all []Picture
	for _, s := range p.Sections {
		for _, b := range s.Blocks {
			all = append(all, b.Pictures...)
		}
	}
	return all
}

// Writable refuses to write a page over what is no page of the same command, which all begin with head.
func Writable(path, head, command string) error {
	f, err := files.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return files.Writable(path)
	}
	if err != nil {
		return fmt.Errorf("can't write %s: %w", path, files.Cause(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // a pipe or a device
	}
	is := make([]byte, len(head))
	if n, err := io.ReadFull(f, is); n > 0 && (err != nil || string(is) != head) || err != nil && !errors.Is(err,
		io.EOF) {
		return fmt.Errorf("%s is no page of %s and is not overwritten: name another file with --out, or remove it", path,
			command)
	}
	return nil
}

// Signed is the ground of a number from −1 to 1: one colour above 0, another below, stronger for larger ones.
func Signed(x float64) template.CSS {
	if math.IsNaN(x) {
		return ""
	}
	of := "--line0"
	if x < 0 {
		of = "--line1"
	}
	return ground(of, math.Abs(x))
}

// Share is the ground of a number from 0 to 1.
func Share(x float64) template.CSS { return ground("--line2", x) }

// ground is a colour of the style sheet at a strength from 0 to 1, on which text can be read.
func ground(of string, strength float64) template.CSS {
	const most = 42 // percent, beyond which text has too little contrast
	percent := int(math.Round(most * min(1, max(0, strength))))
	if percent == 0 || math.IsNaN(strength) {
		return ""
	}
	return template.CSS(fmt.Sprintf("background:color-mix(in srgb,var(%s) %d%%,transparent)", of, percent))
}

// Heat is a picture of numbers [rows, columns] from low to high, a pixel each, dark where they are low. scale is how
// many pixels a number has to each side.
func Heat(values []float64, rows, columns int, low, high float64, scale int) []byte {
	m := image.NewPaletted(image.Rect(0, 0, columns*scale, rows*scale), heatColours)
	for y := range rows * scale {
		for x := range columns * scale {
			v := (values[y/scale*columns+x/scale] - low) / (high - low)
			if !(v > 0) {
				v = 0
			}
			m.Pix[y*m.Stride+x] = uint8(math.Round(min(1, v) * float64(len(heatColours)-1)))
		}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, m); err != nil {
		panic(err) // an image of this kind can be encoded, and a buffer takes it
	}
	return b.Bytes()
}

// heatColours go from dark blue through green to yellow: lightness rises all the way, so that they can be told apart
// without colours too.
var heatColours = func() color.Palette {
	stops := [][3]float64{{13, 16, 48}, {52, 48, 120}, {38, 104, 142}, {31, 158, 137}, {120, 200, 92}, {253, 231, 76}}
	const n = 64
	var p color.Palette
	for i := range n {
		at := float64(i) / (n - 1) * float64(len(stops)-1)
		k := min(int(at), len(stops)-2)
		var c [3]uint8
		for j := range c {
			c[j] = uint8(math.Round(stops[k][j] + (at-float64(k))*(stops[k+1][j]-stops[k][j])))
		}
		p = append(p, color.RGBA{c[0], c[1], c[2], 255})
	}
	return p
}()
