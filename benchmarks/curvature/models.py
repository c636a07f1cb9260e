"""Three trained models: a digits MLP, a digits CNN, a small GPT on characters of Python's own help texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diagkit.clinic.digits import digits

SEQUENCES, LENGTH = 256, 32


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        # Written out: the peers cannot differentiate the fused kernels twice.
        q, k, v = (
            part.view(n, t, self.heads, -1).transpose(1, 2) for part in self.qkv(self.ln1(x)).chunk(3, dim=-1)
        )
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        future = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
        mixed = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, width))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class GPT(nn.Module):
    """Tokens [N, T] -> logits [N, T, V]."""

    def __init__(self, symbols: int, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(symbols, width), nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.norm(self.blocks(self.token(tokens) + self.place(places))))


class TokenCrossEntropy(nn.Module):
    reduction = "mean"  # asked by curvlinops

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


@dataclass
class Trained:
    name: str
    model: nn.Module
    loss_fn: nn.Module
    X: Tensor
    y: Tensor

    @property
    def num_params(self) -> int:
        return sum(p.numel() for p in self.model.parameters())


def fit(model: nn.Module, loss_fn: nn.Module, X: Tensor, y: Tensor, steps: int, lr: float, size: int) -> None:
    """Adam with a rate that falls to zero along a cosine."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(X), (size,))
        optimizer.zero_grad()
        loss_fn(model(X[chosen]), y[chosen]).backward()
        optimizer.step()
        schedule.step()


def mlp(seed: int = 0) -> Trained:
    torch.manual_seed(seed)
    X, y = digits()
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    fit(model, nn.CrossEntropyLoss(), X, y, steps=500, lr=1e-2, size=64)
    return Trained("digits MLP", model, nn.CrossEntropyLoss(), X, y)


def cnn(seed: int = 0) -> Trained:
    torch.manual_seed(seed)
    X, y = digits(images=True)
    layers: list[nn.Module] = []
    for a, b in ((1, 8), (8, 16)):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 10))
    fit(model, nn.CrossEntropyLoss(), X, y, steps=500, lr=5e-3, size=64)
    return Trained("digits CNN", model, nn.CrossEntropyLoss(), X, y)


def gpt(seed: int = 0, steps: int = 600) -> Trained:
    torch.manual_seed(seed)
    text = " ".join(topics[key] for key in sorted(topics))
    symbols = sorted(set(text))
    place = {c: i for i, c in enumerate(symbols)}
    tokens = torch.tensor([place[c] for c in text])
    rows = tokens[: len(tokens) // (LENGTH + 1) * (LENGTH + 1)].view(-1, LENGTH + 1)
    rows = rows[torch.randperm(len(rows))]
    X, y = rows[:, :-1], rows[:, 1:]
    model = GPT(len(symbols))
    fit(model, TokenCrossEntropy(), X, y, steps=steps, lr=3e-3, size=32)
    return Trained("character GPT", model, TokenCrossEntropy(), X[:SEQUENCES], y[:SEQUENCES])


MODELS = {"mlp": mlp, "cnn": cnn, "gpt": gpt}
