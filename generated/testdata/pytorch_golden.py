#!/usr/bin/python3
"""Writes pytorch_golden.json: loss and gradients of the models rnn, lstm, gru, gptnano, vae, textvae and gan and of small adversarial networks, and the losses of bertmini, transformer and translate, in PyTorch, in float64.

Weights and tokens come from a formula that the Go test repeats, so that the file stays small: of each gradient it holds the norm, the product with a
vector from the same formula, and some elements. Run it with Debian's python3-torch:

    /usr/bin/python3 generated/testdata/pytorch_golden.py > generated/testdata/pytorch_golden.json
"""
import json

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

VOCAB, STEPS, BATCH = 96, 64, 32
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(*parts):
    """SplitMix64 over the parts, of which the last may be an array: model.Key of the Go runtime."""
    h = np.uint64(GOLDEN)
    with np.errstate(over="ignore"):
        for p in parts:
            h = h + np.uint64(p) + GOLDEN if np.isscalar(p) else h + p.astype(np.uint64) + GOLDEN
            h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            h = h ^ (h >> np.uint64(31))
    return h


def numbers(stream, n, scale):
    """n float32 numbers in [-scale, scale)."""
    u = (key(stream, np.arange(n)) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
    return (u * np.float32(2) - np.float32(1)) * np.float32(scale)


def tokens(stream, steps=STEPS, batch=BATCH, vocab=VOCAB):
    """[steps, batch]"""
    return torch.tensor((key(stream, np.arange(steps * batch)) % np.uint64(vocab)).astype(np.int64).reshape(steps, batch))


def build(cell, embed, hidden, layers):
    """The model and, for each tensor of ours in its order: name, the PyTorch parameter, and whether that is transposed."""
    table = nn.Embedding(VOCAB, embed)
    rnn = getattr(nn, cell)(embed, hidden, layers)
    out = nn.Linear(hidden, VOCAB)
    name = cell.lower()
    ours = [("embed.table", table.weight, False)]
    for l in range(layers):
        prefix = f"{name}.{l + 1}" if layers > 1 else name
        ours += [(f"{prefix}.wx", getattr(rnn, f"weight_ih_l{l}"), True), (f"{prefix}.wh", getattr(rnn, f"weight_hh_l{l}"), True),
                 (f"{prefix}.b", getattr(rnn, f"bias_ih_l{l}"), False)]
        if cell == "GRU":
            ours.append((f"{prefix}.bh", getattr(rnn, f"bias_hh_l{l}"), False))
        else:
            nn.init.zeros_(getattr(rnn, f"bias_hh_l{l}"))
    ours += [("out.w", out.weight, True), ("out.b", out.bias, False)]
    return nn.ModuleList([table, rnn, out]).double(), ours


class Attention(nn.Module):
    """Multi-head attention as torch.nn.functional writes it; x and memory are [steps, batch, width]."""

    def __init__(self, width, heads, memory=None):
        super().__init__()
        self.heads, self.cross = heads, memory is not None
        if self.cross:
            self.q, self.kv = nn.Linear(width, width), nn.Linear(memory, 2 * width)
        else:
            self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, memory, hidden):
        parts = (self.q(x), *self.kv(memory).chunk(2, -1)) if self.cross else self.qkv(x).chunk(3, -1)
        q, k, v = (p.unflatten(-1, (self.heads, -1)).permute(1, 2, 0, 3) for p in parts)  # [batch, heads, steps, size]
        score = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        y = F.softmax(score.masked_fill(hidden, float("-inf")), -1) @ v
        return self.out(y.permute(2, 0, 1, 3).flatten(2))

    def ours(self, name):
        if self.cross:
            return linear(f"{name}q", self.q) + linear(f"{name}kv", self.kv) + linear(f"{name}c", self.out)
        return linear(f"{name}qkv", self.qkv) + linear(f"{name}o", self.out)


def linear(name, layer):
    at = name.rindex(".") + 1
    return [(name[:at] + "w" + name[at:], layer.weight, True), (name[:at] + "b" + name[at:], layer.bias, False)]


def norm(name, layer):
    return [(f"{name}_gain", layer.weight, False), (f"{name}_bias", layer.bias, False)]


