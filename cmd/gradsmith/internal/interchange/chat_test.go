package interchange

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/serve"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

// plainChat writes as chatml does, in the ways in which templates of the hub are written.
const plainChat = `{% for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\n' + message.content | trim + '<|im_end|>' + '\n' -}}
{% endfor %}
{% if add_generation_prompt %}{{- '<|im_start|>assistant\n' -}}{% endif %}
`

// TestChat finds the forms of templates that are written as published ones are.
func TestChat(t *testing.T) {
	for _, c := range []struct {
		name, template string
		want           serve.Form
		ok             bool
	}{
		{"every message alike", plainChat, serve.Form{Template: "chatml", Exact: true}, true},
		{"with a message of the system by default", `{%- if messages[0]['role'] != 'system' %}
    {{- '<|im_start|>system\nYou are a parrot.<|im_end|>\n' }}
{%- endif %}` + plainChat, serve.Form{Template: "chatml", System: "You are a parrot.", Exact: true}, true},
		{"that takes no message of the system, by roles of its own", `{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}
{%- for message in messages -%}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{- '<start_of_turn>' + role + '\n' + message['content'].strip() + '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}`,
			serve.Form{Template: "gemma"}, true},
		{"that counts, and slices", `{% set loop_messages = messages %}{% set ns = namespace(system='') %}
{% if messages[0].role == 'system' %}{% set ns.system = messages[0].content + '\n\n' %}
{% set loop_messages = messages[1:] %}{% endif %}
{{- bos_token -}}
{%- for m in loop_messages -%}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('not in turns') }}{%- endif -%}
{%- if m.role == 'user' -%}
{%- set said = ns.system + m.content if loop.first else m.content -%}{{ '[INST] ' + said + ' [/INST]' }}
{%- else -%}{{ m.content + eos_token }}{%- endif -%}
{%- endfor -%}`, serve.Form{Template: "mistral", Exact: true}, true},
		{"of a form that nobody knows", `{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<answer>`,
			serve.Form{}, false},
		{"that names the day", `{{ strftime_now('%d %b %Y') }}` + plainChat, serve.Form{}, false},
		{"that is no template", `{% for m in`, serve.Form{}, false},
		{"that includes another", `{% include "/etc/hostname" %}` + plainChat, serve.Form{}, false},
		{"that recurs without an end", `{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}`, serve.Form{}, false},
		{"that runs for hours", `{% for i in range(100000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}`,
			serve.Form{}, false},
		{"that takes all memory", `{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}` +
			`{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}`, serve.Form{}, false},
	} {
		f := &folder{chat: chat{file: "here", template: c.template, begin: "<s>", end: "</s>"}}
		if strings.Contains(c.template, "start_of_turn") {
			f.chat.begin = "<bos>"
		}
		form, ok := f.form()
		if ok != c.ok || form != c.want {
			_, err := f.chat.render([]serve.Message{{Role: "user", Text: "?"}})
			t.Errorf("a template %s: found %+v, %v; want %+v, %v (%v)", c.name, form, ok, c.want, c.ok, err)
		}
		if len(f.notes) != 1 || !strings.Contains(f.notes[0], "here") {
			t.Errorf("a template %s: the report has %q", c.name, f.notes)
		}
	}
}

// TestChatFiles finds the template in each of the places where checkpoints have it.
func TestChatFiles(t *testing.T) {
	quoted, err := json.Marshal(plainChat)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nowhere":       {nil, ""},
		"not there":     {map[string]string{tokenizerConfig: `{"bos_token": null}`}, ""},
		"in the config": {map[string]string{tokenizerConfig: `{"chat_template": ` + string(quoted) + `}`}, plainChat},
		"one of several": {map[string]string{tokenizerConfig: `{"chat_template": [{"name": "tools", "template": "x"},
			{"name": "default", "template": "y"}]}`}, "y"},
		"in a file": {map[string]string{chatFile: "z", tokenizerConfig: `{"chat_template": "x"}`}, "z"},
	} {
		f := &folder{dir: t.TempDir()}
		for file, content := range c.files {
			if err := os.WriteFile(filepath.Join(f.dir, file), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.readChat(); err != nil || f.chat.template != c.want {
			t.Errorf("%s: found %q, %v", name, f.chat.template, err)
		}
	}
	f := &folder{dir: t.TempDir()}
	content := `{"bos_token": {"content": "<s>", "special": true}, "eos_token": "</s>"}`
	if err := os.WriteFile(filepath.Join(f.dir, tokenizerConfig), []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := f.readChat(); err != nil || f.chat.begin != "<s>" || f.chat.end != "</s>" {
		t.Errorf("tokens %q and %q, %v", f.chat.begin, f.chat.end, err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, tokenizerConfig), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := f.readChat(); err == nil || !strings.Contains(err.Error(), tokenizerConfig) {
		t.Errorf("broken JSON: %v", err)
	}
}

var templates = flag.String("templates", "", "`FOLDER` of published templates, *.jinja, to list the forms of")

// TestPublishedChats tells the form of each of a folder of templates.
func TestPublishedChats(t *testing.T) {
	if *templates == "" {
		t.Skip("lists the forms of published templates; give -templates")
	}
	paths, err := filepath.Glob(filepath.Join(*templates, "*.jinja"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no templates in %s: %v", *templates, err)
	}
	found := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := &folder{chat: chat{file: filepath.Base(path), template: string(data)}}
		for _, begin := range []string{"<|begin_of_text|>", "<bos>", "<s>"} {
			f.chat.begin, f.chat.end = begin, "</s>"
			form, ok := f.form()
			if ok {
				found++
				t.Logf("%s: %s, system %q, exact %v", f.chat.file, form.Template, form.System, form.Exact)
				break
			}
		}
	}
	t.Logf("%d of %d have a known form", found, len(paths))
}
