package interchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// config is an object of a config.json, which remembers what was asked for: a key that nobody knows may change what the
// model computes, so that it is an error.
type config struct {
	path   string // of the file, and of the object in it
	values map[string]any
	asked  map[string]bool
	inner  []*config // objects that were asked for
	fault  *[]error
}

// parseConfig reads a config.json.
func parseConfig(path string, data []byte) (*config, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var values map[string]any
	if err := d.Decode(&values); err != nil {
		return nil, fmt.Errorf("%s is not a JSON object: %w", path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something follows the JSON object", path)
	}
	if values == nil {
		return nil, fmt.Errorf("%s is not a JSON object but null", path)
	}
	return &config{path: path, values: values, asked: map[string]bool{}, fault: new([]error)}, nil
}

func (c *config) errorf(format string, args ...any) {
	*c.fault = append(*c.fault, fmt.Errorf("%s: %s", c.path, fmt.Sprintf(format, args...)))
}

// value is what a key says; nil where it is missing or null.
func (c *config) value(key string) any {
	c.asked[key] = true
	return c.values[key]
}

// has tells whether a key says something.
func (c *config) has(key string) bool { return c.value(key) != nil }

// either is the first of several keys that says something, or the first.
func (c *config) either(keys ...string) string {
	found := ""
	for _, k := range keys {
		if c.has(k) && found == "" {
			found = k
		}
	}
	if found == "" {
		return keys[0]
	}
	return found
}

// number is a finite number. orElse holds where the key is missing; without it that is an error.
func (c *config) number(key string, orElse ...float64) float64 {
	v := c.value(key)
	if v == nil {
		if len(orElse) > 0 {
			return orElse[0]
		}
		c.errorf("the key %q is missing", key)
		return 1
	}
	if n, ok := v.(json.Number); ok {
		if x, err := n.Float64(); err == nil && !math.IsInf(x, 0) {
			return x
		}
	}
	c.errorf("%s: expected a number, found %s", key, shown(v))
	return 1
}

// maxSize bounds the sizes in a config.json.
const maxSize = 1 << 24

// size is a whole number from 1 on. orElse holds where the key is missing; without it that is an error.
func (c *config) size(key string, orElse ...int) int {
	v := c.value(key)
	if v == nil && len(orElse) > 0 {
		return orElse[0]
	}
	if v == nil {
		c.errorf("the key %q is missing", key)
		return 1
	}
	return c.whole(key, v, 1)
}

func (c *config) whole(key string, v any, least int) int {
	if n, ok := v.(json.Number); ok {
		if x, err := n.Float64(); err == nil && x == math.Trunc(x) && x >= float64(least) && x <= maxSize {
			return int(x)
		}
	}
	c.errorf("%s: expected a whole number from %d to %d, found %s", key, least, maxSize, shown(v))
	return max(1, least)
}

// flag is true or false.
func (c *config) flag(key string, orElse bool) bool {
	switch v := c.value(key).(type) {
	case nil:
		return orElse
	case bool:
		return v
	default:
		c.errorf("%s: expected true or false, found %s", key, shown(v))
		return orElse
	}
}

// word is a string.
func (c *config) word(key, orElse string) string {
	switch v := c.value(key).(type) {
	case nil:
		return orElse
	case string:
		return v
	default:
		c.errorf("%s: expected a string, found %s", key, shown(v))
		return orElse
	}
}

// list is a list; nil where the key is missing.
func (c *config) list(key string) []any {
	switch v := c.value(key).(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		c.errorf("%s: expected a list, found %s", key, shown(v))
		return nil
	}
}

// object is an object; nil where the key is missing.
func (c *config) object(key string) *config {
	switch v := c.value(key).(type) {
	case nil:
		return nil
	case map[string]any:
		for _, o := range c.inner {
			if o.path == c.path+": "+key {
				return o
			}
		}
		o := &config{path: c.path + ": " + key, values: v, asked: map[string]bool{}, fault: c.fault}
		c.inner = append(c.inner, o)
		return o
	default:
		c.errorf("%s: expected an object, found %s", key, shown(v))
		return nil
	}
}

// token is the number of a token, or -1: of several the first.
func (c *config) token(key string) int {
	v := c.value(key)
	if l, ok := v.([]any); ok && len(l) > 0 {
		v = l[0]
	}
	if v == nil {
		return -1
	}
	return c.whole(key, v, 0)
}

// only reports a key that has another value than the one that a spec can express.
func (c *config) only(key string, want any, why string) {
	v := c.value(key)
	if v == nil || v == want {
		return
	}
	if n, ok := v.(json.Number); ok {
		if x, err := n.Float64(); err == nil && x == want {
			return
		}
	}
	c.errorf("%s is %s: %s", key, shown(v), why)
}

// idle are keys that change nothing of what a model computes once it is trained, in every architecture.
var idle = []string{
	"_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_name_or_path", "architectures",
	"attention_dropout",
	"attention_probs_dropout_prob", "attn_implementation", "attn_pdrop", "auto_map", "bad_words_ids",
	"begin_suppress_tokens", "bos_token_id",
	"cache_implementation", "chunk_size_feed_forward", "classifier_dropout", "decoder_start_token_id",
	"diversity_penalty", "do_sample",
	"dropout", "dropout_rate", "dtype", "early_stopping", "embd_pdrop", "emb_pdrop", "encoder_no_repeat_ngram_size",
	"eos_token_id",
	"exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id",
	"gradient_checkpointing", "hidden_dropout", "hidden_dropout_prob", "id2label", "initializer_factor",
	"initializer_range", "is_encoder_decoder",
	"is_llama_config", "label2id", "length_penalty", "max_length", "min_length", "model_type", "no_repeat_ngram_size",
	"num_beam_groups",
	"num_beams", "num_return_sequences", "output_attentions", "output_hidden_states", "output_past", "output_scores",
	"pad_token_id", "prefix",
	"pretraining_tp", "problem_type", "pruned_heads", "remove_invalid_values", "repetition_penalty", "resid_pdrop",
	"return_dict", "return_dict_in_generate", "sep_token_id", "suppress_tokens", "task_specific_params", "temperature",
	"tf_legacy_loss", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers.js_config",
	"transformers_version",
	"typical_p", "use_bfloat16", "use_cache",
}

// check gives what is wrong with the config, all of it: besides what asking has found, the keys that nobody asked for.
func (c *config) check(arch *architecture, ignore []string) error {
	for _, k := range slices.Sorted(maps.Keys(c.values)) {
		if c.asked[k] || slices.Contains(idle, k) || slices.Contains(arch.idle, k) || slices.Contains(ignore,
			k) || c.values[k] == nil {
			continue
		}
		c.errorf("the key %q (%s) is not known of architecture %s, and may change what the model computes; leave it aside with --ignore %s if it does not", k, shown(c.values[k]), arch.types[0], k)
	}
	for _, o := range c.inner {
		for _, k := range slices.Sorted(maps.Keys(o.values)) {
			if !o.asked[k] && !slices.Contains(ignore, k) && o.values[k] != nil {
				o.errorf("the key %q (%s) is not known, and may change what the model computes; leave it aside with --ignore %s if it does not", k, shown(o.values[k]), k)
			}
		}
	}
	return errors.Join(*c.fault...)
}

// shown is a value of JSON as errors show it: on one line, not too long.
func shown(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	s := strings.ToValidUTF8(string(data), "\uFFFD")
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