class Blocks(nn.Module):
    """A stack of Transformer blocks with norms in front."""

    def __init__(self, width, heads, hidden, layers, act, memory=None):
        super().__init__()
        self.act = act
        self.layers = nn.ModuleList()
        for _ in range(layers):
            parts = [Attention(width, heads)] + ([Attention(width, heads, memory)] if memory else [])
            self.layers.append(nn.ModuleDict({
                "norms": nn.ModuleList(nn.LayerNorm(width) for _ in range(len(parts) + 1)), "parts": nn.ModuleList(parts),
                "up": nn.Linear(width, hidden), "down": nn.Linear(hidden, width)}))

    def forward(self, x, hidden, memory=None, hidden_memory=None):
        for l in self.layers:
            for n, part, mask in zip(l["norms"], l["parts"], (hidden, hidden_memory)):
                x = x + part(n(x), memory, mask)
            x = x + l["down"](self.act(l["up"](l["norms"][-1](x))))
        return x

    def ours(self, name):
        out = []
        for i, l in enumerate(self.layers):
            p = f"{name}.{i + 1}."
            for k, (n, part) in enumerate(zip(l["norms"], l["parts"])):
                out += norm(f"{p}norm{k + 1}", n) + part.ours(p)
            out += norm(f"{p}norm{len(l['norms'])}", l["norms"][-1]) + linear(f"{p}up", l["up"]) + linear(f"{p}down", l["down"])
        return out


def causal(steps):
    return torch.triu(torch.ones(steps, steps, dtype=torch.bool), 1)


def gptnano():
    steps, batch, vocab, width = 64, 12, 65, 128
    tok, pos, blocks, ln = nn.Embedding(vocab, width), nn.Embedding(steps, width), Blocks(width, 4, 4 * width, 4, F.gelu), nn.LayerNorm(width)
    ours = [("tok.table", tok.weight, False), ("pos.table", pos.weight, False)] + blocks.ours("blocks") + [("ln.gain", ln.weight, False), ("ln.bias", ln.bias, False)]
    nn.ModuleList([tok, pos, blocks, ln]).double()
    fill(ours)
    x, y = tokens(1, steps, batch, vocab), tokens(2, steps, batch, vocab)
    h = blocks(tok(x) + pos.weight[:, None], causal(steps))
    return gradients(F.cross_entropy((ln(h) @ tok.weight.T).view(-1, vocab), y.view(-1)), ours)


def translator():
    """The model transformer, without dropout; the last source is shorter, as is the answer."""
    steps, source, batch, vocab, width = 9, 11, 3, 8002, 256
    tok, pos_s, pos_t = nn.Embedding(vocab, width), nn.Embedding(56, width), nn.Embedding(56, width)
    reader, writer = Blocks(width, 4, 512, 3, F.relu), Blocks(width, 4, 512, 3, F.relu, width)
    read, written = nn.LayerNorm(width), nn.LayerNorm(width)
    ours = [("source.table", tok.weight, False), ("source_places.table", pos_s.weight, False)] + reader.ours("reader") + [
        ("read.gain", read.weight, False), ("read.bias", read.bias, False), ("target_places.table", pos_t.weight, False)] + writer.ours("writer") + [
        ("written.gain", written.weight, False), ("written.bias", written.bias, False)]
    nn.ModuleList([tok, pos_s, pos_t, reader, writer, read, written]).double()
    fill(ours)
    s, x, y = tokens(3, source, batch, vocab), tokens(1, steps, batch, vocab), tokens(2, steps, batch, vocab)
    s[7:, -1], x[6:, -1], y[6:, -1] = -1, -1, -1

    def embed(t, pos):
        return torch.where((t >= 0)[..., None], tok(t.clamp(min=0)), 0.0) + pos.weight[:len(t), None]

    gone = (s < 0).T[:, None, None]
    memory = read(reader(embed(s, pos_s), gone))
    h = writer(embed(x, pos_t), causal(steps) | (x < 0).T[:, None, None], memory, gone)
    loss = F.cross_entropy((written(h) @ tok.weight.T).view(-1, vocab), y.view(-1), ignore_index=-1, label_smoothing=0.1)
    return {"loss": loss.item()}  # of a model with dropout the loss alone: gradients are those of a mask


