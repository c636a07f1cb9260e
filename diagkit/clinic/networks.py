"""Small networks other than fully connected ones."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn


def convnet(seed: int, *, norm: bool = True) -> nn.Sequential:
    """Two convolutions on [N, 1, 8, 8], ten logits."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in ((1, 8), (8, 16)):
        layers += [nn.Conv2d(a, b, 3, padding=1), *([nn.BatchNorm2d(b)] if norm else []), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 10))


class SequenceClassifier(nn.Module):
    """LSTM over [N, T, 1], logits from its last state."""

    def __init__(self, hidden: int = 24, classes: int = 3) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.lstm(x)[0][:, -1]))


class SmallTransformer(nn.Module):
    """One encoder layer with learned positions over [N, T, 1], mean-pooled, logits."""

    def __init__(self, length: int = 20, width: int = 16, classes: int = 3) -> None:
        super().__init__()
        self.embed = nn.Linear(1, width)
        self.position = nn.Embedding(length, width)
        self.encoder = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1], device=x.device)
        return cast(Tensor, self.head(self.encoder(self.embed(x) + self.position(places)).mean(1)))


class CharacterModel(nn.Module):
    """GRU language model: tokens [N, T] -> logits [N, T, V]."""

    def __init__(self, symbols: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(symbols, 16)
        self.gru = nn.GRU(16, width, batch_first=True)
        self.head = nn.Linear(width, symbols)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.gru(self.embed(tokens))[0]))


class BagOfWords(nn.Module):
    """Mean of word vectors, then two layers: tokens [N, T] -> logits."""

    def __init__(self, words: int = 50, width: int = 16, classes: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.body = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.body(self.embed(tokens).mean(1)))


class Factorization(nn.Module):
    """U V^T as a model of a matrix; the input names the rows."""

    def __init__(self, U: Tensor, V: Tensor) -> None:
        super().__init__()
        self.U, self.V = nn.Parameter(U.clone()), nn.Parameter(V.clone())

    def forward(self, rows: Any) -> Tensor:
        return self.U[rows] @ self.V.T
