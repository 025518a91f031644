package calm

//go:generate go run ../../../cmd/gradsmith generate calm.yaml
