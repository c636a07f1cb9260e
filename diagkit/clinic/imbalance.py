"""Rare classes: runs that sit at the most frequent one, and runs in which the rare ones are found."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import BagOfWords, SequenceClassifier
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import waves
from diagkit.clinic.trained import Data, mlp, trained

CE = nn.CrossEntropyLoss()
ACCEPTED = ("learning-rate-too-small", "still-improving")


def long_tail(classes: int, most: int, second: int) -> Tensor:
    """Labels of so many classes: ``most`` of the first, ``second`` of the next, then ever fewer."""
    counts = [most, *(round(second * 0.93**k) for k in range(classes - 1))]
    return torch.repeat_interleave(torch.arange(classes), torch.tensor(counts))


def clouds(labels: Tensor, columns: int, radius: float, seed: int) -> Data:
    """Gaussian clouds of width 1, one for each class, their centres on a sphere."""
    g = torch.Generator().manual_seed(seed)
    centres = nn.functional.normalize(torch.randn(int(labels.max()) + 1, columns, generator=g), dim=1)
    order = torch.randperm(len(labels), generator=g)
    labels = labels[order]
    return radius * centres[labels] + torch.randn(len(labels), columns, generator=g), labels


@admit("one-in-twenty-blurred", "class-imbalance", also=ACCEPTED)
def one_in_twenty_blurred(seed: int) -> dict[str, Any]:
    """One image in twenty shows an eight, under so much noise that "no eight" is the safer bet."""
    X, y = digits()
    kept = torch.cat([(y != 8).nonzero()[:, 0], (y == 8).nonzero()[:85, 0]])
    g = torch.Generator().manual_seed(seed)
    X = X[kept] + 0.4 * torch.randn(len(kept), 64, generator=g)
    model = mlp(64, 2, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.02)
    return trained(model, CE, (X, (y[kept] == 8).long()), sgd, seed=seed, epochs=15)


@admit("long-tail-of-clouds", "class-imbalance", also=ACCEPTED)
def long_tail_of_clouds(seed: int) -> dict[str, Any]:
    """Twenty classes, the first more frequent than all others together, and only that one is predicted."""
    data = clouds(long_tail(20, 3000, 60), 10, 1.25, seed)
    model = mlp(10, 20, seed=seed)
    nn.init.zeros_(model[0].weight)  # type: ignore[arg-type]
    sgd = torch.optim.SGD(model.parameters(), lr=0.02)
    return trained(model, CE, data, sgd, seed=seed, epochs=20)


@admit("long-tail-learned", "healthy")
def long_tail_learned(seed: int) -> dict[str, Any]:
    """Twenty classes with a long tail, far enough apart: each is found."""
    data = clouds(long_tail(20, 800, 60), 10, 6.0, seed)
    model = mlp(10, 32, 20, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, data, adam, seed=seed, epochs=25)


@admit("rare-by-chance", "converged", also=("healthy",))
def rare_by_chance(seed: int) -> dict[str, Any]:
    """One label in twenty is positive, whatever the inputs are: there is nothing to be found."""
    g = torch.Generator().manual_seed(seed)
    X, y = torch.randn(1200, 6, generator=g), torch.zeros(1200, dtype=torch.long)
    y[torch.randperm(1200, generator=g)[:60]] = 1
    model = mlp(6, 2, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.2)
    return trained(model, CE, (X, y), sgd, seed=seed, batch_size=240, epochs=60)


@admit("rare-wave", "class-imbalance", half="held-out", also=ACCEPTED)
def rare_wave(seed: int) -> dict[str, Any]:
    """One recording in twenty is of another frequency; the LSTM calls all of them usual."""
    X, y = waves(1800, seed)
    kept = torch.cat([(y == 0).nonzero()[:570, 0], (y == 1).nonzero()[:30, 0]])
    g = torch.Generator().manual_seed(seed)
    X = X[kept] + 0.8 * torch.randn(len(kept), 20, 1, generator=g)
    torch.manual_seed(seed)
    model = SequenceClassifier(classes=2)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, (X, y[kept]), adam, seed=seed, epochs=4)


def topics(labels: Tensor, words: int, seed: int) -> Data:
    """Texts [n, 16] of which one word in four is of the topic's own two."""
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2 * int(labels.max()) + 2, words, (len(labels), 16), generator=g)
    own = torch.rand(len(labels), 16, generator=g) < 0.1
    named = 2 * labels[:, None] + torch.randint(0, 2, (len(labels), 16), generator=g)
    order = torch.randperm(len(labels), generator=g)
    return torch.where(own, named, tokens)[order], labels[order]


@admit("long-tail-of-topics", "class-imbalance", half="held-out", also=ACCEPTED)
def long_tail_of_topics(seed: int) -> dict[str, Any]:
    """Texts on twenty topics, most of them on the first, which is all that is ever predicted."""
    torch.manual_seed(seed)
    model = BagOfWords(100, 16, 20)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return trained(model, CE, topics(long_tail(20, 1000, 50), 100, seed), adam, seed=seed, epochs=6)


@admit("rare-wave-heard", "healthy", half="held-out")
def rare_wave_heard(seed: int) -> dict[str, Any]:
    """One recording in twenty is of another frequency, and the LSTM hears it."""
    X, y = waves(1800, seed)
    kept = torch.cat([(y == 0).nonzero()[:570, 0], (y == 2).nonzero()[:30, 0]])
    torch.manual_seed(seed)
    model = SequenceClassifier(classes=2)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, (X[kept], (y[kept] > 0).long()), adam, seed=seed, epochs=25)
