package main

import (
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/fileflag"
)

// fileFlags says of the flags and arguments of all commands which name files, and whether they are read or written.
// What is written is refused before anything is opened where it would destroy what is read, or something else that is
// written.
var fileFlags = fileflag.Table{
	Flags: map[string]fileflag.Role{
		"out":         fileflag.Output,
		"gguf":        fileflag.Output,
		"onnx":        fileflag.Output,
		"huggingface": fileflag.Text, // a folder in which it overwrites nothing
		"model":       fileflag.Input,
		"adapter":     fileflag.Input, // or a rank, of import
		"spec":        fileflag.Input,

		"keys":          fileflag.Input,
		"tls-cert":      fileflag.Input,
		"tls-key":       fileflag.Input,
		"address":       fileflag.Text,
		"chat-template": fileflag.Text,
		"weights":       fileflag.Text,
		"cache":         fileflag.Text,

		"match": fileflag.Pattern,

		"dump":   fileflag.Text,
		"format": fileflag.Text,
		"module": fileflag.Text,
		"name":   fileflag.Text,
		"as":     fileflag.Text,
		"levels": fileflag.Text,

		"encoding": fileflag.Text,
		"like":     fileflag.Text,
		"special":  fileflag.Text,
		"field":    fileflag.Text,
		"ignore":   fileflag.Text,
		"part":     fileflag.Text,
		"text":     fileflag.Text,
		"type":     fileflag.Text,

		"separator": fileflag.Text,
		"condition": fileflag.Text,
	},
	Args: map[string]fileflag.Role{
		"check":   fileflag.Input,
		"inspect": fileflag.Input,

		"explain-spec": fileflag.Input,

		"generate": fileflag.Input, // --out is then a folder, in which it touches generated code alone
		"verify":   fileflag.Input,
		"export":   fileflag.Input,
		"compare":  fileflag.Input,
		"import":   fileflag.Input, // --out is then a new folder
		"vocab":    fileflag.Input,
		"tokens":   fileflag.Input, // --out is a file or a folder
		"init":     fileflag.Text,  // DIR, in which it overwrites nothing
		"kernels":  fileflag.Text,
		"show":     fileflag.Text,
		"serve":    fileflag.Text, // folders of packages, and checkpoints that the program which it builds reads

		"report": fileflag.Text, // --out writes over nothing but pages of its own

		// Of tokenizer.
		"train":   fileflag.Input,
		"encode":  fileflag.Input,
		"decode":  fileflag.Input,
		"stats":   fileflag.Input,
		"convert": fileflag.Input,
	},
	List: data.Files,
}
