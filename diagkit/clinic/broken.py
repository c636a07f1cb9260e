"""Patients with a plain mistake: numbers that are not finite, parameters that nobody trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import SequenceClassifier
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import linear_data, table, waves
from diagkit.clinic.trained import mlp, trained
from diagkit.training import History

CE = nn.CrossEntropyLoss()


@admit("diverged-regression", "non-finite", also=("learning-rate-too-large",))
def diverged_regression(seed: int) -> dict[str, Any]:
    """Linear regression at four times the stable rate: loss, then weights, overflowed."""
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=4.0)
    data = linear_data(500, 10, 0.5, seed)
    return trained(model, nn.MSELoss(), data, sgd, seed=seed, max_steps=200, stop_on_non_finite=False)


@admit("root-at-zero", "non-finite")
def root_at_zero(seed: int) -> dict[str, Any]:
    """The loss is a square root, which has no finite derivative where an error is exactly zero."""
    model = mlp(4, 3, 1, seed=seed)
    X, y = linear_data(200, 4, 0.1, seed)
    X[7] = 0
    with torch.no_grad():
        model.eval()
        y[7] = model(X[7:8])[0]
    parts = {"model": model, "data": (X, y), "optimizer": torch.optim.SGD(model.parameters(), lr=0.01)}
    return parts | {"loss_fn": lambda o, t: ((o - t) ** 2).sqrt().mean()}


@admit("log-of-zero", "non-finite", half="held-out")
def log_of_zero(seed: int) -> dict[str, Any]:
    """Cross-entropy written out by hand; after training at a high rate a probability is exactly 0."""
    model = mlp(30, 16, 2, seed=seed)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(30)

    def by_hand(logits: Tensor, target: Tensor) -> Tensor:
        probability = torch.softmax(logits, 1)
        picked = nn.functional.one_hot(target, 2)
        return -(picked * torch.log(probability)).sum(1).mean()

    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return {"model": model, "loss_fn": by_hand, "data": table("breast_cancer"), "optimizer": sgd}


@admit("missing-value", "non-finite", half="held-out")
def missing_value(seed: int) -> dict[str, Any]:
    """One entry of the table is NaN."""
    X, y = table("diabetes")
    X[100, 3] = float("nan")
    model = mlp(10, 16, 1, seed=seed)
    adam = torch.optim.Adam(model.parameters())
    return {"model": model, "loss_fn": nn.MSELoss(), "data": (X, y), "optimizer": adam}


@admit("frozen-body", "parameters-not-trained")
def frozen_body(seed: int) -> dict[str, Any]:
    """A first layer of four random units stayed frozen; its head alone cannot tell ten digits apart."""
    model = mlp(64, 4, 32, 10, seed=seed)
    for layer in (model[0], model[2]):
        layer.requires_grad_(False)
    adam = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=3e-3)
    return trained(model, CE, digits(), adam, seed=seed, epochs=10)


@admit("stale-optimizer", "optimizer-stale-params", half="held-out", also=("parameters-not-trained",))
def stale_optimizer(seed: int) -> dict[str, Any]:
    """The model was built again after its optimizer: the steps went to the old parameters."""
    old, model = mlp(13, 16, 3, seed=seed + 1), mlp(13, 16, 3, seed=seed)
    X, y = table("wine")
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        losses = [float(CE(model(X[i]), y[i])) for i in torch.randint(0, 178, (200, 32), generator=g)]
    sgd = torch.optim.SGD(old.parameters(), lr=0.1)
    history = History.from_dict({"loss": losses})
    return {"model": model, "loss_fn": CE, "data": (X, y), "optimizer": sgd, "history": history}


@admit("only-the-head", "parameters-not-trained", half="held-out")
def only_the_head(seed: int) -> dict[str, Any]:
    """The optimizer was given the head of an LSTM classifier and not the LSTM, which is untrained."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.head.parameters(), lr=3e-3)
    return trained(model, CE, waves(512, seed), adam, seed=seed, epochs=12)