def bertmini():
    """The model bertmini, without dropout: every third token is to be restored, the last sequence is shorter."""
    steps, batch, vocab, width = 128, 16, 8192, 256
    tok, pos, blocks, ln = nn.Embedding(vocab, width), nn.Embedding(steps, width), Blocks(width, 4, 4 * width, 4, F.gelu), nn.LayerNorm(width)
    ours = [("tok.table", tok.weight, False), ("pos.table", pos.weight, False)] + blocks.ours("blocks") + [("ln.gain", ln.weight, False), ("ln.bias", ln.bias, False)]
    nn.ModuleList([tok, pos, blocks, ln]).double()
    fill(ours)
    x, y = tokens(1, steps, batch, vocab), tokens(2, steps, batch, vocab)
    y.view(-1)[torch.arange(steps * batch) % 3 > 0] = -1
    x[100:, -1], y[100:, -1] = -1, -1
    h = torch.where((x >= 0)[..., None], tok(x.clamp(min=0)), 0.0) + pos.weight[:, None]
    h = blocks(h, (x < 0).T[:, None, None])
    return {"loss": F.cross_entropy((ln(h) @ tok.weight.T).view(-1, vocab), y.view(-1), ignore_index=-1).item()}


def recurrent_parts():
    """The model translate, without dropout: a function of embeddings and tokens of sources and answers that gives logits, the two tables, and the tensors of ours. The decoder's GRU reads the context beside its input."""
    vocab, embed, read, write, score = 8002, 192, 256, 384, 256
    src, tgt = nn.Embedding(vocab - 1, embed), nn.Embedding(vocab, embed)
    reader, writer = nn.GRU(embed, read, bidirectional=True), nn.GRUCell(embed, write)
    query, keys, v = nn.Linear(write, score, bias=False), nn.Linear(2 * read, score, bias=False), nn.Parameter(torch.zeros(score))
    more, context = nn.Linear(2 * read, 3 * write, bias=False), nn.Linear(2 * read, write, bias=False)
    state, start = nn.Linear(write, write), nn.Linear(2 * read, write)
    narrow, bias = nn.Linear(write, embed), nn.Parameter(torch.zeros(vocab))
    ours = [("source.table", src.weight, False)]
    for suffix, end in (("", ""), ("_reverse", "_back")):
        ours += [("reader.w" + x + end, getattr(reader, f"weight_{i}h_l0{suffix}"), True) for x, i in (("x", "i"), ("h", "h"))]
        ours += [("reader.b" + x + end, getattr(reader, f"bias_{i}h_l0{suffix}"), False) for x, i in (("", "i"), ("h", "h"))]
    ours += [("target.table", tgt.weight, False), ("writer.wx", writer.weight_ih, True), ("writer.wh", writer.weight_hh, True), ("writer.b", writer.bias_ih, False),
             ("writer.bh", writer.bias_hh, False), ("writer.w_query", query.weight, True), ("writer.v", v, False), ("writer.w_more", more.weight, True),
             ("writer.w_context", context.weight, True), ("writer.w_state", state.weight, True), ("writer.b_out", state.bias, False),
             ("writer.w_start_h", start.weight, True), ("writer.b_start_h", start.bias, False), ("writer.w_keys", keys.weight, True),
             ("narrow.w", narrow.weight, True), ("narrow.b", narrow.bias, False), ("out.b", bias, False)]
    for module in (src, tgt, reader, writer, query, keys, more, context, state, start, narrow):
        module.double()
    v.data, bias.data = v.data.double(), bias.data.double()
    fill(ours)

    def logits(sources, answers, s):
        packed = nn.utils.rnn.pack_padded_sequence(sources, (s >= 0).sum(0), enforce_sorted=False)
        memory, _ = nn.utils.rnn.pad_packed_sequence(reader(packed)[0], total_length=len(s))
        h, out = torch.tanh(start(memory[0])), []
        for y in answers:
            e = (torch.tanh(query(h) + keys(memory)) @ v).masked_fill(s < 0, float("-inf"))
            c = (F.softmax(e, 0)[..., None] * memory).sum(0)
            gi = y @ writer.weight_ih.T + writer.bias_ih + more(c)
            gh = h @ writer.weight_hh.T + writer.bias_hh
            (ir, iz, i_n), (hr, hz, hn) = gi.chunk(3, -1), gh.chunk(3, -1)
            r, z = torch.sigmoid(ir + hr), torch.sigmoid(iz + hz)
            h = (1 - z) * torch.tanh(i_n + r * hn) + z * h
            out.append(narrow(torch.tanh(state(h) + context(c))) @ tgt.weight.T + bias)
        return torch.stack(out)

    return logits, src, tgt, ours


