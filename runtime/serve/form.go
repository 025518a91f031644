package serve

import (
	"encoding/json"
	"strings"
)

// Message is one of a conversation.
type Message struct {
	Role string // system, user or assistant
	Text string
}

// Form is how the conversations of a model are written.
type Form struct {
	Template string // its name, for [TemplateNamed]
	System   string // said by the system in a conversation in which it says nothing; empty for none
	// Exact tells whether a message of the system is written in the same way too. Some models take none, and some say
	// more around it.
	Exact bool
}

// marker stands for a text that is to be found; no template has it.
const marker = "\x00"

// FormOf finds the form in which render writes conversations to where the answer begins, or tells that it is none of
// the known ones. It asks for conversations of one question, of two, and of one behind a message of the system; for the
// last one render may fail. Of the known templates the one counts that gives the same texts to the byte.
func FormOf(render func([]Message) (string, error)) (Form, bool) {
	one := []Message{{"user", "How are you?"}}
	two := append(one[:1:1], Message{"assistant", "Well."}, Message{"user", "And now?"})
	wantOne, err := render(one)
	if err != nil {
		return Form{}, false
	}
	wantTwo, err := render(two)
	if err != nil {
		return Form{}, false
	}
	for _, t := range templates {
		f := Form{Template: t.name}
		if t.text("", one) != wantOne {
			front, back, _ := strings.Cut(t.text(marker, one), marker)
			said, found := strings.CutPrefix(wantOne, front)
			if !found {
				continue
			}
			if f.System, found = strings.CutSuffix(said, back); !found {
				continue
			}
		}
		if t.text(f.System, one) != wantOne || t.text(f.System, two) != wantTwo {
			continue
		}
		asked := append([]Message{{"system", "Be brief."}}, one...)
		got, err := render(asked)
		f.Exact = err == nil && got == t.text("", asked)
		return f, true
	}
	return Form{}, false
}

// text writes a conversation to where the answer begins, in which the system says a text where it has no message of
// it. The roles must be known ones.
func (t *template) text(system string, conversation []Message) string {
	var messages []message
	for _, m := range conversation {
		content, err := json.Marshal(m.Text)
		if err != nil {
			panic(err) // a string has one
		}
		messages = append(messages, message{Role: m.Role, Content: content})
	}
	parts, err := t.parts(opened(system, messages))
	if err != nil {
		panic(err) // the roles are known
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.text)
	}
	return b.String()
}
