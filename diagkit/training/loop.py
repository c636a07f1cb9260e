"""An observed training loop: the plain loop, with everything about it written down."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from diagkit.objective.batches import same_data_order
from diagkit.objective.trace import same_random_state
from diagkit.training.minibatches import Minibatches
from diagkit.training.recorder import Recorder
from diagkit.training.run import (
    BestPoint,
    StepInfo,
    StopTraining,
    TrainingRun,
    as_list,
    as_observers,
    entered,
    flat_parameters,
)
from diagkit.training.stepping import NonFiniteLoss, Stepper, same_modes, seed_all
from diagkit.training.train_arguments import check_arguments, make_optimizer, make_scheduler, trainable
from diagkit.work import interrupted_here, progress


def train(
    model: nn.Module,
    loss_fn: Callable[..., Tensor],
    data: Any,
    *,
    optimizer: Any,
    epochs: int | None = None,
    max_steps: int | None = None,
    val_data: Any = None,
    scheduler: Any = None,
    callbacks: Any = (),
    seed: int = 0,
    batch_size: int | None = None,
    scheduler_step: str = "step",
    stop_on_non_finite: bool = True,
) -> TrainingRun:
    r"""Train ``model`` in place: at each step, on a minibatch B of the data,

    .. math:: \theta \leftarrow \mathrm{optimizer}\Bigl(\theta,
              \nabla_\theta \tfrac{1}{|B|} \sum_{n \in B} \ell(f(x_n; \theta), y_n)\Bigr).

    The arithmetic is that of the loop one would write by hand, bit for bit. Orders, dropout masks and
    augmentations follow from ``seed``; the caller's random state, the order of the caller's loader and
    the train/eval mode of each module are afterwards as before. With ``val_data`` or callbacks, the run is
    the same as without.

    Parameters
    ----------
    loss_fn : ``loss_fn(model(inputs), targets)`` -> scalar mean over the batch. A tuple or list of inputs is
        spread as arguments, a dict as keywords.
    data, val_data : (X, y) tensors, a Dataset, a DataLoader, or a re-iterable of (inputs, targets). The
        first two are cut in shuffled minibatches of ``batch_size`` (32), the others are taken as they come.
        Batches are moved to the model's device, floating inputs to its dtype.
    optimizer : an optimizer, or a function of the trainable parameters that returns one.
    epochs, max_steps : one of them, or both: the run ends at what comes first.
    scheduler : a scheduler, or a function of the optimizer that returns one; stepped after each step, with
        ``scheduler_step="epoch"`` after each epoch. ReduceLROnPlateau is always stepped after an epoch, on
        the validation loss or else on the epoch's mean loss.
    callbacks : functions of a :class:`StepInfo`, or objects with ``on_step``, called after each step. One
        that returns True or raises :class:`StopTraining` ends the run. One that is a context manager as well,
        such as ``add_gradient_noise``, is entered for the run.
    stop_on_non_finite : end the run at a loss that is NaN or Inf, before it enters the parameters.

    Raises
    ------
    InputError : no end (neither epochs nor max_steps), data that cannot be cut, a model without trainable
        parameters, a loss that is not a scalar or does not depend on them.

    Example
    -------
    >>> X = torch.linspace(-1, 1, 64)[:, None]
    >>> model = nn.Linear(1, 1)
    >>> sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)
    >>> run = train(model, nn.MSELoss(), (X, 3 * X + 1), optimizer=sgd, epochs=200)
    >>> run.steps, [round(float(p), 3) for p in run.final_theta]
    (400, [3.0, 1.0])
    """
    started = time.perf_counter()
    check_arguments(model, loss_fn, epochs, max_steps, scheduler_step, seed)
    parameters, callbacks = trainable(model), as_list(callbacks)
    observers = as_observers(callbacks)
    batches = Minibatches(data, batch_size=batch_size, seed=seed)
    validation = None
    if val_data is not None:
        cut_here = Minibatches(val_data, name="val_data").num_examples is not None
        validation = Minibatches(
            val_data, batch_size=batch_size if cut_here else None, shuffle=False, name="val_data"
        )
    optimizer, notes = make_optimizer(optimizer, parameters)
    scheduler, more = make_scheduler(scheduler, optimizer)
    notes += more
    per_epoch = scheduler_step == "epoch" or isinstance(scheduler, ReduceLROnPlateau)
    recorder = Recorder(model, optimizer)
    stepper = Stepper(model, loss_fn, optimizer, recorder, parameters[0], stop_on_non_finite)
    best, steps, epochs_done, ended_by = BestPoint(parameters), 0, 0, ""

    with (
        same_random_state(),
        same_data_order(data),
        same_data_order(val_data),
        same_modes(model),
        torch.inference_mode(False),
        torch.enable_grad(),
        entered(callbacks),
        progress("train", _total(batches.num_batches, epochs, max_steps)) as advance,
    ):
        seed_all(seed)
        model.train()
        for epoch in itertools.count():
            total, seen, here = 0.0, 0, 0
            for inputs, targets in batches:
                if interrupted_here():
                    ended_by = "interrupted"
                    break
                try:
                    loss, size = stepper.step(inputs, targets)
                except NonFiniteLoss as stop:
                    ended_by = "non-finite loss"
                    notes.append(f"training was ended: the loss is {stop.loss} at step {steps}")
                    break
                total, seen, here = total + loss * size, seen + size, here + 1
                if scheduler is not None and not per_epoch:
                    scheduler.step()
                info = StepInfo(steps, epoch, loss, model, optimizer)
                steps += 1
                advance(1)
                if observers and _ended_by_observer(observers, info):
                    ended_by = "callback"
                    notes.append(f"training was ended by a callback after step {info.step}")
                    break
                if steps == max_steps:
                    ended_by = "max_steps"
                    break
            whole = not ended_by or here == batches.num_batches
            epochs_done += whole and here > 0
            if seen and ended_by != "interrupted":
                loss = total / seen
                measured = stepper.validate(validation, seed) if validation is not None else None
                if measured is not None:
                    recorder.log(val_loss=measured)
                    best.offer(measured, steps)
                elif validation is None and (whole or best.theta is None):
                    best.offer(loss, steps)  # part of an epoch is a noisier mean: only if there is no other
                if scheduler is not None and per_epoch and whole:
                    metric = loss if measured is None else measured
                    scheduler.step(metric) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
            if not ended_by and epoch + 1 == epochs:
                ended_by = "epochs"
            if ended_by:
                break

    final = flat_parameters(parameters)
    history = recorder.history
    notes = [*notes, *(note for note in history.notes if ended_by != "non-finite loss")]
    return TrainingRun(
        replace(history, source="train", notes=tuple(notes), seed=seed),
        best_theta=final if best.theta is None else best.theta,
        final_theta=final,
        best_step=steps if best.theta is None else best.step,
        best_loss=best.loss,
        steps=steps,
        epochs=epochs_done,
        ended_by=ended_by,
        seconds=time.perf_counter() - started,
        seed=seed,
        complete=ended_by != "interrupted",
    )


def _total(num_batches: int | None, epochs: int | None, max_steps: int | None) -> int:
    """Steps to come, 0 where that is not known."""
    by_epochs = num_batches * epochs if num_batches and epochs else None
    return min((n for n in (by_epochs, max_steps) if n), default=0)


def _ended_by_observer(observers: list[Callable[[StepInfo], Any]], info: StepInfo) -> bool:
    """Tell everyone. What an observer draws or switches must not change the run."""
    stop = False
    with same_random_state(), same_modes(info.model):
        for observe in observers:
            try:
                stop |= observe(info) is True
            except StopTraining:
                stop = True
    return stop
