"""Patients whose own loop is at fault: what is done with gradients, and to whom the optimizer belongs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.loops import Pair, in_own_loop, plain_step
from diagkit.clinic.networks import CharacterModel, SequenceClassifier, convnet
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import mlp
from diagkit.clinic.well_networks import TEXT

CE = nn.CrossEntropyLoss()


@admit("rebuilt-after-optimizer", "optimizer-stale-params", also=("parameters-not-trained",))
def rebuilt_after_optimizer(seed: int) -> dict[str, Any]:
    """The network was built a second time after its optimizer, which still holds the first one's weights."""
    first, model = convnet(seed + 1), convnet(seed)
    sgd = torch.optim.SGD(first.parameters(), lr=0.05, momentum=0.9)
    data = digits(images=True)
    return in_own_loop(plain_step(model, CE, sgd), model, CE, data, sgd, seed=seed, epochs=3)


@admit("head-replaced", "optimizer-stale-params", half="held-out", also=("parameters-not-trained",))
def head_replaced(seed: int) -> dict[str, Any]:
    """A sequence classifier got a head for three classes after its optimizer was built for ten."""
    torch.manual_seed(seed)
    model = SequenceClassifier(classes=10)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.head = nn.Linear(24, 3)
    return in_own_loop(plain_step(model, CE, adam), model, CE, waves(512, seed), adam, seed=seed, epochs=6)


@admit("never-cleared", "gradients-accumulate")
def never_cleared(seed: int) -> dict[str, Any]:
    """A digits network whose loop never clears the gradients: its accuracy falls with training."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.02)

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        loss = CE(model(inputs), targets)
        loss.backward()
        sgd.step()
        return float(loss.detach())

    return in_own_loop(train_step, model, CE, digits(), sgd, seed=seed, epochs=8)


@admit("cleared-by-another", "gradients-accumulate", half="held-out")
def cleared_by_another(seed: int) -> dict[str, Any]:
    """An LSTM's loop clears the gradients through an optimizer that was replaced and holds the head only."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    old = torch.optim.Adam(model.head.parameters(), lr=1e-3)
    adamw = torch.optim.AdamW(model.lstm.parameters(), lr=3e-3)
    adamw.add_param_group({"params": list(model.head.parameters())})

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        old.zero_grad()
        loss = CE(model(inputs), targets)
        loss.backward()
        adamw.step()
        return float(loss.detach())

    return in_own_loop(train_step, model, CE, waves(512, seed), adamw, seed=seed, epochs=10)


@admit("cleared-before-the-step", "gradients-discarded")
def cleared_before_the_step(seed: int) -> dict[str, Any]:
    """The gradients are cleared between backward and step: only weight decay moves the weights."""
    model = convnet(seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=1e-3)

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        loss = CE(model(inputs), targets)
        loss.backward()
        sgd.zero_grad()
        sgd.step()
        return float(loss.detach())

    return in_own_loop(train_step, model, CE, digits(images=True), sgd, seed=seed, epochs=3)


@admit("cleared-by-the-log", "gradients-discarded", half="held-out")
def cleared_by_the_log(seed: int) -> dict[str, Any]:
    """A language model whose loop sets the gradients to None after it has logged their norm."""
    symbols = sorted(set(TEXT))
    codes = torch.tensor([symbols.index(letter) for letter in TEXT * 4])
    pieces = codes.unfold(0, 17, 3)
    batches = [{"tokens": part[:, :-1], "labels": part[:, 1:]} for part in pieces.split(32)]
    torch.manual_seed(seed)
    model = CharacterModel(len(symbols))
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        logits = network(batch["tokens"])
        return nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())

    def train_step(batch: dict[str, Tensor]) -> float:
        loss = step(model, batch)
        loss.backward()
        nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        model.zero_grad(set_to_none=True)
        adam.step()
        return float(loss.detach())

    return in_own_loop(train_step, model, None, batches, adam, seed=seed, epochs=5, step=step)


@admit("norm-weights-in-sixteen-bits", "update-lost", also=("learning-rate-too-small",))
def norm_weights_in_sixteen_bits(seed: int) -> dict[str, Any]:
    """A digits network held in bfloat16; its steps are below half a unit in the last place of its weights."""
    model = mlp(64, 32, 10, seed=seed).to(torch.bfloat16)
    X, y = digits()
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3)
    data = (X.to(torch.bfloat16), y)
    return in_own_loop(plain_step(model, CE, sgd), model, CE, data, sgd, seed=seed, epochs=3)


@admit("table-in-sixteen-bits", "update-lost", half="held-out", also=("learning-rate-too-small",))
def table_in_sixteen_bits(seed: int) -> dict[str, Any]:
    """Regression with weights in bfloat16, Adam at 1e-5: a step is far below the spacing of the weights."""
    X, y = (part.to(torch.bfloat16) for part in table("diabetes"))
    model = mlp(10, 32, 32, 1, activation=nn.Tanh, seed=seed).to(torch.bfloat16)
    adam = torch.optim.Adam(model.parameters(), lr=1e-5)
    mse = nn.MSELoss()
    return in_own_loop(plain_step(model, mse, adam), model, mse, (X, y), adam, seed=seed, epochs=10)