def recurrent_translator():
    """The last source is shorter, as is the answer."""
    steps, source, batch, vocab = 9, 11, 3, 8002
    logits, src, tgt, _ = recurrent_parts()
    s, x, y = tokens(3, source, batch, vocab - 1), tokens(1, steps, batch, vocab), tokens(2, steps, batch, vocab)
    s[7:, -1], x[6:, -1], y[6:, -1] = -1, -1, -1
    read = torch.where((x >= 0)[..., None], tgt(x.clamp(min=0)), 0.0)
    loss = F.cross_entropy(logits(src(s.clamp(min=0)), read, s).view(-1, vocab), y.view(-1), ignore_index=-1, label_smoothing=0.1)
    return {"loss": loss.item()}


def adversaries(loss=None, penalty=None, spectral=False, matching=0.0):
    """A step of the discriminator and one of the generator: 64-128-128-784 and 784-128-128-1, the model gan, or with other losses small ones."""
    sizes = (64, 128, 784, 64) if loss is None else (2, 6, 3, 5)
    noise, hidden, width, batch = sizes
    g = [nn.Linear(noise, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, width)]
    d = [nn.Linear(width, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)]
    names = ["g1", "g2", "made", "d1", "d2", "verdict"]
    ours = [t for name, l in zip(names, g + d) for t in linear(f"{name}.", l)]
    nn.ModuleList(g + d).double()
    fill(ours, 0.1 if loss is None else 0.5)
    data, z = (torch.tensor(numbers(s, batch * n, 1).astype(np.float64)).reshape(batch, n) for s, n in ((1, width), (2, noise)))
    mix = torch.tensor((numbers(3, batch, 0.5) + np.float32(0.5)).astype(np.float64))[:, None]

    def make():
        return torch.tanh(g[2](F.relu(g[1](F.relu(g[0](z))))))

    def matrix(l):
        if not spectral:
            return l.weight
        u = torch.linalg.svd(l.weight.detach())
        left, right = u[0][:, 0], u[2][0]  # constants, as power iteration has them
        return l.weight / (left @ l.weight @ right)

    def features(x):
        return F.leaky_relu(F.linear(F.leaky_relu(F.linear(x, matrix(d[0]), d[0].bias), 0.2), matrix(d[1]), d[1].bias), 0.2)

    def judge(x):
        return F.linear(features(x), matrix(d[2]), d[2].bias)

    bce, kind = F.binary_cross_entropy_with_logits, loss or "non_saturating"
    ones, zeros = torch.ones(batch, 1).double(), torch.zeros(batch, 1).double()
    fake = make().detach()
    real_v, fake_v = judge(data), judge(fake)
    d_loss = {
        "non_saturating": lambda: bce(real_v, ones) + bce(fake_v, zeros),
        "minimax": lambda: bce(real_v, 0.9 * ones) + bce(fake_v, zeros),  # label smoothing 0.1
        "least_squares": lambda: ((real_v - 1) ** 2).mean() / 2 + (fake_v ** 2).mean() / 2,
        "hinge": lambda: F.relu(1 - real_v).mean() + F.relu(1 + fake_v).mean(),
        "wasserstein": lambda: fake_v.mean() - real_v.mean(),
        "relativistic": lambda: bce(real_v - fake_v, ones),
    }[kind]()
    if penalty:
        x = data if penalty == "r1" else mix * data + (1 - mix) * fake
        x = x.clone().requires_grad_()
        slope, = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
        d_loss = d_loss + (5 * slope.pow(2).sum(1).mean() if penalty == "r1" else 10 * (slope.norm(2, 1) - 1).pow(2).mean())
    discriminator = gradients(d_loss, ours, skip=6)
    for _, p, _ in ours:
        p.grad = None
    made = make()
    v = judge(made)
    g_loss = {
        "non_saturating": lambda: bce(v, ones),
        "minimax": lambda: -bce(v, zeros),
        "least_squares": lambda: ((v - 1) ** 2).mean() / 2,
        "hinge": lambda: -v.mean(),
        "wasserstein": lambda: -v.mean(),
        "relativistic": lambda: bce(v - judge(data), ones),
    }[kind]()
    if matching:
        g_loss = g_loss + matching * ((features(made).mean(0) - features(data).mean(0)) ** 2).sum()
    return {"discriminator": discriminator, "generator": gradients(g_loss, ours[:6])}


