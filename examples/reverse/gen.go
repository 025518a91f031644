package reverse

//go:generate go run ../../cmd/gradsmith generate reverse.yaml
