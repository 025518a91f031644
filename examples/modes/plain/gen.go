package plain

//go:generate go run ../../../cmd/gradsmith generate plain.yaml
