package asked

//go:generate go run ../../../cmd/gradsmith generate asked.yaml
