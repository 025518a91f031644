package emit

import (
	"strings"
	"unicode"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
)

// What code has whatever the spec says: none of these names is given to anything of the spec. Package emits no name
// that is not in them or given away by the allocator, and TestNames finds what is no longer emitted.
var (
	packages = []string{
		"cache",
		"checkpoint", "context", "embed", "errors", "fmt", "inference", "initialize", "iter", "kernel", "latent",
		"math", "model", "modeltest", "normalize", "optim", "os", "param", "policy", "runtime", "sample", "schedule",
		"sentencepiece", "slices", "strings", "sync",
		"testing", "text", "tiktoken", "tokenizer", "vector", "weights",
	}
	declared = []string{
		"Decoder", "Load", "Model", "New", "NewSeeded", "Params", "Parse", "Program", "SourceTokenizer", "Tokenizer",
		"acts", "adapterParams", "adapterRank", "ahead", "annealing", "at", "beginToken", "beta", "characters",
		"check", "chunk", "criticSteps", "decodeActs", "defaultSeed", "discriminatorActs", "discriminatorPass",
		"generatorPass", "relaxedPass", "discriminatorLines",
		"discriminatorNoise", "discriminatorRate", "generatorRate", "pretrainingRate", "empty", "encodeActs",
		"encoderParams", "flatParams", "generatorActs", "generatorNoise", "generatorParams", "headStart", "info",
		"judgeActs", "kvCache", "makerActs", "matrices", "maxBatch", "maxSourceSteps", "maxSteps", "merges",
		"mixing", "newActs", "newDecodeActs", "newDiscriminatorActs", "newEncodeActs", "newGeneratorActs",
		"newJudgeActs", "newJudging", "newKVCache", "newMakerActs", "newMatrices", "newRelaxedActs", "newState",
		"noise",
		"paramCount", "policyLines", "pretrainingSteps", "relaxedActs", "rollouts", "sourceCharacters", "sourcemerges",
		"sourcetokenizerFile", "sourcewords", "state", "tokenizerFile", "words",
	}
	ofModel = []string{
		"acts", "allocate", "average", "averaged", "backward", "cacheKind", "cool", "decode", "discriminating",
		"discriminatorBackward", "discriminatorForward",
		"discriminatorGradients", "discriminatorLoss", "discriminatorOutputs", "discriminatorReads", "draw", "drawn",
		"divergence", "dropKey", "dropRate", "duel", "encode",
		"enter", "forward", "generating", "generatorBackward", "generatorForward", "generatorGradients",
		"generatorLoss", "generatorOutputs", "generatorReads",
		"gradients", "grads", "guard", "inTraining", "inverseTemperature", "judge", "judgeAll", "judged", "judging",
		"klWeight",
		"lines", "loss", "lossAndGradients",
		"makeAll", "maker", "making", "measure", "newDecoder", "noiseKey", "outputs", "packed", "packedAs", "packedAt",
		"params", "policyReads", "reconstruction",
		"relaxedBackward", "relaxedForward", "relaxedGradients",
		"relaxedLoss", "relaxedOutputs", "relaxedReads", "relaxing", "said", "seed", "state", "train", "training",
		"verdicts",
		"weights",
	}
	ofDecoder = []string{"acts", "batch", "encodeActs", "feed", "guard", "kv", "length", "matrices", "params",
		"positions", "ends", "source", "sourceSteps", "state"}
	// inFunctions are the parameters, results and short names of functions that are written from graphs.
	inFunctions = []string{"a", "b", "p", "g", "m", "d", "s", "t", "l", "w", "kv", "steps", "sourceSteps", "ends",
		"source", "batch", "rows", "tokens", "positions", "train", "err"}
)

// identifiers are the scopes of a package in which things of the spec get names.
type identifiers struct {
	pkg       *names.Scope
	model     *names.Scope            // fields and methods of Model
	decoder   *names.Scope            // of Decoder
	params    *names.Scope            // fields of Params, by the path of the layer
	fields    map[string]*names.Scope // fields of the struct of a layer's parameters, by its type
	state     *names.Scope            // fields of state, by the state's ID
	ofLayer   map[string]*names.Scope // fields of the struct of a layer's state, by its type
	cache     *names.Scope            // fields of kvCache
	matrices  *names.Scope            // fields of matrices
	functions *names.Scope            // names that no local variable has
}

// suffixes of the types that a layer has.
const (
	paramsType = "Params"
	stateType  = "State"
)

