package spec

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

// The library has blocks and definitions in the language, for users to copy and change: among them what some layers of
// the language compute.
//
//go:embed library/*.yaml
var libraryFiles embed.FS

// Library lists the names of what the library has, in order, each with a sentence about it.
func Library() (names, docs []string) {
	files, err := libraryFiles.ReadDir("library")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".yaml")
		text, _ := LibraryText(name)
		line, _, _ := strings.Cut(text, "\n")
		names, docs = append(names, name), append(docs, strings.TrimPrefix(line, "# "))
	}
	return names, docs
}

// LibraryText is the part of a spec that the library has of that name: its key blocks or define.
func LibraryText(name string) (string, error) {
	text, err := libraryFiles.ReadFile(path.Join("library", name+".yaml"))
	if err != nil || strings.ContainsAny(name, "/\\") {
		names, _ := Library()
		return "", fmt.Errorf("the library has no %s%s; it has %s", quote(name), didYouMean(nearest(name, names)),
			strings.Join(names, ", "))
	}
	return string(text), nil
}
