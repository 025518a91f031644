package app

import (
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/fileflag"
)

// fileFlags says of the flags and arguments of all commands which name files, and whether they are read or written.
// What is written is refused before anything is opened where it would destroy what is read, or something else that is
// written.
var fileFlags = fileflag.Table{
	Flags: map[string]fileflag.Role{
		"data":         fileflag.Input,
		"labels":       fileflag.Input,
		"valid":        fileflag.Input,
		"valid-labels": fileflag.Input,
		"source":       fileflag.Input,
		"target":       fileflag.Input,
		"valid-source": fileflag.Input,
		"valid-target": fileflag.Input,
		"from":         fileflag.Input,
		"adapter":      fileflag.Input, // train has its own rules for what it writes there
		"model":        fileflag.Input,
		"probe":        fileflag.Input,
		"tuned-lens":   fileflag.Input,
		"toward":       fileflag.Input,
		"vectors":      fileflag.Input,
		"json-schema":  fileflag.Input,
		"grammar":      fileflag.Input,
		"other-model":  fileflag.Input,
		"away":         fileflag.Input,
		"keys":         fileflag.Input,
		"tls-cert":     fileflag.Input,
		"tls-key":      fileflag.Input,

		"out":   fileflag.Output,
		"best":  fileflag.Output,
		"log":   fileflag.Output,
		"plot":  fileflag.Output,
		"plane": fileflag.Update,

		"pictures": fileflag.Update, // a folder, in which it writes over pictures of its own

		"tensorboard": fileflag.Update, // a folder in which it writes over nothing

		"match": fileflag.Pattern,

		"separator":     fileflag.Text,
		"condition":     fileflag.Text,
		"field":         fileflag.Text,
		"columns":       fileflag.Text,
		"valid-columns": fileflag.Text,
		"label-column":  fileflag.Text,
		"missing":       fileflag.Text,
		"vectors-of":    fileflag.Text,
		"prompt":        fileflag.Text,
		"stop":          fileflag.Text,
		"curve":         fileflag.Text,
		"type":          fileflag.Text,
		"weights":       fileflag.Text,
		"cache":         fileflag.Text,
		"text":          fileflag.Text,
		"answer":        fileflag.Text,
		"token":         fileflag.Text,
		"against":       fileflag.Text,
		"other":         fileflag.Text,
		"unit":          fileflag.Text,
		"find":          fileflag.Text,
		"address":       fileflag.Text,
		"chat-template": fileflag.Text,
		"guard":         fileflag.Text,
		"guess":         fileflag.Text,
		"train":         fileflag.Text,
		"freeze":        fileflag.Text,
		"rate-of":       fileflag.Text,

		"regex":           fileflag.Text,
		"json-spacing":    fileflag.Text,
		"choices":         fileflag.Text,
		"ban":             fileflag.Text,
		"require":         fileflag.Text,
		"bias":            fileflag.Text,
		"negative-prompt": fileflag.Text,
	},
	Args: map[string]fileflag.Role{
		"info":        fileflag.Input,
		"perplexity":  fileflag.Input,
		"align":       fileflag.Text,
		"fill":        fileflag.Text,
		"interpolate": fileflag.Text,
	},
	List: data.Files,
}
