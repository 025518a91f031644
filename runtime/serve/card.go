package serve

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Trained is what is told of a model's training, as far as it is known.
type Trained struct {
	Steps       int               `json:"steps"`
	Seed        uint64            `json:"seed"`
	Best        *float64          `json:"best,omitempty"`    // validation loss; nil for none
	Options     map[string]string `json:"options,omitempty"` // that it was given
	Losses      [][2]float64      `json:"losses,omitempty"`  // steps, each with the mean loss around it
	Validations [][2]float64      `json:"validations,omitempty"`
}

// training is what a card says of how a model came to be: what the spec plans, and what was done.
type training struct {
	Unit   string `json:"unit"` // what losses are means over
	Recipe string `json:"recipe"`
	*Trained
}

// card is what is told of a model.
type card struct {
	ID        string      `json:"id"`
	Object    string      `json:"object"`
	Created   int64       `json:"created"`
	Owner     string      `json:"owned_by"`
	Kind      string      `json:"kind"`
	About     string      `json:"description,omitempty"`
	Params    int         `json:"parameters"`
	Vocab     int         `json:"vocabulary"`
	Window    int         `json:"context,omitempty"`      // tokens that it sees; none for any number
	Memory    int64       `json:"decode_bytes,omitempty"` // of parameters and of what writes one text
	Digest    string      `json:"spec_digest"`
	Spec      string      `json:"spec"`
	Paths     []string    `json:"paths"`
	Prompt    string      `json:"prompt,omitempty"`
	Template  string      `json:"chat_template,omitempty"`
	Latent    int         `json:"latent,omitempty"` // numbers of a latent vector
	Labels    int         `json:"labels,omitempty"`
	Width     int         `json:"width,omitempty"` // numbers of a vector that it makes
	Range     *[2]float64 `json:"range,omitempty"` // of those numbers, where they have bounds
	Mask      string      `json:"mask,omitempty"`
	Alignment bool        `json:"alignment,omitempty"` // it tells where it looks
	Training  *training   `json:"training,omitempty"`
	Layers    []layer     `json:"layers,omitempty"`
}

type layer struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Output string `json:"output"`
	Params int    `json:"parameters"`
	Flops  int64  `json:"flops"`
}

// card tells of the model; whole is with its layers and its training.
func (m *served) card(whole bool) card {
	i := m.info
	c := card{
		ID: i.Name, Object: "model", Created: m.created, Owner: "gradsmith", Kind: i.Kind, About: i.Description,
		Params: i.Params, Vocab: i.Vocab, Digest: i.SpecDigest, Spec: i.Spec, Paths: m.paths(),
		Prompt: m.Program.Prompt, Labels: i.Labels,
	}
	if m.batch != nil {
		c.Window, c.Template, c.Memory = m.batch.Window(), m.Chat.Name(), i.DecodeBytes
	}
	if i.Latent != nil {
		c.Latent = i.Latent.Width
	}
	if v := i.Vector; v != nil {
		c.Width = v.Width
		if v.Bounded {
			c.Range = &[2]float64{v.Low, v.High}
		}
	}
	c.Alignment = m.aligns
	if i.Masking != nil {
		c.Mask = m.Program.Tokenizer.Piece(i.Masking.Token)
	}
	if !whole {
		return c
	}
	c.Training = &training{Unit: i.Unit(), Recipe: recipe(i), Trained: m.Trained}
	for _, l := range i.Layers {
		c.Layers = append(c.Layers, layer{l.Name, l.Kind, l.Output, l.Params, l.Flops})
	}
	return c
}

// recipe says in words how the spec wants the model trained.
func recipe(i *model.Info) string {
	t := i.Training
	parts := []string{fmt.Sprintf("rate %v", t.Rate), "schedule " + t.Schedule}
	if t.Warmup > 0 {
		parts = append(parts, fmt.Sprintf("%d steps of warm-up", t.Warmup))
	}
	if i.Vector != nil {
		parts = append(parts, fmt.Sprintf("batches of %d", i.Batch))
	} else {
		parts = append(parts, fmt.Sprintf("batches of %d × %d tokens", i.Batch, i.Steps))
	}
	if t.Smoothing > 0 {
		parts = append(parts, fmt.Sprintf("label smoothing %v", t.Smoothing))
	}
	return strings.Join(parts, ", ")
}
