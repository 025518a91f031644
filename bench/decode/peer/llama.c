// The worker of llama.cpp, for bench/decode. It reads commands from the standard input and answers each by a line with
// the seconds that passed, those of the processors, and tokens:
//
//	decode THREADS BATCH START END    greedy decoding from a context of START tokens to one of END
//	prompt THREADS N                  a prompt of N tokens, and the logits of the last
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "ggml-cpu.h"
#include "llama.h"

static double read_clock(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static double now(void) { return read_clock(CLOCK_MONOTONIC); }
static double worked(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

static void quiet(enum ggml_log_level level, const char *text, void *user) { (void)level, (void)text, (void)user; }

static int likeliest(const float *x, int n) {
	float most = x[0];
	for (int i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
	int at = 0;
	while (x[at] != most && at < n - 1) at++;
	return at;
}

static void add(struct llama_batch *b, int token, int place, int sequence, int logits) {
	int k = b->n_tokens++;
	b->token[k] = token;
	b->pos[k] = place;
	b->n_seq_id[k] = 1;
	b->seq_id[k][0] = sequence;
	b->logits[k] = logits;
}

int main(int argc, char **argv) {
	double began = now();
	if (argc != 2) return 2;
	llama_log_set(quiet, NULL);
	ggml_backend_load_all_from_path(getenv("LLAMA_LIBS"));
	llama_backend_init();
	struct llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
	if (!model) {
		fprintf(stderr, "%s can't be loaded\n", argv[1]);
		return 1;
	}
	int vocab = llama_vocab_n_tokens(llama_model_get_vocab(model)), most = llama_model_n_ctx_train(model);
	printf("ready %.4f\n", now() - began);
	fflush(stdout);
	char line[256];
	while (fgets(line, sizeof line, stdin)) {
		int threads, batch = 1, start, end, prompt = 0;
		if (sscanf(line, "decode %d %d %d %d", &threads, &batch, &start, &end) != 4) {
			if (sscanf(line, "prompt %d %d", &threads, &start) != 2) return 1;
			prompt = 1, end = start;
		}
		int context = (end + 255) / 256 * 256;
		struct llama_context_params p = llama_context_default_params();
		p.n_ctx = (context < most ? context : most) * batch;
		p.n_batch = p.n_ubatch = 512;
		p.n_seq_max = batch;
		p.n_threads = p.n_threads_batch = threads;
		p.no_perf = true;
		struct llama_context *c = llama_init_from_model(model, p);
		struct llama_batch b = llama_batch_init(512, 0, 1);
		int *token = calloc(batch, sizeof *token);
		if (!c || !token) return 1;
		double took = 0, busy = 0;
		// The first time warms up.
		for (int time = 0; time < 2; time++) {
			llama_memory_clear(llama_get_memory(c), false);
			double t = now(), w = worked();
			for (int s = 0; s < batch; s++) {
				b.n_tokens = 0;
				for (int i = 0; i < start; i++) add(&b, (i * 7 + s) % vocab, i, s, i == start - 1);
				if (llama_decode(c, b)) return 1;
				token[s] = likeliest(llama_get_logits_ith(c, b.n_tokens - 1), vocab);
			}
			if (!prompt) {
				t = now(), w = worked();
				for (int i = start; i < (time ? end : start + 4); i++) {
					b.n_tokens = 0;
					for (int s = 0; s < batch; s++) add(&b, token[s], i, s, 1);
					if (llama_decode(c, b)) return 1;
					for (int s = 0; s < batch; s++) token[s] = likeliest(llama_get_logits_ith(c, s), vocab);
				}
			}
			took = now() - t, busy = worked() - w;
		}
		printf("%.6f %.6f %d\n", took, busy, prompt ? start : (end - start) * batch);
		fflush(stdout);
		llama_batch_free(b);
		free(token);
		llama_free(c);
	}
	return 0;
}
