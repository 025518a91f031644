#!/usr/bin/python3
"""Times one training step of the models rnn, lstm, gru, gptnano, gptbaby and bertmini, or those named, in PyTorch and as compiled by gradsmith, in one run, and
prints a table of medians. gpt2small, which takes 3 GiB, is timed when it is named; `make gpt2` builds it.

    apt-get install -y --no-install-recommends python3-torch
    /usr/bin/python3 bench/peers/train_step.py [MODEL ...]

PyTorch runs with OpenBLAS's AVX-512 kernels (OPENBLAS_CORETYPE=SkylakeX; set it to Haswell, and GRADSMITH_CPU=avx2, to compare AVX2 with AVX2). Both take turns, so
that a machine whose speed drifts does not favour one. PyTorch is often slower on two threads than on one: the ratio is against its better one.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

CHILD = """
import os, statistics, sys, time
import torch, torch.nn as nn, torch.nn.functional as F
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.manual_seed(0)

class Recurrent(nn.Module):
    def __init__(self, cell, vocab, embed, hidden, layers):
        super().__init__()
        self.table, self.rnn, self.out = nn.Embedding(vocab, embed), getattr(nn, cell)(embed, hidden, layers), nn.Linear(hidden, vocab)
    def forward(self, x):
        return self.out(self.rnn(self.table(x))[0])

class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
    def forward(self, x, mask):
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in self.qkv(self.ln1(x)).chunk(3, 2))
        score = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        if mask is not None:
            score = score.masked_fill(mask, float("-inf"))
        x = x + self.proj((F.softmax(score, -1) @ v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.ln2(x))))

class Transformer(nn.Module):
    def __init__(self, vocab, steps, width, heads, layers, causal):
        super().__init__()
        self.tok, self.pos = nn.Embedding(vocab, width), nn.Embedding(steps, width)
        self.blocks, self.ln = nn.ModuleList(Block(width, heads) for _ in range(layers)), nn.LayerNorm(width)
        self.mask = torch.triu(torch.ones(steps, steps, dtype=torch.bool), 1) if causal else None
    def forward(self, x):
        h = self.tok(x) + self.pos(torch.arange(x.shape[1]))
        for b in self.blocks:
            h = b(h, self.mask)
        return self.ln(h) @ self.tok.weight.T

# model, vocabulary, tokens of a batch, norm of clipping, optimizer
model, vocab, shape, clip, make = {
    "rnn": lambda: (Recurrent("RNN", 96, 64, 256, 1), 96, (64, 32), 5, torch.optim.Adam),
    "lstm": lambda: (Recurrent("LSTM", 96, 128, 256, 2), 96, (64, 32), 5, torch.optim.Adam),
    "gru": lambda: (Recurrent("GRU", 96, 128, 256, 2), 96, (64, 32), 5, torch.optim.Adam),
    "gptnano": lambda: (Transformer(65, 64, 128, 4, 4, True), 65, (12, 64), 1, torch.optim.AdamW),
    "gptbaby": lambda: (Transformer(65, 256, 384, 6, 6, True), 65, (8, 256), 1, torch.optim.AdamW),
    "gpt2small": lambda: (Transformer(50257, 64, 768, 12, 12, True), 50257, (4, 64), 1, torch.optim.AdamW),
    "bertmini": lambda: (Transformer(8192, 128, 256, 4, 4, False), 8192, (16, 128), 1, torch.optim.AdamW),
}[sys.argv[1]]()
opt = make(model.parameters(), 1e-3)
x, y = torch.randint(0, vocab, shape), torch.randint(0, vocab, shape)
def step():
    opt.zero_grad(set_to_none=True)
    F.cross_entropy(model(x).view(-1, vocab), y.view(-1)).backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    opt.step()
for _ in range(2):
    step()
times, end = [], time.time() + 3
while time.time() < end or len(times) < 5:
    start = time.perf_counter()
    step()
    times.append(time.perf_counter() - start)
print(statistics.median(times) * 1e3)
"""


def torch_ms(model, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    env.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
    return float(subprocess.run([sys.executable, "-c", CHILD, model], env=env, check=True, capture_output=True, text=True).stdout)


def gpt2_ms(threads):
    """The program of gpt2small takes steps on a text and logs when each was done."""
    text = os.path.join(subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip(), "src/net/http/server.go")
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        subprocess.run(["demo/gpt2", "train", "--data", text, "--steps", "7", "--validation", "0", "--samples", "0", "--threads", str(threads),
                        "--out", os.path.join(folder, "model"), "--log", log], check=True, capture_output=True)
        done = [json.loads(line)["seconds"] for line in open(log)]
    return 1e3 * statistics.median(b - a for a, b in zip(done, done[1:]))


def ours_ms(binary, model, threads):
    if model == "gpt2small":
        return gpt2_ms(threads)
    args = [binary, "-test.run", "^$", "-test.bench", f"TrainStep/{model}/threads={threads}$", "-test.benchtime", "2s"]
    out = subprocess.run(args, check=True, capture_output=True, text=True, cwd="generated").stdout
    return float(re.search(r"([\d.]+) ns/op", out).group(1)) / 1e6


rounds = int(os.environ.get("ROUNDS", "3"))
binary = os.path.abspath("generated.test")
subprocess.run(["go", "test", "-c", "-o", binary, "./generated"], check=True)
try:
    print(f"{'model':8} {'PyTorch 1':>10} {'PyTorch 2':>10} {'ours 1':>8} {'ours 2':>8} {'times PyTorch':>14} {'two threads':>12}   ms a step, medians of {rounds} rounds")
    for model in sys.argv[1:] or ("rnn", "lstm", "gru", "gptnano", "gptbaby", "bertmini"):
        runs = [(torch_ms(model, 1), torch_ms(model, 2), ours_ms(binary, model, 1), ours_ms(binary, model, 2)) for _ in range(rounds)]
        t1, t2, o1, o2 = (statistics.median(r[i] for r in runs) for i in range(4))
        print(f"{model:8} {t1:10.1f} {t2:10.1f} {o1:8.1f} {o2:8.1f} {min(t1, t2) / o1:7.2f} {min(t1, t2) / o2:6.2f} {o1 / o2:12.2f}", flush=True)
finally:
    os.remove(binary)
