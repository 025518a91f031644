package model

// Adversary says how a pair of adversarial networks is trained.
type Adversary struct {
	Noise  int    // numbers that a vector is made of
	Steps  int    // of the discriminator for each of the generator
	Loss   string // as in the spec: "non_saturating"
	Middle float64
	Text   *Imitation // of networks of text; nil for networks of vectors
	// a verdict alone means nothing, only whether it is above that of another vector; otherwise it is for the data
	// where it is above Middle
	Pairs bool
}

// Imitation says how networks of text are trained, and what their lines are.
type Imitation struct {
	Pretraining int // training steps in which the generator learns from the text alone
	Patience    int // validations without a lower loss after which these end; 0 for none
	HeadStart   int // training steps after these in which the discriminator alone learns
	// how far above the lowest since pretraining the validation loss of good parameters may be, in nats a token
	Tolerance float64
	Begin     int32 // token before a line
	End       int32 // token that fills a line behind its text; -1 where all lines are of one length
}

// Duel is how a training step of adversarial networks went.
type Duel struct {
	Discriminator, Generator float64 // mean losses before the updates
	// share of the discriminator's verdicts that were right: with Adversary.Pairs, of the pairs
	Accuracy   float64
	Real, Fake float64 // mean verdicts on the data and on what the generator made
}

// Judged sets what the verdicts on as many vectors of the data as of the generator tell.
func (d *Duel) Judged(real, fake []float32, a *Adversary) {
	right, sumReal, sumFake := 0, 0.0, 0.0
	for i, r := range real {
		f := fake[i]
		sumReal += float64(r)
		sumFake += float64(f)
		switch {
		case a.Pairs:
			if r > f {
				right += 2
			}
		default:
			if float64(r) > a.Middle {
				right++
			}
			if float64(f) < a.Middle {
				right++
			}
		}
	}
	n := float64(max(1, len(real)))
	d.Accuracy, d.Real, d.Fake = float64(right)/(2*n), sumReal/n, sumFake/n
}

// Dueling is what every pair of adversarial networks gives to training and evaluation.
//
// TrainStep makes a step of the generator, and before it Adversary.Steps of the discriminator, each on its share of
// the batch. It returns the generator's mean loss before the update and the norm of its gradient before clipping; when
// a loss or a norm of either network is not finite, that is an error (*NotFinite), and that network's parameters are
// left as they were. Loss is the discriminator's.
type Dueling interface {
	LanguageModel

	// Duel tells more of the last step.
	Duel() *Duel
}

// Adversaries is what a generated package of kind gan is, for batches of vectors. Labels [n] are read where the pair
// is conditional.
type Adversaries interface {
	Dueling

	// Generate makes n vectors of a seed, [n, Vector.Width]. Vector i of a seed is the same for any n, and made of the
	// same noise whatever its label is.
	Generate(n int, labels []int32, seed uint64) ([]float32, error)
	// Judge judges vectors [n, Vector.Width] and fills verdicts [n]: the higher the verdict, the more a vector is like
	// those that the model was trained on.
	Judge(verdicts, vectors []float32, labels []int32) error
}

// Imitators is what a generated package of kind gan gives to training and evaluation, for lines of text.
//
// TrainStep makes a step of one network or of both, as Adversary.Text and the number of the step say; it returns the
// loss and the norm of the one that moved, of the generator where both did. Loss is the generator's on text, in nats a
// token: how likely it is to write it.
type Imitators interface {
	Writer

	// Duel tells more of the last step of each network.
	Duel() *Duel
	// Judge judges the lines of b.Targets [Steps, Batch] and fills verdicts [Batch]: the higher the verdict, the more
	// a line is like those that the model was trained on.
	Judge(verdicts []float32, b *Batch) error
}

// Named puts a name in front of those of slots, where a model has several optimizers.
func Named(name string, slots []Slot) []Slot {
	for i := range slots {
		slots[i].Name = name + "." + slots[i].Name
	}
	return slots
}
