package spec

// labelsKey makes a model conditional: it belongs to kinds vae and gan.
var labelsKey = may("labels", object("",
	need("count", integer(2, maxVocab),
		"How many labels there are; they are the numbers from 0 to `count` − 1.").called("classes", "number", "n",
		"num_classes", "num_labels"),
	with("size", integer(1, maxWidth), 16, "Features of a label.").called("width", "dim", "units", "embedding",
		"embedding_dim"),
	with("drop", share(), 0.0, "Of sentences: share of those that training reads without their label, in place of "+
		"whose features there are zeros, so that the model also learns to write without one. Guidance asks for that "+
		"(`sample --guidance`; Ho and Salimans 2022). Which sentences those are differs from pass to pass.").called(
		"dropout", "unconditional", "label_dropout"),
	may("init", initType, "the model's `init`; else normal 1",
		"How the tables start.").called("initializer")).shortFor("count"),
	"examples have no labels", "A label of each example, on which the model is conditional: what it makes is of the "+
		"kind that a label asks for (Mirza and Osindero 2014; Sohn et al. 2015). Each of the two networks has a "+
		"learnt table with a row of features for each label, and reads that of the example beside its input: the "+
		"encoder of vectors beside the vector, that of sentences beside what its last layer gives, a decoder beside "+
		"the latent vector wherever it reads that, the generator beside the noise, the discriminator beside the "+
		"vector. The prior of the latent vector is the same for all labels.").called("label", "classes", "conditions",
	"condition", "conditional", "class")

// labels checks the labels of the examples, whose features two networks learn; nil without.
func (c *checker) labels(v, init *value) *Labels {
	if !v.given {
		return nil
	}
	l := &Labels{Pos: v.Pos, Count: int(v.key("count").integer), Size: int(v.key("size").integer),
		Drop: v.key("drop").number}
	l.Init = c.initial(v.key("init"), c.initial(init, Init{Pos: v.Pos, Scheme: "normal", Scale: 1}))
	if n := l.params(); n > maxParams {
		c.errorf(v.Pos, "labels: the two tables of %s labels have %s parameters, more than the %s that are allowed; "+
			"make size smaller", count(int64(l.Count)), count(n), count(maxParams))
		l.Count, l.Size = 0, 0 // the layers are not to blame
	}
	return l
}

// noDrop reports a share of labels that are left out where nothing is written token by token.
func (c *checker) noDrop(l *Labels, v *value) {
	if l != nil && l.Drop > 0 {
		c.errorf(v.key("drop").Pos, "labels.drop: it is for autoencoders of sentences, whose writing can be guided; "+
			"leave it out")
	}
}

// width is what the features of a label add to a row, 0 where there are none.
func (l *Labels) width() int {
	if l == nil {
		return 0
	}
	return l.Size
}

// params counts the learnt numbers of both tables.
func (l *Labels) params() int64 {
	if l == nil {
		return 0
	}
	return 2 * int64(l.Count) * int64(l.Size)
}
