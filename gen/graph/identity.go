package graph

import "strings"

// ID identifies what belongs to a layer and stands outside of a graph: a parameter, a state, a cache. Layer is the
// path of the layer, whose parts dots separate: "lstm.2" is the second layer of the stack lstm. Field is what it is
// there: "wx".
type ID struct{ Layer, Field string }

// Identity is the ID that is written LAYER.FIELD. A field has no dots.
func Identity(text string) ID {
	if dot := strings.LastIndexByte(text, '.'); dot >= 0 {
		return ID{text[:dot], text[dot+1:]}
	}
	return ID{Field: text}
}

func (id ID) String() string {
	if id.Layer == "" {
		return id.Field
	}
	return id.Layer + "." + id.Field
}

// Ends tells where outputs of a whole graph go.
type Ends uint8

// Where outputs go.
const (
	Result Ends = iota // to whoever asks for it by its name, which is the ID's field: "loss"
	Grad               // gradient of a parameter
	Next               // a state, for the next call
	Keep               // a parameter that the forward pass of a training step changes
	Kept               // a cache
)

var endNames = [...]string{"", "grad:", "state:", "keep:", "cache:"}

// Target is where an output of a whole graph goes.
type Target struct {
	Ends Ends
	ID   ID
}

// To reads the text form of a target: "grad:lstm.wx", "state:lstm.h", "loss".
func To(text string) Target {
	for i, prefix := range endNames {
		if rest, ok := strings.CutPrefix(text, prefix); ok && i > 0 {
			return Target{Ends(i), Identity(rest)}
		}
	}
	return Target{ID: ID{Field: text}}
}

func (t Target) String() string { return endNames[t.Ends] + t.ID.String() }

// Is reports whether the target is the result of that name.
func (t Target) Is(name string) bool { return t.Ends == Result && t.ID.Field == name }

// Find is the output of g that goes to whoever asks for it by that name, or nil.
func (g *Graph) Find(name string) *Value {
	for i, t := range g.Targets {
		if t.Is(name) {
			return g.Outputs[i]
		}
	}
	return nil
}
