// Writes the likeliest tokens by which llama.cpp answers a text of given ones, as a list in JSON: what node-llama-cpp
// does not do of a model with an encoder and a decoder.
//
//	gcc -O2 -I$SOURCE/include -I$SOURCE/ggml/include -o answer answer.c $LIBS/libllama.v*.so $LIBS/libggml.v*.so \
//	    $LIBS/libggml-base.so -Wl,-rpath,$LIBS -Wl,--allow-shlib-undefined
//	LLAMA_LIBS=$LIBS ./answer N FIRST,SECOND,… FILE.gguf
//
// SOURCE is llama.cpp's source, LIBS the folder of its built libraries.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ggml-cpu.h"
#include "llama.h"

static void quiet(enum ggml_log_level level, const char *text, void *user) { (void)level, (void)text, (void)user; }

int main(int argc, char **argv) {
	if (argc != 4) return 2;
	llama_log_set(quiet, NULL);
	ggml_backend_load_all_from_path(getenv("LLAMA_LIBS"));
	llama_backend_init();
	struct llama_model *model = llama_model_load_from_file(argv[3], llama_model_default_params());
	if (!model || !llama_model_has_encoder(model)) {
		fprintf(stderr, "%s can't be loaded, or has no encoder\n", argv[3]);
		return 1;
	}
	const struct llama_vocab *vocab = llama_model_get_vocab(model);
	llama_token text[512];
	int n = 0, most = atoi(argv[1]), size = llama_vocab_n_tokens(vocab);
	for (char *s = strtok(argv[2], ","); s && n < 512; s = strtok(NULL, ",")) text[n++] = atoi(s);
	struct llama_context_params p = llama_context_default_params();
	p.n_ctx = p.n_batch = p.n_ubatch = 512;
	p.n_threads = p.n_threads_batch = 1;
	struct llama_context *c = llama_init_from_model(model, p);
	if (!c || llama_encode(c, llama_batch_get_one(text, n))) {
		fprintf(stderr, "the text can't be encoded\n");
		return 1;
	}
	llama_token token = llama_model_decoder_start_token(model);
	for (int i = 0; i < most; i++) {
		if (llama_decode(c, llama_batch_get_one(&token, 1))) return 1;
		const float *x = llama_get_logits_ith(c, -1);
		token = 0;
		for (int k = 1; k < size; k++) token = x[k] > x[token] ? k : token;
		printf("%s%d", i ? "," : "[", token);
		if (llama_vocab_is_eog(vocab, token)) break;
	}
	printf("]\n");
	return 0;
}
