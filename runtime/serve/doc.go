// Package serve answers HTTP requests with trained models, in the form that programs for the API of OpenAI and for
// llama.cpp's server already speak: completions, chats, embeddings, streams, and what the other families of models
// make.
//
//	srv := serve.New(serve.Options{})
//	err := srv.Load(serve.Model{Program: poet.Program(), Model: m})
//	http.ListenAndServe("localhost:8080", srv)
//
// All texts of a model are written by one [batch.Batch]: the same seed and options give the same text, whatever else is
// asked for at the time, streamed or not. [Server.Run] serves with the limits that a server on a network needs.
//
// It must not know how a model computes or where it was loaded from. A program inherits net/http and the client of
// Prometheus only if it imports this package.
package serve
