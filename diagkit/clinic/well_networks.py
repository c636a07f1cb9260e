"""Healthy runs of convolutional, recurrent, attention and embedding networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import BagOfWords, CharacterModel, SequenceClassifier, SmallTransformer, convnet
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import waves
from diagkit.clinic.trained import mlp, trained
from diagkit.training import Recorder

CE = nn.CrossEntropyLoss()
TEXT = (
    "the rate is too large and the loss is too high. the loss is flat and the gradient is small. "
    "a saddle has a way down. a minimum has none. the noise of the gradient grows with the rate. "
)


@admit("convnet-batchnorm", "healthy", half="held-out")
def convnet_batchnorm(seed: int) -> dict[str, Any]:
    """Two convolutions with BatchNorm, Adam."""
    model = convnet(seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, digits(images=True), adam, seed=seed, batch_size=64, epochs=8)


@admit("lstm-underway", "still-improving", half="held-out", also=("healthy",))
def lstm_underway(seed: int) -> dict[str, Any]:
    """An LSTM that has begun to tell its sequences apart."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, waves(512, seed), adam, seed=seed, epochs=5)


@admit("lstm-classifier", "healthy", half="held-out")
def lstm_classifier(seed: int) -> dict[str, Any]:
    """The LSTM trained to the end."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, waves(512, seed), adam, seed=seed, epochs=25)


@admit("small-transformer", "healthy", half="held-out")
def small_transformer(seed: int) -> dict[str, Any]:
    """An encoder layer with dropout, AdamW."""
    torch.manual_seed(seed)
    model = SmallTransformer()
    adamw = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return trained(model, CE, waves(512, seed), adamw, seed=seed, epochs=25)


@admit("bag-of-words", "healthy", half="held-out")
def bag_of_words(seed: int) -> dict[str, Any]:
    """Word vectors, most of which say nothing about the class."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (600,), generator=g)
    tokens = torch.randint(10, 50, (600, 12), generator=g)
    tokens[:, :3] = torch.randint(0, 5, (600, 3), generator=g) + 5 * y[:, None]
    torch.manual_seed(seed)
    model = BagOfWords()
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, (tokens, y), adam, seed=seed, epochs=15)


@admit("fine-tuned-head", "healthy")
def fine_tuned_head(seed: int) -> dict[str, Any]:
    """A network trained on the digits 0 to 4; then its body was frozen and a new head learned 5 to 9."""
    X, y = digits()
    model = mlp(64, 64, 32, 5, seed=seed)
    first = torch.optim.Adam(model.parameters(), lr=2e-3)
    trained(model, CE, (X[y < 5], y[y < 5]), first, seed=seed, epochs=10)
    model[:4].requires_grad_(False)
    model[4].reset_parameters()  # type: ignore[operator]
    adam = torch.optim.Adam(model[4].parameters(), lr=5e-3)
    return trained(model, CE, (X[y >= 5], y[y >= 5] - 5), adam, seed=seed, epochs=30)


@admit("character-model", "healthy", half="held-out")
def character_model(seed: int) -> dict[str, Any]:
    """A language model in a loop of its own: dict batches, a step function, a Recorder."""
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

    recorder = Recorder(model, adam)
    for _ in range(30):
        for batch in batches:
            adam.zero_grad()
            loss = step(model, batch)
            loss.backward()
            adam.step()
            recorder.log(loss=float(loss.detach()))
    return {
        "model": model,
        "loss_fn": None,
        "data": batches,
        "optimizer": adam,
        "history": recorder.history,
        "step": step,
    }
