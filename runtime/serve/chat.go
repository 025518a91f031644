package serve

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gradsmith/gradsmith/runtime/sample"
)

// chatRequest is the body of /v1/chat/completions.
type chatRequest struct {
	drawing
	Messages      []message `json:"messages"`
	MaxTokens     *int      `json:"max_tokens"`
	MaxCompletion *int      `json:"max_completion_tokens"`
	LogProbs      *bool     `json:"logprobs"`
	TopLogProbs   *int      `json:"top_logprobs"`
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
	Name    string          `json:"name"`

	whole bool // not of a client: written as it is, with the blanks at its ends
}

// system is whether a message is one of the system, which newer clients call the developer.
func (m *message) system() bool { return m.Role == "system" || m.Role == "developer" }

// text is the content of a message: a text, or parts that are texts.
func (m *message) text() (string, error) {
	var s string
	if json.Unmarshal(m.Content, &s) == nil {
		return s, nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return "", wrong("messages", "the content of a message must be a text, or parts of type text")
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return "", wrong("messages", "a part of type %q: the model reads text alone", p.Type)
		}
		b.WriteString(p.Text)
	}
	return b.String(), nil
}

type chat struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	Usage   *usage       `json:"usage,omitempty"`
}

type chatChoice struct {
	Index    int           `json:"index"`
	Message  *chatMessage  `json:"message,omitempty"`
	Delta    *chatDelta    `json:"delta,omitempty"`
	LogProbs *chatLogProbs `json:"logprobs"`
	Finish   *string       `json:"finish_reason"`
}

type chatMessage struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type chatDelta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type chatLogProbs struct {
	Content []chatChosen `json:"content"`
	Refusal []chatChosen `json:"refusal"`
}

// chatChosen is a token with what could have stood in its place.
type chatChosen struct {
	chatToken
	Top []chatToken `json:"top_logprobs"`
}

type chatToken struct {
	Token   string  `json:"token"`
	LogProb float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

func newChatToken(piece string, p float64) chatToken {
	t := chatToken{Token: piece, LogProb: noLess(p), Bytes: make([]int, len(piece))}
	for i := range len(piece) {
		t.Bytes[i] = int(piece[i])
	}
	return t
}

// opened is a conversation in which the system says a text where it has no message of it.
func opened(system string, messages []message) []message {
	if system == "" || slices.ContainsFunc(messages, func(x message) bool { return x.system() }) {
		return messages
	}
	content, err := json.Marshal(system)
	if err != nil {
		panic(err) // a string has one
	}
	return append([]message{{Role: "system", Content: content, whole: true}}, messages...)
}

func (s *Server) chats(w http.ResponseWriter, r *http.Request) error {
	var q chatRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.pick(r, q.Model)
	if err != nil {
		return err
	}
	if err := m.completes(); err != nil {
		return err
	}
	tokens, err := m.Chat.t.write(m.Program.Tokenizer, opened(m.System, q.Messages))
	if err != nil {
		return inMember("messages", err)
	}
	if err := m.fits(tokens); err != nil {
		return err
	}
	n, err := q.choices(s)
	if err != nil {
		return err
	}
	rest := s.options.MaxTokens
	if window := m.batch.Window(); window > 0 {
		rest = window - len(tokens)
	}
	param, asked := "max_completion_tokens", q.MaxCompletion
	if asked == nil {
		param, asked = "max_tokens", q.MaxTokens
	}
	most, err := s.limit(param, asked, rest)
	if err != nil {
		return err
	}
	told := -1
	if q.LogProbs != nil && *q.LogProbs {
		if told = 0; q.TopLogProbs != nil {
			told = *q.TopLogProbs
		}
		if told < 0 {
			return wrong("top_logprobs", "top_logprobs is %d: give 0 to %d", told, mostLogProbs)
		}
	} else if q.TopLogProbs != nil && *q.TopLogProbs != 0 {
		return wrong("top_logprobs", "top_logprobs are told with logprobs: set that too")
	}
	opts, seed, err := q.sampling(s, m, told)
	if err != nil {
		return err
	}
	opts = append(append(opts, m.Chat.t.stops(m.Program.Tokenizer)...), sample.MaxTokens(most))
	ctx, cancel := context.WithTimeout(r.Context(), s.options.Timeout)
	defer cancel()
	job := &job{s: s, m: m, began: time.Now()}
	defer job.close()
	for k := range n {
		if err := job.start(ctx, k, tokens, append(slices.Clone(opts), sample.Seed(seed+uint64(k)))...); err != nil {
			return err
		}
	}
	job.usage.Prompt = len(tokens)
	head := chat{ID: newID("chatcmpl"), Object: "chat.completion", Created: job.began.Unix(), Model: m.info.Name}
	trims := make([]trimmer, n)
	logs := make([]*chatLogProbs, n)
	note := func(i int, t *sample.Token) {
		if told < 0 || t.ID < 0 {
			return
		}
		if logs[i] == nil {
			logs[i] = &chatLogProbs{}
		}
		c := chatChosen{newChatToken(t.Piece, t.LogProb), []chatToken{}}
		for _, b := range t.Best {
			c.Top = append(c.Top, newChatToken(b.Piece, b.LogProb))
		}
		logs[i].Content = append(logs[i].Content, c)
	}
	if q.Stream {
		head.Object += ".chunk"
		out := s.stream(w, r)
		send := func(i int, delta chatDelta, end *string) error {
			head.Choices = []chatChoice{{Index: i, Delta: &delta, LogProbs: logs[i], Finish: end}}
			logs[i] = nil
			return out.send(head)
		}
		begun := make([]bool, n)
		err := job.each(ctx, func(i int, t *sample.Token) error {
			note(i, t)
			delta := chatDelta{}
			if !begun[i] {
				begun[i] = true
				empty := ""
				if err := first(send, i, chatDelta{Role: "assistant", Content: &empty}, logs); err != nil {
					return err
				}
			}
			part := trims[i].next(t.Text)
			if part == "" && t.End == "" && told < 0 {
				return nil
			}
			if part != "" {
				delta.Content = &part
			}
			return send(i, delta, finish(t.End))
		})
		if err == nil && q.StreamOptions != nil && q.StreamOptions.Usage {
			head.Choices, head.Usage = []chatChoice{}, job.total()
			out.send(head)
		}
		return out.end(err)
	}
	written := make([]strings.Builder, n)
	ends := make([]*string, n)
	err = job.each(ctx, func(i int, t *sample.Token) error {
		note(i, t)
		written[i].WriteString(trims[i].next(t.Text))
		ends[i] = finish(t.End)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range n {
		head.Choices = append(head.Choices,
			chatChoice{Index: i, Message: &chatMessage{Role: "assistant", Content: written[i].String()},
				LogProbs: logs[i], Finish: ends[i]})
	}
	head.Usage = job.total()
	answer(w, http.StatusOK, head)
	return nil
}

// first sends a delta without the log-probabilities, which belong to the next one.
func first(send func(int, chatDelta, *string) error, i int, delta chatDelta, logs []*chatLogProbs) error {
	kept := logs[i]
	logs[i] = nil
	err := send(i, delta, nil)
	logs[i] = kept
	return err
}

// trimmer takes away the blanks in front of an answer, which the template has no place for.
type trimmer struct{ begun bool }

func (t *trimmer) next(s string) string {
	if !t.begun {
		s = strings.TrimLeft(s, " ")
		t.begun = s != ""
	}
	return s
}