def imitators(relaxed):
    """Small networks of text: the generator's step on weighted lines, the discriminator's, and with relaxed tokens the generator's against it (go test ./gen -run TextGANPyTorch)."""
    steps, batch, vocab, size, units, filters = 5, 4, 7, 3, 4, 2
    shapes = {"tokens.table": (vocab, size), "write.wx": (size, 4 * units), "write.wh": (units, 4 * units), "write.b": (4 * units,), "out.w": (units, vocab), "out.b": (vocab,),
              "words.table": (vocab, size), "filters.w1": (size, filters), "filters.b1": (filters,), "filters.w2": (2 * size, filters), "filters.b2": (filters,),
              "way.w": (4, 4), "way.b": (4,), "way.w_gate": (4, 4), "way.b_gate": (4,), "verdict.w": (4, 1), "verdict.b": (1,)}
    p = {name: nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for name, shape in shapes.items()}
    ours = [(name, t, False) for name, t in p.items()]
    fill(ours, 0.5)
    x, y, made = (tokens(s, steps, batch, vocab) for s in (1, 2, 3))
    weights = torch.tensor(numbers(4, steps * batch, 1).astype(np.float64)).view(steps, batch)

    def cell(row, h, c):
        i, f, g, o = (row @ p["write.wx"] + p["write.b"] + h @ p["write.wh"]).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, c, h @ p["out.w"] + p["out.b"]

    def judge(rows):
        e = rows @ p["words.table"]
        later = torch.cat([e[1:], torch.zeros(1, batch, size, dtype=torch.float64)])
        seen = torch.cat([F.relu(e @ p["filters.w1"] + p["filters.b1"]), F.relu(torch.cat([e, later], 2) @ p["filters.w2"] + p["filters.b2"])], 2).max(0).values
        gate = torch.sigmoid(seen @ p["way.w_gate"] + p["way.b_gate"])
        return (gate * F.relu(seen @ p["way.w"] + p["way.b"]) + (1 - gate) * seen) @ p["verdict.w"] + p["verdict.b"]

    def rows(t):
        return F.one_hot(t, vocab).double()

    def write():
        h = c = torch.zeros(batch, units, dtype=torch.float64)
        row, all = p["tokens.table"][x[0]], []
        for t in range(steps):
            h, c, logits = cell(row, h, c)
            noise = torch.tensor(numbers(10 + t, batch * vocab, 2).astype(np.float64)).view(batch, vocab)
            all.append(torch.softmax(0.7 * (logits + noise), 1))
            row = all[-1] @ p["tokens.table"]
        return torch.stack(all)

    def step(loss, skip=0, end=len(shapes)):
        for t in p.values():
            t.grad = None
        return gradients(loss, ours[:end], skip=skip)

    h = c = torch.zeros(batch, units, dtype=torch.float64)
    loss = 0
    for t in range(steps):
        h, c, logits = cell(p["tokens.table"][x[t]], h, c)
        rows_loss = F.cross_entropy(logits, y[t], reduction="none")
        loss = loss + (rows_loss if relaxed else weights[t] * rows_loss).sum()
    text = step(loss / (steps * batch), end=6)
    real, fake = judge(rows(y)), judge(write().detach() if relaxed else rows(made))
    d = F.softplus(fake - real).mean() if relaxed else (F.softplus(-real) + F.softplus(fake)).mean()
    out = {"text": text, "discriminator": step(d, skip=6)}
    if relaxed:
        out["relaxed"] = step(F.softplus(judge(rows(y)) - judge(write())).mean(), end=6)
    return out


