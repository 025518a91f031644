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


def llama_block(c, i, x, window=0, theta=None, bias=False, out_bias=False, mlp_bias=False):
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
    y = attend(rotary(q, theta), rotary(key_, theta), v, causal(len(x), window), 1 / math.sqrt(size))
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


model("llama", llama_config(), llama)
model("llama-untied", llama_config(tie_word_embeddings=False, head_dim=6, vocab_size=VOCAB + 8, attention_bias=True, mlp_bias=True), lambda c, read: llama(
    c, read, lambda c, i, x: llama_block(c, i, x, bias=True, out_bias=True, mlp_bias=True)))

json.dump(MODELS, sys.stdout, indent=None, separators=(",", ":"))
