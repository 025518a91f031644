package build

import (
	"fmt"
	"slices"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/spec"
)

// What generated code has of the graphs is data: the parts of the parameters that have an optimizer each, the runs of
// the graphs, and the steps of a training, which run a graph and move a part. A model of a new kind says here what its
// steps are.

// Part is parameters that one optimizer moves.
type Part struct {
	Name      string // "generator"; empty for all
	From, To  string // constants: where it begins and ends in the flat arrays; From is empty for the first part
	Optimizer *spec.Optimizer
	Decay     float64 // of an average of its parameters; 0 for none
}

// Run is a graph, with what code that runs it is called and says of itself.
type Run struct {
	Graph    *graph.Graph
	Name     string // in front of the names of its functions, "discriminator"; empty for forward, loss and backward
	Field    string // of a model, with the memory: "acts"
	Type     string // of that memory: "discriminatorActs"
	What     string // what the memory is, in words
	Averaged bool   // it reads the average of the parameters

	Forward, Loss, Backward string               // comments on the functions of its phases
	Passes                  map[string][2]string // what the passes over its networks do, forward and backward
	Same                    []string             // those that go through one network
	Like                    string               // the pass of a step that computes the same
}

// Source says where what a step reads comes from, and what else it does.
type Source uint8

// Sources.
const (
	Given   Source = iota // the batch is all that the step reads
	Noise                 // vectors are made of noise
	Lines                 // the generator writes lines to be judged
	Rewards               // the generator writes lines, and verdicts reward it
	Relaxed               // it writes relaxed lines, at a temperature that falls
)

// Step is a kind of step of a training.
type Step struct {
	*Run
	Kind   string // its name in the schedule; empty for the only one
	Moves  []*Part
	Source Source
	Judges bool   // it gives verdicts that tell how the two networks stand
	Last   string // field of model.Duel with its loss

	// When it has its turn, by names of constants, and how often in one training step.
	From, Until, Every, Times string
	Asked                     bool   // it has no turn
	Rate                      string // factor on the rate of the training

	Method string // of generated code, which computes the loss and the gradient of a batch: "DiscriminatorGradients"
	Doc    string // comment on it, behind its name
	// comment on what is read and computed in its turn, behind a name; empty where that is the method alone
	Step string
}

// Random says what a training draws anew for.
type Random struct {
	Steps bool   // for each training step, and not for each step of any kind in it
	Each  string // in words
}

// runs sets what generated code has of the graphs.
func (m *Model) runs() {
	s := m.Spec
	m.Random.Each = "training step"
	switch {
	case s.GAN != nil && s.GAN.Text != nil:
		m.imitationRuns()
	case s.GAN != nil:
		m.adversarialRuns()
	default:
		m.plainRuns()
	}
}

const shared = ": each field holds the values of its name, at full capacity. Fields share memory where the life of " +
	"one ends before that of the other begins."