def philox(counters, k):
    """Philox4x32-10 (Salmon et al. 2011) of counters (n, 0): an array [4, n] of 32-bit words."""
    low = np.uint64(0xFFFFFFFF)
    c = [counters.astype(np.uint64) & low, counters.astype(np.uint64) >> np.uint64(32), np.zeros_like(counters, np.uint64), np.zeros_like(counters, np.uint64)]
    k0, k1 = int(k) & 0xFFFFFFFF, int(k) >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c)


def normal(k, n):
    """n standard normal numbers as kernel.Normal draws them under key k, by Box and Muller."""
    groups = (n + 63) // 64
    u = (philox(np.arange(16 * groups), k) >> np.uint64(8)).astype(np.float64) / (1 << 24)  # [word, group·16 + lane]
    u = u.reshape(4, groups, 16).transpose(1, 0, 2)  # element 64·group + 16·word + lane
    r, turn = np.sqrt(-2 * np.log(1 - u[:, 0::2])), 2 * np.pi * u[:, 1::2]
    return np.stack([r * np.cos(turn), r * np.sin(turn)], 2).reshape(-1)[:n]


def autoencoder():
    """The model vae in its first step, with the noise that it draws under its seed."""
    batch, inputs, hidden, latent = 64, 784, 256, 16
    read, mean, logvar = nn.Linear(inputs, hidden), nn.Linear(hidden, latent), nn.Linear(hidden, latent)
    write, out = nn.Linear(latent, hidden), nn.Linear(hidden, inputs)
    ours = []
    for name, l, of in [("read", read, ""), ("latent", mean, "_mean"), ("latent", logvar, "_logvar"), ("write", write, ""), ("out", out, "")]:
        ours += [(f"{name}.w{of}", l.weight, True), (f"{name}.b{of}", l.bias, False)]
    nn.ModuleList([read, mean, logvar, write, out]).double()
    fill(ours)
    x = torch.tensor(numbers(1, batch * inputs, 0.5).astype(np.float64) + 0.5).view(batch, inputs)
    noise = torch.tensor(normal(key(1, 0, 1), batch * latent)).view(batch, latent)
    h = F.relu(read(x))
    m, v = mean(h), logvar(h)
    y = out(F.relu(write(m + torch.exp(v / 2) * noise)))
    loss = F.binary_cross_entropy_with_logits(y, x, reduction="sum") - 0.5 * (1 + v - m * m - v.exp()).sum()
    return gradients(loss / batch, ours)


