package letters

//go:generate go run ../../cmd/gradsmith generate letters.yaml
