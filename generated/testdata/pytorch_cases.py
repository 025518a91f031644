#!/usr/bin/python3
"""Writes pytorch_cases.json: logits, loss and gradients of published models that are specs of gen/cases, in PyTorch, in float64.

Each model is written from its paper, and takes its parameters from a map with our names and layouts: matrices are [inputs, outputs], queries, keys and
values stand side by side, as do the two matrices of gated units. Numbers come from the formula of pytorch_golden.py; gains are 1 larger.

    /usr/bin/python3 generated/testdata/pytorch_cases.py > generated/testdata/pytorch_cases.json
"""
import json
import math

import numpy as np
import torch
import torch.nn.functional as F

from pytorch_golden import causal, gradients, key, normal, numbers, sketch, tokens

STEPS, SOURCE, BATCH = 6, 7, 3


class Parameters:
    """Parameters by name, in the order of their making."""

    def __init__(self):
        self.all = {}

    def __call__(self, name, *shape):
        x = torch.tensor(numbers(100 + len(self.all), math.prod(shape), 0.5).astype(np.float64)).reshape(shape)
        self.all[name] = (x + 1 if name.endswith("gain") else x).requires_grad_()

    def repeated(self, name, times, **fields):
        """The parameters of a layer in a repeat: those of the first repetition, of the second, and so on."""
        for i in range(times):
            for field, shape in fields.items():
                self(f"{name}.{i + 1}.{field}", *shape)

    def __getitem__(self, name):
        return self.all[name]

    def get(self, name):
        return self.all.get(name, 0)

    def results(self, loss, logits=None):
        out = gradients(loss, [(n, p, False) for n, p in self.all.items()], elements=4)
        if logits is not None:
            out["logits"] = sketch("logits", 0, logits.detach(), elements=12)
        return out


def rmsnorm(x, gain, epsilon=1e-5):
    """Zhang and Sennrich 2019, equation 4."""
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + epsilon) * gain


def layernorm(x, p, name):
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.gain"], p[f"{name}.bias"], 1e-5)


def rotary(x, base):
    """Su et al. 2021, equation 34: x is [batch, heads, steps, size]; features i and i + size/2 are the parts of a complex number."""
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * base ** (-torch.arange(half, dtype=torch.float64) / half)
    z = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([z.real, z.imag], -1)