def sentences():
    """The model textvae, without dropout, and with the noise that it draws under its seed; the last sentence is shorter."""
    steps, source, batch, vocab, size, hidden, latent = 9, 11, 3, 5003, 128, 256, 32
    words, again, out = nn.Embedding(vocab, size), nn.Embedding(vocab, size), nn.Linear(hidden, vocab)
    read, write = nn.LSTMCell(size, hidden), nn.LSTMCell(size, hidden)
    mean, logvar = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
    start_h, start_c, each = nn.Linear(latent, hidden), nn.Linear(latent, hidden), nn.Linear(latent, 4 * hidden, bias=False)
    ours = [("words.table", words.weight, False)]
    for name, cell in [("read", read), ("write", write)]:
        nn.init.zeros_(cell.bias_hh)
        if name == "write":
            ours += [("latent.w_mean", mean.weight, True), ("latent.b_mean", mean.bias, False),
                     ("latent.w_logvar", logvar.weight, True), ("latent.b_logvar", logvar.bias, False), ("again.table", again.weight, False)]
        ours += [(f"{name}.wx", cell.weight_ih, True), (f"{name}.wh", cell.weight_hh, True), (f"{name}.b", cell.bias_ih, False)]
    ours += [("write.w_start_h", start_h.weight, True), ("write.b_start_h", start_h.bias, False),
             ("write.w_start_c", start_c.weight, True), ("write.b_start_c", start_c.bias, False), ("write.w_latent", each.weight, True),
             ("out.w", out.weight, True), ("out.b", out.bias, False)]
    nn.ModuleList([words, again, out, read, write, mean, logvar, start_h, start_c, each]).double()
    fill(ours)
    s, x, y = tokens(3, source, batch, vocab), tokens(1, steps, batch, vocab), tokens(2, steps, batch, vocab)
    s[7:, -1], x[6:, -1], y[6:, -1] = -1, -1, -1
    h = c = torch.zeros(batch, hidden, dtype=torch.float64)
    for t in reversed(range(source)):
        there = (s[t] >= 0).double()[:, None]
        h, c = (v * there for v in read(words(s[t].clamp(min=0)) * there, (h, c)))
    m, v = mean(h), logvar(h)
    z = m + torch.exp(v / 2) * torch.tensor(normal(key(1, 0, 1), batch * latent)).view(batch, latent)
    h, c, loss = torch.tanh(start_h(z)), torch.tanh(start_c(z)), -0.5 * (1 + v - m * m - v.exp()).sum()
    more = each(z)
    for t in range(steps):
        gates = again(x[t].clamp(min=0)) * (x[t] >= 0).double()[:, None] @ write.weight_ih.T + write.bias_ih + more + h @ write.weight_hh.T
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        loss = loss + F.cross_entropy(out(h), y[t], ignore_index=-1, reduction="sum")
    return {"loss": (loss / batch).item()}  # of a model with dropout the loss alone


def fill(ours, scale=0.1):
    with torch.no_grad():
        for i, (_, p, transposed) in enumerate(ours):
            shape = p.T.shape if transposed else p.shape
            x = torch.tensor(numbers(100 + i, p.numel(), scale).astype(np.float64)).reshape(shape)
            p.copy_(x.T if transposed else x)


def golden(cell, embed, hidden, layers):
    modules, ours = build(cell, embed, hidden, layers)
    fill(ours)
    table, rnn, out = modules
    x, y = tokens(1), tokens(2)
    return gradients(F.cross_entropy(out(rnn(table(x))[0]).view(-1, VOCAB), y.view(-1)), ours)


def sketch(name, i, x, elements=16):
    """What the file holds of tensor number i: the norm, the product with numbers of the formula, and some elements."""
    x = x.contiguous().view(-1).numpy()
    at = (key(300 + i, np.arange(elements)) % np.uint64(x.size)).astype(int)
    return {"name": name, "norm": float(np.linalg.norm(x)), "dot": float(x @ numbers(200 + i, x.size, 1).astype(np.float64)),
            "at": at.tolist(), "values": [float(v) for v in x[at]]}


def gradients(loss, ours, skip=0, elements=16):
    """The loss and the gradients of the tensors of ours behind the first few."""
    loss.backward()
    tensors = [sketch(name, i, p.grad.T if transposed else p.grad, elements) for i, (name, p, transposed) in list(enumerate(ours))[skip:]]
    return {"loss": loss.item(), "tensors": tensors}


if __name__ == "__main__":
    print(json.dumps({"torch": torch.__version__, "models": {
        "rnn": golden("RNN", 64, 256, 1),
        "lstm": golden("LSTM", 128, 256, 2),
        "gru": golden("GRU", 128, 256, 2),
        "gptnano": gptnano(),
        "bertmini": bertmini(),
        "transformer": translator(),
        "translate": recurrent_translator(),
        "vae": autoencoder(),
        "textvae": sentences(),
    }, "imitators": {"policy": imitators(False), "relaxed": imitators(True)}, "adversaries": {
        "gan": adversaries(),
        "minimax": adversaries("minimax"),
        "least_squares": adversaries("least_squares", matching=2.0),
        "hinge": adversaries("hinge", spectral=True),
        "wasserstein": adversaries("wasserstein", "wgan_gp"),
        "relativistic": adversaries("relativistic", "r1"),
        "spectral": adversaries("non_saturating", "wgan_gp", spectral=True),
    }}, indent=1))
