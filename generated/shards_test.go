package generated_test

import (
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/spectral"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/gumbelgan"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/seqgan"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/transformer"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/modeltest"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// families has a model of each family that is trained in its own way.
var families = map[string]func() model.Program{
	"gan": gan.Program, "gptnano": gptnano.Program, "gumbelgan": gumbelgan.Program, "lstm": lstm.Program,
	"rnn": rnn.Program, "seqgan": seqgan.Program, "spectral": spectral.Program, "textvae": textvae.Program,
	"transformer": transformer.Program, "translate": translate.Program, "vae": vae.Program,
}

// TestShardBits trains each family with batches that are cut into one shard, which changes nothing, and into three and
// seven, some of them larger than others or empty, which gives the same bits on any number of threads.
func TestShardBits(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	for name, program := range families {
		p := program()
		if kernel.Level() == "generic" && p.Info.Params > 300_000 {
			continue // plain Go takes a minute for these, and small models run the same kernels
		}
		if modeltest.Bits(p.New(1)) != modeltest.ShardBits(p.New(1), 1) {
			t.Errorf("%s: one shard has other bits than none", name)
		}
		for _, n := range []int{3, 7} {
			parallel.SetThreads(1)
			want := modeltest.ShardBits(p.New(1), n)
			parallel.SetThreads(3)
			if modeltest.ShardBits(p.New(1), n) != want {
				t.Errorf("%s: %d shards have other bits on 3 threads than on 1", name, n)
			}
		}
	}
}

// TestGroupBits trains each family in groups of processes, which are goroutines here, some of them without a row of the
// batch: all have the bits of one process that computes all shards.
func TestGroupBits(t *testing.T) {
	for name, program := range families {
		p := program()
		if kernel.Level() == "generic" && p.Info.Params > 300_000 {
			continue // as above
		}
		for _, x := range []struct{ shards, processes int }{{6, 3}, {8, 8}} {
			want := modeltest.ShardBits(p.New(1), x.shards)
			var wait sync.WaitGroup
			for rank, link := range cluster.Local(x.processes) {
				wait.Go(func() {
					g, err := cluster.New(link, false)
					if err != nil {
						t.Error(err)
						return
					}
					if modeltest.GroupBits(p.New(1), x.shards, g) != want {
						t.Errorf("%s: process %d of %d that share %d shards has other bits than one that has them all",
							name, rank, x.processes, x.shards)
					}
				})
			}
			wait.Wait()
		}
	}
}

// TestEarly trains each family, and holds it to what it says of its gradients before they are all there; models whose
// backward pass is one from the last layer to the first say so of most.
func TestEarly(t *testing.T) {
	for name, program := range families {
		p := program()
		if kernel.Level() == "generic" && p.Info.Params > 300_000 {
			continue // as above
		}
		m := p.New(1)
		share := modeltest.Early(m, func(text string) { t.Errorf("%s: %s", name, text) })
		modeltest.Bits(m)
		least := map[string]float64{"gptnano": 0.9, "lstm": 0.9, "rnn": 0.8, "transformer": 0.5, "translate": 0.3,
			"textvae": 0.3, "vae": 0.5}[name]
		if t.Logf("%s: %.0f %%", name, 100*share()); share() < least {
			t.Errorf("%s: %.2f of the gradients are said to be complete early, want %.2f", name, share(), least)
		}
	}
}

// TestShardMeans compares loss and gradient of a batch with those of its shards, whose numbers of targets differ, for
// models that draw nothing.
func TestShardMeans(t *testing.T) {
	for name, program := range map[string]func() model.Program{"gptnano": gptnano.Program, "lstm": lstm.Program,
		"rnn": rnn.Program} {
		p := program()
		const steps, rows = 6, 7
		b := &model.Batch{Steps: steps, Batch: rows, Tokens: make([]int32, steps*rows),
			Targets: make([]int32, steps*rows), Reset: make([]int32, steps*rows)}
		for i := range b.Tokens {
			b.Tokens[i], b.Targets[i] = int32(i*i%p.Info.Vocab), int32(i*7%p.Info.Vocab)
			if i%rows < 3 && i/rows > 1+i%rows {
				b.Targets[i] = -1
			}
		}
		whole, cut := p.New(1), p.New(1)
		if err := train.Divide(cut, 3); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second begins with a state
			loss, norm, err := whole.TrainStep(b, 0)
			if err != nil {
				t.Fatal(err)
			}
			lossCut, normCut, err := cut.TrainStep(b, 0)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(loss-lossCut) > 1e-6*loss || math.Abs(norm-normCut) > 1e-5*norm {
				t.Errorf("%s: loss %v and norm %v, of shards %v and %v", name, loss, norm, lossCut, normCut)
			}
			parts := cut.Tensors()
			for i, x := range whole.Tensors() {
				worst, most := 0.0, 0.0
				for j, g := range x.Grad {
					worst = max(worst, math.Abs(float64(g-parts[i].Grad[j])))
					most = max(most, math.Abs(float64(g)))
				}
				if worst > 2e-5*most {
					t.Errorf("%s: the gradient of %s is off by %v of %v", name, x.Name, worst, most)
				}
			}
		}
	}
}

// TestShardsResumed stops and resumes a training on shards of a model with a state, and refuses shards that cannot be.
func TestShardsResumed(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "t.txt", strings.Repeat("How doth the little busy bee improve each shining hour. ", 60))
	resumed(t, rnn.Program(), "5", "12", "--data", "t.txt", "--batch", "6", "--accumulate", "3", "--window", "8",
		"--eval-every", "4")
	for _, x := range []struct{ batch, shards, says string }{
		{"6", "4", "is not cut into 4 shards of equal size"}, {"6", "0", "--accumulate 0: give 1 or more"},
		{"4000", "2", "in a shard"}, {"4000", "1", "cut larger batches into shards with --accumulate"},
	} {
		refused(t, rnn.Program(), "", x.says, "train", "--data", "t.txt", "--batch", x.batch, "--accumulate", x.shards,
			"--overwrite")
	}
}
