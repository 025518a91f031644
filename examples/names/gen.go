package names

//go:generate go run ../../cmd/gradsmith generate names.yaml
