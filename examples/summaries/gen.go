package summaries

//go:generate go run ../../cmd/gradsmith generate summaries.yaml
