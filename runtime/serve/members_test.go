package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// Each member that shapes a text does what the option of package sample does, and nothing else.
func TestMembers(t *testing.T) {
	m := modelOf(rnn.Program())
	b := newBench(t, Options{}, m)
	vocabulary := constrain.NewVocabulary(rnn.Tokenizer)
	kept := func(l *constrain.Language, err error) sample.Option {
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Compile(vocabulary)
		if err != nil {
			t.Fatal(err)
		}
		return sample.Constrain(c)
	}
	const schema = `{"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"],"additionalProperties":false}`
	of := func(s string) sample.Option { return kept(constrain.JSONSchema([]byte(s), constrain.SingleSpacing)) }
	token := func(s string) int32 {
		x, err := rnn.Tokenizer.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		return x[0]
	}
	e := token("e")
	plain := alone(t, m, "It was", 11, 60)
	stop := plain[30:32]
	quoted := "[" + quote(stop) + `,"~~"]`
	for _, c := range []struct {
		members string
		opts    []sample.Option
	}{
		{``, nil},
		{`,"temperature":0`, []sample.Option{sample.Temperature(0)}},
		{`,"temperature":1.5`, []sample.Option{sample.Temperature(1.5)}},
		{`,"top_p":0.5`, []sample.Option{sample.TopP(0.5)}},
		{`,"top_k":3`, []sample.Option{sample.TopK(3)}},
		{`,"min_p":0.9`, []sample.Option{sample.MinP(0.9)}},
		{`,"typical_p":0.2`, []sample.Option{sample.Typical(0.2)}},
		{`,"presence_penalty":1.5`, []sample.Option{sample.PresencePenalty(1.5)}},
		{`,"frequency_penalty":2`, []sample.Option{sample.FrequencyPenalty(2)}},
		{`,"repeat_penalty":3`, []sample.Option{sample.RepetitionPenalty(3)}},
		{`,"repeat_penalty":3,"repeat_last_n":2`,
			[]sample.Option{sample.RepetitionPenalty(3), sample.PenaltyWindow(2)}},
		{`,"mirostat":2`, []sample.Option{sample.Mirostat(5, sample.DefaultMirostatRate)}},
		{`,"mirostat":2,"mirostat_tau":2,"mirostat_eta":0.5`, []sample.Option{sample.Mirostat(2, 0.5)}},
		{`,"mirostat":0,"mirostat_tau":2`, nil},
		{fmt.Sprintf(`,"logit_bias":{"%d":100}`, e), []sample.Option{sample.LogitBias(e, 100)}},
		{fmt.Sprintf(`,"logit_bias":{"%d":-100}`, e), []sample.Option{sample.LogitBias(e, math.Inf(-1))}},
		{`,"stop":` + quote(stop), []sample.Option{sample.Stop(stop)}},
		{`,"stop":` + quoted + `,"min_tokens":20`, []sample.Option{sample.Stop(stop, "~~"), sample.MinTokens(20)}},
		{`,"grammar":"root ::= [a-f]+ \"!\""`, []sample.Option{kept(constrain.Grammar("root ::= [a-f]+ \"!\""))}},
		{`,"response_format":{"type":"text"}`, nil},
		{`,"response_format":{"type":"json_object"}`, []sample.Option{of(`{"type":"object"}`)}},
		{`,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":` + schema + `}}`,
			[]sample.Option{of(schema)}},
		{`,"response_format":{"type":"json_object","schema":` + schema + `}`, []sample.Option{of(schema)}},
		{`,"cache_prompt":true,"user":"u","store":false,"metadata":{"a":"b"},"service_tier":"auto","suffix":""`, nil},
		{`,"cache_prompt":false`, nil},
	} {
		var want strings.Builder
		opts := append(c.opts, sample.Seed(11), sample.MaxTokens(60))
		for s, err := range sample.Generate(context.Background(), m.Model.(model.Writer).MakeDecoder(1), rnn.Tokenizer,
			"It was", opts...) {
			if err != nil {
				t.Fatal(err)
			}
			want.WriteString(s)
		}
		status, x := b.post("/v1/completions", `{"prompt":"It was","seed":11,"max_tokens":60`+c.members+`}`)
		got, _ := at(x, "choices.0.text").(string)
		if status != 200 || got != want.String() || at(x, "choices.0.finish_reason") == nil {
			t.Errorf("%s: %d, %q, want %q", c.members, status, got, want.String())
		}
		if len(c.opts) > 0 && got == plain {
			t.Errorf("%s changes nothing", c.members)
		}
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// Choice i of a request is the text of its seed + i, and the best of several are those of the highest mean
// log-probability.
func TestChoices(t *testing.T) {
	b := newBench(t, Options{}, modelOf(rnn.Program()))
	type text struct {
		s    string
		mean float64
	}
	var alone []text
	for i := range 5 {
		_, x := b.post("/v1/completions", fmt.Sprintf(`{"prompt":"It","seed":%d,"max_tokens":20,"logprobs":0}`, 3+i))
		sum := 0.0
		all := at(x, "choices.0.logprobs.token_logprobs").([]any)
		for _, p := range all {
			sum += p.(float64)
		}
		alone = append(alone, text{at(x, "choices.0.text").(string), sum / float64(len(all))})
	}
	_, x := b.post("/v1/completions", `{"prompt":"It","seed":3,"max_tokens":20,"n":5}`)
	streamed := make([]string, 5)
	for _, e := range b.stream("/v1/completions", `{"prompt":"It","seed":3,"max_tokens":20,"n":5,"stream":true}`) {
		streamed[int(at(e, "choices.0.index").(float64))] += at(e, "choices.0.text").(string)
	}
	for i, want := range alone {
		if got := at(x, fmt.Sprintf("choices.%d.text", i)); got != want.s || streamed[i] != want.s ||
			at(x, fmt.Sprintf("choices.%d.index", i)) != float64(i) {
			t.Errorf("choice %d is %q, streamed %q, alone %q", i, got, streamed[i], want.s)
		}
	}
	if at(x, "usage.completion_tokens") != 100.0 || at(x, "usage.prompt_tokens") != 2.0 {
		t.Errorf("usage: %v", at(x, "usage"))
	}
	slices.SortStableFunc(alone, func(a, b text) int {
		if a.mean > b.mean {
			return -1
		}
		return 1
	})
	_, x = b.post("/v1/completions", `{"prompt":"It","seed":3,"max_tokens":20,"n":2,"best_of":5}`)
	for i := range 2 {
		if got := at(x, fmt.Sprintf("choices.%d.text", i)); got != alone[i].s {
			t.Errorf("best %d is %q, want %q", i, got, alone[i].s)
		}
	}
	// Several prompts: choices of one stand behind those of the other.
	_, x = b.post("/v1/completions", `{"prompt":["It","So"],"seed":3,"max_tokens":5,"n":2,"echo":true}`)
	for i, prefix := range []string{"It", "It", "So", "So"} {
		if s, _ := at(x, fmt.Sprintf("choices.%d.text", i)).(string); !strings.HasPrefix(s, prefix) {
			t.Errorf("choice %d of two prompts is %q", i, s)
		}
	}
	// Tokens are a prompt too.
	tokens, err := rnn.Tokenizer.Encode("It")
	if err != nil {
		t.Fatal(err)
	}
	list, _ := json.Marshal(tokens)
	for _, prompt := range []string{string(list), "[" + string(list) + "]", `["It"]`} {
		_, x = b.post("/v1/completions", `{"prompt":`+prompt+`,"seed":3,"max_tokens":20}`)
		_, y := b.post("/v1/completions", `{"prompt":"It","seed":3,"max_tokens":20}`)
		if at(x, "choices.0.text") != at(y, "choices.0.text") {
			t.Errorf("prompt %s: %v", prompt, x)
		}
	}
}

// Log-probabilities are those of the model whatever shapes the text, of the tokens of an echo too, and n_probs asks for
// them as logprobs does.
func TestLogProbs(t *testing.T) {
	m := modelOf(rnn.Program())
	b := newBench(t, Options{}, m)
	_, x := b.post("/v1/completions",
		`{"prompt":"It was","seed":5,"max_tokens":20,"logprobs":4,"echo":true,"temperature":0.3,"top_k":2}`)
	text := at(x, "choices.0.text").(string)
	tokens, err := rnn.Tokenizer.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	i := 1
	for s, err := range sample.ScoreTokens(context.Background(), m.Model.(model.Writer).MakeDecoder(1), rnn.Tokenizer,
		tokens, 4) {
		if err != nil {
			t.Fatal(err)
		}
		got, _ := at(x, fmt.Sprintf("choices.0.logprobs.token_logprobs.%d", i)).(float64)
		top, _ := at(x, fmt.Sprintf("choices.0.logprobs.top_logprobs.%d", i)).(map[string]any)
		if math.Abs(got-s.LogProb) > 1e-4 || len(top) != 4 ||
			math.Abs(top[s.Best[0].Piece].(float64)-s.Best[0].LogProb) > 1e-4 {
			t.Fatalf("token %d: %v and %v, alone %v and %v", i, got, top, s.LogProb, s.Best)
		}
		i++
	}
	_, y := b.post("/v1/completions", `{"prompt":"It was","seed":5,"max_tokens":20,"n_probs":4}`)
	_, z := b.post("/v1/completions", `{"prompt":"It was","seed":5,"max_tokens":20,"logprobs":4}`)
	if got, want := fmt.Sprint(at(y, "choices.0.logprobs")), fmt.Sprint(at(z, "choices.0.logprobs")); got != want {
		t.Errorf("n_probs: %s, logprobs: %s", got, want)
	}
	_, x = b.post("/v1/chat/completions",
		`{"messages":[{"role":"user","content":"a"}],"max_tokens":5,"seed":1,"logprobs":true,"top_logprobs":3}`)
	for i := range 5 {
		c := at(x, fmt.Sprintf("choices.0.logprobs.content.%d", i))
		top, _ := at(c, "top_logprobs").([]any)
		if len(top) != 3 || at(top[0], "logprob").(float64) < at(top[2], "logprob").(float64) || at(c, "token") == nil {
			t.Errorf("token %d of a chat: %v", i, c)
		}
	}
}

// A stream tells its usage in an event of its own where that is asked for, and nowhere else.
func TestStreamOptions(t *testing.T) {
	b := newBench(t, Options{}, modelOf(rnn.Program()))
	for _, c := range []struct{ path, body string }{
		{"/v1/completions", `{"prompt":"It","max_tokens":7,"stream":true`},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"max_tokens":7,"stream":true`},
	} {
		events := b.stream(c.path, c.body+`,"stream_options":{"include_usage":true,"include_obfuscation":false}}`)
		for i, e := range events {
			last := i == len(events)-1
			if told := at(e, "usage") != nil; told != last || (len(at(e, "choices").([]any)) == 0) != last {
				t.Errorf("%s: event %d of %d: %v", c.path, i, len(events), e)
			}
		}
		if at(events[len(events)-1], "usage.completion_tokens") != 7.0 {
			t.Errorf("%s: %v", c.path, events[len(events)-1])
		}
		for _, e := range b.stream(c.path, c.body+`}`) {
			if at(e, "usage") != nil {
				t.Errorf("%s: usage that nobody asked for: %v", c.path, e)
			}
		}
		whole := strings.Replace(c.body, "true", "false", 1)
		status, x := b.post(c.path, whole+`,"stream_options":{"include_usage":true}}`)
		if status != 400 || at(x, "error.param") != "stream_options" {
			t.Errorf("%s: options of a stream without one: %d, %v", c.path, status, x)
		}
	}
}

// What was read of a prompt is not read again for another request.
func TestPromptsAreShared(t *testing.T) {
	b := newBench(t, Options{}, modelOf(rnn.Program()))
	prompt := strings.Repeat("It was so. ", 20)
	var texts []any
	for range 3 {
		_, x := b.post("/v1/completions", `{"prompt":"`+prompt+`","max_tokens":9,"seed":1,"cache_prompt":true}`)
		texts = append(texts, at(x, "choices.0.text"))
	}
	if texts[0] != texts[1] || texts[1] != texts[2] {
		t.Errorf("the texts differ: %q", texts)
	}
	if s := b.now.models[0].batch.Stats(); s.SharedTokens < int64(len(prompt)) {
		t.Errorf("%d of %d tokens were shared", s.SharedTokens, s.PromptTokens)
	}
}

// Embeddings are the same in both encodings, of every kind of model that has them.
func TestEmbeddings(t *testing.T) {
	b := newBench(t, Options{}, modelOf(rnn.Program()), modelOf(bertmini.Program()))
	for _, name := range []string{"rnn", "bertmini"} {
		_, x := b.post("/v1/embeddings", `{"model":"`+name+`","input":["so it was","or not"]}`)
		_, y := b.post("/v1/embeddings", `{"model":"`+name+`","input":"or not","encoding_format":"base64"}`)
		raw, err := base64.StdEncoding.DecodeString(at(y, "data.0.embedding").(string))
		if err != nil {
			t.Fatal(err)
		}
		floats := at(x, "data.1.embedding").([]any)
		sum := 0.0
		for i, v := range floats {
			got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if float32(v.(float64)) != got {
				t.Fatalf("%s: number %d is %v and %v", name, i, v, got)
			}
			sum += float64(got) * float64(got)
		}
		if math.Abs(sum-1) > 1e-5 || len(raw) != 4*len(floats) {
			t.Errorf("%s: %d numbers of length %v", name, len(floats), math.Sqrt(sum))
		}
	}
	for body, param := range map[string]string{
		`{"input":""}`: "input", `{"input":[]}`: "input", `{"input":"a","dimensions":3}`: "dimensions",
		`{"input":"a","encoding_format":"hex"}`: "encoding_format", `{"input":"é"}`: "input",
		`{"model":"bertmini","input":"` + strings.Repeat("so it was ", 200) + `"}`: "input",
	} {
		if status, x := b.post("/v1/embeddings", body); status != 400 || at(x, "error.param") != param {
			t.Errorf("%.60s: %d, %v", body, status, x)
		}
	}
}

// The description lists every path with the members that its body may have, and keys where they are needed.
func TestOpenAPI(t *testing.T) {
	b := newBench(t, Options{}, modelOf(rnn.Program()))
	r, err := http.Get(b.url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var x map[string]any
	if err := json.Unmarshal(text, &x); err != nil {
		t.Fatal(err)
	}
	for _, route := range b.table() {
		method, path, _ := strings.Cut(route.pattern, " ")
		op, _ := x["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)
		if op == nil || (route.body != nil) != (op["requestBody"] != nil) {
			t.Errorf("%s: %v", route.pattern, op)
		}
	}
	for _, member := range []string{"mirostat_tau", "stream_options", "top_logprobs", "alignment", "logit_bias"} {
		if !bytes.Contains(text, []byte(`"`+member+`"`)) {
			t.Errorf("the description has no member %s", member)
		}
	}
}
