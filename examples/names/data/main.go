// Command data writes the names of languages, scripts and regions in 34 languages, as golang.org/x/text has them from
// the Unicode CLDR, as pairs to learn from and to be asked about:
//
//	go run ./examples/names/data -out FOLDER
//
// It writes a file a language: FOLDER/train/de.tsv has lines such as "<de> Estonian", a tab, "Estnisch", and
// FOLDER/held/de.tsv those that are held out, chosen by a hash, so that they are the same ones everywhere. Of five
// languages hardly any pairs are left to learn from. FOLDER/texts has the names of train as text, for a tokenizer to
// be learnt from.
package main

import (
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// languages are learnt, the little ones from this many pairs each.
var (
	languages = strings.Fields("de nl sv da nb fr es it pt ro pl cs sk sl hr ru uk bg el tr fi hu et lv lt he ar fa " +
		"hi ja zh ko vi id")
	little = strings.Fields("nb pt sk uk et")
)

const few = 60

func main() {
	log.SetFlags(0)
	out := flag.String("out", "names", "write to the folder `DIR`")
	flag.Parse()
	learnt, held := 0, 0
	for _, l := range languages {
		learn, ask := split(l, pairs(l))
		if err := write(filepath.Join(*out, "train", l+".tsv"), learn); err != nil {
			log.Fatal(err)
		}
		if err := write(filepath.Join(*out, "held", l+".tsv"), ask); err != nil {
			log.Fatal(err)
		}
		if err := write(filepath.Join(*out, "texts", l+".txt"),
			strings.Split(strings.Join(learn, "\t"), "\t")); err != nil {
			log.Fatal(err)
		}
		learnt, held = learnt+len(learn), held+len(ask)
	}
	fmt.Printf("%d pairs to learn from and %d held out, of %d languages, %d of them with %d pairs to learn from\n",
		learnt, held, len(languages), len(little), few)
}

// pairs lists the lines of a language, without those of which one source has two answers.
func pairs(lang string) []string {
	english, own := namers(language.English), namers(language.MustParse(lang))
	answers := map[string]string{}
	add := func(kind int, code any) {
		from, to := english[kind](code), own[kind](code)
		if from == "" || to == "" {
			return
		}
		source := "<" + lang + "> " + from
		if old, ok := answers[source]; ok && old != to {
			to = ""
		}
		answers[source] = to
	}
	for _, b := range language.Supported.BaseLanguages() {
		add(0, b)
	}
	for _, s := range language.Supported.Scripts() {
		add(1, s)
	}
	for _, r := range language.Supported.Regions() {
		add(2, r)
	}
	var lines []string
	for source, answer := range answers {
		if answer != "" {
			lines = append(lines, source+"\t"+answer)
		}
	}
	return lines
}

// namers name languages, scripts and regions in a language.
func namers(in language.Tag) [3]func(code any) string {
	return [3]func(any) string{display.Languages(in).Name, display.Scripts(in).Name, display.Regions(in).Name}
}

// split keeps some lines back, and puts both parts in an order that a hash decides.
func split(lang string, lines []string) (learn, held []string) {
	hash := func(line string) uint64 {
		h := fnv.New64a()
		h.Write([]byte(line))
		x := h.Sum64()
		x ^= x >> 33 // the last letters hardly reach the high bits
		x *= 0xff51afd7ed558ccd
		return x ^ x>>33
	}
	slices.SortFunc(lines, func(a, b string) int {
		if x, y := hash(a), hash(b); x < y || x == y && a < b {
			return -1
		}
		return 1
	})
	share := 30 // so many of a thousand are held out
	if slices.Contains(little, lang) {
		share = 200
	}
	n := len(lines) * share / 1000
	learn, held = lines[n:], lines[:n]
	if slices.Contains(little, lang) {
		learn = learn[:min(few, len(learn))]
	}
	return learn, held
}

func write(path string, lines []string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o666)
}
