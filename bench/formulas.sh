#!/bin/sh
# formulas.sh times the training step of generated/lstm and generated/gru beside that of the same models with layers of
# the library, which are formulas (gradsmith show), in turns. It prints the fastest of each in milliseconds of wall time,
# and the median of each in seconds of processor time for STEPS steps on one thread. Usage: bench/formulas.sh
set -e
cd "$(dirname "$0")/.."
root=$PWD rounds=${ROUNDS:-7} steps=${STEPS:-8}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp go.sum "$work/"
cat > "$work/go.mod" <<END
module example.com/formulas

go 1.26

require github.com/gradsmith/gradsmith v0.0.0
replace github.com/gradsmith/gradsmith => $root
END
go build -o "$work/gradsmith" ./cmd/gradsmith
for m in lstm gru; do
	mkdir "$work/$m" "$work/formula$m"
	cp "generated/$m/$m.yaml" "$work/$m/"
	# Two layers of the library in the place of the built-in ones.
	sed -e "s/^name: .*/name: formula$m/" -e "s/^  - $m: .*/  - ${m}_cell: {units: 256}\n  - ${m}_cell: {units: 256}/" \
		"generated/$m/$m.yaml" > "$work/formula$m/formula$m.yaml"
	"$work/gradsmith" show "$m" >> "$work/formula$m/formula$m.yaml"
done
cat > "$work/speed_test.go" <<'END'
package formulas

import (
	"fmt"
	"testing"

	"example.com/formulas/formulagru"
	"example.com/formulas/formulalstm"
	"example.com/formulas/gru"
	"example.com/formulas/lstm"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

func BenchmarkTrainStep(b *testing.B) {
	for _, c := range []struct {
		name string
		make func() model.LanguageModel
	}{
		{"lstm", func() model.LanguageModel { return lstm.New() }},
		{"formulalstm", func() model.LanguageModel { return formulalstm.New() }},
		{"gru", func() model.LanguageModel { return gru.New() }},
		{"formulagru", func() model.LanguageModel { return formulagru.New() }},
	} {
		for threads := 1; threads <= 2; threads++ {
			b.Run(fmt.Sprintf("%s/threads=%d", c.name, threads), func(b *testing.B) {
				parallel.SetThreads(threads)
				m := c.make()
				info := m.Info()
				n := info.Steps * info.Batch
				batch := &model.Batch{Steps: info.Steps, Batch: info.Batch, Tokens: make([]int32, n),
					Targets: make([]int32, n), Reset: make([]int32, n)}
				for i := range n {
					batch.Tokens[i], batch.Targets[i] = int32(i*7%info.Vocab), int32(i*5%info.Vocab)
				}
				m.TrainStep(batch, 0.001) // makes the memory
				for b.Loop() {
					m.TrainStep(batch, 0.001)
				}
			})
		}
	}
}
END
cd "$work"
for m in lstm gru formulalstm formulagru; do ./gradsmith generate "$m/$m.yaml"; done
GOFLAGS=-mod=mod go test -c -o speed . 2>/dev/null
for round in $(seq "$rounds"); do
	echo "round $round of $rounds" >&2
	for m in lstm formulalstm gru formulagru; do
		for threads in 1 2; do
			./speed -test.run '^$' -test.bench "TrainStep/^$m\$/threads=$threads" -test.benchtime "${steps}x" > out
			awk -v k="$m/threads=$threads" '/ns\/op/ { print "wall", k, $3 / 1e6 }' out >> times
		done
		# Processor time, which says more where the machine has other work.
		sh -c 'times >/dev/null; "$@" >/dev/null; times' sh ./speed -test.run '^$' \
			-test.bench "TrainStep/^$m\$/threads=1" -test.benchtime "${steps}x" | tail -1 |
			sed 's/[ms]/ /g' | awk -v k="$m" '{ print "processor", k, 60 * $1 + $2 + 60 * $3 + $4 }' >> times
	done
done
sort -k1,2 -k3,3n times | awk '{
	key = $1 " " $2
	n[key]++
	v[key, n[key]] = $3
}
END {
	for (key in n) {
		if (key ~ /^wall/) printf "%-32s fastest %9.2f ms\n", key, v[key, 1]
		else printf "%-32s median %9.3f s\n", key, v[key, int((n[key] + 1) / 2)]
	}
}' | sort
