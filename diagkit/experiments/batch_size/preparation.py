"""What a study of batch sizes can work with, and what it says of the rest before any work starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.experiments.batch_size.arms import check_batch_sizes
from diagkit.experiments.batch_size.evaluation import is_mean_over_examples
from diagkit.experiments.batch_size.training_runs import OptimizerAt, Task, num_examples
from diagkit.experiments.seed_runs import made
from diagkit.objective import check_count, check_positive
from diagkit.training import Minibatches

LEAST_EVAL = 16  # examples per evaluation batch, where the loss depends on the batch
MOST_KEPT = 2 << 30  # bytes of parameters kept on the way, per seed


def check_task(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: Any,
    val_data: Any,
    optimizer: OptimizerAt,
    batch_sizes: Iterable[int],
    checkpoints: int,
    eval_batch_size: int | None,
) -> tuple[Task, tuple[int, ...], list[str]]:
    """The task, the batch sizes in order, and notes.

    Raises
    ------
    InputError : data that are in batches already, as they cannot be cut anew, and what the size of model or
        data forbids.
    """
    for name, given in (("data", data), ("val_data", val_data)):
        if given is not None and Minibatches(given, name=name).num_examples is None:
            raise InputError(
                f"{name} that come in batches already ({type(given).__name__})",
                allowed="(X, y) or a Dataset, which can be cut in batches of any size",
                write="data=loader.dataset",
            )
    if not callable(optimizer):
        raise InputError(
            f"optimizer={optimizer!r}",
            allowed="a function of the parameters and the rate",
            write="optimizer=lambda parameters, lr: torch.optim.SGD(parameters, lr=lr)",
        )
    total = num_examples(data)
    sizes = check_batch_sizes(batch_sizes, total)
    model = made(make_model, 0)
    if made(make_model, 0) is model:
        raise InputError(
            "make_model() that returns the same model each time, which the first run would train",
            allowed="a new one",
            write="make_model=lambda: copy.deepcopy(model)",
        )
    size = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    if size * checkpoints > MOST_KEPT:
        raise InputError(
            f"checkpoints = {checkpoints} of {size / 1e6:.0f} MB each",
            allowed=f"{max(2, MOST_KEPT // size)} for this model",
            write=f"checkpoints={max(2, MOST_KEPT // size)}",
        )
    check_count("eval_batch_size", eval_batch_size, optional=True, least=2)
    notes = [_last_batches(total, sizes)]
    if is_mean_over_examples(model, loss_fn, data):
        eval_batch_size = None
    else:
        smallest = min([total, *([num_examples(val_data)] if val_data is not None else [])])
        eval_batch_size = min(eval_batch_size or max(sizes[0], LEAST_EVAL), smallest)
        notes.append(
            "the loss of a batch is not the mean of its examples' losses, as with negatives from the batch: "
            "a larger batch is another task (chance level of InfoNCE: ln B), and minibatch losses of "
            "different batch sizes must not be compared. Every model is evaluated with batches of "
            f"{eval_batch_size} examples; the noise scale of single examples is not defined"
        )
    return Task(make_model, loss_fn, data, val_data, optimizer, checkpoints, eval_batch_size), sizes, notes


def _last_batches(total: int, sizes: tuple[int, ...]) -> str:
    uneven = [f"{total % b} for B = {b}" for b in sizes if total % b]
    if not uneven:
        return f"every batch size divides the {total} training examples"
    return f"the last batch of an epoch is smaller and counts as a step: {', '.join(uneven)} examples"


def check_rates(rates: Iterable[float]) -> tuple[float, ...]:
    """In order, each once.

    Raises
    ------
    InputError : none, or one that is not positive.

    Example
    -------
    >>> check_rates([0.2, 0.1])
    (0.1, 0.2)
    """
    chosen = tuple(float(rate) for rate in rates)
    for rate in chosen:
        check_positive("rates", rate)
    if not chosen:
        raise InputError("no rates", allowed="one or more", write="rates=[0.05, 0.1, 0.2]")
    return tuple(sorted(set(chosen)))
