#!/usr/bin/python3
"""Writes pytorch.json: small random checkpoints in their published form, by formula, and the logits that PyTorch gives in float64.

Each architecture is written from its paper, over tensors with the names, shapes and layouts that its checkpoints have. Numbers come from the formula of
generated/testdata/pytorch_golden.py: tensor k has those of stream 100 + k, times a scale, plus an offset, as float32.

    cd cmd/gradsmith/internal/interchange/testdata && /usr/bin/python3 pytorch.py > pytorch.json
"""
import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, "../../../../../generated/testdata")
from pytorch_golden import key, numbers  # noqa: E402

VOCAB, STEPS = 24, 9


class Checkpoint:
    """Tensors by their published names, in the order in which they are first asked for."""

    def __init__(self, config):
        self.config, self.all, self.listed = config, {}, []

    def __call__(self, name, *shape, offset=0.0, scale=None):
        if name not in self.all:
            scale = scale or (0.2 if len(shape) == 1 else 1 / math.sqrt(shape[-1]))
            x = numbers(100 + len(self.listed), math.prod(shape), 1) * np.float32(scale) + np.float32(offset)
            self.listed.append([name, list(shape), float(np.float32(offset)), float(np.float32(scale))])
            self.all[name] = torch.tensor(x.astype(np.float64)).reshape(shape)
        return self.all[name]


def tokens(stream, n, low=0, high=VOCAB):
    return torch.tensor((key(stream, np.arange(n)) % np.uint64(high - low)).astype(np.int64)) + low


def rmsnorm(x, gain, epsilon):
    """Zhang and Sennrich 2019, equation 4."""
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + epsilon) * gain


def causal(n, window=0):
    """Which keys a query does not see, [n, n]."""
    i = torch.arange(n)
    hidden = i[None, :] > i[:, None]
    if window:
        hidden = hidden | (i[None, :] <= i[:, None] - window)
    return hidden


def frequencies(size, base):
    """Su et al. 2021, section 3.2.2: one for each pair of features."""
    return base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)


def rotary(x, theta, scale=1.0):
    """Su et al. 2021, equation 34: x is [heads, steps, size]; features i and i + size/2 are the parts of a complex number. Of a theta that is shorter
    than half of the size, what is left of the features stays."""
    n = len(theta)
    angle = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * theta
    z = torch.complex(x[..., :n], x[..., n:2 * n]) * torch.polar(torch.ones_like(angle), angle) * scale
    return torch.cat([z.real, z.imag, x[..., 2 * n:]], -1)


