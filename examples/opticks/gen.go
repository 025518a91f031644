package opticks

//go:generate go run ../../cmd/gradsmith generate opticks.yaml
