package serve

import (
	"container/list"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// drawing are the members that say how texts are drawn, of completions and chats alike. Those from TopK on are
// extensions that users of llama.cpp know.
type drawing struct {
	Model         string             `json:"model"`
	Stream        bool               `json:"stream"`
	StreamOptions *streamOptions     `json:"stream_options"`
	N             *int               `json:"n"`
	Stop          texts              `json:"stop"`
	Seed          *int64             `json:"seed"`
	Temperature   *float64           `json:"temperature"`
	TopP          *float64           `json:"top_p"`
	Presence      *float64           `json:"presence_penalty"`
	Frequency     *float64           `json:"frequency_penalty"`
	LogitBias     map[string]float64 `json:"logit_bias"`
	Format        *format            `json:"response_format"`

	TopK       *int     `json:"top_k"`
	MinP       *float64 `json:"min_p"`
	Typical    *float64 `json:"typical_p"`
	Repetition *float64 `json:"repeat_penalty"`
	Window     *int     `json:"repeat_last_n"`
	Mirostat   *int     `json:"mirostat"`
	Tau        *float64 `json:"mirostat_tau"`
	Eta        *float64 `json:"mirostat_eta"`
	Grammar    string   `json:"grammar"`
	MinTokens  *int     `json:"min_tokens"`
	NProbs     *int     `json:"n_probs"`

	// What needs no answer here: prompts always share what was read, and nothing is stored.
	CachePrompt    *bool           `json:"cache_prompt"`
	User           string          `json:"user"`
	Store          *bool           `json:"store"`
	Metadata       json.RawMessage `json:"metadata"`
	ServiceTier    string          `json:"service_tier"`
	PromptCacheKey string          `json:"prompt_cache_key"`
	SafetyID       string          `json:"safety_identifier"`
}

type streamOptions struct {
	Usage       bool  `json:"include_usage"`
	Obfuscation *bool `json:"include_obfuscation"`
}

// format is the language that an answer is kept to.
type format struct {
	Type   string `json:"type"`
	Schema *struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"schema"`
		Strict      *bool           `json:"strict"`
	} `json:"json_schema"`
	Bare json.RawMessage `json:"schema"` // as llama.cpp's server takes it
}

// texts is a string or several.
type texts []string

// UnmarshalJSON reads a string, an array of strings, or null.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		if *t = nil; string(b) != "null" {
			*t = texts{one}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// Bounds of what a request may ask for.
const (
	mostStops    = 16
	mostLogProbs = 20
)

// choices is n, the number of texts for each prompt.
func (d *drawing) choices(s *Server) (int, error) {
	n := 1
	if d.N != nil {
		n = *d.N
	}
	if n < 1 || n > s.options.MaxChoices {
		return 0, wrong("n", "n is %d: give 1 to %d", n, s.options.MaxChoices)
	}
	return n, nil
}

// sampling makes options of the members. The seed is the given one or another each time, and is told.
func (d *drawing) sampling(s *Server, m *served, logProbs int) (opts []sample.Option, seed uint64, err error) {
	if d.Seed != nil {
		seed = uint64(*d.Seed)
	} else {
		seed = rand.Uint64()
	}
	if len(d.Stop) > mostStops {
		return nil, 0, wrong("stop", "%d stop strings: give %d at the most", len(d.Stop), mostStops)
	}
	opts = append(opts, sample.Stop(d.Stop...))
	if d.StreamOptions != nil && !d.Stream {
		return nil, 0, wrong("stream_options", "stream_options are for streams: set stream too")
	}
	add := func(param string, o sample.Option) {
		if err != nil {
			return
		}
		if _, fault := sample.NewSampler(1, o); fault != nil {
			err = wrong(param, "%s: %v", param, fault)
			return
		}
		opts = append(opts, o)
	}
	number := func(param string, x *float64, make func(float64) sample.Option) {
		if x != nil {
			add(param, make(*x))
		}
	}
	count := func(param string, x *int, make func(int) sample.Option) {
		if x != nil {
			add(param, make(*x))
		}
	}
	number("temperature", d.Temperature, sample.Temperature)
	number("top_p", d.TopP, sample.TopP)
	number("presence_penalty", d.Presence, sample.PresencePenalty)
	number("frequency_penalty", d.Frequency, sample.FrequencyPenalty)
	count("top_k", d.TopK, sample.TopK)
	number("min_p", d.MinP, sample.MinP)
	number("typical_p", d.Typical, sample.Typical)
	number("repeat_penalty", d.Repetition, sample.RepetitionPenalty)
	count("repeat_last_n", d.Window, sample.PenaltyWindow)
	count("min_tokens", d.MinTokens, sample.MinTokens)
	if err != nil {
		return nil, 0, err
	}
	if d.Mirostat != nil && *d.Mirostat != 0 {
		tau, eta := 5.0, sample.DefaultMirostatRate
		if d.Tau != nil {
			tau = *d.Tau
		}
		if d.Eta != nil {
			eta = *d.Eta
		}
		if *d.Mirostat != 2 {
			return nil, 0, wrong("mirostat", "mirostat %d: give 2, its second algorithm, or 0", *d.Mirostat)
		}
		add("mirostat_tau", sample.Mirostat(tau, eta))
	}
	for key, bias := range d.LogitBias {
		token, fault := strconv.ParseInt(key, 10, 32)
		if fault != nil || token < 0 || int(token) >= m.info.Vocab {
			return nil, 0, wrong("logit_bias", "logit_bias of %q: tokens are the numbers 0 to %d, see /tokenize", key,
				m.info.Vocab-1)
		}
		if !(math.Abs(bias) <= 100) {
			return nil, 0, wrong("logit_bias", "logit_bias %v of token %d: give -100, which bans it, to 100", bias,
				token)
		}
		if bias == -100 {
			bias = math.Inf(-1)
		}
		opts = append(opts, sample.LogitBias(int32(token), bias))
	}
	if logProbs > mostLogProbs || logProbs < -1 {
		return nil, 0, wrong("logprobs", "the %d likeliest tokens of each: give 0 to %d", logProbs, mostLogProbs)
	}
	if logProbs >= 0 {
		opts = append(opts, sample.LogProbs(logProbs))
	}
	c, fault := d.constraint(m)
	if fault != nil {
		return nil, 0, fault
	}
	if c != nil {
		opts = append(opts, sample.Constrain(c))
	}
	return opts, seed, err
}

// constraint compiles the language that is asked for; nil for none.
func (d *drawing) constraint(m *served) (*constrain.Constraint, error) {
	schema, param := []byte(nil), "response_format"
	if f := d.Format; f != nil {
		switch f.Type {
		case "text":
		case "json_object":
			if schema = []byte(`{"type":"object"}`); len(f.Bare) > 0 {
				schema = f.Bare
			}
		case "json_schema":
			switch {
			case f.Schema != nil && len(f.Schema.Schema) > 0:
				schema = f.Schema.Schema
			case len(f.Bare) > 0:
				schema = f.Bare
			default:
				return nil, wrong(param, "response_format json_schema has no json_schema.schema")
			}
		default:
			return nil, wrong(param, "response_format %q: give text, json_object or json_schema", f.Type)
		}
	}
	switch {
	case schema != nil && d.Grammar != "":
		return nil, wrong("grammar", "an answer is kept to a grammar or a schema, not both")
	case schema == nil && d.Grammar == "":
		return nil, nil
	}
	make := func() (*constrain.Language, error) { return constrain.JSONSchema(schema, constrain.SingleSpacing) }
	kind := "json_schema"
	if d.Grammar != "" {
		kind, schema, param = "grammar", []byte(d.Grammar), "grammar"
		make = func() (*constrain.Language, error) { return constrain.Grammar(d.Grammar) }
	}
	c, err := m.constraints.get(sha256.Sum256(append([]byte(kind+"\n"), schema...)),
		func() (*constrain.Constraint, error) {
			l, err := make()
			if err != nil {
				return nil, err
			}
			return l.Compile(m.vocabulary())
		})
	if err != nil {
		return nil, wrong(param, "%s cannot be compiled: %v", param, err)
	}
	return c, nil
}

// constraints are the last ones that were compiled: whoever uses one again finds its masks.
type constraints struct {
	mu    sync.Mutex
	order list.List // of digests; the last one used is in front
	found map[[32]byte]*compiled
}

type compiled struct {
	at   *list.Element
	once func() (*constrain.Constraint, error)
}

const mostConstraints = 32

func (c *constraints) get(digest [32]byte, make func() (*constrain.Constraint, error)) (*constrain.Constraint, error) {
	c.mu.Lock()
	x := c.found[digest]
	if x == nil {
		if c.found == nil {
			c.found = map[[32]byte]*compiled{}
		}
		x = &compiled{c.order.PushFront(digest), sync.OnceValues(make)}
		c.found[digest] = x
		if c.order.Len() > mostConstraints {
			delete(c.found, c.order.Remove(c.order.Back()).([32]byte))
		}
	}
	c.order.MoveToFront(x.at)
	c.mu.Unlock()
	return x.once()
}

// prompts reads a prompt: a text, several, tokens, or several of those.
func prompts(m *served, raw json.RawMessage) ([][]int32, []string, error) {
	tok := m.Program.Tokenizer
	var one string
	var many []string
	var tokens []int32
	var lists [][]int32
	switch {
	case len(raw) == 0 || string(raw) == "null":
		many = []string{""}
	case json.Unmarshal(raw, &one) == nil:
		many = []string{one}
	case json.Unmarshal(raw, &many) == nil && len(many) > 0:
	case json.Unmarshal(raw, &tokens) == nil && len(tokens) > 0:
		lists, many = [][]int32{tokens}, nil
	case json.Unmarshal(raw, &lists) == nil && len(lists) > 0:
		many = nil
	default:
		return nil, nil, wrong("prompt",
			"prompt must be a text, an array of texts, an array of tokens, or an array of those")
	}
	for i, s := range many {
		t, err := sample.Prompt(tok, s)
		if err != nil {
			return nil, nil, wrong("prompt", "prompt %d: %v", i, err)
		}
		lists = append(lists, t)
	}
	for i, l := range lists {
		if len(l) == 0 {
			return nil, nil, wrong("prompt", "prompt %d has no tokens", i)
		}
		for _, t := range l {
			if t < 0 || int(t) >= m.info.Vocab {
				return nil, nil, wrong("prompt", "token %d of prompt %d is not one of 0 to %d", t, i, m.info.Vocab-1)
			}
		}
		if len(many) <= i {
			many = append(many, tok.Decode(l))
		}
		if err := m.fits(l); err != nil {
			return nil, nil, err
		}
	}
	return lists, many, nil
}

// fits reports a prompt that leaves no room for an answer.
func (m *served) fits(prompt []int32) error {
	if w := m.batch.Window(); w > 0 && len(prompt) >= w {
		return wrong("prompt", "the prompt has %d tokens, the model sees %d with an answer of one or more: shorten it",
			len(prompt), w).named("context_length_exceeded")
	}
	return nil
}

// limit is how many tokens an answer has at the most.
func (s *Server) limit(param string, asked *int, otherwise int) (int, error) {
	n := min(otherwise, s.options.MaxTokens)
	if asked != nil {
		n = *asked
	}
	if n < 0 || n > s.options.MaxTokens {
		return 0, wrong(param, "%s is %d: give 0 to %d", param, n, s.options.MaxTokens)
	}
	return n, nil
}

// check is for requests to models that do not go on with prompts.
func (m *served) completes() error {
	if m.batch == nil {
		return wrong("model", "%s does not go on with texts: %s", m.info.Name, m.does())
	}
	return nil
}

// does says in words what can be asked of the model.
func (m *served) does() string {
	return fmt.Sprintf("it answers %v", m.paths())
}
