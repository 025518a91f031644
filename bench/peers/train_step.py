#!/usr/bin/python3
"""Times one training step of the models rnn, lstm, gru, gptnano, gptbaby, bertmini, vae and gan, or those named, in PyTorch and as compiled by gradsmith, in one run, and
prints a table of medians. gpt2small, which takes 2.1 GiB, is timed when it is named; `make gpt2` builds it.

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

# Cross-entropy of a batch of tokens, clipping to a norm.
def language_model(model, vocab, shape, clip, make):
    opt = make(model.parameters(), 1e-3)
    x, y = torch.randint(0, vocab, shape), torch.randint(0, vocab, shape)
    def step():
        opt.zero_grad(set_to_none=True)
        F.cross_entropy(model(x).view(-1, vocab), y.view(-1)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        opt.step()
    return step

def autoencoder(width, hidden, latent, batch):
    layers = nn.ModuleList([nn.Linear(width, hidden), nn.Linear(hidden, latent), nn.Linear(hidden, latent), nn.Linear(latent, hidden), nn.Linear(hidden, width)])
    read, mean, logvar, write, out = layers
    opt = torch.optim.Adam(layers.parameters(), 1e-3)
    x = torch.rand(batch, width)
    def step():
        opt.zero_grad(set_to_none=True)
        h = F.relu(read(x))
        m, v = mean(h), logvar(h)
        y = out(F.relu(write(m + torch.exp(v / 2) * torch.randn_like(m))))
        kl = -0.5 * (1 + v - m * m - v.exp()).sum()
        ((F.binary_cross_entropy_with_logits(y, x, reduction="sum") + kl) / batch).backward()
        opt.step()
    return step

# A step of the discriminator and one of the generator.
def adversaries(noise, hidden, width, batch):
    g = nn.Sequential(nn.Linear(noise, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Tanh())
    d = nn.Sequential(nn.Linear(width, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))
    of_g, of_d = torch.optim.Adam(g.parameters(), 2e-4), torch.optim.Adam(d.parameters(), 2e-4)
    data, ones, zeros, bce = torch.rand(batch, width) * 2 - 1, torch.ones(batch, 1), torch.zeros(batch, 1), F.binary_cross_entropy_with_logits
    def step():
        made = g(torch.randn(batch, noise))
        of_d.zero_grad(set_to_none=True)
        (bce(d(data), ones) + bce(d(made.detach()), zeros)).backward()
        of_d.step()
        of_g.zero_grad(set_to_none=True)
        bce(d(made), ones).backward()
        of_g.step()
    return step

adam, adamw = torch.optim.Adam, torch.optim.AdamW
step = {
    "rnn": lambda: language_model(Recurrent("RNN", 96, 64, 256, 1), 96, (64, 32), 5, adam),
    "lstm": lambda: language_model(Recurrent("LSTM", 96, 128, 256, 2), 96, (64, 32), 5, adam),
    "gru": lambda: language_model(Recurrent("GRU", 96, 128, 256, 2), 96, (64, 32), 5, adam),
    "gptnano": lambda: language_model(Transformer(65, 64, 128, 4, 4, True), 65, (12, 64), 1, adamw),
    "gptbaby": lambda: language_model(Transformer(65, 256, 384, 6, 6, True), 65, (8, 256), 1, adamw),
    "gpt2small": lambda: language_model(Transformer(50257, 64, 768, 12, 12, True), 50257, (4, 64), 1, adamw),
    "bertmini": lambda: language_model(Transformer(8192, 128, 256, 4, 4, False), 8192, (16, 128), 1, adamw),
    "vae": lambda: autoencoder(784, 256, 16, 64),
    "gan": lambda: adversaries(64, 128, 784, 64),
}[sys.argv[1]]()
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
    for model in sys.argv[1:] or ("rnn", "lstm", "gru", "gptnano", "gptbaby", "bertmini", "vae", "gan"):
        runs = [(torch_ms(model, 1), torch_ms(model, 2), ours_ms(binary, model, 1), ours_ms(binary, model, 2)) for _ in range(rounds)]
        t1, t2, o1, o2 = (statistics.median(r[i] for r in runs) for i in range(4))
        print(f"{model:8} {t1:10.2f} {t2:10.2f} {o1:8.2f} {o2:8.2f} {min(t1, t2) / o1:7.2f} {min(t1, t2) / o2:6.2f} {o1 / o2:12.2f}", flush=True)
finally:
    os.remove(binary)
