package sample

import (
	"fmt"
	"math"
	"slices"
)

// Defaults. Without any option, tokens are drawn from the model's own distribution, each call with another seed.
const (
	DefaultMaxTokens     = 256
	DefaultPenaltyWindow = 64
)

// Option sets one thing about how text is written. Options may be given in any order; of two that set the same thing
// the later one counts.
type Option func(*config)

// config is what the options add up to.
type config struct {
	temperature float64
	topK        int
	topP        float64
	minP        float64
	typical     float64
	repetition  float64
	frequency   float64
	presence    float64
	window      int
	bias        map[int32]float64
	banned      []int32
	custom      []Processor
	order       []string
	seed        uint64
	seeded      bool
	maxTokens   int
	stop        []string
	length      float64
	control
	speculation
	err error
}

func newConfig(opts []Option) (*config, error) {
	c := &config{temperature: 1, topP: 1, typical: 1, repetition: 1, window: DefaultPenaltyWindow,
		maxTokens: DefaultMaxTokens, control: newControl()}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	return c, c.err
}

// fail keeps the first mistake, for the function that the options are given to.
func (c *config) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("sample: "+format, args...)
	}
}

// finite reports whether x is a number from low to high that float32, in which logits are, does not make 0 of.
func finite(x, low, high float64) bool { return x >= low && x <= high && (x == 0 || float32(x) != 0) }

// Bounds of the penalties. What lies beyond makes infinities of logits.
const (
	mostRepetition = 1e3
	mostPenalty    = 1e6
)

// Temperature divides the logits by t: below 1 likely tokens become likelier, above 1 the distribution is flatter. 0 is
// [Greedy], and so is what float32 rounds to it. Default 1.
func Temperature(t float64) Option {
	return func(c *config) {
		if !(t >= 0 && t <= math.MaxFloat32) {
			c.fail("temperature %v: it must be 0 or above", t)
		}
		c.temperature = t
	}
}

// Greedy takes the likeliest token each time, the first one of equals. It is Temperature(0).
func Greedy() Option { return Temperature(0) }

// TopK keeps the k likeliest tokens (Fan, Lewis and Dauphin 2018). 0, the default, keeps all.
func TopK(k int) Option {
	return func(c *config) {
		if k < 0 {
			c.fail("top-k %d: it must be 1 or more, or 0 for all tokens", k)
		}
		c.topK = k
	}
}

// TopP keeps the likeliest tokens whose probabilities add up to p: the nucleus (Holtzman et al. 2020). Default 1, which
// keeps all.
func TopP(p float64) Option {
	return func(c *config) {
		if !(p > 0 && p <= 1) {
			c.fail("top-p %v: it must be above 0 and at most 1", p)
		}
		c.topP = p
	}
}

// MinP keeps the tokens that are at least p times as likely as the likeliest (Nguyen et al. 2024). Default 0, which
// keeps all.
func MinP(p float64) Option {
	return func(c *config) {
		if !finite(p, 0, 1) {
			c.fail("min-p %v: it must be from 0 to 1, and 0 or a number that float32 can hold", p)
		}
		c.minP = p
	}
}

// Typical keeps the tokens whose information is closest to the entropy of the distribution, as many as it takes for a
// probability of p (Meister et al. 2023). Default 1, which keeps all.
func Typical(p float64) Option {
	return func(c *config) {
		if !(p > 0 && p <= 1) {
			c.fail("typical %v: it must be above 0 and at most 1", p)
		}
		c.typical = p
	}
}

// RepetitionPenalty divides the positive logits of tokens that stand in the penalty window by p and multiplies the
// negative ones (Keskar et al. 2019). Default 1, which changes nothing. For a model of characters every penalty soon
// makes words impossible.
func RepetitionPenalty(p float64) Option {
	return func(c *config) {
		if !finite(p, 1/mostRepetition, mostRepetition) {
			c.fail("repetition penalty %v: it must be from %v to %v", p, 1/mostRepetition, mostRepetition)
		}
		c.repetition = p
	}
}