def attention(p, name, x, heads, hidden, kv=None, memory=None, base=None, scale=None, cap=None, gains=False, bias=None):
    """Vaswani et al. 2017, section 3.2.2; x is [steps, batch, width], hidden says which keys a query does not see. Heads of keys may be fewer (Ainslie et al. 2023)."""
    kv = kv or heads
    if memory is None:
        size = p[f"{name}.wqkv"].shape[1] // (heads + 2 * kv)
        q, k, v = (x @ p[f"{name}.wqkv"] + p.get(f"{name}.bqkv")).split([heads * size, kv * size, kv * size], -1)
    else:
        size = p[f"{name}.wq"].shape[1] // heads
        q, (k, v) = x @ p[f"{name}.wq"], (memory @ p[f"{name}.wkv"]).chunk(2, -1)
    q, k, v = (y.unflatten(-1, (-1, size)).permute(1, 2, 0, 3) for y in (q, k, v))
    if gains:
        q, k = rmsnorm(q, p[f"{name}.queries_gain"], 1e-6), rmsnorm(k, p[f"{name}.keys_gain"], 1e-6)
    if base:
        q, k = rotary(q, base), rotary(k, base)
    k, v = (y.repeat_interleave(heads // kv, 1) for y in (k, v))
    score = q @ k.transpose(-2, -1) * (scale or size ** -0.5)
    if bias is not None:
        score = score + bias
    if cap:
        score = cap * torch.tanh(score / cap)
    y = F.softmax(score.masked_fill(hidden, float("-inf")), -1) @ v
    return y.permute(2, 0, 1, 3).flatten(2) @ p[f"{name}.wo"] + p.get(f"{name}.bo")


def feedforward(p, name, x, act, gated=False):
    """act(x·W)·V, or, gated, (act(x·W)⊙(x·U))·V (Shazeer 2020)."""
    z = x @ p[f"{name}.wup"] + p.get(f"{name}.bup")
    if gated:
        gate, up = z.chunk(2, -1)
        z = act(gate) * up
    else:
        z = act(z)
    return z @ p[f"{name}.wdown"] + p.get(f"{name}.bdown")


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def of_text(p, logits, y):
    return p.results(F.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=-1), logits)


def gptj():
    """Wang and Komatsuzaki 2021: x + attention(norm(x)) + feedforward(norm(x)), with one norm for both."""
    p = Parameters()
    p("embedding.table", 6, 8)
    p.repeated("parallel_layernorm", 2, gain=(8,), bias=(8,))
    p.repeated("parallel_attention", 2, wqkv=(8, 24), wo=(8, 8))
    p.repeated("parallel_feedforward", 2, wup=(8, 20), bup=(20,), wdown=(20, 8), bdown=(8,))
    p("layernorm.gain", 8), p("layernorm.bias", 8), p("dense.w", 8, 6), p("dense.b", 6)
    h = p["embedding.table"][tokens(1, STEPS, BATCH, 6)]
    for i in "12":
        n = layernorm(h, p, f"parallel_layernorm.{i}")
        h = h + attention(p, f"parallel_attention.{i}", n, 2, causal(STEPS), base=10000) + feedforward(p, f"parallel_feedforward.{i}", n, gelu_tanh)
    return of_text(p, layernorm(h, p, "layernorm") @ p["dense.w"] + p["dense.b"], tokens(2, STEPS, BATCH, 6))


def llama():
    """Touvron et al. 2023: norms in front, rotary positions, gated units, no biases; keys are shared by heads."""
    p = Parameters()
    p("tok.table", 6, 8)
    p.repeated("decoder_block_rmsnorm", 3, gain=(8,))
    p.repeated("decoder_block_attention", 3, wqkv=(8, 16), wo=(8, 8))
    p.repeated("decoder_block_rmsnorm2", 3, gain=(8,))
    p.repeated("decoder_block_feedforward", 3, wup=(8, 24), wdown=(12, 8))
    p("rmsnorm.gain", 8)
    h = p["tok.table"][tokens(1, STEPS, BATCH, 6)]
    for i in "123":
        h = h + attention(p, f"decoder_block_attention.{i}", rmsnorm(h, p[f"decoder_block_rmsnorm.{i}.gain"]), 4, causal(STEPS), kv=2, base=10000)
        h = h + feedforward(p, f"decoder_block_feedforward.{i}", rmsnorm(h, p[f"decoder_block_rmsnorm2.{i}.gain"]), F.silu, gated=True)
    return of_text(p, rmsnorm(h, p["rmsnorm.gain"]) @ p["tok.table"].T, tokens(2, STEPS, BATCH, 6))


def qwen():
    """Qwen3 (Yang et al. 2025): the heads of queries and of keys are normalised before they are turned, and a head's size is no share of the width."""
    p = Parameters()
    p("embedding.table", 6, 10)
    p.repeated("decoder_block_rmsnorm", 2, gain=(10,))
    p.repeated("decoder_block_attention", 2, wqkv=(10, 48), queries_gain=(6,), keys_gain=(6,), wo=(24, 10))
    p.repeated("decoder_block_rmsnorm2", 2, gain=(10,))
    p.repeated("decoder_block_feedforward", 2, wup=(10, 24), wdown=(12, 10))
    p("rmsnorm.gain", 10), p("dense.w", 10, 6)
    h = p["embedding.table"][tokens(1, STEPS, BATCH, 6)]
    for i in "12":
        h = h + attention(p, f"decoder_block_attention.{i}", rmsnorm(h, p[f"decoder_block_rmsnorm.{i}.gain"]), 4, causal(STEPS), kv=2, base=1e6, gains=True)
        h = h + feedforward(p, f"decoder_block_feedforward.{i}", rmsnorm(h, p[f"decoder_block_rmsnorm2.{i}.gain"]), F.silu, gated=True)
    return of_text(p, rmsnorm(h, p["rmsnorm.gain"]) @ p["dense.w"], tokens(2, STEPS, BATCH, 6))


def gemma():
    """Gemma Team 2024, section 2: norms before and after each part, every other attention in a window, soft caps of scores and of logits."""
    p = Parameters()
    p("tok.table", 6, 8)
    for part, shapes in (("near", dict(wqkv=(8, 16), wo=(8, 8))), ("narrow", dict(wup=(8, 24), wdown=(12, 8))),
                         ("far", dict(wqkv=(8, 16), wo=(8, 8))), ("wide", dict(wup=(8, 24), wdown=(12, 8)))):
        p.repeated(f"{part}_rmsnorm", 2, gain=(8,))
        p.repeated(f"{part}_{'attention' if 'wo' in shapes else 'feedforward'}", 2, **shapes)
        p.repeated(f"{part}_rmsnorm2", 2, gain=(8,))
    p("rmsnorm.gain", 8)
    h = p["tok.table"][tokens(1, STEPS, BATCH, 6)]
    far = causal(STEPS)
    near = far | torch.tril(torch.ones(STEPS, STEPS, dtype=torch.bool), -3)  # a token sees itself and two before it
    for i in "12":
        def part(name, f):
            return h + rmsnorm(f(rmsnorm(h, p[f"{name}_rmsnorm.{i}.gain"])), p[f"{name}_rmsnorm2.{i}.gain"])
        for name, wide, hidden in (("near", "narrow", near), ("far", "wide", far)):
            h = part(name, lambda x: attention(p, f"{name}_attention.{i}", x, 2, hidden, kv=1, base=10000, scale=0.6, cap=0.5))
            h = part(wide, lambda x: feedforward(p, f"{wide}_feedforward.{i}", x, gelu_tanh, gated=True))
    logits = rmsnorm(h, p["rmsnorm.gain"]) @ p["tok.table"].T
    return of_text(p, 2 * torch.tanh(logits / 2), tokens(2, STEPS, BATCH, 6))


def t5():
    """Raffel et al. 2020, section 2.1: a learnt number of each head for each range of distances, shared by the layers of a side; scores have no scale."""

    def bias(table, steps, both):
        buckets, most = 8, 6
        d = torch.arange(steps)[None] - torch.arange(steps)[:, None]  # the key's place less the query's
        first = torch.zeros_like(d)
        if both:
            buckets //= 2
            first = (d > 0) * buckets
            d = d.abs()
        else:
            d = (-d).clamp(min=0)
        exact = buckets // 2
        grown = exact + (torch.log(d.clamp(min=1) / exact) / math.log(most / exact) * (buckets - exact)).long()
        return table[first + torch.where(d < exact, d, grown.clamp(max=buckets - 1))].permute(2, 0, 1)

    p = Parameters()
    p("tok.table", 8, 8)
    p.repeated("reader_rmsnorm", 2, gain=(8,)), p.repeated("reader_attention", 2, wqkv=(8, 30), wo=(10, 8)), p("reader_attention.table", 8, 2)
    p.repeated("reader_wide_rmsnorm", 2, gain=(8,)), p.repeated("reader_wide_feedforward", 2, wup=(8, 12), wdown=(12, 8))
    p("rmsnorm.gain", 8)
    p.repeated("writer_rmsnorm", 2, gain=(8,)), p.repeated("writer_attention", 2, wqkv=(8, 30), wo=(10, 8)), p("writer_attention.table", 8, 2)
    p.repeated("crossing_rmsnorm", 2, gain=(8,)), p.repeated("crossing_attention", 2, wq=(8, 10), wkv=(8, 20), wo=(10, 8))
    p.repeated("writer_wide_rmsnorm", 2, gain=(8,)), p.repeated("writer_wide_feedforward", 2, wup=(8, 12), wdown=(12, 8))
    p("rmsnorm2.gain", 8)
    s, x, y = tokens(3, SOURCE, BATCH, 8), tokens(1, STEPS, BATCH, 8), tokens(2, STEPS, BATCH, 8)
    s[5:, -1], x[4:, -1], y[4:, -1] = -1, -1, -1  # shorter than the others

    def read(t):
        return p["tok.table"][t.clamp(min=0)] * (t >= 0)[..., None]

    gone = (s < 0).T[:, None, None]
    h = read(s)
    for i in "12":
        h = h + attention(p, f"reader_attention.{i}", rmsnorm(h, p[f"reader_rmsnorm.{i}.gain"]), 2, gone, scale=1, bias=bias(p["reader_attention.table"], SOURCE, True))
        h = h + feedforward(p, f"reader_wide_feedforward.{i}", rmsnorm(h, p[f"reader_wide_rmsnorm.{i}.gain"]), F.relu)
    memory, h = rmsnorm(h, p["rmsnorm.gain"]), read(x)
    for i in "12":
        h = h + attention(p, f"writer_attention.{i}", rmsnorm(h, p[f"writer_rmsnorm.{i}.gain"]), 2, causal(STEPS) | (x < 0).T[:, None, None], scale=1,
                          bias=bias(p["writer_attention.table"], STEPS, False))
        h = h + attention(p, f"crossing_attention.{i}", rmsnorm(h, p[f"crossing_rmsnorm.{i}.gain"]), 2, gone, memory=memory, scale=1)
        h = h + feedforward(p, f"writer_wide_feedforward.{i}", rmsnorm(h, p[f"writer_wide_rmsnorm.{i}.gain"]), F.relu)
    return of_text(p, rmsnorm(h, p["rmsnorm2.gain"]) @ p["tok.table"].T, y)


def albert():
    """Lan et al. 2020: the parameters of one layer serve many, and the embedding is narrower than they are. Norms stand behind the sums."""
    p = Parameters()
    p("embedding.table", 7, 4), p("positions.table", 6, 4), p("layernorm.gain", 4), p("layernorm.bias", 4), p("dense.w", 4, 8), p("dense.b", 8)
    for name in ("first", "second"):
        p(f"{name}_attention.wqkv", 8, 24), p(f"{name}_attention.bqkv", 24), p(f"{name}_attention.wo", 8, 8), p(f"{name}_attention.bo", 8)
        p(f"{name}_layernorm.gain", 8), p(f"{name}_layernorm.bias", 8)
        p(f"{name}_feedforward.wup", 8, 12), p(f"{name}_feedforward.bup", 12), p(f"{name}_feedforward.wdown", 12, 8), p(f"{name}_feedforward.bdown", 8)
        p(f"{name}_layernorm2.gain", 8), p(f"{name}_layernorm2.bias", 8)
    p("dense2.w", 8, 7), p("dense2.b", 7)
    x, y = tokens(1, STEPS, BATCH, 7), tokens(2, STEPS, BATCH, 7)
    y.view(-1)[torch.arange(STEPS * BATCH) % 3 > 0] = -1
    x[4:, -1], y[4:, -1] = -1, -1
    h = p["embedding.table"][x.clamp(min=0)] * (x >= 0)[..., None] + p["positions.table"][:, None]
    h = layernorm(h, p, "layernorm") @ p["dense.w"] + p["dense.b"]
    for name in ("first", "first", "second", "second"):
        h = layernorm(h + attention(p, f"{name}_attention", h, 2, (x < 0).T[:, None, None]), p, f"{name}_layernorm")
        h = layernorm(h + feedforward(p, f"{name}_feedforward", h, F.gelu), p, f"{name}_layernorm2")
    return of_text(p, h @ p["dense2.w"] + p["dense2.b"], y)


def elman():
    """Elman 1990: h = tanh(W·[h', x] + b), y = V·h + c, below attention."""
    p = Parameters()
    p("embedding.table", 6, 4), p("elman.w_h", 10, 6), p("elman.b_h", 6), p("elman.w_y", 6, 6), p("elman.b_y", 6)
    p("layernorm.gain", 6), p("layernorm.bias", 6)
    p("attention.wqkv", 6, 18), p("attention.bqkv", 18), p("attention.wo", 6, 6), p("attention.bo", 6), p("dense.w", 6, 6), p("dense.b", 6)
    x, h, ys = p["embedding.table"][tokens(1, STEPS, BATCH, 6)], torch.zeros(BATCH, 6, dtype=torch.float64), []
    for t in range(STEPS):
        h = torch.tanh(torch.cat([h, x[t]], 1) @ p["elman.w_h"] + p["elman.b_h"])
        ys.append(h @ p["elman.w_y"] + p["elman.b_y"])
    y = torch.stack(ys)
    y = y + attention(p, "attention", layernorm(y, p, "layernorm"), 2, causal(STEPS))
    return of_text(p, y @ p["dense.w"] + p["dense.b"], tokens(2, STEPS, BATCH, 6))


def peephole():
    """Gers and Schmidhuber 2000: gates see the cell, those that write and forget the one before, that which gives the new one."""
    p = Parameters()
    p("embedding.table", 6, 4)
    for name, inputs, units in (("peephole", 4, 6), ("peephole2", 6, 5)):
        for g in "ifoc":
            p(f"{name}.w_{g}", inputs, units), p(f"{name}.u_{g}", units, units)
            if g != "c":
                p(f"{name}.p_{g}", units)
            p(f"{name}.b_{g}", units)
    p("dense.w", 5, 6), p("dense.b", 6)
    x = p["embedding.table"][tokens(1, STEPS, BATCH, 6)]
    for name, units in (("peephole", 6), ("peephole2", 5)):
        h = c = torch.zeros(BATCH, units, dtype=torch.float64)
        ys = []
        for t in range(STEPS):
            def gate(g, seen):
                return torch.sigmoid(x[t] @ p[f"{name}.w_{g}"] + h @ p[f"{name}.u_{g}"] + p[f"{name}.p_{g}"] * seen + p[f"{name}.b_{g}"])
            i, f = gate("i", c), gate("f", c)
            c = f * c + i * torch.tanh(x[t] @ p[f"{name}.w_c"] + h @ p[f"{name}.u_c"] + p[f"{name}.b_c"])
            h = gate("o", c) * torch.tanh(c)
            ys.append(h)
        x = torch.stack(ys)
    return of_text(p, x @ p["dense.w"] + p["dense.b"], tokens(2, STEPS, BATCH, 6))


def scores():
    """Attention with a bilinear score (Luong et al. 2015), and with an additive one (Bahdanau et al. 2015), each times a number, of a token and those before it."""
    p = Parameters()
    p("embedding.table", 6, 6), p("layernorm.gain", 6), p("layernorm.bias", 6), p("bilinear.w", 6, 6)
    for suffix in ("", "2"):
        p(f"rmsnorm{suffix}.gain", 6)
        for name, shape in (("w", (6, 5)), ("u", (6, 5)), ("v", (5,)), ("b", (5,)), ("g", (1,))):
            p(f"additive{suffix}.{name}", *shape)
    p("dense.w", 6, 6), p("dense.b", 6)
    h = p["embedding.table"][tokens(1, STEPS, BATCH, 6)]

    def attend(score, x):  # of all pairs: [query, key, batch]
        return torch.einsum("ijb,jbf->ibf", F.softmax(score.masked_fill(causal(STEPS)[..., None], float("-inf")), 1), x)

    x = layernorm(h, p, "layernorm")
    h = h + attend(torch.einsum("ibf,gf,jbg->ijb", x, p["bilinear.w"], x), x)
    for suffix in ("", "2"):
        x = rmsnorm(h, p[f"rmsnorm{suffix}.gain"])
        q = {name: p[f"additive{suffix}.{name}"] for name in "wuvbg"}
        h = h + attend(q["g"] * (torch.tanh((x @ q["w"])[:, None] + (x @ q["u"])[None] + q["b"]) @ q["v"]), x)
    return of_text(p, h @ p["dense.w"] + p["dense.b"], tokens(2, STEPS, BATCH, 6))


def textbookattention():
    """The states of a recurrent decoder look at those of an encoder: softmax over j of h_iᵀ·W·x_j."""
    p = Parameters()
    p("embedding.table", 7, 4)
    p("gru.wx", 4, 15), p("gru.wh", 5, 15), p("gru.b", 15), p("gru.bh", 15)
    p("written.table", 8, 4)
    p("lstm.wx", 4, 24), p("lstm.wh", 6, 24), p("lstm.b", 24)
    for s in "hc":
        p(f"lstm.w_start_{s}", 5, 6), p(f"lstm.b_start_{s}", 6)
    p("context.w", 5, 6), p("dense.w", 11, 8), p("dense.b", 8)
    s, x, y = tokens(3, SOURCE, BATCH, 7), tokens(1, STEPS, BATCH, 8), tokens(2, STEPS, BATCH, 8)
    s[5:, -1], x[4:, -1], y[4:, -1] = -1, -1, -1
    h, memory = torch.zeros(BATCH, 5, dtype=torch.float64), []
    for t in reversed(range(SOURCE)):
        there = (s[t] >= 0)[:, None]
        gx = p["embedding.table"][s[t].clamp(min=0)] * there @ p["gru.wx"] + p["gru.b"]
        (ir, iz, i_n), (hr, hz, hn) = gx.chunk(3, 1), (h @ p["gru.wh"] + p["gru.bh"]).chunk(3, 1)
        r, z = torch.sigmoid(ir + hr), torch.sigmoid(iz + hz)
        h = ((1 - z) * torch.tanh(i_n + r * hn) + z * h) * there
        memory.append(h)
    memory = torch.stack(memory[::-1])
    h, c = (torch.tanh(memory[0] @ p[f"lstm.w_start_{n}"] + p[f"lstm.b_start_{n}"]) for n in "hc")
    states = []
    for t in range(STEPS):
        e = p["written.table"][x[t].clamp(min=0)] * (x[t] >= 0)[:, None]
        i, f, g, o = (e @ p["lstm.wx"] + h @ p["lstm.wh"] + p["lstm.b"]).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    h = torch.stack(states)
    score = torch.einsum("ibf,gf,jbg->ijb", h, p["context.w"], memory).masked_fill((s < 0)[None], float("-inf"))
    context = torch.einsum("ijb,jbf->ibf", F.softmax(score, 1), memory)
    return of_text(p, torch.cat([h, context], -1) @ p["dense.w"] + p["dense.b"], y)


def heads():
    """Kingma and Welling 2014 with q(z|x) = N(μ(x), σ(x)²), σ(x) = log(1 + e^…), in the first step, with the noise that the model draws under its seed."""
    p = Parameters()
    p("dense.w", 7, 6), p("dense.b", 6)
    for n in ("mu", "sigma"):
        p(f"q.w_{n}", 6, 3), p(f"q.b_{n}", 3)
    p("dense2.w", 3, 6), p("dense2.b", 6), p("dense3.w", 6, 7), p("dense3.b", 7)
    x = torch.tensor(numbers(1, 4 * 7, 0.5).astype(np.float64) + 0.5).view(4, 7)
    h = torch.tanh(x @ p["dense.w"] + p["dense.b"])
    mean, deviation = h @ p["q.w_mu"] + p["q.b_mu"], F.softplus(h @ p["q.w_sigma"] + p["q.b_sigma"])
    z = mean + deviation * torch.tensor(normal(key(1, 0, 1), 4 * 3)).view(4, 3)
    y = torch.tanh(z @ p["dense2.w"] + p["dense2.b"]) @ p["dense3.w"] + p["dense3.b"]
    kl = torch.distributions.kl_divergence(torch.distributions.Normal(mean, deviation), torch.distributions.Normal(0.0, 1.0)).sum()
    return p.results((F.binary_cross_entropy_with_logits(y, x, reduction="sum") + kl) / 4)


def textbookgan():
    """G(z) = tanh(W·z + b), D(x) = ½·(tanh(W·x + b) + 1), with the losses of Mao et al. 2017, equation 9."""
    p = Parameters()
    p("generator_of.w_g", 4, 6), p("generator_of.b_g", 6), p("judge.w_d", 6, 1), p("judge.b_d", 1)
    data, z = (torch.tensor(numbers(s, 5 * n, 1).astype(np.float64)).reshape(5, n) for s, n in ((1, 6), (2, 4)))

    def make():
        return torch.tanh(z @ p["generator_of.w_g"] + p["generator_of.b_g"])

    def judge(x):
        return 0.5 * (torch.tanh(x @ p["judge.w_d"] + p["judge.b_d"]) + 1)

    ours = [(n, t, False) for n, t in p.all.items()]
    d = gradients(((judge(data) - 1) ** 2).mean() / 2 + (judge(make().detach()) ** 2).mean() / 2, ours, skip=2)
    g = gradients(((judge(make()) - 1) ** 2).mean() / 2, ours[:2])
    return {"discriminator": d, "generator": g}


if __name__ == "__main__":
    print(json.dumps({"torch": torch.__version__, "models": {f.__name__: f() for f in (gptj, llama, qwen, gemma, t5, albert, elman, peephole, scores, textbookattention, heads)},
                      "adversaries": {"textbookgan": textbookgan()}}, indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"'))
