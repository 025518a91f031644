#!/usr/bin/python3
"""Trains the LSTM of generated/lstm in PyTorch, with the same text, order of data, optimizer and state as `gradsmith`'s own training, and prints the
validation loss after each pass.

    OPENBLAS_CORETYPE=SkylakeX OMP_NUM_THREADS=1 THREADS=1 /usr/bin/python3 bench/peers/train_lstm.py TEXT [PASSES]
"""
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(int(os.environ.get("THREADS", "1")))
torch.manual_seed(1)
VOCAB, EMBED, HIDDEN, LAYERS, BATCH, STEPS = 96, 128, 256, 2, 32, 64

text = open(sys.argv[1], "rb").read()
passes = int(sys.argv[2]) if len(sys.argv) > 2 else 8
# Newline is token 0, the printable characters follow: the tokenizer ascii.
table = torch.full((256,), -1, dtype=torch.long)
table[10] = 0
table[32:127] = torch.arange(1, 96)
tokens = table[torch.tensor(list(text))]
assert (tokens >= 0).all()
cut = int(len(tokens) * 0.9)


def tracks(x):
    """BATCH contiguous tracks, [length, BATCH] inputs and targets."""
    n = (len(x) - 1) // BATCH
    return (x[i : i + n * BATCH].view(BATCH, n).t().contiguous() for i in (0, 1))


train, val = [tuple(tracks(x)) for x in (tokens[:cut], tokens[cut:])]
embed, rnn, out = nn.Embedding(VOCAB, EMBED), nn.LSTM(EMBED, HIDDEN, LAYERS), nn.Linear(HIDDEN, VOCAB)
params = [p for m in (embed, rnn, out) for p in m.parameters()]
opt = torch.optim.Adam(params, 2e-3)


def loss_of(x, y, state):
    h, state = rnn(embed(x), state)
    return F.cross_entropy(out(h).view(-1, VOCAB), y.reshape(-1)), tuple(s.detach() for s in state)


start = time.time()
for p in range(1, passes + 1):
    state = None
    for i in range(0, len(train[0]), STEPS):
        opt.zero_grad(set_to_none=True)
        loss, state = loss_of(train[0][i : i + STEPS], train[1][i : i + STEPS], state)
        loss.backward()
        nn.utils.clip_grad_norm_(params, 5.0)
        opt.step()
    with torch.no_grad():
        state, total, count = None, 0.0, 0
        for i in range(0, len(val[0]), STEPS):
            x, y = val[0][i : i + STEPS], val[1][i : i + STEPS]
            loss, state = loss_of(x, y, state)
            total += loss.item() * y.numel()
            count += y.numel()
    print(f"pass {p}: validation {total / count:.4f} nats a character, {time.time() - start:.1f} s", flush=True)
