package gocode

//go:generate go run ../../cmd/gradsmith generate gocode.yaml
