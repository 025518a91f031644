package captions

//go:generate go run ../../cmd/gradsmith generate captions.yaml
