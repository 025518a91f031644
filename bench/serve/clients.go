package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/serve"
)

const key = "a-key-for-the-clients"

// clients asks every endpoint by both clients, of a server that wants a key.
func clients(ctx context.Context, _ []string) error {
	dir, err := os.MkdirTemp("", "clients-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keys")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		return err
	}
	keys, err := serve.LoadKeys(path)
	if err != nil {
		return err
	}
	models := []serve.Model{fresh(rnn.Program()), fresh(translate.Program()), fresh(bertmini.Program()),
		fresh(textvae.Program()), fresh(vae.Program()), fresh(gan.Program())}
	return served(ctx, serve.Options{Keys: keys}, models, func(url string) error {
		t := &tries{ctx: ctx, client: openai.NewClient(option.WithBaseURL(url+"/v1/"), option.WithAPIKey(key),
			option.WithMaxRetries(0))}
		t.all(url)
		fmt.Printf("openai-go: %d checks, %d faults\n", t.n, len(t.faults))
		return errors.Join(errors.Join(t.faults...), node(ctx, "client.mjs", []string{url, key}, nil))
	})
}

// tries are checks by openai-go.
type tries struct {
	ctx    context.Context
	client openai.Client
	n      int
	faults []error
}

func (t *tries) check(what string, err error, fine bool, got any) bool {
	t.n++
	if err != nil || !fine {
		t.faults = append(t.faults, fmt.Errorf("openai-go: %s: %v, %v", what, err, got))
		return false
	}
	return true
}

func (t *tries) all(url string) {
	t.models()
	t.completions()
	t.chats()
	t.embeddings()
	t.others(url)
	t.errors(url)
}

func (t *tries) models() {
	page, err := t.client.Models.List(t.ctx)
	t.check("models", err, err == nil && len(page.Data) == 6 && page.Data[0].ID == "rnn", page)
	m, err := t.client.Models.Get(t.ctx, "translate")
	t.check("a model", err, err == nil && m.ID == "translate" && m.Object == "model", m)
}

func (t *tries) completions() {
	p := openai.CompletionNewParams{
		Model: "rnn", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("It was")},
		MaxTokens: openai.Int(30), Seed: openai.Int(3), Logprobs: openai.Int(2), N: openai.Int(2),
		Temperature: openai.Float(0.9), TopP: openai.Float(0.9), PresencePenalty: openai.Float(0.1),
		FrequencyPenalty: openai.Float(0.1), LogitBias: map[string]int64{"5": -100}, User: openai.String("me"),
		Stop: openai.CompletionNewParamsStopUnion{OfStringArray: []string{"~~~"}},
	}
	whole, err := t.client.Completions.New(t.ctx, p)
	if !t.check("completion", err, err == nil && len(whole.Choices) == 2 && whole.Choices[0].FinishReason == "length" &&
		len(whole.Choices[1].Logprobs.Tokens) == 30 && whole.Usage.CompletionTokens == 60, whole) {
		return
	}
	p.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	var texts [2]strings.Builder
	var used int64
	s := t.client.Completions.NewStreaming(t.ctx, p)
	for s.Next() {
		x := s.Current()
		for _, c := range x.Choices {
			texts[c.Index].WriteString(c.Text)
		}
		used = max(used, x.Usage.CompletionTokens)
	}
	t.check("streamed completion", s.Err(), texts[0].String() == whole.Choices[0].Text &&
		texts[1].String() == whole.Choices[1].Text && used == 60, texts)
	p = openai.CompletionNewParams{Model: "rnn", MaxTokens: openai.Int(3), Echo: openai.Bool(true),
		BestOf: openai.Int(3), Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"It", "So"}}}
	many, err := t.client.Completions.New(t.ctx, p)
	t.check("several prompts", err, err == nil && len(many.Choices) == 2 &&
		strings.HasPrefix(many.Choices[1].Text, "So"), many)
}

func (t *tries) chats() {
	p := openai.ChatCompletionNewParams{
		Model: "rnn", Seed: openai.Int(5), MaxCompletionTokens: openai.Int(20), Logprobs: openai.Bool(true),
		TopLogprobs: openai.Int(3), N: openai.Int(2), User: openai.String("me"), Store: openai.Bool(false),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."),
			openai.DeveloperMessage("Be kind."), openai.UserMessage("Hello"), openai.AssistantMessage("Hi"),
			openai.UserMessage("How are you?")},
		PromptCacheKey: openai.String("k"), SafetyIdentifier: openai.String("s"),
	}
	whole, err := t.client.Chat.Completions.New(t.ctx, p)
	if !t.check("chat", err, err == nil && len(whole.Choices) == 2 && whole.Choices[0].Message.Role == "assistant" &&
		whole.Choices[0].FinishReason != "" && len(whole.Choices[0].Logprobs.Content[0].TopLogprobs) == 3, whole) {
		return
	}
	p.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	s := t.client.Chat.Completions.NewStreaming(t.ctx, p)
	gathered := openai.ChatCompletionAccumulator{}
	for s.Next() {
		gathered.AddChunk(s.Current())
	}
	t.check("streamed chat", s.Err(), len(gathered.Choices) == 2 &&
		gathered.Choices[0].Message.Content == whole.Choices[0].Message.Content &&
		gathered.Choices[1].Message.Content == whole.Choices[1].Message.Content &&
		gathered.Usage.CompletionTokens == whole.Usage.CompletionTokens, gathered.Choices)
	format := openai.ChatCompletionNewParamsResponseFormatUnion{
		OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: "answer", Strict: openai.Bool(true), Schema: map[string]any{"type": "object",
				"properties": map[string]any{"yes": map[string]any{"type": "boolean"}}, "required": []string{"yes"},
				"additionalProperties": false},
		}},
	}
	kept, err := t.client.Chat.Completions.New(t.ctx, openai.ChatCompletionNewParams{
		Model: "rnn", ResponseFormat: format,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Well?")},
	})
	t.check("chat with a schema", err, err == nil && (kept.Choices[0].Message.Content == `{"yes": true}` ||
		kept.Choices[0].Message.Content == `{"yes": false}`), kept)
}