// identify names what the package declares, so that what is written first does not decide who is called what.
func (e *emitter) identify() {
	n := &e.ids
	n.pkg = names.Package()
	n.pkg.Reserve(packages...)
	n.pkg.Reserve(declared...)
	n.model, n.decoder, n.params, n.state, n.cache, n.matrices = names.Members(), names.Members(), names.Members(),
		names.Members(), names.Members(), names.Members()
	n.model.Reserve(ofModel...)
	n.model.Reserve(e.scalars()...)
	tapTypes, tapMembers := e.tapNames()
	n.pkg.Reserve(tapTypes...)
	n.model.Reserve(tapMembers...)
	n.decoder.Reserve(ofDecoder...)
	n.state.Reserve("flat")
	n.cache.Reserve("kind")
	n.fields, n.ofLayer = map[string]*names.Scope{}, map[string]*names.Scope{}
	for _, c := range e.Model.Names {
		if graph.Identity(c.Name).Layer == "" {
			n.pkg.Reserve(c.Name)
		}
	}
	for _, c := range e.Model.Names {
		e.constant(c.Name)
	}
	for _, s := range e.scopes() {
		e.layerField(s.name)
		e.layerType(s.name, paramsType)
		e.layerType(s.name, stateType)
		for _, p := range s.params {
			e.paramField(p.ID())
		}
	}
	for _, s := range e.Model.States {
		e.stateField(s.ID())
	}
	for _, t := range e.Model.Tables {
		e.variable(t.Name)
	}
	e.eachHeads(func(_ string, h graph.Heads) { e.variable(h.Name) })
	e.nameElements()
	n.functions = n.pkg.Without(packages...).Inner()
	n.functions.Reserve("fmt", "kernel", "model") // the packages that functions with local variables of a graph use
	n.functions.Reserve(inFunctions...)
}

// constant is the Go name of a size: that itself, or, of a size of a layer, its layer's and its own.
func (e *emitter) constant(name string) string {
	if graph.Identity(name).Layer == "" {
		return name
	}
	return e.variable(name)
}

// variable is the Go name of something of a layer that the package declares.
func (e *emitter) variable(name string) string { return e.ids.pkg.For(name, names.Lower(name)) }

// layerField is the field of Params with a layer's parameters.
func (e *emitter) layerField(layer string) string {
	return e.ids.params.For(layer, names.Exported(layer))
}

// layerType is the type of a struct of a layer, exported for its parameters.
func (e *emitter) layerType(layer, suffix string) string {
	of := e.typeOf(layer)
	want := names.Lower(of) + suffix
	if suffix == paramsType {
		want = names.Exported(of) + suffix
	}
	return e.ids.pkg.For([2]string{of, suffix}, want)
}

// paramField is the field of a parameter in the struct of its layer.
func (e *emitter) paramField(id graph.ID) string {
	return members(e.ids.fields, e.typeOf(id.Layer)).For(id.Field, names.Exported(id.Field))
}

// stateField is the field of a state: in state, or, where layers share a type, in the struct of its layer, whose field
// in state comes first.
func (e *emitter) stateField(id graph.ID) (layer, field string) {
	family := e.twins()[id.Layer]
	if family == "" {
		return "", e.ids.state.For(id, names.Lower(id.String()))
	}
	return e.ids.state.For(id.Layer, names.Lower(id.Layer)), members(e.ids.ofLayer, family).For(id.Field,
		names.Lower(id.Field))
}

// cacheField is the field of a cache in kvCache.
func (e *emitter) cacheField(id graph.ID) string {
	return e.ids.cache.For(id, names.Lower(id.String()))
}

func members(of map[string]*names.Scope, typ string) *names.Scope {
	if of[typ] == nil {
		of[typ] = names.Members()
	}
	return of[typ]
}

// local is the Go name that a value wants inside of a function: its name without the layer's.
func local(name string) string { return names.Lower(graph.Identity(name).Field) }

// product is an expression for a dimension, with the names of its parts.
func (e *emitter) product(d graph.Dim) jen.Code {
	var terms []jen.Code
	runs := d.Ordered()
	if len(runs) == 2 && runs[0] == "steps" && runs[1] == "batch" {
		runs = []string{"rows"}
	}
	for _, r := range runs {
		terms = append(terms, jen.Id(r))
	}
	if d.Name != "" {
		for _, t := range strings.Split(d.Name, "*") {
			if unicode.IsDigit(rune(t[0])) {
				n := 0
				for _, c := range t {
					n = n*10 + int(c-'0')
				}
				terms = append(terms, jen.Lit(n))
				continue
			}
			if name, more := strings.CutSuffix(t, "+1"); more {
				terms = append(terms, jen.Parens(jen.Id(e.constant(name)).Op("+").Lit(1)))
				continue
			}
			terms = append(terms, jen.Id(e.constant(t)))
		}
	} else if d.N != 1 || len(terms) == 0 {
		terms = append(terms, jen.Lit(d.N))
	}
	s := jen.Add(terms[0])
	for _, t := range terms[1:] {
		s = s.Op("*").Add(t)
	}
	return s
}

// shapeText is a shape for a comment, in numbers but for the run-time sizes.
func shapeText(s graph.Shape) string {
	parts := make([]string, len(s))
	for i, d := range s {
		if parts[i] = d.String(); d.N == 0 {
			parts[i] = d.Name // a number that the caller gives
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
