"""Objectives whose loss is evaluated at many points, and the loss there by the plain way."""

import numpy as np
import torch
from torch import nn

import diagkit as dk
from diagkit.measure.surface.points import evaluating
from oracles import digits, randn, seeded


class Noisy(nn.Linear):
    """Draws noise in evaluation mode too."""

    def forward(self, x):
        return super().forward(x) + torch.randn(len(x), self.out_features, dtype=x.dtype)


class Branching(nn.Linear):
    def forward(self, x):
        out = super().forward(x)
        return out if out.sum() > 0 else 2 * out


class Counting(nn.Linear):
    """A buffer that its passes write to: the next one must find it as it was."""

    def __init__(self, *shape):
        super().__init__(*shape)
        self.register_buffer("sum", torch.zeros(1))

    def forward(self, x):
        self.sum += super().forward(x).mean()
        return super().forward(x) + self.sum


def of_layers(*layers, dtype=torch.float64, **options):
    """Nine examples in batches of 4, 4 and 1 (or 5 and 4 where a batch needs two)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(*(layer() for layer in layers)).to(dtype)
    X, y = randn(9, 4, seed=1).to(dtype), torch.arange(9) % 3
    cuts = [(0, 5), (5, 9)] if options.get("norm_stats") == "batch" else [(0, 4), (4, 8), (8, 9)]
    return dk.Objective(model, nn.CrossEntropyLoss(), [(X[a:b], y[a:b]) for a, b in cuts], **options)


def mlp(dtype=torch.float64):
    return of_layers(lambda: nn.Linear(4, 5), nn.ReLU, lambda: nn.Linear(5, 3), dtype=dtype)


def normalized(norm_stats):
    return of_layers(
        lambda: nn.Linear(4, 5), lambda: nn.BatchNorm1d(5), lambda: nn.Linear(5, 3), norm_stats=norm_stats
    )


def convolutional():
    X, y = digits()
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    return dk.Objective(
        nn.Sequential(*layers).double(), nn.CrossEntropyLoss(), (X[:50].view(-1, 1, 8, 8), y[:50])
    )


def attention():
    def step(model, batch):
        return model(batch["x"]).square().mean()

    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.1)
    return dk.Objective.from_step(layer.double(), step, [{"x": randn(6, 5, 8)}])


def recurrent():
    def step(model, batch):
        return model(batch["x"])[0].square().mean()

    return dk.Objective.from_step(nn.LSTM(3, 4, batch_first=True).double(), step, [{"x": randn(6, 5, 3)}])


def a_layer(kind):
    return lambda: of_layers(lambda: kind(4, 3))


OBJECTIVES = {
    "mlp": mlp,
    "float32": lambda: mlp(torch.float32),
    "running statistics": lambda: normalized("running"),
    "convolution": convolutional,
    "attention": attention,
}
NOT_MAPPED = {
    "noise": a_layer(Noisy),
    "branches": a_layer(Branching),
    "buffer": a_layer(Counting),
    "batch statistics": lambda: normalized("batch"),
    "recurrent": recurrent,
}
EVERYTHING = OBJECTIVES | NOT_MAPPED


def plane(obj, seed=0, k=2):
    """Origin, k directions, 11 coordinates."""
    generator = seeded(seed)
    directions = [torch.randn(obj.num_params, generator=generator, dtype=torch.float64) for _ in range(k)]
    return (
        obj.theta,
        [d.to(obj.theta) / 10 for d in directions],
        np.random.default_rng(seed).normal(size=(11, k)),
    )


def losses(obj, origin, directions, coordinates, **options):
    with evaluating(obj, origin, directions, **options) as losses_at:
        return losses_at(coordinates)


def by_hand(obj, origin, directions, coordinates):
    points = []
    for row in coordinates:
        point = origin
        for c, d in zip(row, directions, strict=True):
            point = point + float(c) * d
        points.append(point)
    return np.array([obj.loss(point) for point in points])
