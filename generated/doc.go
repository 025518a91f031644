// Package generated holds the models that are compiled from the specs beside them and checked in: as examples of
// generated code, as packages to import, and as what the benchmarks time.
package generated

//go:generate go run ../cmd/gradsmith generate rnn/rnn.yaml
//go:generate go run ../cmd/gradsmith generate lstm/lstm.yaml
//go:generate go run ../cmd/gradsmith generate gru/gru.yaml
//go:generate go run ../cmd/gradsmith generate gptnano/gptnano.yaml
//go:generate go run ../cmd/gradsmith generate gptbaby/gptbaby.yaml
//go:generate go run ../cmd/gradsmith generate transformer/transformer.yaml
//go:generate go run ../cmd/gradsmith generate translate/translate.yaml
//go:generate go run ../cmd/gradsmith generate bertmini/bertmini.yaml
//go:generate go run ../cmd/gradsmith generate gan/gan.yaml
//go:generate go run ../cmd/gradsmith generate seqgan/seqgan.yaml
//go:generate go run ../cmd/gradsmith generate seqgan/tokenwise/tokenwise.yaml
//go:generate go run ../cmd/gradsmith generate gumbelgan/gumbelgan.yaml
//go:generate go run ../cmd/gradsmith generate vae/vae.yaml
//go:generate go run ../cmd/gradsmith generate textvae/textvae.yaml
