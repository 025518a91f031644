package interchange

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/serve"
	"github.com/gradsmith/gradsmith/spec"
)

// Options say how a checkpoint is imported.
type Options struct {
	Name   string          // of the package
	Steps  int             // tokens of a window; 0: what the model was made for, at most DefaultSteps
	Ignore []string        // keys of config.json that are left aside though nobody knows them
	Type   checkpoint.Type // of the numbers that are written
	Rank   int             // of the adapter that the spec has; 0 for none
	Adapt  []string        // folders of adapters in the form of the PEFT library
}

// DefaultSteps bounds the window of a model whose positions need no table: the memory of a training grows with it.
const DefaultSteps = 2048

// Import is a published checkpoint, read and checked, in the forms of this project.
type Import struct {
	Model  *spec.Model
	Spec   []byte
	Report []byte // what became of each tensor

	Tokenizer     []byte // the tokenizer's file, as it was
	TokenizerFile string // its name beside the spec
	Source        []byte // the tokenizer of what is read, where that is another one
	SourceFile    string // its name; empty where there is one for both

	Tensors, Aside, Params int // read; left aside; numbers of the model

	Chat serve.Form // how a server writes conversations; zero where nothing is known

	Adapters []*Adapter // what became of those of the options

	options Options
	folder  *folder
	adapt   *adapting
	parts   []checkpoint.Part
}

// Close closes the files of the checkpoint.
func (m *Import) Close() {
	m.folder.close()
	if m.adapt != nil {
		m.adapt.close()
	}
}

// Weights writes the parameters as a checkpoint of the model, a tensor at a time.
func (m *Import) Weights(w io.Writer) error {
	meta := checkpoint.Describing(m.Model.Name, m.Model.Architecture(), m.Model.Digest)
	return checkpoint.WriteParts(w, meta, m.options.Type, m.parts)
}

// Read reads the checkpoint in a folder. It finds all that is wrong before anything is written; of the numbers it reads
// none.
func Read(dir string, o Options) (_ *Import, err error) {
	open := openFolder
	if isGGUF(dir) {
		open = openGGUF
	}
	f, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.arch, err = architectureOf(f.config); err != nil {
		return nil, err
	}
	if f.tokenizer == nil {
		if err := f.readTokenizer(); err != nil {
			return nil, err
		}
	}
	print := f.arch.read(f, f.config)
	if err := f.config.check(f.arch, o.Ignore); err != nil {
		return nil, err
	}
	if o.Steps > print.steps {
		return nil, fmt.Errorf("--steps %d: the model was made for %d tokens at the most", o.Steps, print.steps)
	}
	m := &Import{options: o, folder: f, Tokenizer: f.tokenizerData, TokenizerFile: f.tokenizerFile,
		Source: f.sourceData, SourceFile: f.sourceFile}
	text, params := print.spec(f.head(print, o))
	if o.Rank > 0 {
		text += fmt.Sprintf("adapter: {rank: %d}\n", o.Rank)
	}
	if len(o.Adapt) > 0 {
		if m.adapt, err = openAdapters(f, o.Adapt, params); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				m.adapt.close()
			}
		}()
		text += m.adapt.key()
	}
	m.Spec = []byte(text)
	m.Model, err = spec.Parse(o.Name+".yaml", m.Spec, func(name string) ([]byte, error) {
		switch name {
		case m.TokenizerFile:
			return m.Tokenizer, nil
		case m.SourceFile:
			return m.Source, nil
		}
		return nil, fs.ErrNotExist
	})
	if err != nil {
		return nil, fmt.Errorf("%s: the spec that its %s gives is not a model: %w", dir, configFile, err)
	}
	if print.encoder == nil {
		m.Chat, _ = f.form()
	}
	if err := m.match(params); err != nil {
		return nil, err
	}
	if m.adapt != nil {
		if err := m.adapters(m.adapt); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// head is what stands above the layers of a spec.
func (f *folder) head(p *blueprint, o Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s, imported from %s by gradsmith. What became of each tensor is in %s.\n", p.about,
		line(filepath.Base(f.dir)), ReportFile(o.Name))
	fmt.Fprintf(&b, "kind: attention\nname: %s\ndescription: %q\n", o.Name, p.description)
	file := []set{{"file", f.tokenizerFile}}
	begin, end := f.around()
	switch {
	case p.decoder == nil: // which restores tokens of a text, whatever stands around it
		begin, end = -1, -1
	case p.encoder != nil:
		begin = p.begin
	}
	for _, t := range []struct {
		key    string
		number int
	}{{"begin", begin}, {"end", end}} {
		if t.number < 0 || t.number >= f.tokenizer.Vocab() {
			continue
		}
		if name := f.tokenizer.Name(int32(t.number)); name != "" {
			file = append(file, set{t.key, fmt.Sprintf("%q", name)})
		}
	}
	fmt.Fprintf(&b, "tokenizer: %s\n", plain([]set{{"file", file}}))
	steps := o.Steps
	if steps == 0 {
		if steps = p.steps; !p.whole {
			steps = min(steps, DefaultSteps)
		}
	}
	fmt.Fprintf(&b, "shape: {batch: 1, steps: %d} # what memory is planned for; the model was made for %d tokens\n",
		steps,
		p.steps)
	if p.encoder != nil && p.decoder != nil {
		source := []set{{"steps", steps}}
		if f.sourceFile != "" {
			of := append([]set{{"file", f.sourceFile}}, file[1:]...) // whose tokens have the same numbers
			source = append(source, set{"tokenizer", []set{{"file", of}}})
		}
		fmt.Fprintf(&b, "source: %s\n", plain(source))
	}
	b.WriteString("# For training it further: a rate that does not undo what it has learnt.\n")
	b.WriteString("optimizer: {adamw: {rate: 5e-5, weight_decay: 0}}\nclip: 1\ntrain: {passes: 1}\n")
	return b.String()
}

