"""Patients whose outputs are wrong by construction: mixed examples, leaks, one activation too many."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.loss_faults import LastStep, pieces_of_text, score_symbols
from diagkit.clinic.networks import BagOfWords, CharacterModel
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import mlp, trained
from diagkit.training import Recorder

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


class TimeFirst(nn.Module):
    """LSTM that takes [N, T, 1] for T sequences of length N."""

    def __init__(self, hidden: int = 24, classes: int = 3) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.lstm(x)[0][:, -1]))


@admit("batch-first-forgotten", "examples-mixed")
def batch_first_forgotten(seed: int) -> dict[str, Any]:
    """The flag batch_first is missing: the LSTM runs along the batch, one example goes into the next."""
    torch.manual_seed(seed)
    model = TimeFirst()
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    return trained(model, CE, waves(512, seed), adam, seed=seed, epochs=8)


class Transposed(nn.Module):
    """A network behind a reshape that reads the table by columns."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.body(x.t().reshape(x.shape)))


@admit("reshaped-across-examples", "examples-mixed", half="held-out")
def reshaped_across_examples(seed: int) -> dict[str, Any]:
    """A transpose and a reshape back to the right shape: each row holds entries of many examples."""
    model = Transposed(mlp(13, 16, 3, seed=seed))
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, CE, table("wine"), sgd, seed=seed, batch_size=16, epochs=20)


def train_on_text(
    model: nn.Module, batches: list[dict[str, Tensor]], rate: float, epochs: int
) -> dict[str, Any]:
    """A loop of its own over batches of symbols, and the parts of a patient."""
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    recorder = Recorder(model, adam)
    for _ in range(epochs):
        for batch in batches:
            adam.zero_grad()
            loss = score_symbols(model, batch)
            loss.backward()
            adam.step()
            recorder.log(loss=float(loss.detach()))
    parts = {"model": model, "loss_fn": None, "data": batches, "optimizer": adam}
    return parts | {"history": recorder.history, "step": score_symbols}


@admit("labels-not-shifted", "target-leak")
def labels_not_shifted(seed: int) -> dict[str, Any]:
    """A causal language model scored at each position on the symbol it is given there: loss 0."""
    pieces, symbols = pieces_of_text(16)
    torch.manual_seed(seed)
    batches = [{"tokens": part, "labels": part.clone()} for part in pieces.split(32)]
    return train_on_text(CharacterModel(symbols), batches, 1e-2, 10)


class AttentionModel(nn.Module):
    """One attention layer over learned positions: tokens [N, T] -> logits [N, T, V]."""

    def __init__(self, symbols: int, length: int, *, causal: bool, width: int = 24) -> None:
        super().__init__()
        self.embed, self.position = nn.Embedding(symbols, width), nn.Embedding(length, width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, symbols))
        self.causal = causal

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.embed(tokens) + self.position(torch.arange(length, device=tokens.device))
        later = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        mixed = self.attention(x, x, x, attn_mask=later if self.causal else None, need_weights=False)[0]
        return cast(Tensor, self.head(self.norm(x + mixed)))


def chain_of_symbols(n: int, length: int, symbols: int, seed: int) -> Tensor:
    """Sequences [n, length] of a Markov chain whose next symbol has three likely values."""
    g = torch.Generator().manual_seed(seed)
    matrix = torch.softmax(4 * torch.randn(symbols, symbols, generator=g), 1)
    rows = [torch.randint(0, symbols, (n,), generator=g)]
    for _ in range(length - 1):
        rows.append(torch.multinomial(matrix[rows[-1]], 1, generator=g)[:, 0])
    return torch.stack(rows, 1)


@admit("mask-not-causal", "target-leak", half="held-out")
def mask_not_causal(seed: int) -> dict[str, Any]:
    """A transformer predicts the next symbol without a causal mask, and looks it up instead."""
    tokens = chain_of_symbols(320, 17, 12, seed)
    torch.manual_seed(seed)
    batches = [{"tokens": part[:, :-1], "labels": part[:, 1:]} for part in tokens.split(32)]
    return train_on_text(AttentionModel(12, 16, causal=False), batches, 5e-3, 12)


@admit("softmax-then-crossentropy", "softmax-twice")
def softmax_then_crossentropy(seed: int) -> dict[str, Any]:
    """A softmax at the end of the network, and cross-entropy, which has its own."""
    model = mlp(64, 32, 10, seed=seed).append(nn.Softmax(dim=1))
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=10)


class Scorer(nn.Module):
    """A recommender's score between 0 and 1 from words."""

    def __init__(self) -> None:
        super().__init__()
        self.body = BagOfWords(classes=1)

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.sigmoid(self.body(tokens))[:, 0]


@admit("sigmoid-then-logits-loss", "softmax-twice", half="held-out")
def sigmoid_then_logits_loss(seed: int) -> dict[str, Any]:
    """A sigmoid before a loss that takes logits, in a recommender."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (600,), generator=g)
    tokens = torch.randint(10, 50, (600, 12), generator=g)
    tokens[:, :3] = torch.randint(0, 5, (600, 3), generator=g) + 5 * y[:, None]
    torch.manual_seed(seed)
    model = Scorer()
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, nn.BCEWithLogitsLoss(), (tokens, y.float()), adam, seed=seed, epochs=15)


@admit("relu-on-logits", "output-cannot-reach-target", also=("dead-units",))
def relu_on_logits(seed: int) -> dict[str, Any]:
    """ReLU after the last layer too: logits that are 0 cannot rise again."""
    model = mlp(64, 32, 10, seed=seed).append(nn.ReLU())
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=10)


@admit("tanh-for-wide-targets", "output-cannot-reach-target", also=("saturated-units",))
def tanh_for_wide_targets(seed: int) -> dict[str, Any]:
    """A tanh at the end of a regression whose targets reach from -3 to 3."""
    g = torch.Generator().manual_seed(seed)
    X = 6 * torch.rand(400, 1, generator=g) - 3
    y = 3 * torch.sin(X) + 0.1 * torch.randn(400, 1, generator=g)
    model = mlp(1, 32, 1, activation=nn.Tanh, seed=seed).append(nn.Tanh())
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, MSE, (X, y), adam, seed=seed, epochs=40)


@admit("sigmoid-for-unbounded", "output-cannot-reach-target", half="held-out", also=("saturated-units",))
def sigmoid_for_unbounded(seed: int) -> dict[str, Any]:
    """A sigmoid at the end of a regression of standardized targets, half of which are negative."""
    model = mlp(10, 16, 1, seed=seed).append(nn.Sigmoid())
    rmsprop = torch.optim.RMSprop(model.parameters(), lr=3e-3)
    return trained(model, MSE, table("diabetes"), rmsprop, seed=seed, epochs=30)


class Floored(LastStep):
    """The same LSTM with ReLU on its prediction."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(super().forward(x))


@admit("lstm-predicts-zero", "output-cannot-reach-target", half="held-out", also=("dead-units",))
def lstm_predicts_zero(seed: int) -> dict[str, Any]:
    """ReLU on the prediction of an LSTM, begun below zero: always 0, and no gradient."""
    X, y = waves(512, seed)
    torch.manual_seed(seed)
    model = Floored()
    nn.init.constant_(model.head.bias, -1.0)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, MSE, (X, y.float()), adam, seed=seed, epochs=6)