func (t *tries) embeddings() {
	for _, m := range []string{"rnn", "bertmini"} {
		x, err := t.client.Embeddings.New(t.ctx, openai.EmbeddingNewParams{Model: m,
			Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"so it was", "or not"}}})
		t.check("embeddings of "+m, err, err == nil && len(x.Data) == 2 && len(x.Data[1].Embedding) > 8, x)
	}
	x, err := t.client.Embeddings.New(t.ctx, openai.EmbeddingNewParams{Model: "textvae",
		Input:          openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a man in a hat")},
		EncodingFormat: openai.EmbeddingNewParamsEncodingFormatFloat})
	t.check("embeddings of textvae", err, err == nil && len(x.Data) == 1, x)
}

// others are the endpoints that the API of OpenAI does not have, by its client all the same.
func (t *tries) others(url string) {
	width := make([]float64, textvae.Program().Info.Latent.Width)
	small := make([]float64, vae.Program().Info.Latent.Width)
	mask := bertmini.Tokenizer.Piece(bertmini.Program().Info.Masking.Token)
	for _, c := range []struct {
		path, member string
		body         map[string]any
	}{
		{"/v1/translate", "data", map[string]any{"model": "translate", "input": "ein", "beam": 2, "alignment": true}},
		{"/v1/fill", "blanks", map[string]any{"model": "bertmini", "input": "so " + mask}},
		{"/v1/latent/encode", "latent", map[string]any{"model": "textvae", "input": "a man"}},
		{"/v1/latent/decode", "texts", map[string]any{"model": "textvae", "latent": [][]float64{width}}},
		{"/v1/latent/decode", "vectors", map[string]any{"model": "vae", "latent": [][]float64{small}}},
		{"/v1/latent/interpolate", "texts", map[string]any{"model": "textvae", "input": []string{"a man", "a dog"}}},
		{"/v1/images", "data", map[string]any{"model": "gan", "n": 2, "seed": 1}},
		{"/tokenize", "tokens", map[string]any{"model": "rnn", "content": "It was"}},
		{"/detokenize", "content", map[string]any{"model": "rnn", "tokens": []int{1, 2}}},
	} {
		var x map[string]any
		err := t.client.Post(t.ctx, c.path[1:], c.body, &x, option.WithBaseURL(url+"/"))
		t.check(c.path, err, x[c.member] != nil, x)
		if c.path == "/v1/images" && err == nil {
			b64, _ := x["data"].([]any)[0].(map[string]any)["b64_json"].(string)
			png, err := base64.StdEncoding.DecodeString(b64)
			t.check("a picture", err, strings.HasPrefix(string(png), "\x89PNG"), len(png))
		}
	}
	for _, path := range []string{"/health", "/openapi.json"} {
		var x map[string]any
		err := t.client.Get(t.ctx, path[1:], nil, &x, option.WithBaseURL(url+"/"))
		t.check(path, err, len(x) > 0, x)
	}
}

// errors are of the client's own type, with the status and the member.
func (t *tries) errors(url string) {
	wrong := func(what string, err error, status int, member string) {
		var e *openai.Error
		t.check(what, nil, errors.As(err, &e) && e.StatusCode == status && e.Message != "" && e.Param == member, err)
	}
	p := openai.CompletionNewParams{Model: "other",
		Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("a")}}
	_, err := t.client.Completions.New(t.ctx, p)
	wrong("an unknown model", err, 404, "model")
	p.Model, p.N = "rnn", param.NewOpt[int64](100000)
	_, err = t.client.Completions.New(t.ctx, p)
	wrong("too many choices", err, 400, "n")
	s := t.client.Completions.NewStreaming(t.ctx, p)
	for s.Next() {
	}
	wrong("too many choices, streamed", s.Err(), 400, "n")
	stranger := openai.NewClient(option.WithBaseURL(url+"/v1/"), option.WithAPIKey("wrong"), option.WithMaxRetries(0))
	_, err = stranger.Models.List(t.ctx)
	wrong("a wrong key", err, 401, "")
}