// plainRuns are those of a model that one loss trains.
func (m *Model) plainRuns() {
	s := m.Spec
	window, unit := "window", m.Unit()
	carries, more := "", ""
	all := &Part{To: "flatParams", Optimizer: &s.Optimizer}
	learnt := "every parameter"
	if s.Adapter != nil {
		all = &Part{Name: "adapter", To: "adapterParams", Optimizer: &s.Optimizer}
		learnt = "the adapter's parameters"
	}
	run := &Run{
		Graph: m.Train, Field: "acts", Type: "acts", What: "what a training step computes" + shared,
		Forward: "forward runs a window of text through the network and keeps what backward needs. b.Tokens is " +
			"time-major, [steps, batch]; the logits are left in m.acts.logits, [steps, batch, vocab].",
		Loss: "loss gives the mean loss of the logits in nats a token and, for a training step, leaves its " +
			"gradient in their place.",
		Backward: "backward computes the gradient of the mean loss with respect to " + learnt + ", from the last " +
			"layer to the first, into m.gradients. It reads what forward and loss left in m.acts.",
	}
	if m.Carries() {
		carries = ", and carries the state on"
	}
	if s.Latent != nil {
		window = "batch"
		run.Forward = "forward runs a " + m.Material() +
			" through the encoder, draws latent vectors, runs the decoder on them, and keeps what backward needs."
		run.Loss = "loss gives the reconstruction's loss plus the weighted divergence, the mean in nats a " + unit +
			". For a training step it leaves the gradient of what the decoder gave in its place."
		more = " It is the negative evidence lower bound with the divergence weighted and with free bits, as the " +
			"spec and the step say."
	}
	step := &Step{
		Run: run, Moves: []*Part{all}, Method: "Gradients",
		Doc: fmt.Sprintf("computes the mean loss of a %s in nats a %s and its gradient, which Grads gives%s.%s", window,
			unit, carries, more),
	}
	m.Parts, m.Steps, m.Runs = []*Part{all}, []*Step{step}, []*Run{run}
	without := "dropout"
	if s.Loss.LabelSmoothing > 0 {
		without = "dropout and label smoothing"
	}
	m.TrainDoc = fmt.Sprintf("makes one training step on a %s, at the given rate. It gives the mean loss in nats a "+
		"%s before the update and the norm of the gradient before clipping.", m.Material(), unit)
	m.LossDoc = fmt.Sprintf("gives the mean loss of a %s in nats a %s, without %s%s.", window, unit, without, carries)
	if s.Latent != nil {
		m.LossDoc += " It is the negative evidence lower bound, all of the divergence counted, with one sample a " +
			unit + "."
	}
	if s.Latent == nil || s.Latent.EncoderFirst.Steps == 0 {
		return
	}
	encoder := &Part{Name: "encoder", To: "encoderParams", Optimizer: &s.Optimizer}
	decoder := &Part{Name: "decoder", From: "encoderParams", To: "flatParams", Optimizer: &s.Optimizer}
	m.Parts = []*Part{encoder, decoder}
	step.Moves = m.Parts
	m.Steps = append(m.Steps,
		&Step{Run: run, Kind: "encoder", Moves: []*Part{encoder}, Asked: true, Method: step.Method})
	m.Random.Each = "update"
}

// networks are the parts of a generator and a discriminator.
func (m *Model) networks() (generator, discriminator *Part) {
	s := m.Spec
	generator = &Part{Name: "generator", To: "generatorParams", Optimizer: &s.Optimizer, Decay: s.GAN.EMA}
	discriminator = &Part{Name: "discriminator", From: "generatorParams", To: "flatParams", Optimizer: &s.GAN.Optimizer}
	m.Parts = []*Part{generator, discriminator}
	return generator, discriminator
}

// holds reports whether a parameter belongs to the part.
func (p *Part) holds(x *Param) bool {
	switch p.Name {
	case "adapter":
		return x.Adapter
	case "generator":
		return !x.Discriminator
	case "discriminator":
		return x.Discriminator
	case "encoder":
		return x.Encoder
	case "decoder":
		return !x.Encoder
	}
	return true
}

// Sizes are the sizes of the tensors of a part, in their order.
func (m *Model) TensorSizes(p *Part) []spec.TensorSize {
	apart := m.Apart(p)
	var all []spec.TensorSize
	for _, l := range m.Layers {
		for _, x := range l.Params {
			if !p.holds(x) {
				continue
			}
			n, columns := x.Shape.Elems().N, x.Shape[len(x.Shape)-1].N
			for range max(x.Stack, 1) {
				all = append(all, spec.TensorSize{Rows: n / max(x.Stack, 1) / max(1, columns), Columns: columns,
					Apart: slices.Contains(apart, x.Layer)})
			}
		}
	}
	return all
}

// Apart names the layers of a part whose matrices rules for matrices leave to others: tables of tokens and positions,
// and the layer that gives the logits.
func (m *Model) Apart(p *Part) []string {
	var names []string
	for _, l := range m.Layers {
		table := l.Kind == "embedding" || l.Kind == "positions"
		logits := l.Kind == "dense" && m.Spec.Vectors == nil && len(l.Output) > 0 &&
			l.Output[len(l.Output)-1].N == m.Spec.Vocab()
		if (table || logits) && slices.ContainsFunc(l.Params, p.holds) {
			names = append(names, l.Name)
		}
	}
	return names
}

// verdicts are the passes that go through a discriminator.
var verdicts = []string{"real", "fake", "mixed"}

