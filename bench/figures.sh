#!/bin/sh
# figures.sh prints, for a revision and for the working tree, how long the compiler's last two rooms and the generated packages are, how often they ask for the kind of a model,
# and their longest line in columns, a tab counting for four. Usage: bench/figures.sh [REVISION]
set -e
cd "$(dirname "$0")/.."
rev=${1:-a650f6e}
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$rev" gen generated | tar -x -C "$old"

# A question for the kind: a condition that reads the part of a spec which only some kinds have, or a method that does.
kind='(if|case|&&|\|\|).*(\.GAN\b|\.Latent\b|\.Vectors\b|\.Masking\b|\.Source\b|\.Labels\b|\.Kind\b|ofText\(\)|answers\(\)|relaxes\(\)|conditional\(\)|encoderFirst\(\)|adversarial\(\)|Masked\(\)|EncoderDecoder\(\)|positional\(\)|duels\(\))'
code() { find "$1" -name '*.go' ! -name '*_test.go' | sort; }
lines() { code "$1" | xargs cat | wc -l; }
for room in gen/emit gen/build; do
	echo "$room: $(lines "$old/$room") lines, now $(lines $room); questions for the kind: $(code "$old/$room" | xargs cat | grep -cE "$kind"), now $(code $room | xargs cat | grep -cE "$kind")"
done
for dir in generated/*/; do
	p=$(basename "$dir")
	[ -e "$dir/model.go" ] || continue
	one() { find "$1" -maxdepth 1 -name '*.go' ! -name '*_test.go' | xargs cat; }
	widest() { one "$1" | expand -t 4 | LC_ALL=C.UTF-8 wc -L; }
	echo "$p: $(one "$old/generated/$p" | wc -l) lines, now $(one "$dir" | wc -l); longest line $(widest "$old/generated/$p"), now $(widest "$dir")"
done