def attend(q, k, v, hidden, scale, cap=0.0, bias=0.0):
    """Vaswani et al. 2017, section 3.2.1, of [heads, steps, size]; heads of keys may be fewer (Ainslie et al. 2023)."""
    k, v = (x.repeat_interleave(q.shape[0] // x.shape[0], 0) for x in (k, v))
    scores = q @ k.transpose(-1, -2) * scale + bias
    if cap:
        scores = cap * torch.tanh(scores / cap)
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    y = torch.softmax(scores, -1) @ v
    return y.transpose(0, 1).reshape(q.shape[1], -1)


def split(x, heads):
    return x.reshape(x.shape[0], heads, -1).transpose(0, 1)


def linear(c, x, name, out, bias=False):
    y = x @ c(name + ".weight", out, x.shape[-1]).T
    return y + c(name + ".bias", out) if bias else y


def llama_block(c, i, x, window=0, theta=None, bias=False, out_bias=False, mlp_bias=False, norm=False, gain=1.0):
    """A block of Touvron et al. 2023."""
    k = c.config
    p, width, heads, kv = f"model.layers.{i}.", k["hidden_size"], k["num_attention_heads"], k["num_key_value_heads"]
    size = k.get("head_dim", width // heads)
    if theta is None:
        theta = frequencies(size, k["rope_theta"])
    h = rmsnorm(x, c(p + "input_layernorm.weight", width, offset=1), k["rms_norm_eps"])
    q = split(linear(c, h, p + "self_attn.q_proj", heads * size, bias), heads)
    key_ = split(linear(c, h, p + "self_attn.k_proj", kv * size, bias), kv)
    v = split(linear(c, h, p + "self_attn.v_proj", kv * size, bias), kv)
    if norm:
        q = rmsnorm(q, c(p + "self_attn.q_norm.weight", size, offset=1), k["rms_norm_eps"])
        key_ = rmsnorm(key_, c(p + "self_attn.k_norm.weight", size, offset=1), k["rms_norm_eps"])
    y = attend(rotary(q, theta, gain), rotary(key_, theta, gain), v, causal(len(x), window), 1 / math.sqrt(size))
    x = x + linear(c, y, p + "self_attn.o_proj", width, out_bias)
    h = rmsnorm(x, c(p + "post_attention_layernorm.weight", width, offset=1), k["rms_norm_eps"])
    hidden = k["intermediate_size"]
    h = F.silu(linear(c, h, p + "mlp.gate_proj", hidden, mlp_bias)) * linear(c, h, p + "mlp.up_proj", hidden, mlp_bias)
    return x + linear(c, h, p + "mlp.down_proj", width, mlp_bias)


def llama(c, read, block=llama_block):
    k = c.config
    table = c("model.embed_tokens.weight", k["vocab_size"], k["hidden_size"], scale=1)
    x = table[read]
    for i in range(k["num_hidden_layers"]):
        x = block(c, i, x)
    x = rmsnorm(x, c("model.norm.weight", k["hidden_size"], offset=1), k["rms_norm_eps"])
    return x @ (table if k["tie_word_embeddings"] else c("lm_head.weight", k["vocab_size"], k["hidden_size"])).T


def llama_config(**more):
    return dict({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "intermediate_size": 20,
                 "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": VOCAB,
                 "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "hidden_act": "silu",
                 "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2}, **more)


MODELS = {}


def model(name, config, run, read=None):
    c = Checkpoint(config)
    read = tokens(1, STEPS) if read is None else read
    logits = run(c, read)
    MODELS[name] = {"config": config, "tensors": c.listed, "read": read.tolist(), "logits": [float(f"{v:.9g}") for v in logits.flatten().tolist()]}
    if hasattr(c, "mean"):
        MODELS[name]["mean"] = [float(f"{v:.9g}") for v in c.mean.tolist()]


model("llama", llama_config(), llama)
model("llama-untied", llama_config(tie_word_embeddings=False, head_dim=6, vocab_size=VOCAB + 8, attention_bias=True, mlp_bias=True), lambda c, read: llama(
    c, read, lambda c, i, x: llama_block(c, i, x, bias=True, out_bias=True, mlp_bias=True)))


def fitted(theta, base, scaling):
    """Frequencies for longer texts, and what cosines and sines are multiplied with: as published with each way."""
    kind, factor = scaling["rope_type"], scaling.get("factor", 1)
    if kind == "linear":  # Chen et al. 2023
        return theta / factor, 1
    old = scaling["original_max_position_embeddings"]
    if kind == "llama3":  # Grattafiori et al. 2024
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        wave = 2 * math.pi / theta
        smooth = (old / wave - low) / (high - low)
        mixed = (1 - smooth) * theta / factor + smooth * theta
        return torch.where(wave > old / low, theta / factor, torch.where(wave < old / high, theta, mixed)), 1
    # Peng et al. 2024, equations 17 to 23
    d = 2 * len(theta)
    pair = lambda turns: d * math.log(old / (turns * 2 * math.pi)) / (2 * math.log(base))
    first, last = max(math.floor(pair(scaling.get("beta_fast", 32))), 0), min(math.ceil(pair(scaling.get("beta_slow", 1))), d - 1)
    ramp = ((torch.arange(len(theta)) - first) / ((last - first) or 0.001)).clamp(0, 1)
    return theta / factor * ramp + theta * (1 - ramp), scaling.get("attention_factor", 0.1 * math.log(factor) + 1)


def turned(c, i, x):
    k = c.config
    theta, gain = fitted(frequencies(k["hidden_size"] // k["num_attention_heads"], k["rope_theta"]), k["rope_theta"], k["rope_scaling"])
    return llama_block(c, i, x, theta=theta, gain=gain)


for name, scaling in {"linear": {"rope_type": "linear", "factor": 2.5},
                      "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16},
                      "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 2, "beta_slow": 0.5},
                      "yarn-gain": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 2, "beta_slow": 0.5,
                                    "attention_factor": 0.8}}.items():
    model("llama-" + name, llama_config(rope_scaling=scaling, hidden_size=32, rope_theta=100.0), lambda c, read: llama(c, read, turned))

model("mistral", llama_config(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=4),
      lambda c, read: llama(c, read, lambda c, i, x: llama_block(c, i, x, window=4)))

model("smollm3", llama_config(model_type="smollm3", architectures=["SmolLM3ForCausalLM"], num_hidden_layers=6, no_rope_layer_interval=4,
                              no_rope_layers=[1, 1, 1, 0, 1, 1], use_sliding_window=False, sliding_window=None, layer_types=["full_attention"] * 6),
      lambda c, read: llama(c, read, lambda c, i, x: llama_block(c, i, x, theta=torch.zeros(2, dtype=torch.float64) if i == 3 else None)))

model("qwen2", llama_config(model_type="qwen2", architectures=["Qwen2ForCausalLM"], use_sliding_window=False, sliding_window=4, max_window_layers=3),
      lambda c, read: llama(c, read, lambda c, i, x: llama_block(c, i, x, bias=True)))
model("qwen2-window", llama_config(model_type="qwen2", architectures=["Qwen2ForCausalLM"], use_sliding_window=True, sliding_window=3, max_window_layers=1),
      lambda c, read: llama(c, read, lambda c, i, x: llama_block(c, i, x, bias=True, window=3 if i >= 1 else 0)))
model("qwen3", llama_config(model_type="qwen3", architectures=["Qwen3ForCausalLM"], head_dim=6, rms_norm_eps=1e-4, attention_bias=False,
                            rope_theta=1000000.0), lambda c, read: llama(c, read, lambda c, i, x: llama_block(c, i, x, norm=True)))


def gemma(c, read, sandwich=False, norm=False, near=lambda i: False, theta=lambda i: None):
    """Gemma Team 2024 and 2025."""
    k = c.config
    width, heads, kv, size = k["hidden_size"], k["num_attention_heads"], k["num_key_value_heads"], k["head_dim"]

    def gain(name, n=width):
        return 1 + c(name + ".weight", n)

    table = c("model.embed_tokens.weight", k["vocab_size"], width, scale=1)
    x = table[read] * math.sqrt(width)
    for i in range(k["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = rmsnorm(x, gain(p + "input_layernorm"), k["rms_norm_eps"])
        q, key_, v = (split(linear(c, h, f"{p}self_attn.{n}_proj", m * size), m) for n, m in (("q", heads), ("k", kv), ("v", kv)))
        if norm:
            q = rmsnorm(q, gain(p + "self_attn.q_norm", size), k["rms_norm_eps"])
            key_ = rmsnorm(key_, gain(p + "self_attn.k_norm", size), k["rms_norm_eps"])
        turn = theta(i)
        if turn is None:
            turn = frequencies(size, k["rope_theta"])
        y = attend(rotary(q, turn), rotary(key_, turn), v, causal(len(x), k["sliding_window"] if near(i) else 0),
                   k.get("query_pre_attn_scalar", size) ** -0.5, k.get("attn_logit_softcapping") or 0)
        y = linear(c, y, p + "self_attn.o_proj", width)
        if sandwich:
            y = rmsnorm(y, gain(p + "post_attention_layernorm"), k["rms_norm_eps"])
        x = x + y
        h = rmsnorm(x, gain(p + ("pre_feedforward_layernorm" if sandwich else "post_attention_layernorm")), k["rms_norm_eps"])
        hidden = k["intermediate_size"]
        y = F.gelu(linear(c, h, p + "mlp.gate_proj", hidden), approximate="tanh") * linear(c, h, p + "mlp.up_proj", hidden)
        y = linear(c, y, p + "mlp.down_proj", width)
        if sandwich:
            y = rmsnorm(y, gain(p + "post_feedforward_layernorm"), k["rms_norm_eps"])
        x = x + y
    y = rmsnorm(x, gain("model.norm"), k["rms_norm_eps"]) @ table.T
    cap = k.get("final_logit_softcapping")
    return cap * torch.tanh(y / cap) if cap else y


def gemma_config(**more):
    k = llama_config(architectures=["GemmaForCausalLM"], head_dim=6, rms_norm_eps=1e-6, hidden_activation="gelu_pytorch_tanh", **more)
    del k["tie_word_embeddings"], k["hidden_act"]
    return k


model("gemma", gemma_config(model_type="gemma"), gemma)
model("gemma2", gemma_config(model_type="gemma2", num_hidden_layers=5, sliding_window=3, query_pre_attn_scalar=9, attn_logit_softcapping=2.0,
                             final_logit_softcapping=5.0), lambda c, read: gemma(c, read, sandwich=True, near=lambda i: i % 2 == 0))
local = frequencies(6, 10000.0)
far = fitted(frequencies(6, 1000000.0), 1000000.0, {"rope_type": "linear", "factor": 8})[0]
model("gemma2-six", gemma_config(model_type="gemma2", num_hidden_layers=3, sliding_window=3, query_pre_attn_scalar=6, attn_logit_softcapping=2.0,
                                 final_logit_softcapping=5.0), lambda c, read: gemma(c, read, sandwich=True, near=lambda i: i % 2 == 0))
model("gemma3", gemma_config(model_type="gemma3_text", num_hidden_layers=8, sliding_window=3, sliding_window_pattern=3, query_pre_attn_scalar=9,
                             rope_theta=1000000.0, rope_local_base_freq=10000.0, rope_scaling={"rope_type": "linear", "factor": 8.0},
                             attn_logit_softcapping=None, final_logit_softcapping=None),
      lambda c, read: gemma(c, read, sandwich=True, norm=True, near=lambda i: (i + 1) % 3 != 0, theta=lambda i: local if (i + 1) % 3 else far))

model("gemma3-six", gemma_config(model_type="gemma3_text", num_hidden_layers=7, sliding_window=3, sliding_window_pattern=6, query_pre_attn_scalar=6,
                                 rope_theta=1000000.0, rope_local_base_freq=10000.0, rope_scaling={"rope_type": "linear", "factor": 8.0}),
      lambda c, read: gemma(c, read, sandwich=True, norm=True, near=lambda i: (i + 1) % 6 != 0, theta=lambda i: local if (i + 1) % 6 else far))


def layernorm(c, x, name, epsilon):
    n = x.shape[-1]
    return F.layer_norm(x, (n,), c(name + ".weight", n, offset=1), c(name + ".bias", n), epsilon)


def gpt2(c, read):
    """Radford et al. 2019. Matrices are [inputs, outputs]."""
    k = c.config
    width, heads = k["n_embd"], k["n_head"]

    def conv(x, name, out):
        return x @ c(name + ".weight", x.shape[-1], out, scale=0.3) + c(name + ".bias", out)

    table = c("wte.weight", VOCAB, width, scale=1)
    x = table[read] + c("wpe.weight", k["n_positions"], width, scale=1)[:len(read)]
    for i in range(k["n_layer"]):
        p = f"h.{i}."
        q, key_, v = (split(y, heads) for y in conv(layernorm(c, x, p + "ln_1", 1e-5), p + "attn.c_attn", 3 * width).chunk(3, -1))
        x = x + conv(attend(q, key_, v, causal(len(x)), (width / heads) ** -0.5), p + "attn.c_proj", width)
        h = F.gelu(conv(layernorm(c, x, p + "ln_2", 1e-5), p + "mlp.c_fc", 4 * width), approximate="tanh")
        x = x + conv(h, p + "mlp.c_proj", width)
    return layernorm(c, x, "ln_f", 1e-5) @ table.T


model("gpt2", {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 12, "n_head": 3, "n_layer": 2, "n_positions": 16, "n_ctx": 16,
               "vocab_size": VOCAB, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "resid_pdrop": 0.1}, gpt2)


def neox(c, read):
    """Black et al. 2022."""
    k = c.config
    width, heads = k["hidden_size"], k["num_attention_heads"]
    size, epsilon = width // heads, k["layer_norm_eps"]
    theta = frequencies(int(size * k["rotary_pct"]), k["rotary_emb_base"])
    table = c("gpt_neox.embed_in.weight", VOCAB, width, scale=1)
    x = table[read]
    for i in range(k["num_hidden_layers"]):
        p = f"gpt_neox.layers.{i}."

        def attention(x):
            y = linear(c, layernorm(c, x, p + "input_layernorm", epsilon), p + "attention.query_key_value", 3 * width, True)
            q, key_, v = y.reshape(len(x), heads, 3 * size).transpose(0, 1).chunk(3, -1)  # each head has its own three
            return linear(c, attend(rotary(q, theta), rotary(key_, theta), v, causal(len(x)), size ** -0.5), p + "attention.dense", width, True)

        def feedforward(x):
            h = layernorm(c, x, p + "post_attention_layernorm", epsilon)
            return linear(c, F.gelu(linear(c, h, p + "mlp.dense_h_to_4h", k["intermediate_size"], True)), p + "mlp.dense_4h_to_h", width, True)

        if k["use_parallel_residual"]:
            x = x + attention(x) + feedforward(x)
        else:
            x = x + attention(x)
            x = x + feedforward(x)
    return layernorm(c, x, "gpt_neox.final_layer_norm", epsilon) @ c("embed_out.weight", VOCAB, width).T


for parallel in (True, False):
    model("neox" if parallel else "neox-serial", {
        "model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"], "hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2,
        "intermediate_size": 20, "rotary_pct": 0.34, "rotary_emb_base": 100, "layer_norm_eps": 1e-5, "max_position_embeddings": 32,
        "use_parallel_residual": parallel, "hidden_act": "gelu", "vocab_size": VOCAB, "tie_word_embeddings": False}, neox)


def buckets(n, m, both, count, most):
    """Raffel et al. 2020, section 2.1: half of the numbers for the nearest distances, the others for ranges that grow; m keys, n queries."""
    d = torch.arange(m)[None, :] - torch.arange(n)[:, None]
    first = 0
    if both:
        count //= 2
        first = (d > 0) * count
        d = d.abs()
    else:
        d = (-d).clamp(min=0)
    exact = count // 2
    far = exact + (torch.log(d.clamp(min=1).double() / exact) / math.log(most / exact) * (count - exact)).long()
    return first + torch.where(d < exact, d, far.clamp(max=count - 1))


def t5(c, read, source):
    k = c.config
    width, heads, size, epsilon = k["d_model"], k["num_heads"], k["d_kv"], k["layer_norm_epsilon"]
    table = c("shared.weight", k["vocab_size"], width, scale=1)

    def norm(x, name):
        return rmsnorm(x, c(name + ".weight", width, offset=1), epsilon)

    def attention(x, memory, p, hidden, bias=0.0):
        q, key_, v = (split(linear(c, y, p + n, heads * size), heads) for y, n in ((x, "q"), (memory, "k"), (memory, "v")))
        return linear(c, attend(q, key_, v, hidden, 1.0, bias=bias), p + "o", width)

    def feedforward(x, p):
        if k["feed_forward_proj"] == "relu":
            h = torch.relu(linear(c, x, p + "wi", k["d_ff"]))
        else:
            h = F.gelu(linear(c, x, p + "wi_0", k["d_ff"]), approximate="tanh") * linear(c, x, p + "wi_1", k["d_ff"])
        return linear(c, h, p + "wo", width)

    def side(name, x, layers, memory=None):
        n, bias = len(x), None
        for i in range(layers):
            p = f"{name}.block.{i}.layer."
            h = norm(x, p + "0.layer_norm")
            if bias is None:
                weights = c(p + "0.SelfAttention.relative_attention_bias.weight", k["relative_attention_num_buckets"], heads, scale=1)
                bias = weights[buckets(n, n, memory is None, k["relative_attention_num_buckets"], k["relative_attention_max_distance"])].permute(2, 0, 1)
            x = x + attention(h, h, p + "0.SelfAttention.", None if memory is None else causal(n), bias)
            last = 1
            if memory is not None:
                x = x + attention(norm(x, p + "1.layer_norm"), memory, p + "1.EncDecAttention.", None)
                last = 2
            x = x + feedforward(norm(x, f"{p}{last}.layer_norm"), f"{p}{last}.DenseReluDense.")
        return norm(x, name + ".final_layer_norm")

    memory = side("encoder", table[source], k["num_layers"])
    y = side("decoder", table[read], k["num_decoder_layers"], memory)
    return y * width ** -0.5 @ table.T if k["tie_word_embeddings"] else y @ c("lm_head.weight", k["vocab_size"], width).T


for name, more in {"t5": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
                   "t5-gated": {"model_type": "mt5", "architectures": ["MT5ForConditionalGeneration"], "feed_forward_proj": "gated-gelu",
                                "tie_word_embeddings": False, "vocab_size": VOCAB + 4},
                   "t5-far": {"feed_forward_proj": "relu", "tie_word_embeddings": True, "relative_attention_max_distance": 128},
                   "t5-far-gated": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
                                    "relative_attention_max_distance": 128}}.items():
    source = tokens(2, 11)
    model(name, dict({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 12, "d_kv": 5, "num_heads": 3, "d_ff": 20,
                      "num_layers": 3, "num_decoder_layers": 2, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 6,
                      "layer_norm_epsilon": 1e-6, "vocab_size": VOCAB, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 2,
                      "is_encoder_decoder": True, "dropout_rate": 0.1}, **more), lambda c, read: t5(c, read, source))
    MODELS[name]["source"] = source.tolist()


def marian(c, read, source):
    """Vaswani et al. 2017, with sines in front of cosines."""
    k = c.config
    width = k["d_model"]
    table = c("model.shared.weight", VOCAB, width, scale=1)
    scale = math.sqrt(width) if k["scale_embedding"] else 1
    activation = {"swish": F.silu, "relu": torch.relu, "gelu": F.gelu}[k["activation_function"]]

    def rows(x):
        angle = torch.arange(len(x), dtype=torch.float64)[:, None] * frequencies(width, 10000.0)
        return table[x] * scale + torch.cat([torch.sin(angle), torch.cos(angle)], -1)

    def attention(x, memory, p, heads, hidden):
        q, key_, v = (split(linear(c, y, p + n, width, True), heads) for y, n in ((x, "q_proj"), (memory, "k_proj"), (memory, "v_proj")))
        return linear(c, attend(q, key_, v, hidden, (width / heads) ** -0.5), p + "out_proj", width, True)

    def side(name, x, memory=None):
        heads = k[name + "_attention_heads"]
        for i in range(k[name + "_layers"]):
            p = f"model.{name}.layers.{i}."
            y = attention(x, x, p + "self_attn.", heads, None if memory is None else causal(len(x)))
            x = layernorm(c, x + y, p + "self_attn_layer_norm", 1e-5)
            if memory is not None:
                x = layernorm(c, x + attention(x, memory, p + "encoder_attn.", heads, None), p + "encoder_attn_layer_norm", 1e-5)
            h = activation(linear(c, x, p + "fc1", k[name + "_ffn_dim"], True))
            x = layernorm(c, x + linear(c, h, p + "fc2", width, True), p + "final_layer_norm", 1e-5)
        return x

    return side("decoder", rows(read), side("encoder", rows(source))) @ table.T + c("final_logits_bias", 1, VOCAB, scale=0.2)[0]


for name, more in {"marian": {"activation_function": "swish", "scale_embedding": True},
                   "marian-relu": {"activation_function": "relu", "scale_embedding": False, "decoder_layers": 1}}.items():
    source = tokens(2, 11)
    model(name, dict({"model_type": "marian", "architectures": ["MarianMTModel"], "d_model": 12, "encoder_layers": 2, "decoder_layers": 2,
                      "encoder_attention_heads": 3, "decoder_attention_heads": 2, "encoder_ffn_dim": 20, "decoder_ffn_dim": 16, "vocab_size": VOCAB,
                      "decoder_vocab_size": VOCAB, "max_position_embeddings": 16, "static_position_embeddings": True, "normalize_before": False,
                      "share_encoder_decoder_embeddings": True, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 2,
                      "is_encoder_decoder": True, "num_hidden_layers": 2}, **more), lambda c, read: marian(c, read, source))
    MODELS[name]["source"] = source.tolist()


def bert(c, read):
    """Devlin et al. 2019, and Liu et al. 2019, whose places begin behind the token that fills up."""
    k = c.config
    kind, width, heads, epsilon = k["model_type"], k["hidden_size"], k["num_attention_heads"], k["layer_norm_eps"]
    first = k["pad_token_id"] + 1 if kind == "roberta" else 0
    e = kind + ".embeddings."
    table = c(e + "word_embeddings.weight", VOCAB, width, scale=1)
    places = c(e + "position_embeddings.weight", k["max_position_embeddings"], width, scale=1)
    x = table[read] + places[first:first + len(read)] + c(e + "token_type_embeddings.weight", k["type_vocab_size"], width, scale=1)[0]
    x = layernorm(c, x, e + "LayerNorm", epsilon)
    for i in range(k["num_hidden_layers"]):
        p = f"{kind}.encoder.layer.{i}."
        q, key_, v = (split(linear(c, x, p + f"attention.self.{n}", width, True), heads) for n in ("query", "key", "value"))
        y = attend(q, key_, v, None, (width / heads) ** -0.5)
        x = layernorm(c, x + linear(c, y, p + "attention.output.dense", width, True), p + "attention.output.LayerNorm", epsilon)
        h = F.gelu(linear(c, x, p + "intermediate.dense", k["intermediate_size"], True))
        x = layernorm(c, x + linear(c, h, p + "output.dense", width, True), p + "output.LayerNorm", epsilon)
    c.mean = x.mean(0)
    dense, norm, bias = (("lm_head.dense", "lm_head.layer_norm", "lm_head.bias") if kind == "roberta" else
                         ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"))
    x = layernorm(c, F.gelu(linear(c, x, dense, width, True)), norm, epsilon)
    c(kind + ".pooler.dense.weight", width, width)  # which is for other tasks
    return x @ table.T + c(bias, VOCAB)


for kind, more in {"bert": {"architectures": ["BertForMaskedLM"], "type_vocab_size": 2, "pad_token_id": 0, "layer_norm_eps": 1e-12},
                   "roberta": {"architectures": ["RobertaForMaskedLM"], "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5}}.items():
    model(kind, dict({"model_type": kind, "hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 2, "intermediate_size": 20,
                      "max_position_embeddings": 16, "hidden_act": "gelu", "vocab_size": VOCAB, "hidden_dropout_prob": 0.1,
                      "position_embedding_type": "absolute"}, **more), bert)

json.dump(MODELS, sys.stdout, indent=None, separators=(",", ":"))
