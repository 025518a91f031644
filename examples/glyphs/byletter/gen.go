package byletter

//go:generate go run ../../../cmd/gradsmith generate byletter.yaml
