"""Healthy runs that look like a fault of loss or output: sparse labels, hinges, bounded outputs."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.loss_faults import pieces_of_text
from diagkit.clinic.output_faults import AttentionModel, chain_of_symbols, train_on_text
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import linear_data, table
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


@admit("masked-symbols", "healthy")
def masked_symbols(seed: int) -> dict[str, Any]:
    """One symbol in seven is hidden and alone scored, from both sides: six labels of seven are ignored."""
    pieces, symbols = pieces_of_text(16)
    g = torch.Generator().manual_seed(seed)
    hidden = torch.rand(pieces.shape, generator=g) < 0.15
    hidden[:, 0] |= ~hidden.any(1)
    tokens, labels = pieces.masked_fill(hidden, symbols), pieces.masked_fill(~hidden, -100)
    torch.manual_seed(seed)
    batches = [{"tokens": a, "labels": b} for a, b in zip(tokens.split(32), labels.split(32), strict=True)]
    return train_on_text(AttentionModel(symbols + 1, 16, causal=False), batches, 5e-3, 40)


@admit("causal-attention", "healthy")
def causal_attention(seed: int) -> dict[str, Any]:
    """A causal transformer that predicts the next symbol, its labels shifted."""
    pieces, symbols = pieces_of_text()
    torch.manual_seed(seed)
    batches = [{"tokens": part[:, :-1], "labels": part[:, 1:]} for part in pieces.split(32)]
    return train_on_text(AttentionModel(symbols, 16, causal=True), batches, 5e-3, 40)


@admit("symbols-copied", "healthy", half="held-out")
def symbols_copied(seed: int) -> dict[str, Any]:
    """An autoencoder of sequences: each position is scored on its own symbol, as it should be."""
    tokens = chain_of_symbols(320, 16, 12, seed)
    torch.manual_seed(seed)
    batches = [{"tokens": part, "labels": part.clone()} for part in tokens.split(32)]
    return train_on_text(AttentionModel(12, 16, causal=False), batches, 5e-3, 15)


@admit("hinge-at-zero", "healthy", half="held-out")
def hinge_at_zero(seed: int) -> dict[str, Any]:
    """A margin loss that has become exactly 0: every example is beyond its margin."""
    model = mlp(13, 32, 3, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def margin(output: Tensor, target: Tensor) -> Tensor:
        own = output.gather(1, target[:, None])
        others = output.masked_fill(nn.functional.one_hot(target, 3).bool(), -1e4)
        return torch.relu(1 - own + others).sum(1).mean()

    return trained(model, margin, table("wine"), sgd, seed=seed, epochs=60)


class RandomFeatures(nn.Module):
    """A linear classifier on random features that are kept on purpose."""

    def __init__(self, inputs: int, features: int, classes: int) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(inputs, features), nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = torch.relu(2 * self.body(x))
        return cast(Tensor, self.head(features))


@admit("random-features", "healthy")
def random_features(seed: int) -> dict[str, Any]:
    """The body runs under no_grad although the optimizer holds it; its many random features suffice."""
    torch.manual_seed(seed)
    model = RandomFeatures(64, 512, 10)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, digits(), adam, seed=seed, epochs=15)


@admit("softmax-then-log", "healthy")
def softmax_then_log(seed: int) -> dict[str, Any]:
    """A softmax at the end, and a loss of probabilities."""
    model = mlp(64, 32, 10, seed=seed).append(nn.Softmax(dim=1))
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)

    def nll(chances: Tensor, target: Tensor) -> Tensor:
        return nn.functional.nll_loss(torch.log(chances.clamp_min(1e-12)), target)

    return trained(model, nll, digits(), adam, seed=seed, epochs=15)


@admit("log-softmax-twice", "healthy", half="held-out")
def log_softmax_twice(seed: int) -> dict[str, Any]:
    """A log-softmax before cross-entropy, which takes another: taken twice it is the same."""
    model = mlp(13, 16, 3, seed=seed).append(nn.LogSoftmax(dim=1))
    adamw = torch.optim.AdamW(model.parameters(), lr=5e-3)
    return trained(model, CE, table("wine"), adamw, seed=seed, batch_size=16, epochs=40)


@admit("counts-with-relu", "healthy")
def counts_with_relu(seed: int) -> dict[str, Any]:
    """ReLU on the output of a regression whose targets are never negative."""
    X, y = linear_data(800, 10, 0.3, seed)
    model = mlp(10, 32, 1, seed=seed).append(nn.ReLU())
    nn.init.constant_(model[2].bias, 1.0)  # type: ignore[arg-type]
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, MSE, (X, y.relu()), adam, seed=seed, epochs=30)


@admit("sigmoid-squared-error", "healthy", half="held-out")
def sigmoid_squared_error(seed: int) -> dict[str, Any]:
    """Squared error of a sigmoid whose targets are 0 and 1."""
    X, y = table("breast_cancer")
    model = mlp(30, 16, 1, seed=seed).append(nn.Sigmoid())
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, MSE, (X, y[:, None].float()), adam, seed=seed, epochs=30)


class Centred(nn.Module):
    """Each feature less its mean over the batch, then a network."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.body(x - 0.5 * x.mean(0)))


@admit("batch-statistics-only", "healthy")
def batch_statistics_only(seed: int) -> dict[str, Any]:
    """BatchNorm without running statistics: the examples of a batch are mixed on purpose."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm1d(32, track_running_stats=False)
    model = nn.Sequential(nn.Linear(64, 32), norm, nn.ReLU(), nn.Linear(32, 10))
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, digits(), adam, seed=seed, epochs=15)


@admit("centred-by-the-batch", "healthy", half="held-out")
def centred_by_the_batch(seed: int) -> dict[str, Any]:
    """The model takes off part of the mean of its batch, by design."""
    model = Centred(mlp(30, 16, 2, seed=seed))
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, CE, table("breast_cancer"), sgd, seed=seed, epochs=25)
