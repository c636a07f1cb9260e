"""Patients whose loop is at fault around the step: modes, schedules, scales, and what was not restored."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from diagkit.clinic.digits import digits
from diagkit.clinic.loops import Pair, in_own_loop, plain_step
from diagkit.clinic.networks import BagOfWords, SequenceClassifier, convnet
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import mlp
from diagkit.training import History

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


def step_in_given_mode(model: nn.Module, loss_fn: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    """A step that leaves the model in the mode in which it finds it."""

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return train_step


@admit("eval-after-validation", "mode-left-in-eval")
def eval_after_validation(seed: int) -> dict[str, Any]:
    """After the first epoch the model was validated and never put back in training mode."""
    model = convnet(seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = digits(images=True)
    step = step_in_given_mode(model, CE, adam)
    return in_own_loop(step, model, CE, data, adam, seed=seed, epochs=8, after_epoch=model.eval)


@admit("eval-in-the-step", "mode-left-in-eval", half="held-out")
def eval_in_the_step(seed: int) -> dict[str, Any]:
    """The step calls a helper that puts the model in evaluation mode; dropout never acts."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 3))
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)

    def predict(inputs: Tensor) -> Tensor:
        return model.eval()(inputs)

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        sgd.zero_grad()
        loss = CE(predict(inputs), targets)
        loss.backward()
        sgd.step()
        return float(loss.detach())

    return in_own_loop(train_step, model, CE, table("wine"), sgd, seed=seed, epochs=20)


@admit("stepped-per-batch", "schedule-misfed", also=("schedule-ended-early",))
def stepped_per_batch(seed: int) -> dict[str, Any]:
    """A schedule in epochs, a tenth after every 10, stepped after each batch: the rate was gone at once."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = lr_scheduler.StepLR(sgd, 10, gamma=0.1)
    plain = plain_step(model, CE, sgd)

    def train_step(batch: Pair) -> float:
        loss = plain(batch)
        schedule.step()
        return loss

    return in_own_loop(train_step, model, CE, digits(), sgd, seed=seed, epochs=6, scheduler=schedule)


@admit("warm-up-never-advanced", "schedule-misfed", half="held-out", also=("learning-rate-too-small",))
def warm_up_never_advanced(seed: int) -> dict[str, Any]:
    """An LSTM with a warm-up over its epochs that nobody steps: the rate stays at its first value."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = lr_scheduler.LinearLR(adam, start_factor=1e-3, total_iters=4)
    step = plain_step(model, CE, adam)
    data = waves(512, seed)
    return in_own_loop(step, model, CE, data, adam, seed=seed, epochs=8, scheduler=schedule)


def scaled_step(model: nn.Module, loss_fn: Any, optimizer: Any, scaler: Any) -> Any:
    """Half precision under autocast, with a loss scale."""

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        model.train()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            outputs = model(inputs)
        loss = loss_fn(outputs.float(), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return float(loss.detach())

    return train_step


@admit("scale-at-its-floor", "loss-scale-collapsed")
def scale_at_its_floor(seed: int) -> dict[str, Any]:
    """Early overflows halved the loss scale to 2^-24, and it never grew again: half precision rounds to 0."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    scaler.load_state_dict(scaler.state_dict() | {"scale": 2.0**-24})
    step = scaled_step(model, CE, sgd, scaler)
    return in_own_loop(step, model, CE, digits(), sgd, seed=seed, epochs=3)


@admit("scale-lost-in-regression", "loss-scale-collapsed", half="held-out")
def scale_lost_in_regression(seed: int) -> dict[str, Any]:
    """Regression in half precision whose loss scale fell to 1e-8."""
    model = mlp(10, 32, 1, activation=nn.GELU, seed=seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", growth_interval=100_000)
    scaler.load_state_dict(scaler.state_dict() | {"scale": 1e-8})
    step = scaled_step(model, MSE, adamw, scaler)
    return in_own_loop(step, model, MSE, table("diabetes"), adamw, seed=seed, epochs=10)


def resumed(model: nn.Module, make: Any, data: Pair, seed: int, epochs: tuple[int, int]) -> dict[str, Any]:
    """Train to the end of a cosine, then go on with a new optimizer at the first rate. One log of both."""
    before = make(model)
    updates = epochs[0] * -(-len(data[0]) // 32)
    schedule = lr_scheduler.CosineAnnealingLR(before, updates)
    plain = plain_step(model, CE, before)

    def decaying(batch: Pair) -> float:
        loss = plain(batch)
        schedule.step()
        return loss

    first = in_own_loop(decaying, model, CE, data, before, seed=seed, epochs=epochs[0])
    after = make(model)
    step = plain_step(model, CE, after)
    second = in_own_loop(step, model, CE, data, after, seed=seed + 1, epochs=epochs[1])
    both = (first["history"].series, second["history"].series)
    series = {name: [*both[0][name], *both[1][name]] for name in ("loss", "lr")}
    return second | {"history": History.from_dict(series)}


@admit("resumed-at-the-first-rate", "resume-state-lost", also=("learning-rate-too-large",))
def resumed_at_the_first_rate(seed: int) -> dict[str, Any]:
    """Adam at a high rate that a cosine took down; resumed with neither averages nor schedule."""

    def make(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), lr=0.5)

    return resumed(mlp(64, 32, 10, activation=nn.Tanh, seed=seed), make, digits(), seed, (12, 1))


@admit("resumed-sequence-model", "resume-state-lost", half="held-out", also=("learning-rate-too-large",))
def resumed_sequence_model(seed: int) -> dict[str, Any]:
    """The same with an LSTM and AdamW."""

    def make(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters(), lr=0.1)

    torch.manual_seed(seed)
    return resumed(SequenceClassifier(), make, waves(512, seed), seed, (25, 3))


@admit("prefix-matched-nothing", "pretrained-not-loaded", also=("parameters-not-trained",))
def prefix_matched_nothing(seed: int) -> dict[str, Any]:
    """The checkpoint's names had a prefix: nothing was loaded. The body is frozen, the head learns."""
    model = mlp(64, 12, 8, 10, seed=seed)
    state = {
        f"module.{name}": value for name, value in mlp(64, 12, 8, 10, seed=seed + 1).state_dict().items()
    }
    model.load_state_dict(state, strict=False)
    model.name_or_path = "digits-encoder"  # type: ignore[assignment]
    for layer in (model[0], model[2]):
        layer.requires_grad_(False)
    adam = torch.optim.Adam(model[4].parameters(), lr=3e-3)
    return in_own_loop(plain_step(model, CE, adam), model, CE, digits(), adam, seed=seed, epochs=8)


@admit(
    "initialized-after-loading", "pretrained-not-loaded", half="held-out", also=("parameters-not-trained",)
)
def initialized_after_loading(seed: int) -> dict[str, Any]:
    """A text classifier whose body was initialized again after its weights had been loaded, and frozen."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (600,), generator=g)
    tokens = torch.randint(10, 50, (600, 12), generator=g)
    tokens[:, :1] = torch.randint(0, 5, (600, 1), generator=g) + 5 * y[:, None]
    torch.manual_seed(seed)
    model = BagOfWords()
    model.name_or_path = "words-encoder"  # type: ignore[assignment]
    model.body[0].reset_parameters()  # type: ignore[operator]
    model.embed.requires_grad_(False)
    model.body[0].requires_grad_(False)
    sgd = torch.optim.SGD(model.body[2].parameters(), lr=0.1)
    return in_own_loop(plain_step(model, CE, sgd), model, CE, (tokens, y), sgd, seed=seed, epochs=10)