// line is text within a comment.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// around is the token in front of every text and the one that ends a text, or −1: what the tokenizer's file says,
// else the config. A SentencePiece model does not say that there is one in front, as its library is told that by the
// program.
func (f *folder) around() (begin, end int) {
	if f.gguf {
		return f.begin, f.end
	}
	begin, end = -1, f.config.token("eos_token_id")
	before, behind := f.tokenizer.Around()
	if len(before) > 0 {
		begin = int(before[len(before)-1])
	} else if f.tokenizerFile != tokenizers[0] {
		begin = f.config.token("bos_token_id")
	}
	if len(behind) > 0 {
		end = int(behind[0])
	}
	return begin, end
}

// masks are what tokenizers call the token that stands for a missing one.
var masks = []string{"[MASK]", "<mask>"}

// mask is the token of the tokenizer's file that stands for a missing one. The model here has one behind all of the
// file's tokens, which reads the same row of their table.
func (f *folder) mask() int {
	if n := maskOf(f.tokenizer); n >= 0 {
		return n
	}
	f.config.errorf("the tokenizer has no token [MASK] or <mask>, by which such a model is told what is missing")
	return 0
}

// ReportFile is the name of the report.
func ReportFile(name string) string { return name + ".import.txt" }

// match holds the parameters of the spec against what they are made of, both ways, and the tensors of the checkpoint
// against what was needed of them.
func (m *Import) match(params []parameter) error {
	want, err := gen.Parameters(m.Model)
	if err != nil {
		return err
	}
	made := map[string]parameter{}
	for _, p := range params {
		if _, twice := made[p.name]; twice {
			return fmt.Errorf("interchange: %s is made twice", p.name)
		}
		made[p.name] = p
	}
	f := m.folder
	var report bytes.Buffer
	fmt.Fprintf(&report, "%s, of architecture %s, as %s.yaml.\n\n", line(filepath.Base(f.dir)), f.arch.types[0],
		m.options.Name)
	for _, note := range f.notes {
		fmt.Fprintf(&report, "%s\n\n", note)
	}
	t := tabwriter.NewWriter(&report, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "tensor\tshape\ttype\tparameter\tshape\thow")
	for _, w := range want {
		p, ok := made[w.Name]
		if !ok {
			return fmt.Errorf("interchange: nothing is said of where the parameter %s comes from", w.Name)
		}
		delete(made, w.Name)
		if err := check(p, w.Shape, f); err != nil {
			return err
		}
		rows, columns := matrixOf(w.Shape)
		from := 0
		for i := range p.parts {
			part := &p.parts[i]
			x := &tensor{} // of one that is made of none
			if part.made == nil {
				if x, err = f.find(part.tensor); err != nil {
					return err
				}
			}
			fmt.Fprintf(t, "%s\t%v\t%s\t%s\t%v\t%s\n", x.Name, x.Shape, x.Type, w.Name, w.Shape,
				part.says(from, columns, rows, x))
			from += part.width
		}
		m.Params += rows * columns
		m.parts = append(m.parts, checkpoint.Part{Name: w.Name, Shape: w.Shape,
			Make: func() ([]float32, error) { return f.numbers(p, w.Shape) }})
	}
	for name := range made {
		return fmt.Errorf("interchange: the spec has no parameter %s", name)
	}
	aside, unknown := f.rest()
	if len(unknown) > 0 {
		var names []string
		for _, x := range unknown {
			names = append(names, fmt.Sprintf("%s %v", x.Name, x.Shape))
		}
		more := ""
		if len(names) > 5 {
			more = fmt.Sprintf(", and %d more", len(names)-5)
			names = names[:5]
		}
		return fmt.Errorf(
			"%s: architecture %s has no place for the tensors %s%s: the checkpoint is of another form, which "+
				"this would compute otherwise", f.dir, f.arch.types[0], strings.Join(names, ", "), more)
	}
	for _, x := range aside {
		fmt.Fprintf(t, "%s\t%v\t%s\t\t\tnot needed\n", x.Name, x.Shape, x.Type)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	lines := strings.Split(report.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	m.Report = []byte(strings.Join(lines, "\n"))
	m.Aside, m.Tensors = len(aside), len(f.tensors)-len(aside)
	return nil
}
