package generated_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/gradsmith/gradsmith/examples/captions"
	"github.com/gradsmith/gradsmith/examples/embedded/newton"
	"github.com/gradsmith/gradsmith/examples/glyphs"
	"github.com/gradsmith/gradsmith/examples/glyphs/byletter"
	"github.com/gradsmith/gradsmith/examples/gocode"
	"github.com/gradsmith/gradsmith/examples/letters"
	"github.com/gradsmith/gradsmith/examples/letters/asked"
	"github.com/gradsmith/gradsmith/examples/modes/calm"
	plainmodes "github.com/gradsmith/gradsmith/examples/modes/plain"
	"github.com/gradsmith/gradsmith/examples/opticks"
	"github.com/gradsmith/gradsmith/examples/reverse"
	plainreverse "github.com/gradsmith/gradsmith/examples/reverse/plain"
	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptbaby"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/gumbelgan"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/seqgan"
	"github.com/gradsmith/gradsmith/generated/seqgan/tokenwise"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/transformer"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/modeltest"
)

var updateBits = flag.Bool("update-bits", false,
	"write testdata/bits.json anew: results may change only where a change says so")

// programs are all checked-in models and examples.
var programs = map[string]func() model.Program{
	"asked": asked.Program, "bertmini": bertmini.Program, "byletter": byletter.Program, "calm": calm.Program,
	"captions": captions.Program, "gan": gan.Program, "glyphs": glyphs.Program, "gocode": gocode.Program,
	"gptbaby": gptbaby.Program, "gptnano": gptnano.Program, "gru": gru.Program, "gumbelgan": gumbelgan.Program,
	"letters": letters.Program, "lstm": lstm.Program, "newton": newton.Program, "opticks": opticks.Program,
	"plain modes": plainmodes.Program, "plain reverse": plainreverse.Program, "reverse": reverse.Program,
	"rnn": rnn.Program, "seqgan": seqgan.Program, "textvae": textvae.Program, "tokenwise": tokenwise.Program,
	"transformer": transformer.Program, "translate": translate.Program, "vae": vae.Program,
}

// TestBits holds the results of every checked-in model to those that stand in testdata/bits.json, to the bit.
func TestBits(t *testing.T) {
	const path = "testdata/bits.json"
	want := map[string]string{}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &want)
	}
	if err != nil && !*updateBits {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, program := range programs {
		p := program()
		if kernel.Level() == "generic" && p.Info.Params > 300_000 {
			continue // plain Go takes a minute for these, and small models run the same kernels
		}
		got[name] = modeltest.Bits(p.New(p.Info.Seed))
		if !*updateBits && got[name] != want[name] {
			t.Errorf("%s computes other bits than before", name)
		}
	}
	if !*updateBits {
		return
	}
	if data, err = json.MarshalIndent(got, "", "\t"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
