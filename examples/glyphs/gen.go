package glyphs

//go:generate go run ../../cmd/gradsmith generate glyphs.yaml
