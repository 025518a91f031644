package spec

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// cellFiles are the definitions of the library that recurrent layers of the language are, by kind and, of a gru, where
// its reset gate acts.
var cellFiles = map[string]string{"lstm": "lstm", "gru after": "gru", "gru before": "gru_before"}

// Cell is what a step of the layer computes, as the library defines it; nil of a layer whose step is one sum and one
// function, and of one by formula.
func (l *Recurrent) Cell() *Formula {
	file := cellFiles[strings.TrimSpace(l.Kind+" "+l.Reset)]
	if file == "" || l.Formula != nil {
		return nil
	}
	text, err := LibraryText(file)
	if err != nil {
		panic(err) // the file is in the binary
	}
	var library struct {
		Define map[string]struct {
			Sizes      map[string]string
			Parameters []string
			Formula    string
		}
	}
	if err := yaml.Unmarshal([]byte(text), &library); err != nil {
		panic(err)
	}
	for _, d := range library.Define {
		task := formulaTask{text: d.Formula, in: l.In, params: d.Parameters, sizes: map[string][]int{}}
		for name, size := range d.Sizes {
			n, err := strconv.Atoi(strings.ReplaceAll(size, "$units", strconv.Itoa(l.Units)))
			if err != nil {
				panic(err)
			}
			task.sizes[name] = []int{n}
		}
		f, wrong := parseFormula(task)
		if wrong != nil {
			panic(fmt.Sprintf("library %s: %s", file, wrong.msg))
		}
		return f
	}
	panic("library " + file + " defines nothing")
}