// FrequencyPenalty takes p off the logit of a token for each time that it stands in the penalty window. Default 0.
func FrequencyPenalty(p float64) Option {
	return func(c *config) {
		if !finite(p, -mostPenalty, mostPenalty) {
			c.fail("frequency penalty %v: it must be from %v to %v, and 0 or a number that float32 can hold", p,
				-mostPenalty, mostPenalty)
		}
		c.frequency = p
	}
}

// PresencePenalty takes p off the logit of every token that stands in the penalty window. Default 0.
func PresencePenalty(p float64) Option {
	return func(c *config) {
		if !finite(p, -mostPenalty, mostPenalty) {
			c.fail("presence penalty %v: it must be from %v to %v, and 0 or a number that float32 can hold", p,
				-mostPenalty, mostPenalty)
		}
		c.presence = p
	}
}

// PenaltyWindow is how many of the last tokens, those of the prompt included, the penalties look at. Default 64.
func PenaltyWindow(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.fail("penalty window of %d tokens: it must have 1 or more", n)
		}
		c.window = n
	}
}

// LogitBias adds bias to the logit of a token.
func LogitBias(token int32, bias float64) Option {
	return func(c *config) {
		if math.IsNaN(bias) || bias > mostPenalty {
			c.fail("logit bias %v of token %d: it must be a number of at most %v, or -Inf", bias, token, mostPenalty)
		}
		if c.bias == nil {
			c.bias = map[int32]float64{}
		}
		c.bias[token] = bias
	}
}

// Banned keeps tokens from being written at all.
func Banned(tokens ...int32) Option {
	return func(c *config) { c.banned = append(c.banned, tokens...) }
}

// With adds a processor of your own after those of this package and before the temperature.
func With(p Processor) Option {
	return func(c *config) { c.custom = append(c.custom, p) }
}

// names are the processors in their usual order.
var names = []string{"bias", "penalties", "dry", "no_repeat", "top_k", "typical", "top_p", "min_p", "epsilon", "eta",
	"xtc", "custom", "temperature"}

// Order changes the order of the chain. It takes the names bias (and banned tokens), penalties, dry, no_repeat, top_k,
// typical, top_p, min_p, epsilon, eta, xtc, custom and temperature, which is the usual order; what it leaves out is not
// applied. A constraint always comes first and [Mirostat] last.
func Order(order ...string) Option {
	return func(c *config) {
		for i, name := range order {
			if !slices.Contains(names, name) {
				c.fail("order names %q: the processors are %v", name, names)
			}
			if slices.Contains(order[:i], name) {
				c.fail("order names %q twice", name)
			}
		}
		c.order = order
	}
}

// Seed makes the draw repeatable: the same model, prompt, options and seed write the same text on every machine.
// Without it each call has a seed of its own.
func Seed(seed uint64) Option {
	return func(c *config) { c.seed, c.seeded = seed, true }
}

// MaxTokens ends the text after n tokens. Default 256. A negative n means no end but stop strings and the context.
func MaxTokens(n int) Option {
	return func(c *config) { c.maxTokens = n }
}

// Stop ends the text before the first of these strings; empty ones are ignored.
func Stop(s ...string) Option {
	return func(c *config) {
		for _, x := range s {
			if x != "" {
				c.stop = append(c.stop, x)
			}
		}
	}
}

// LengthPenalty is for [Beam] alone: hypotheses are ranked by log-probability/((5+length)/6)^alpha (Wu et al. 2016).
// Default 0, which ranks by log-probability.
func LengthPenalty(alpha float64) Option {
	return func(c *config) {
		if !finite(alpha, -100, 100) {
			c.fail("length penalty %v: it must be from -100 to 100", alpha)
		}
		c.length = alpha
	}
}