// OwnRate reports whether a rate of the spec is not that of the optimizer, which training steps are given.
func (m *Model) OwnRate(rate float64) bool { return rate != m.Spec.Optimizer.Rate }

// factor is the name of the constant with a rate, where it is one of its own.
func (m *Model) factor(constant string, rate float64) string {
	if !m.OwnRate(rate) {
		return ""
	}
	return constant
}

// adversarialRuns are those of networks of vectors.
func (m *Model) adversarialRuns() {
	gan := m.Spec.GAN
	generator, discriminator := m.networks()
	passes := map[string][2]string{
		"made": {"makes vectors of b.Noise", "goes back through the generator"},
		"spectral": {"divides the discriminator's matrices by their largest singular value",
			"goes back through the division by singular values"},
		"real": {"judges the vectors of b.Vectors", "goes back through the verdicts on b.Vectors"},
		"fake": {"judges the vectors that were made", "goes back through the verdicts on the vectors that were made"},
		"mixed": {"judges points between the vectors of b.Vectors and those that were made",
			"goes back through the verdicts on points in between"},
		"slope": {"computes the gradient of the verdict with respect to what was judged",
			"goes back through the gradient of the verdict"},
		"":     {"judges the vectors of b.Vectors", ""},
		"loss": {"computes the loss", "computes the gradient of the verdicts from the loss"},
	}
	d := &Run{
		Graph: m.Discriminate, Name: "discriminator", Field: "discriminating", Type: "discriminatorActs",
		What: "what a step of the discriminator computes" + shared, Passes: passes, Same: verdicts,
		Forward: "discriminatorForward makes vectors of b.Noise, judges them and those of b.Vectors, and keeps what " +
			"discriminatorBackward needs.",
		Loss: "discriminatorLoss gives the discriminator's mean loss of the verdicts that discriminatorForward " +
			"left.",
		Backward: "discriminatorBackward computes the gradient of the discriminator's loss with respect to its " +
			"parameters, into m.gradients. The generator's stay.",
	}
	if gan.Penalty.Kind != "" {
		d.Forward += " It goes on with the gradient of the verdict with respect to what is judged, which the penalty " +
			"of the loss is taken of."
	}
	g := &Run{
		Graph: m.Train, Name: "generator", Field: "generating", Type: "generatorActs",
		What: "what a step of the generator computes" + shared, Passes: passes, Same: verdicts,
		Forward: "generatorForward makes vectors of b.Noise and judges them, and keeps what generatorBackward needs.",
		Loss:    "generatorLoss gives the generator's mean loss of the verdicts that generatorForward left.",
		Backward: "generatorBackward computes the gradient of the generator's loss with respect to the generator's " +
			"parameters, into m.gradients: through the discriminator, whose parameters stay.",
	}
	maker := &Run{Graph: m.Make, Name: "maker", Field: "making", Type: "makerActs",
		What: "what making vectors computes.", Averaged: gan.EMA > 0, Passes: passes,
		Forward: "maker makes vectors of b.Noise."}
	judge := &Run{Graph: m.Judge, Name: "judge", Field: "judging", Type: "judgeActs",
		What: "what judging vectors computes.", Like: "real", Passes: passes,
		Forward: "judge judges the vectors of b.Vectors."}
	m.Runs = []*Run{d, g, maker, judge}
	share := "a step of the discriminator on b.Vectors"
	if gan.CriticSteps > 1 {
		share = "criticSteps steps of the discriminator, each on its share of b.Vectors"
	}
	m.TrainDoc = "makes one training step: " + share +
		", and one of the generator, at the given rate of the generator's optimizer. It gives the generator's mean " +
		"loss before the update and the norm of its gradient before clipping, and Duel tells more."
	m.LossDoc = "gives the discriminator's mean loss on b.Vectors and as many vectors that the generator makes, " +
		"without dropout. The noise is the same each time."
	mixed := ""
	if gan.Penalty.Kind == "wgan_gp" {
		mixed = " b.Mix says for each vector of the data how far on the line to it, from the one that is made, the " +
			"penalty is taken."
	}
	reads := m.Train.Reads("vectors")
	beside := ""
	if reads {
		beside = " beside those of b.Vectors"
	}
	m.Steps = []*Step{
		{
			Run: d, Kind: "discriminator", Moves: []*Part{discriminator}, Source: Noise, Judges: true,
			Last: "Discriminator", Rate: m.factor("discriminatorRate", gan.Optimizer.Rate),
			Method: "DiscriminatorGradients",
			Doc: "computes the discriminator's mean loss on b.Vectors and what the generator makes of b.Noise, " +
				"and its gradient, which Grads gives." + mixed,
			Step: "is DiscriminatorGradients of b.Vectors and as many vectors that the generator makes.",
		},
		{
			Run: g, Kind: "generator", Moves: []*Part{generator}, Source: Noise, Last: "Generator",
			Method: "GeneratorGradients",
			Doc: "computes the generator's mean loss on what it makes of b.Noise, and its gradient, which Grads " +
				"gives.",
			Step: "is GeneratorGradients of b.Batch vectors that the generator makes" + beside + ".",
		},
	}
	if gan.CriticSteps > 1 {
		m.Steps[0].Times = "criticSteps"
	}
}

