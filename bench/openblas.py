#!/usr/bin/python3
"""Matrix products of gradsmith beside OpenBLAS (through NumPy), in one run, on one thread.

    OPENBLAS_CORETYPE=SkylakeX OMP_NUM_THREADS=1 /usr/bin/python3 openblas.py
    OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=1 GRADSMITH_CPU=avx2 /usr/bin/python3 openblas.py

OPENBLAS_CORETYPE chooses OpenBLAS's kernels: SkylakeX for AVX-512, Haswell for AVX2. The two programs take turns,
product by product; each figure is the median over the rounds of the time that the
thread had a processor, so that other programs on the machine count little.
"""

import statistics
import subprocess
import sys
import time

import numpy as np

SHAPES = [(64, 64, 64), (128, 128, 128), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (32, 1024, 256),
          (2048, 1024, 128), (768, 512, 128), (2048, 1536, 384), (8, 1024, 256), (1, 1024, 256)]
ROUNDS = 7


def measure(f):
    """Seconds of one call, over calls of at least 2 ms."""
    n = 1
    while True:
        start = time.thread_time()
        for _ in range(n):
            f()
        elapsed = time.thread_time() - start
        if elapsed > 2e-3:
            return elapsed / n
        n *= 2


def main():
    ours = subprocess.Popen(["go", "run", "./products"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"{'product m x n x k':20} {'gradsmith':>10} {'OpenBLAS':>10}  GFLOP/s")
    for m, n, k in SHAPES:
        a, b = np.random.rand(m, k).astype("f"), np.random.rand(k, n).astype("f")
        at, bt, c = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T), np.empty((m, n), "f")
        forms = {
            "NN": lambda: np.matmul(a, b, out=c),
            "NT": lambda: np.matmul(a, bt.T, out=c),
            "TN": lambda: np.matmul(at.T, b, out=c),
        }
        for form, f in forms.items():
            mine, theirs = [], []
            for _ in range(ROUNDS):
                print(form, m, n, k, file=ours.stdin, flush=True)
                mine.append(float(ours.stdout.readline()))
                theirs.append(measure(f))
            work = 2e-9 * m * n * k
            x, y = work / statistics.median(mine), work / statistics.median(theirs)
            print(f"{form} {f'{m}x{n}x{k}':17} {x:10.1f} {y:10.1f}  {x / y:5.2f}x", flush=True)
    ours.stdin.close()
    sys.exit(ours.wait())


main()
