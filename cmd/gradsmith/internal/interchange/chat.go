package interchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2"
	jinjaconfig "github.com/nikolalohinski/gonja/v2/config"
	jinja "github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"

	"github.com/gradsmith/gradsmith/runtime/serve"
)

// Published models say in a template of Jinja how conversations are written. It is a program; a server here has a list
// of forms instead, each under its name. So the program is run on a few conversations, and the form is that which
// writes the same.

const (
	tokenizerConfig = "tokenizer_config.json"
	chatFile        = "chat_template.jinja"
)

// patience bounds how long a template may run: it is a program of somebody else.
const patience = 5 * time.Second

// chat is what a checkpoint says of conversations.
type chat struct {
	file       string // or key, where the template is
	template   string // empty without one
	begin, end string // the tokens that it knows as bos_token and eos_token
}

// readChat reads the template of a folder.
func (f *folder) readChat() error {
	path := filepath.Join(f.dir, tokenizerConfig)
	data, err := readText(path)
	if errors.Is(err, fs.ErrNotExist) {
		data = []byte("{}")
	} else if err != nil {
		return err
	}
	var c struct {
		Template json.RawMessage `json:"chat_template"`
		Begin    json.RawMessage `json:"bos_token"`
		End      json.RawMessage `json:"eos_token"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("%s is not valid: %w", path, err)
	}
	f.chat = chat{file: tokenizerConfig, begin: special(c.Begin), end: special(c.End)}
	own, err := readText(filepath.Join(f.dir, chatFile))
	switch {
	case err == nil:
		f.chat.file, f.chat.template = chatFile, string(own)
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	var many []struct{ Name, Template string }
	if json.Unmarshal(c.Template, &f.chat.template) != nil && json.Unmarshal(c.Template, &many) == nil {
		for _, x := range many {
			if x.Name == "default" {
				f.chat.template = x.Template
			}
		}
	}
	return nil
}

// special is the text of a token, which is given as such or as an object.
func special(data json.RawMessage) string {
	var s string
	if json.Unmarshal(data, &s) == nil {
		return s
	}
	var o struct{ Content string }
	if json.Unmarshal(data, &o) != nil {
		return ""
	}
	return o.Content
}

// form finds the form of conversations, and says in the report what it is.
func (f *folder) form() (serve.Form, bool) {
	if f.chat.template == "" {
		return serve.Form{}, false
	}
	form, ok := serve.FormOf(f.chat.render)
	if !ok {
		f.notes = append(f.notes, fmt.Sprintf("The template of conversations in %s is none of those that a server "+
			"knows. It writes them in the form that the vocabulary shows; --chat-template names another.", f.chat.file))
		return form, false
	}
	note := fmt.Sprintf("Conversations are written in the form %s, as the template in %s does.", form.Template,
		f.chat.file)
	if form.System != "" {
		note += " Where the system says nothing, it says what that template has it say."
	}
	if !form.Exact {
		note += " A message of the system is written otherwise there, or refused."
	}
	f.notes = append(f.notes, note)
	return form, true
}

// render runs the template on conversations, in a process of its own.
func (c *chat) render(messages []serve.Message) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	input, err := json.Marshal(rendering{c.template, c.begin, c.end, messages})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stdin = bytes.NewReader(input)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("it runs longer than %v", patience)
	case err != nil:
		why, _, _ := strings.Cut(said.String(), "\n")
		return "", fmt.Errorf("it cannot be run: %s", why)
	}
	return string(out), nil
}

// rendering is what the process is told.
type rendering struct {
	Template, Begin, End string
	Messages             []serve.Message
}

// childVariable is that of the environment by which the process knows what it is.
const childVariable = "GRADSMITH_RENDERS_CHAT"

// Child is to be called first in main by each program that reads checkpoints. A template is a program of somebody else:
// it may not end, or recur without an end, which no program in Go survives. So it runs in a process of its own, which
// is the same program once more; in that one Child runs the template and does not return.
func Child() {
	if os.Getenv(childVariable) == "" {
		return
	}
	debug.SetMaxStack(64 << 20)
	go func() {
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.HeapAlloc > 1<<30 {
				fmt.Fprintln(os.Stderr, "it takes more than 1 GiB of memory")
				os.Exit(1)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	var r rendering
	err := json.NewDecoder(os.Stdin).Decode(&r)
	if err == nil {
		err = r.write(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// write runs the template. It has no clock, so that it says the same tomorrow.
func (r *rendering) write(w io.Writer) error {
	var messages []map[string]any
	for _, m := range r.Messages {
		messages = append(messages, map[string]any{"role": m.Role, "content": m.Text})
	}
	values := jinja.NewContext(map[string]any{
		"messages": messages, "add_generation_prompt": true, "bos_token": r.Begin, "eos_token": r.End,
		"raise_exception": func(why string) (string, error) { return "", errors.New(why) },
	})
	options := jinjaconfig.New()
	options.TrimBlocks, options.LeftStripBlocks = true, true // as transformers runs it
	t, err := jinja.NewTemplate(rootName, options, only(r.Template), gonja.DefaultEnvironment)
	if err != nil {
		return err
	}
	return t.Execute(w, values)
}

// only is a loader of one template, which has no others to include.
type only string

const rootName = "chat"

func (o only) Read(name string) (io.Reader, error) {
	if name != rootName {
		return nil, fmt.Errorf("it includes %q, and there is no other template", name)
	}
	return strings.NewReader(string(o)), nil
}

func (o only) Resolve(name string) (string, error) { return name, nil }

func (o only) Inherit(string) (loaders.Loader, error) { return o, nil }