// imitationRuns are those of networks of text.
func (m *Model) imitationRuns() {
	gan, text := m.Spec.GAN, m.Spec.GAN.Text
	generator, discriminator := m.networks()
	m.Random.Steps = true
	passes := map[string][2]string{
		"made": {"writes relaxed lines",
			"goes back through the lines that were written, from their last token to the first"},
		"spectral": {"divides the discriminator's matrices by their largest singular value",
			"goes back through the division by singular values"},
		"real": {"judges the lines of b.Targets", "goes back through the verdicts on the lines of b.Targets"},
		"fake": {"judges the lines that the generator wrote",
			"goes back through the verdicts on the lines that the generator wrote"},
		"":     {"judges the lines of b.Targets", ""},
		"loss": {"computes the loss", "computes the gradient of the verdicts from the loss"},
	}
	g := &Run{
		Graph: m.Train, Field: "acts", Type: "acts", What: "what a step of the generator on text computes" + shared,
		Forward: "forward runs a window of text through the network and keeps what backward needs. b.Tokens is " +
			"time-major, [steps, batch]; the logits are left in m.acts.logits, [steps, batch, vocab].",
		Loss: "loss gives the mean loss of the logits in nats a token and, for a training step, leaves its " +
			"gradient in their place.",
		Backward: "backward computes the gradient of the mean loss with respect to every parameter of the generator, " +
			"from the last layer to the first, into m.gradients. It reads what forward and loss left in m.acts.",
	}
	d := &Run{
		Graph: m.Discriminate, Name: "discriminator", Field: "discriminating", Type: "discriminatorActs",
		What: "what a step of the discriminator computes" + shared, Passes: passes, Same: verdicts,
		Forward: "discriminatorForward judges the lines of b.Targets and those of b.Made, and keeps what " +
			"discriminatorBackward needs.",
		Loss: "discriminatorLoss gives the mean loss of the verdicts that discriminatorForward left.",
		Backward: "discriminatorBackward computes the gradient of the discriminator's loss with respect to its " +
			"parameters, into m.gradients. The generator's stay.",
	}
	judge := &Run{Graph: m.Judge, Name: "judge", Field: "judging", Type: "judgeActs",
		What: "what judging lines computes.", Like: "real", Passes: passes,
		Forward: "judge judges the lines of b.Targets."}
	weights := ", each token's share times its weight in b.Weights, or times 1 where there are none"
	if m.Relax != nil {
		weights = ""
	}
	likelihood := &Step{
		Run: g, Kind: "likelihood", Moves: []*Part{generator}, Until: "pretrainingSteps", Last: "Generator",
		Rate: m.factor("pretrainingRate", text.Rate), Method: "Gradients",
		Doc: "computes the generator's mean loss on the lines of b in nats a token and its gradient, which Grads gives" + weights + ".",
	}
	judging := &Step{
		Run: d, Kind: "discriminator", Moves: []*Part{discriminator}, Judges: true, From: "pretrainingSteps",
		Last: "Discriminator", Rate: m.factor("discriminatorRate", gan.Optimizer.Rate),
		Method: "DiscriminatorGradients",
	}
	own := &Step{Moves: []*Part{generator}, From: "pretrainingSteps + headStart", Every: "criticSteps",
		Last: "Generator"}
	m.Runs = []*Run{g, d}
	if m.Relax == nil {
		judging.Source = Lines
		judging.Doc = "computes the discriminator's mean loss on the lines of b.Targets and those of b.Made, and its " +
			"gradient, which Grads gives."
		judging.Step = "is DiscriminatorGradients of the lines of b and of as many that the generator writes."
		own.Run, own.Kind, own.Source, own.Method = g, "policy", Rewards, "Gradients"
		own.Step = m.policyText()
	} else {
		d.Forward = "discriminatorForward lets the generator write relaxed lines [steps, batch, vocab], judges the " +
			"lines of b.Targets and those, and keeps what discriminatorBackward needs."
		judging.Source = Relaxed
		judging.Doc = "computes the discriminator's mean loss on the lines of b.Targets and relaxed ones that the " +
			"generator writes, and its gradient, which Grads gives."
		judging.Step = "is DiscriminatorGradients of the lines of b and of as many relaxed ones that the generator " +
			"writes."
		r := &Run{
			Graph: m.Relax, Name: "relaxed", Field: "relaxing", Type: "relaxedActs",
			What: "what a step of the generator on relaxed lines computes" + shared, Passes: passes, Same: verdicts,
			Forward: "relaxedForward lets the generator write relaxed lines [steps, batch, vocab], judges them, and " +
				"keeps what relaxedBackward needs.",
			Loss: "relaxedLoss gives the mean loss of the verdicts that relaxedForward left.",
			Backward: "relaxedBackward computes the gradient of the generator's loss with respect to the generator's " +
				"parameters, into m.gradients: through the discriminator, whose parameters stay, and through the " +
				"tokens that were written.",
		}
		m.Runs = append(m.Runs, r)
		own.Run, own.Kind, own.Source, own.Method = r, "relaxed", Relaxed, "RelaxedGradients"
		own.Doc = "computes the generator's mean loss on relaxed lines that it writes, and its gradient, which Grads " +
			"gives."
		own.Step = "is RelaxedGradients of as many relaxed lines as b has."
	}
	m.Runs = append(m.Runs, judge)
	m.Steps = []*Step{likelihood, judging, own}
	m.TrainDoc = "makes one training step on the lines of b, at the given rate of the generator's optimizer. In the " +
		"first pretrainingSteps steps the generator learns from the text alone; in the others the discriminator " +
		"makes a step, and, after headStart of them, in each step that is a multiple of criticSteps from there the " +
		"generator as well. TrainStep gives the mean loss before the update and the norm of the gradient before " +
		"clipping of the network that has moved, of the generator where both have."
	m.LossDoc = "gives the generator's mean loss on the lines of b in nats a token, without dropout: how likely they " +
		"are to it."
}

