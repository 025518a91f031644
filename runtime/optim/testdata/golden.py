"""Writes golden.json: what PyTorch's optimizers make of given gradients. Run with Debian's python3-torch (1.13)."""

import json

import torch

N, STEPS = 11, 6
torch.manual_seed(1)
start = torch.randn(N)
grads = [torch.randn(N) * 10.0 ** (i % 3 - 1) for i in range(STEPS)]
rates = [0.05, 0.05, 0.02, 0.02, 0.01, 0.01]

T = torch.optim
cases = {
    "sgd": lambda p: T.SGD(p, lr=1),
    "sgd decay": lambda p: T.SGD(p, lr=1, weight_decay=0.1),
    "momentum": lambda p: T.SGD(p, lr=1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: T.SGD(p, lr=1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "rmsprop": lambda p: T.RMSprop(p, lr=1, alpha=0.95, eps=1e-6, weight_decay=0.01),
    "rmsprop momentum": lambda p: T.RMSprop(p, lr=1, alpha=0.95, eps=1e-6, weight_decay=0.01, momentum=0.9),
    "rmsprop momentum plain": lambda p: T.RMSprop(p, lr=1, alpha=0.95, eps=1e-6, momentum=0.9),
    "adagrad": lambda p: T.Adagrad(p, lr=1, eps=1e-10, weight_decay=0.01),
    "adam": lambda p: T.Adam(p, lr=1, betas=(0.9, 0.999), eps=1e-8),
    "adam decay": lambda p: T.Adam(p, lr=1, betas=(0.8, 0.99), eps=1e-8, weight_decay=0.1),
    "adamw": lambda p: T.AdamW(p, lr=1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
}

out = {"start": start.tolist(), "grads": [g.tolist() for g in grads], "rates": rates, "params": {}, "clip": []}
for name, make in cases.items():
    p = start.clone().requires_grad_()
    o = make([p])
    history = []
    for g, rate in zip(grads, rates):
        o.param_groups[0]["lr"] = rate
        p.grad = g.clone()
        o.step()
        history.append(p.detach().tolist())
    out["params"][name] = history
for limit in (0.5, 5, 1000):
    for g in grads:
        p = start.clone().requires_grad_()
        p.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_([p], limit)
        out["clip"].append({"limit": limit, "norm": norm.item(), "grad": p.grad.tolist()})
json.dump(out, open("golden.json", "w"))
