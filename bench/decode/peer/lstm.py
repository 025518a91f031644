#!/usr/bin/python3
"""Writes the LSTM of generated/lstm for ONNX Runtime, with the operator LSTM and random weights: lstm.py FILE."""
import sys

import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.rnn, self.out = nn.Embedding(96, 128), nn.LSTM(128, 256, 2), nn.Linear(256, 96)

    def forward(self, tokens, h, c):
        y, (h, c) = self.rnn(self.table(tokens), (h, c))
        return self.out(y), h, c


zeros = torch.zeros(2, 1, 256)
torch.onnx.export(
    Net().eval(), (torch.zeros(1, 1, dtype=torch.long), zeros, zeros), sys.argv[1], opset_version=14,
    input_names=["tokens", "h0", "c0"], output_names=["logits", "h", "c"],
    dynamic_axes={"tokens": {1: "batch"}, "h0": {1: "batch"}, "c0": {1: "batch"}})
