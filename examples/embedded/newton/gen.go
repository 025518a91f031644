package newton

//go:generate go run ../../../cmd/gradsmith generate newton.yaml
