// Command modes trains pairs of adversarial networks on points of the plane that lie in heaps, and counts the heaps
// that the generator finds: the ring of 8 and the grid of 25 Gaussians on which papers show how a generator loses
// modes.
//
//	modes --picture modes.png
package main

import (
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"

	"github.com/gradsmith/gradsmith/examples/modes/calm"
	"github.com/gradsmith/gradsmith/examples/modes/plain"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// heaps is a mixture of Gaussians of one deviation and equal weights.
type heaps struct {
	name      string
	centres   [][2]float64
	deviation float64
}

// ring is 8 Gaussians on a circle whose radius is 100 deviations (Metz et al. 2017, appendix A).
func ring() heaps {
	h := heaps{name: "ring", deviation: 0.01}
	for i := range 8 {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 8)
		h.centres = append(h.centres, [2]float64{cos, sin})
	}
	return h
}

// grid is 25 Gaussians on a square grid, 40 deviations apart (Srivastava et al. 2017, section 4.1), of a size that
// networks take to.
func grid() heaps {
	h := heaps{name: "grid", deviation: 0.0175}
	for i := range 25 {
		h.centres = append(h.centres, [2]float64{float64(i%5)*0.7 - 1.4, float64(i/5)*0.7 - 1.4})
	}
	return h
}

// draw fills points with a batch that key decides.
func (h heaps) draw(points []float32, key uint64) {
	kernel.Normal(points, model.Key(key, 1), 0, len(points))
	for i := range len(points) / 2 {
		c := h.centres[model.Key(key, 2, uint64(i))%uint64(len(h.centres))]
		for k := range 2 {
			points[2*i+k] = float32(c[k] + h.deviation*float64(points[2*i+k]))
		}
	}
}

// judge counts the heaps that have a good point, and the share of good points: those within three deviations of a
// centre.
func (h heaps) judge(points []float32) (covered int, good float64) {
	found := make([]bool, len(h.centres))
	for i := range len(points) / 2 {
		for c, centre := range h.centres {
			if math.Hypot(float64(points[2*i])-centre[0], float64(points[2*i+1])-centre[1]) <= 3*h.deviation {
				good += 2 / float64(len(points))
				found[c] = true
			}
		}
	}
	for _, f := range found {
		if f {
			covered++
		}
	}
	return covered, good
}

// samples is how many points are judged, as in the papers.
const samples = 2500

func main() {
	picture := flag.String("picture", "", "draw what the generators make into this PNG `FILE`")
	steps := flag.Int("steps", 0, "training steps (default: those of the specs)")
	seed := flag.Uint64("seed", 1, "of parameters, noise and data")
	flag.Parse()

	pairs := []struct {
		name string
		make func(seed uint64) model.Adversaries
	}{
		{"plain", func(seed uint64) model.Adversaries { return plain.NewSeeded(seed) }},
		{"calm", func(seed uint64) model.Adversaries { return calm.NewSeeded(seed) }},
	}
	var panels []panel
	fmt.Printf("%-6s %-6s %8s %13s %12s\n", "data", "pair", "steps", "modes found", "good points")
	for _, data := range []heaps{ring(), grid()} {
		for _, p := range pairs {
			m := p.make(*seed)
			info := m.Info()
			n := info.Training.Steps
			if *steps > 0 {
				n = *steps
			}
			schedule := optim.NewSchedule(info.Training)
			b := &model.Batch{Batch: info.Batch * info.Adversary.Steps, Steps: 1}
			b.Vectors = make([]float32, b.Batch*info.Vector.Width)
			for step := range n {
				data.draw(b.Vectors, model.Key(*seed, uint64(step)))
				if loss, norm, err := m.TrainStep(b, schedule.At(step, n)); err != nil || math.IsNaN(loss) ||
					math.IsNaN(norm) {
					fmt.Fprintf(os.Stderr, "modes: %s on the %s: a loss is no number in step %d (%v)\n", p.name,
						data.name, step+1, err)
					os.Exit(1)
				}
			}
			made, err := m.Generate(samples, nil, *seed)
			if err != nil {
				fmt.Fprintln(os.Stderr, "modes:", err)
				os.Exit(1)
			}
			covered, good := data.judge(made)
			fmt.Printf("%-6s %-6s %8d %7d of %2d %10.1f %%\n", data.name, p.name, n, covered, len(data.centres),
				100*good)
			panels = append(panels, panel{data, made})
		}
	}
	if *picture != "" {
		if err := draw(*picture, panels); err != nil {
			fmt.Fprintln(os.Stderr, "modes:", err)
			os.Exit(1)
		}
	}
}

// panel is a square of the picture.
type panel struct {
	data heaps
	made []float32
}

// draw writes the panels side by side, two a row: what is made in blue, the heaps' three deviations as gray discs.
func draw(path string, panels []panel) error {
	const size, gap = 360, 8
	rows := (len(panels) + 1) / 2
	img := image.NewRGBA(image.Rect(0, 0, 2*size+gap, rows*size+(rows-1)*gap))
	for i := range img.Pix {
		img.Pix[i] = 0xff
	}
	for i, p := range panels {
		left, top := i%2*(size+gap), i/2*(size+gap)
		extent := 0.0
		for _, c := range p.data.centres {
			extent = max(extent, math.Abs(c[0]), math.Abs(c[1]))
		}
		extent *= 1.3
		at := func(x, y float64) (int, int) {
			return int(math.Round((x/extent + 1) / 2 * size)), int(math.Round((1 - y/extent) / 2 * size))
		}
		disc := func(x, y, radius float64, c color.RGBA) {
			px, py := at(x, y)
			r := int(math.Ceil(radius / extent / 2 * size))
			for dy := -r; dy <= r; dy++ {
				for dx := -r; dx <= r; dx++ {
					if qx, qy := px+dx, py+dy; dx*dx+dy*dy <= r*r && qx >= 0 && qx < size && qy >= 0 && qy < size {
						img.SetRGBA(left+qx, top+qy, c)
					}
				}
			}
		}
		for x := range size {
			for _, edge := range [][2]int{{x, 0}, {x, size - 1}, {0, x}, {size - 1, x}} {
				img.SetRGBA(left+edge[0], top+edge[1], color.RGBA{0xc0, 0xc0, 0xc0, 0xff})
			}
		}
		for _, c := range p.data.centres {
			disc(c[0], c[1], max(3*p.data.deviation, 5*2*extent/size), color.RGBA{0xdd, 0xdd, 0xdd, 0xff})
		}
		for k := range len(p.made) / 2 {
			disc(float64(p.made[2*k]), float64(p.made[2*k+1]), 0, color.RGBA{0x1f, 0x4e, 0xb4, 0xff})
		}
	}
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(w, img); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}
