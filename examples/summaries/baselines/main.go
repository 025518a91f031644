// Command baselines tells how well the first sentences of doc comments are met by what needs no model: the first line
// of the function, all of the function as the model reads it, and the function's name.
//
//	go run ./examples/summaries/baselines data/held.tsv
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/metric"
	"github.com/gradsmith/gradsmith/runtime/text"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("give the file of pairs that the program data has written, such as data/held.tsv")
	}
	functions, sentences, err := text.PairInput{Sources: text.Paths(os.Args[1])}.Lines()
	if err != nil {
		log.Fatal(err)
	}
	for _, b := range []struct {
		name string
		of   func(function string) string
	}{
		{"the first line", firstLine},
		{"all of the function", func(s string) string { return s }},
		{"the name", name},
	} {
		answers := make([]string, len(functions))
		same := 0
		for i, f := range functions {
			if answers[i] = b.of(f); answers[i] == sentences[i] {
				same++
			}
		}
		bleu, err := metric.Corpus(answers, sentences)
		if err != nil {
			log.Fatal(err)
		}
		rouge, err := metric.Overlap(answers, sentences)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %d of %d exactly\n  %v\n  %v\n", b.name, same, len(functions), bleu, rouge)
	}
}

// firstLine is what stands before the body.
func firstLine(function string) string {
	line, _, _ := strings.Cut(function, " {")
	return line
}

// name is the name of the function.
func name(function string) string {
	rest := strings.TrimPrefix(function, "func ")
	if strings.HasPrefix(rest, "(") { // of a method
		_, rest, _ = strings.Cut(rest, ") ")
	}
	return rest[:len(rest)-len(strings.TrimLeft(rest,
		"_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))]
}
