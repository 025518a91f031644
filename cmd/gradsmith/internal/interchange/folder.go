package interchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
)

// tensor is a tensor of a checkpoint.
type tensor struct {
	checkpoint.Entry
	file string // base name of its file
	from reader
	used bool

	float bool // its type is one of numbers that are read
}

// reader is a file of tensors.
type reader interface {
	Read(name string, from int, dst []float32) error
	Close() error
}

func (t *tensor) read(from int, dst []float32) error { return t.from.Read(t.Name, from, dst) }

// folder is a checkpoint in the form of the Hugging Face hub: config.json, one or several files of tensors, a
// tokenizer.
type folder struct {
	dir     string
	config  *config
	tensors map[string]*tensor
	readers []reader
	arch    *architecture
	buffer  []float32 // a parameter
	chunk   []float32 // what is read of a tensor at a time

	tokenizer     *tokenizer.Tokenizer
	tokenizerFile string // base name
	tokenizerData []byte

	// Of a model for two languages, what takes the texts apart that it reads; the other one is for what it writes.
	sourceFile string
	sourceData []byte

	chat chat // how conversations are written

	notes []string // for the report

	// Of a GGUF file.
	gguf       bool
	beside     bool // the features of a pair that is turned stand side by side
	begin, end int  // tokens around a text, or -1
}

func (f *folder) close() {
	for _, r := range f.readers {
		r.Close()
	}
}

const (
	configFile = "config.json"
	weightFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// maxText bounds the JSON files of a checkpoint.
const maxText = 64 << 20

// readText reads a file that is held in memory whole.
func readText(path string) ([]byte, error) {
	info, err := files.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, files.Cause(err))
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s cannot be read: it is not a file", path)
	case info.Size() > maxText:
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are allowed", path, info.Size(), maxText)
	}
	data, err := files.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, files.Cause(err))
	}
	return data, nil
}

// openFolder reads what a folder says of its model. It opens the files of tensors and reads their headers.
func openFolder(dir string) (_ *folder, err error) {
	info, err := files.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", dir, files.Cause(err))
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file; name the folder with %s, the weights and the tokenizer", dir, configFile)
	}
	data, err := readText(filepath.Join(dir, configFile))
	if err != nil {
		return nil, fmt.Errorf("%w; a checkpoint is a folder with %s, *.safetensors and tokenizer.json", err,
			configFile)
	}
	f := &folder{dir: dir, tensors: map[string]*tensor{}}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.config, err = parseConfig(filepath.Join(dir, configFile), data); err != nil {
		return nil, err
	}
	shards, index, err := f.shards()
	if err != nil {
		return nil, err
	}
	for _, name := range shards {
		r, err := checkpoint.Open(filepath.Join(dir, name))
		if err != nil {
			if _, gone := files.Stat(filepath.Join(dir, name)); errors.Is(gone, fs.ErrNotExist) && index != nil {
				return nil, fmt.Errorf("%s is missing, which %s names: copy all shards", filepath.Join(dir, name),
					indexFile)
			}
			return nil, err
		}
		f.readers = append(f.readers, r)
		for _, e := range r.Entries() {
			if other := f.tensors[e.Name]; other != nil {
				return nil, fmt.Errorf("the tensor %s is in %s and in %s: remove the file that does not belong here",
					e.Name,
					other.file, name)
			}
			if want, ok := index[e.Name]; index != nil && (!ok || want != name) {
				return nil, fmt.Errorf("the tensor %s is in %s, where %s does not name it", e.Name, name, indexFile)
			}
			f.tensors[e.Name] = &tensor{Entry: e, file: name, from: r, float: e.Float()}
		}
	}
	if err := f.readChat(); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if f.tensors[name] == nil {
			return nil, fmt.Errorf("%s has no tensor %s, which %s names there", index[name], name, indexFile)
		}
	}
	return f, nil
}

