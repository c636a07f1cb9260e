"""Healthy runs in loops that look like a fault: accumulation, closures, skipped steps, frozen parts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from diagkit.clinic.cadence import scaled_step
from diagkit.clinic.digits import digits
from diagkit.clinic.loops import Pair, in_own_loop, plain_step
from diagkit.clinic.networks import SequenceClassifier, convnet
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


@admit("four-small-batches", "healthy")
def four_small_batches(seed: int) -> dict[str, Any]:
    """Gradients of four batches are summed before each update, on purpose."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    done = 0

    def train_step(batch: Pair) -> float:
        nonlocal done
        inputs, targets = batch
        loss = CE(model(inputs), targets)
        (loss / 4).backward()
        done += 1
        if done % 4 == 0:
            sgd.step()
            sgd.zero_grad()
        return float(loss.detach())

    return in_own_loop(train_step, model, CE, digits(), sgd, seed=seed, epochs=15, batch_size=8)


@admit("sixteen-small-batches", "healthy", half="held-out")
def sixteen_small_batches(seed: int) -> dict[str, Any]:
    """Gradients of sixteen batches of two are summed before each update of an LSTM."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    done = 0

    def train_step(batch: Pair) -> float:
        nonlocal done
        inputs, targets = batch
        if done % 16 == 0:
            adam.zero_grad()
        loss = CE(model(inputs), targets)
        (loss / 16).backward()
        done += 1
        if done % 16 == 0:
            adam.step()
        return float(loss.detach())

    return in_own_loop(train_step, model, CE, waves(512, seed), adam, seed=seed, epochs=25, batch_size=2)


@admit("closure-of-lbfgs", "healthy", half="held-out", also=("learning-rate-too-small",))
def closure_of_lbfgs(seed: int) -> dict[str, Any]:
    """L-BFGS computes its gradients inside its step."""
    model = mlp(13, 8, 3, activation=nn.Tanh, seed=seed)
    lbfgs = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    data = table("wine")

    def train_step(batch: Pair) -> float:
        inputs, targets = batch

        def closure() -> Tensor:
            lbfgs.zero_grad()
            loss = CE(model(inputs), targets)
            loss.backward()
            return loss

        return float(lbfgs.step(closure).detach())

    return in_own_loop(train_step, model, CE, data, lbfgs, seed=seed, epochs=12, batch_size=len(data[0]))


@admit("scale-on-its-way-down", "healthy")
def scale_on_its_way_down(seed: int) -> dict[str, Any]:
    """Mixed precision whose scale began far too high: the first steps were skipped, as they should be."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=50)
    step = scaled_step(model, CE, sgd, scaler)
    return in_own_loop(step, model, CE, digits(), sgd, seed=seed, epochs=12)


@admit("warmed-up-and-decayed", "healthy", half="held-out")
def warmed_up_and_decayed(seed: int) -> dict[str, Any]:
    """A schedule in updates: from rate 0 up, then a cosine to its end, over the whole run."""
    model = mlp(30, 16, 2, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    total = 18 * 15

    def shape(update: int) -> float:
        return min(update / 20, max(0.0, 1 - update / total))

    schedule = lr_scheduler.LambdaLR(sgd, shape)
    plain = plain_step(model, CE, sgd)

    def train_step(batch: Pair) -> float:
        loss = plain(batch)
        schedule.step()
        return loss

    data = table("breast_cancer")
    return in_own_loop(train_step, model, CE, data, sgd, seed=seed, epochs=15, scheduler=schedule)


@admit("cosine-over-the-run", "healthy")
def cosine_over_the_run(seed: int) -> dict[str, Any]:
    """A cosine in updates that ends with the run."""
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = lr_scheduler.CosineAnnealingLR(adam, 57 * 10)
    plain = plain_step(model, CE, adam)

    def train_step(batch: Pair) -> float:
        loss = plain(batch)
        schedule.step()
        return loss

    return in_own_loop(train_step, model, CE, digits(), adam, seed=seed, epochs=10, scheduler=schedule)


@admit("stepped-between-epochs", "healthy", half="held-out")
def stepped_between_epochs(seed: int) -> dict[str, Any]:
    """A schedule in epochs, stepped between them, where no single step shows it."""
    model = mlp(10, 16, 1, activation=nn.Tanh, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = lr_scheduler.ExponentialLR(adam, 0.9)
    step = plain_step(model, MSE, adam)
    options: dict[str, Any] = {"epochs": 25, "after_epoch": schedule.step, "scheduler": schedule}
    return in_own_loop(step, model, MSE, table("diabetes"), adam, seed=seed, **options)


@admit("statistics-kept-frozen", "healthy")
def statistics_kept_frozen(seed: int) -> dict[str, Any]:
    """Fine-tuning: BatchNorm stays in evaluation mode with frozen weights, the rest is trained."""
    model = convnet(seed)
    X, y = digits(images=True)
    first = torch.optim.Adam(model.parameters(), lr=2e-3)
    trained(model, CE, (X[y < 5], y[y < 5]), first, seed=seed, epochs=6)
    norms = [m for m in model if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.requires_grad_(False)
    adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=2e-3)

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        model.train()
        for norm in norms:
            norm.eval()
        adam.zero_grad()
        loss = CE(model(inputs), targets)
        loss.backward()
        adam.step()
        return float(loss.detach())

    return in_own_loop(train_step, model, CE, (X, y), adam, seed=seed, epochs=10)


@admit("stored-in-sixteen-bits", "healthy")
def stored_in_sixteen_bits(seed: int) -> dict[str, Any]:
    """A digits network held in bfloat16 whose steps are long enough to arrive."""
    model = mlp(64, 32, 10, seed=seed).to(torch.bfloat16)
    X, y = digits()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = (X.to(torch.bfloat16), y)
    return in_own_loop(plain_step(model, CE, sgd), model, CE, data, sgd, seed=seed, epochs=10)


@admit("validated-last", "healthy", half="held-out")
def validated_last(seed: int) -> dict[str, Any]:
    """The loop ends with a validation, and its step sets the training mode itself."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(30, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2))
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    step, data = plain_step(model, CE, adam), table("breast_cancer")
    return in_own_loop(step, model, CE, data, adam, seed=seed, epochs=20, after_epoch=model.eval)
