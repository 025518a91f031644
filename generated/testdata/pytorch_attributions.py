#!/usr/bin/python3
"""Writes pytorch_attributions.json: where predictions of the models gptnano, lstm and translate come from, by three methods, computed by PyTorch's own differentiation in float64.

Weights and tokens are those of the formula in pytorch_golden.py. Explained is log p of a token behind the last one; the baseline is an embedding of zeros. Run it with
Debian's python3-torch:

    /usr/bin/python3 generated/testdata/pytorch_attributions.py > generated/testdata/pytorch_attributions.json
"""
import json

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import pytorch_golden as golden

STEPS, TOKEN, POINTS = 24, 7, 64


def attributions(f, inputs):
    """f gives log p of embeddings [steps, 1, width], one for each of inputs: a list of values by position for each input and method."""
    inputs = [x.detach() for x in inputs]

    def pull(alpha):
        xs = [(alpha * x).requires_grad_() for x in inputs]
        return torch.autograd.grad(f(*xs), xs)

    def values(grads):
        return [(x * g).sum(-1)[:, 0] for x, g in zip(inputs, grads)]

    with torch.no_grad():
        score, base = f(*inputs).item(), f(*[0 * x for x in inputs]).item()
        occluded = []
        for k, x in enumerate(inputs):
            row = []
            for i in range(len(x)):
                without = x.clone()
                without[i] = 0
                row.append(score - f(*inputs[:k], without, *inputs[k + 1:]).item())
            occluded.append(row)
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    integral = [torch.zeros_like(x) for x in inputs]
    for node, weight in zip(nodes, weights):
        integral = [s + weight / 2 * g for s, g in zip(integral, pull((1 + node) / 2))]
    return {"score": score, "base": base, "methods": {"gradient × input": [v.tolist() for v in values(pull(1.0))],
            "integrated gradients": [v.tolist() for v in values(integral)], "occlusion": occluded}}


def last(logits):
    return F.log_softmax(logits[-1, 0], -1)[TOKEN]


def gptnano():
    vocab, width = 65, 128
    tok, pos, blocks, ln = nn.Embedding(vocab, width), nn.Embedding(64, width), golden.Blocks(width, 4, 4 * width, 4, F.gelu), nn.LayerNorm(width)
    ours = [("tok.table", tok.weight, False), ("pos.table", pos.weight, False)] + blocks.ours("blocks") + [("ln.gain", ln.weight, False), ("ln.bias", ln.bias, False)]
    nn.ModuleList([tok, pos, blocks, ln]).double()
    golden.fill(ours)
    x = golden.tokens(1, STEPS, 1, vocab)
    return attributions(lambda e: last(ln(blocks(e + pos.weight[:STEPS, None], golden.causal(STEPS))) @ tok.weight.T), [tok(x)])


def lstm():
    (table, rnn, out), ours = golden.build("LSTM", 128, 256, 2)
    golden.fill(ours)
    return attributions(lambda e: last(out(rnn(e)[0])), [table(golden.tokens(1, STEPS, 1))])


def translate():
    logits, src, tgt, _ = golden.recurrent_parts()
    s, x = golden.tokens(3, 11, 1, 8001), golden.tokens(1, 9, 1, 8002)
    return attributions(lambda source, answer: last(logits(source, answer, s)), [src(s), tgt(x)])


if __name__ == "__main__":
    print(json.dumps({"torch": torch.__version__, "points": POINTS, "token": TOKEN, "models": {
        "gptnano": gptnano(), "lstm": lstm(), "translate": translate()}}, indent=1, ensure_ascii=False))