// shards lists the files of tensors, and where the index says that each is.
func (f *folder) shards() (names []string, index map[string]string, err error) {
	_, one := files.Stat(filepath.Join(f.dir, weightFile))
	_, many := files.Stat(filepath.Join(f.dir, indexFile))
	switch {
	case one == nil:
		return []string{weightFile}, nil, nil
	case many == nil:
		path := filepath.Join(f.dir, indexFile)
		data, err := readText(path)
		if err != nil {
			return nil, nil, err
		}
		var x struct {
			Map map[string]string `json:"weight_map"`
		}
		if err := json.Unmarshal(data, &x); err != nil {
			return nil, nil, fmt.Errorf("%s is not valid: %w", path, err)
		}
		if len(x.Map) == 0 {
			return nil, nil, fmt.Errorf("%s has no weight_map, which names the file of each tensor", path)
		}
		seen := map[string]bool{}
		for name, file := range x.Map {
			if file != filepath.Base(file) || !filepath.IsLocal(file) {
				return nil, nil, fmt.Errorf("%s: the tensor %s is said to be in %q, which is not a file of the folder",
					path,
					name, file)
			}
			seen[file] = true
		}
		return slices.Sorted(maps.Keys(seen)), x.Map, nil
	}
	entries, err := files.ReadDir(f.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be read: %w", f.dir, files.Cause(err))
	}
	for _, e := range entries {
		switch ext := filepath.Ext(e.Name()); {
		case ext == ".safetensors":
			names = append(names, e.Name())
		case slices.Contains([]string{".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}, ext):
			defer func() {
				if names == nil {
					err = fmt.Errorf(
						"%s is a pickle file: reading it would run the code in it, whoever wrote that, so it "+
							"is not read; take the model's *.safetensors, or convert it where you trust it, with "+
							"safetensors.torch.save_file", filepath.Join(f.dir, e.Name()))
				}
			}()
		}
	}
	switch len(names) {
	case 1:
		return names, nil, nil
	case 0:
		return nil, nil, fmt.Errorf("%s has neither %s nor %s", f.dir, weightFile, indexFile)
	}
	return nil, nil, fmt.Errorf("%s has %d files *.safetensors and no %s, which names the tensors of each", f.dir,
		len(names),
		indexFile)
}

// find gives a tensor by its published name. Checkpoints leave out the name of the model's inner part, or have it where
// others do not, and older ones call two parameters otherwise.
func (f *folder) find(name string) (*tensor, error) {
	for _, n := range f.arch.spellings(name) {
		if t := f.tensors[n]; t != nil {
			t.used = true
			return t, nil
		}
	}
	return nil, fmt.Errorf("%s: there is no tensor %s", f.dir, name)
}

// rest lists the tensors that nothing was made of: those that may be left aside, and those that nobody knows.
func (f *folder) rest() (aside, unknown []*tensor) {
	for _, name := range slices.Sorted(maps.Keys(f.tensors)) {
		t := f.tensors[name]
		switch {
		case t.used:
		case !t.float || f.arch.needless(name):
			aside = append(aside, t)
		default:
			unknown = append(unknown, t)
		}
	}
	return aside, unknown
}

// spellings are the names that a tensor may have.
func (a *architecture) spellings(name string) []string {
	names := []string{name}
	if a.prefix != "" {
		if short, ok := strings.CutPrefix(name, a.prefix); ok {
			names = append(names, short)
		} else {
			names = append(names, a.prefix+name)
		}
	}
	for _, n := range names {
		if a.norm == "" || !strings.Contains(n, a.norm) {
			continue
		}
		for now, old := range map[string]string{".weight": ".gamma", ".bias": ".beta"} {
			if s, ok := strings.CutSuffix(n, now); ok {
				names = append(names, s+old)
			}
		}
	}
	return names
}

// needless tells whether a tensor is one that the architecture's own programs write and do not need.
func (a *architecture) needless(name string) bool {
	return slices.ContainsFunc(a.aside, func(pattern string) bool {
		ok, err := filepath.Match(pattern, name)
		return err == nil && ok
	})
}

// tokenizers are the files that a tokenizer may be in, the first that is there counts.
var tokenizers = []string{"tokenizer.json", "tokenizer.model", sentencePieces}

const sentencePieces = "spiece.model"

// readTokenizer reads the tokenizer.
func (f *folder) readTokenizer() error {
	for _, name := range tokenizers {
		path := filepath.Join(f.dir, name)
		if _, err := files.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		data, err := readText(path)
		if err != nil {
			return err
		}
		t, _, err := formats.Parse(data, "")
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		f.tokenizer, f.tokenizerFile, f.tokenizerData = t, name, data
		return nil
	}
	if f.hasPair() {
		return f.readPair()
	}
	return fmt.Errorf("%s has no tokenizer: one of %s is needed", f.dir, strings.Join(tokenizers, ", "))
}

// vocabulary is the number of the model's tokens: those of the tokenizer, of which a table may have rows for more.
func (f *folder) vocabulary(rows int) int {
	n := f.tokenizer.Vocab()
	if n > rows {
		f.config.errorf("vocab_size is %d, but %s has %d tokens: it is of another model", rows, f.tokenizerFile, n)
	}
	return n
}
