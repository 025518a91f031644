#!/usr/bin/python3
"""Elementwise and row operations of PyTorch, on one thread: 10^9 elements a second, to set beside the benchmark's table.

    OMP_NUM_THREADS=1 /usr/bin/python3 elementwise_torch.py
"""

import statistics
import time

import torch

F = torch.nn.functional


def measure(f):
    f()
    n, times = 1, []
    while len(times) < 11:
        start = time.thread_time()
        for _ in range(n):
            f()
        elapsed = time.thread_time() - start
        if elapsed < 1e-3:
            n *= 2
        else:
            times.append(elapsed / n)
    return statistics.median(times)


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for rows in 32, 2048, 65536:
        x = torch.randn(rows, 256)
        y, w, b = torch.empty_like(x), torch.ones(256), torch.zeros(256)
        for name, f in {
            "Exp": lambda: torch.exp(x, out=y),
            "Tanh": lambda: torch.tanh(x, out=y),
            "Sigmoid": lambda: torch.sigmoid(x, out=y),
            "GELU": lambda: F.gelu(x, approximate="tanh"),
            "GELUErf": lambda: F.gelu(x),
            "SiLU": lambda: F.silu(x),
            "Softmax": lambda: torch.softmax(x, 1),
            "LayerNorm": lambda: F.layer_norm(x, (256,), w, b),
        }.items():
            print(f"{name:10} {rows}x256 {x.numel() / measure(f) / 1e9:6.2f}")


main()