// policyText says what the step of a policy gradient computes.
func (m *Model) policyText() string {
	text := m.Spec.GAN.Text
	worth := fmt.Sprintf("%d lines that it finishes behind the token", text.Rollouts)
	if text.Rewards == "tokens" {
		worth = "the token and those behind it"
	}
	less := map[string]string{"mean": ", less its mean over the batch",
		"prefix": ", less what they say of the token before"}[text.Baseline]
	return "is Gradients of as many lines as b has, which the generator draws: of −Σ reward·log p(token), where the " +
		"reward is what the discriminator's verdicts say of " + worth + less + "."
}

// Carries reports whether training takes the recurrent state from one window to the next.
func (m *Model) Carries() bool {
	for _, in := range m.Train.Inputs {
		if in.Role == graph.State {
			return true
		}
	}
	return false
}

// Unit is what a loss is a mean over, and Material what a training step reads, in words.
func (m *Model) Unit() string {
	switch {
	case m.Spec.Vectors != nil:
		return "vector"
	case m.Spec.Latent != nil:
		return "sentence"
	}
	return "token"
}

// Material is what a training step reads, in words.
func (m *Model) Material() string {
	return map[string]string{"vector": "batch of vectors", "sentence": "batch of sentences",
		"token": "window of text"}[m.Unit()]
}
