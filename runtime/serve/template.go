package serve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

// Template is how a conversation is written as a text that a model goes on with. The zero value is that which the
// special tokens of the model's vocabulary ask for, or else the plain one.
type Template struct{ t *template }

// template is the text around the messages of a conversation.
type template struct {
	name   string
	begin  string
	turns  map[string][2]string // by role, what stands in front of a message and behind it
	fold   *[2]string           // around the system's message, where that is put in front of the user's first one
	trim   bool                 // messages have no blanks at their ends
	answer string               // what the answer stands behind
	ends   []string             // any of which ends the answer
	marks  []string             // special tokens of a vocabulary that was made for it
}

// templates are those that models are published with. Each is the text that the model's own template writes.
var templates = []*template{
	{
		name: "plain", // for models that were not trained on conversations of another form
		turns: map[string][2]string{
			"system": {"System: ", "\n"}, "user": {"User: ", "\n"}, "assistant": {"Assistant: ", "\n"},
		},
		answer: "Assistant:",
		ends:   []string{"\nUser:", "\nSystem:"},
	},
	{
		name: "chatml",
		turns: map[string][2]string{
			"system":    {"<|im_start|>system\n", "<|im_end|>\n"},
			"user":      {"<|im_start|>user\n", "<|im_end|>\n"},
			"assistant": {"<|im_start|>assistant\n", "<|im_end|>\n"},
		},
		answer: "<|im_start|>assistant\n",
		ends:   []string{"<|im_end|>"},
		marks:  []string{"<|im_start|>", "<|im_end|>"},
	},
	{
		name:  "llama3",
		begin: "<|begin_of_text|>",
		turns: map[string][2]string{
			"system":    {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
			"user":      {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
			"assistant": {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
		},
		trim:   true,
		answer: "<|start_header_id|>assistant<|end_header_id|>\n\n",
		ends:   []string{"<|eot_id|>"},
		marks:  []string{"<|start_header_id|>", "<|eot_id|>"},
	},
	{
		name:  "gemma",
		begin: "<bos>",
		turns: map[string][2]string{
			"user":      {"<start_of_turn>user\n", "<end_of_turn>\n"},
			"assistant": {"<start_of_turn>model\n", "<end_of_turn>\n"},
		},
		fold:   &[2]string{"", "\n\n"},
		trim:   true,
		answer: "<start_of_turn>model\n",
		ends:   []string{"<end_of_turn>"},
		marks:  []string{"<start_of_turn>", "<end_of_turn>"},
	},
	{
		name: "phi3",
		turns: map[string][2]string{
			"system":    {"<|system|>\n", "<|end|>\n"},
			"user":      {"<|user|>\n", "<|end|>\n"},
			"assistant": {"<|assistant|>\n", "<|end|>\n"},
		},
		answer: "<|assistant|>\n",
		ends:   []string{"<|end|>"},
		marks:  []string{"<|user|>", "<|assistant|>", "<|end|>"},
	},
	{
		name: "zephyr",
		turns: map[string][2]string{
			"system":    {"<|system|>\n", "</s>\n"},
			"user":      {"<|user|>\n", "</s>\n"},
			"assistant": {"<|assistant|>\n", "</s>\n"},
		},
		answer: "<|assistant|>\n",
		ends:   []string{"</s>"},
	},
	{
		name: "llama2",
		turns: map[string][2]string{
			"user":      {"<s>[INST] ", " [/INST]"},
			"assistant": {" ", " </s>"},
		},
		fold: &[2]string{"<<SYS>>\n", "\n<</SYS>>\n\n"},
		trim: true,
		ends: []string{"</s>"},
	},
	{
		name:  "mistral",
		begin: "<s>",
		turns: map[string][2]string{
			"user":      {"[INST] ", " [/INST]"},
			"assistant": {"", "</s>"},
		},
		fold: &[2]string{"", "\n\n"},
		ends: []string{"</s>"},
	},
	{
		name: "vicuna",
		turns: map[string][2]string{
			"system": {"", " "}, "user": {"USER: ", " "}, "assistant": {"ASSISTANT: ", "</s>"},
		},
		answer: "ASSISTANT:",
		ends:   []string{"</s>", "USER:"},
	},
	{
		name: "alpaca",
		turns: map[string][2]string{
			"system":    {"", "\n\n"},
			"user":      {"### Instruction:\n", "\n\n"},
			"assistant": {"### Response:\n", "\n\n"},
		},
		answer: "### Response:\n",
		ends:   []string{"\n### Instruction:"},
	},
}

// Templates are the names of all templates.
func Templates() []string {
	var names []string
	for _, t := range templates {
		names = append(names, t.name)
	}
	return names
}

// TemplateNamed finds a template by its name. That of an empty name is the zero value.
func TemplateNamed(name string) (Template, error) {
	if name == "" {
		return Template{}, nil
	}
	for _, t := range templates {
		if t.name == name {
			return Template{t}, nil
		}
	}
	return Template{}, fmt.Errorf("there is no chat template %q: give %s", name, strings.Join(Templates(), ", "))
}

// templateFor is the template that a vocabulary was made for.
func templateFor(tok model.Tokenizer) Template {
	own, ok := tokenizer.Of(tok)
	for _, t := range templates {
		has := ok && len(t.marks) > 0
		for _, mark := range t.marks {
			if has {
				_, has = own.Token(mark)
			}
		}
		if has {
			return Template{t}
		}
	}
	return Template{templates[0]}
}

// Name is that of the template; it is empty for the zero value.
func (t Template) Name() string {
	if t.t == nil {
		return ""
	}
	return t.t.name
}

// part is a piece of a conversation: the template's own, in which special tokens are spelt, or of a message.
type part struct {
	text string
	own  bool
}

// parts writes a conversation, to where the answer begins.
func (t *template) parts(messages []message) ([]part, error) {
	if len(messages) == 0 {
		return nil, wrong("messages", "there are no messages")
	}
	all := []part{{t.begin, true}}
	var system []part // that waits for the user's first message
	for i := range messages {
		role := messages[i].Role
		if messages[i].system() {
			role = "system"
		}
		if !slices.Contains([]string{"system", "user", "assistant"}, role) {
			return nil, wrong("messages", "role %q of message %d: give system, user or assistant", messages[i].Role, i)
		}
		s, err := messages[i].text()
		if err != nil {
			return nil, err
		}
		if t.trim && !messages[i].whole {
			s = strings.TrimSpace(s)
		}
		if role == "system" && t.fold != nil {
			system = append(system, part{t.fold[0], true}, part{s, false}, part{t.fold[1], true})
			continue
		}
		around := t.turns[role]
		all = append(all, part{around[0], true})
		if role == "user" {
			all, system = append(all, system...), nil
		}
		all = append(all, part{s, false}, part{around[1], true})
	}
	if len(system) > 0 {
		around := t.turns["user"]
		all = append(all, part{around[0], true})
		all = append(append(all, system...), part{around[1], true})
	}
	return append(all, part{t.answer, true}), nil
}

// write turns a conversation into the tokens of a prompt. A special token that a message spells is text like any other:
// no message can end itself and begin another one.
func (t *template) write(tok model.Tokenizer, messages []message) ([]int32, error) {
	all, err := t.parts(messages)
	if err != nil {
		return nil, err
	}
	var whole strings.Builder
	for _, p := range all {
		whole.WriteString(p.text)
	}
	own, ok := tokenizer.Of(tok)
	if !ok {
		return sample.Prompt(tok, whole.String())
	}
	special := tokenizer.Options{Special: true}
	if !spelt(own, all) {
		return own.EncodeWith(whole.String(), special) // as other programs encode it, in one piece
	}
	var tokens []int32
	for _, p := range all {
		o := tokenizer.Options{}
		if p.own {
			o = special
		}
		x, err := own.EncodeWith(p.text, o)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, x...)
	}
	return tokens, nil
}

// spelt is whether a message spells a special token, which may also begin or end in what stands around it.
func spelt(tok *tokenizer.Tokenizer, all []part) bool {
	var whole strings.Builder
	counts := func(s string) map[string]int {
		n := map[string]int{}
		for _, a := range tok.Added() {
			if a.Special && a.Content != "" {
				n[a.Content] = strings.Count(s, a.Content)
			}
		}
		return n
	}
	own := map[string]int{}
	for _, p := range all {
		whole.WriteString(p.text)
		if p.own {
			for name, n := range counts(p.text) {
				own[name] += n
			}
		}
	}
	for name, n := range counts(whole.String()) {
		if n != own[name] {
			return true
		}
	}
	return false
}

// stops are the options that end an answer: one token, where the vocabulary has it, and strings.
func (t *template) stops(tok model.Tokenizer) []sample.Option {
	var opts []sample.Option
	var texts []string
	found := false
	own, ok := tokenizer.Of(tok)
	for _, end := range t.ends {
		if ok && !found {
			if id, has := own.Token(end); has {
				opts, found = append(opts, sample.EndToken(id)), true
				continue
			}
		}
		texts = append(texts, end)
	}
	return append(opts, sample.Stop(texts...))
}
