package spec

// rnnType is the language of kind rnn.
var rnnType = object("",
	&key{name: "kind", typ: enum(word{name: "rnn"}), required: true, doc: "The kind of model."},
	nameKey, descriptionKey, blocksKey, defineKey, tokenizerKey, shapeKey,
	need("layers", list(layerType, 1, maxStack), "The layers, from tokens to logits.").called("layer", "network",
		"model", "decoder"),
	lossKey, optimizerKey, emaKey, scheduleKey, clipKey, adapterKey, initKey, seedKey, decodeKey, tapsKey, trainKey,
)
