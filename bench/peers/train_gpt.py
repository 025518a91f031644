#!/usr/bin/python3
"""Trains the GPT of generated/gptnano in PyTorch, with the set-up of nanoGPT's preset for processors: 2000 steps of batch 12 x 64, AdamW (0.9, 0.99), rate 1e-3 to 1e-4
by cosine after 100 steps of warm-up, decay 0.1, clip 1, first 90 % of the text to train; prints the validation loss over all of the last 10 %.

    OPENBLAS_CORETYPE=SkylakeX OMP_NUM_THREADS=1 THREADS=1 /usr/bin/python3 bench/peers/train_gpt.py TEXT
"""
import math
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(int(os.environ.get("THREADS", "1")))
torch.manual_seed(1)
STEPS, BATCH, WIDTH, HEADS, LAYERS, TOTAL = 64, 12, 128, 4, 4, 2000

text = open(sys.argv[1]).read()
chars = sorted(set(text))
number = {c: i for i, c in enumerate(chars)}
tokens = torch.tensor([number[c] for c in text])
cut = int(len(tokens) * 0.9)
train, val = tokens[:cut], tokens[cut:]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x, mask):
        q, k, v = (y.unflatten(2, (HEADS, -1)).transpose(1, 2) for y in self.qkv(self.ln1(x)).chunk(3, 2))
        score = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).masked_fill(mask, float("-inf"))
        x = x + self.proj((F.softmax(score, -1) @ v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(len(chars), WIDTH), nn.Embedding(STEPS, WIDTH)
        self.blocks, self.ln = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(WIDTH)
        self.mask = torch.triu(torch.ones(STEPS, STEPS, dtype=torch.bool), 1)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0, 0.02 / math.sqrt(2 * LAYERS) if "proj" in name or "down" in name else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, x):
        t = x.shape[1]
        h = self.tok(x) + self.pos.weight[:t]
        for b in self.blocks:
            h = b(h, self.mask[:t, :t])
        return self.ln(h) @ self.tok.weight.T


model = GPT()
opt = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=0.1)


def validate():
    with torch.no_grad():
        n = (len(val) - 1) // STEPS
        x, y = val[:n * STEPS].view(n, STEPS), val[1:n * STEPS + 1].view(n, STEPS)
        return sum(F.cross_entropy(model(a).view(-1, len(chars)), b.reshape(-1)).item() * a.shape[0] for a, b in zip(x.split(64), y.split(64))) / n


start = time.time()
for step in range(TOTAL):
    rate = 1e-3 * (step + 1) / 100 if step < 100 else 1e-4 + 0.5 * (1 + math.cos(math.pi * (step - 100) / (TOTAL - 100))) * 9e-4
    for g in opt.param_groups:
        g["lr"] = rate
    at = torch.randint(len(train) - STEPS - 1, (BATCH,))
    x, y = (torch.stack([train[i + k:i + k + STEPS] for i in at]) for k in (0, 1))
    opt.zero_grad(set_to_none=True)
    F.cross_entropy(model(x).view(-1, len(chars)), y.view(-1)).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    if (step + 1) % 500 == 0:
        spent = time.time() - start
        print(f"step {step + 1}: validation {validate():.4f} nats a character, {spent:.1f} s of training", flush=True)
        start = time.time() - spent
