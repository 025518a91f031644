#!/bin/sh
# steps.sh times the training step of every checked-in model, of a revision and of the working tree, one after the other ROUNDS times, so that what else the machine does hits both. It
# prints the fastest of each in milliseconds, on one thread and on two. Usage: bench/steps.sh [REVISION]
set -e
cd "$(dirname "$0")/.."
rev=${1:-a650f6e} rounds=${ROUNDS:-5}
work=$(mktemp -d)
trap 'git worktree remove --force "$work/old" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add -q --detach "$work/old" "$rev"
(cd "$work/old" && go test -c -o "$work/before" ./generated)
go test -c -o "$work/after" ./generated
for round in $(seq "$rounds"); do
	echo "round $round of $rounds" >&2
	(cd "$work/old/generated" && "$work/before" -test.run '^$' -test.bench BenchmarkTrainStep -test.benchtime 5x) | grep ns/op | sed 's/^/before /' >> "$work/times"
	(cd generated && "$work/after" -test.run '^$' -test.bench BenchmarkTrainStep -test.benchtime 5x) | grep ns/op | sed 's/^/after /' >> "$work/times"
done
awk '{
	key = $2; sub(/^BenchmarkTrainStep\//, "", key)
	for (i = 4; i <= NF; i++) if ($i == "ns/op") t = $(i-1) / 1e6
	if (!(($1, key) in best) || t < best[$1, key]) best[$1, key] = t
	names[key] = 1
}
END {
	for (key in names) if (("before", key) in best && ("after", key) in best)
		printf "%-28s before %9.2f ms, after %9.2f ms, speed %.3f\n", key, best["before", key], best["after", key], best["before", key] / best["after", key]
}' "$work/times" | sort
