package spec

// model begins a Model with the keys of every kind that depend on no other.
func (c *checker) model(root *value) *Model {
	shape := root.key("shape")
	return &Model{
		Pos:         root.Pos,
		Kind:        root.key("kind").word,
		Name:        c.packageName(root.key("name")),
		Description: c.description(root.key("description")),
		Seed:        uint64(root.key("seed").integer),
		Shape: Shape{Pos: shape.Pos, Batch: int(shape.key("batch").integer),
			Steps: int(shape.key("steps").integer)},
	}
}

// training fills in how the model is trained.
func (c *checker) training(root *value, m *Model) {
	loss := root.key("loss")
	m.Loss = Loss{Pos: loss.Pos, Kind: loss.word, LabelSmoothing: loss.set.key("label_smoothing").number}
	m.Optimizer = c.optimizer(root.key("optimizer"))
	if m.EMA = root.key("ema").number; m.Vectors != nil && m.Kind == "gan" {
		m.EMA = 0 // samples have one of their own
	}
	c.ownAverage(root, m)
	m.Schedule = c.schedule(root.key("schedule"), &m.Optimizer)
	clip := root.key("clip")
	m.Clip = Clip{Pos: clip.Pos, Norm: clip.key("norm").number, Value: clip.key("value").number}
	if m.Kind == "rnn" || m.Kind == "attention" {
		m.Adapter = c.adapter(root.key("adapter"))
	}
	m.Taps = root.key("taps").flag
	m.Train = c.train(root.key("train"), m)
	if decode := root.key("decode"); decode.given {
		m.Decode = Decode{Pos: decode.Pos, Weights: decode.key("weights").word}
		if m.Masking != nil || m.Vectors != nil {
			c.errorf(decode.Pos, "decode: the model writes no text token by token, so that no weights are laid out "+
				"for it: remove the key")
		}
	}
}

func (c *checker) train(v *value, m *Model) Train {
	passes, steps, separator := v.key("passes"), v.key("steps"), v.key("separator")
	t := Train{
		Pos:        v.Pos,
		Passes:     int(passes.integer),
		Steps:      int(steps.integer),
		Validation: v.key("validation").number,
		EvalEvery:  int(v.key("eval_every").integer),
		SaveEvery:  int(v.key("save_every").integer),
		Accumulate: max(1, int(v.key("accumulate").integer)),
		Separator:  separator.text,
	}
	if n := t.Accumulate; m.Shape.Batch%n == 0 {
		m.Shape.Batch /= n
	} else {
		c.errorf(v.key("accumulate").Pos, "train.accumulate: a batch of %d is not cut into %d shards of equal size: "+
			"give a number that divides it", m.Shape.Batch, n)
	}
	if sampling := v.key("scheduled_sampling"); sampling.given && !sampling.bad {
		t.Sampling, t.Rise = sampling.key("share").number, int(sampling.key("rise").integer)
		if m.Kind != "attention" || m.Masking != nil {
			c.errorf(sampling.Pos, "train.scheduled_sampling: it is for a decoder of kind attention; leave it out")
		}
	}
	if v := v.key("condition"); v.given && !v.bad {
		end := v.key("end")
		t.Condition, t.Drop = end.text, v.key("drop").number
		if m.Kind != "rnn" && !m.DecoderOnly() {
			c.errorf(v.Pos, "train.condition: it is for language models, of kind rnn or of kind attention with a "+
				"decoder alone; leave it out")
		}
		c.spelt(m, end, "train.condition.end")
	}
	if passes.given && steps.given && !passes.bad && !steps.bad {
		c.errorf(steps.Pos, "train: passes and steps both say how long to train; leave one of them out")
	}
	if !passes.given && !steps.given {
		t.Passes = defaultPasses
	}
	c.scheduleFits(m, &t)
	t.Guard = c.guard(v.key("guard"))
	c.patience(v.key("patience"), m, &t)
	if separator.given && !separator.bad && m.Source != nil {
		c.errorf(separator.Pos, "train.separator: a line is a text of its own where there is an encoder; leave it out")
	}
	c.spelt(m, separator, "train.separator")
	return t
}

// spelt reports a text that the vocabulary has no characters for.
func (c *checker) spelt(m *Model, v *value, what string) {
	if m.Tokenizer.Vocab == 0 || m.Tokenizer.Unknown != 0 {
		return
	}
	for _, r := range v.text {
		if !m.Tokenizer.Has(r) {
			c.errorf(v.Pos, "%s: the character %q is not in the vocabulary, so no text can contain it", what, r)
			return
		}
	}
}

const defaultPasses = 10
