"""Measurements that one may order of a case, one by one, each at a price: cheap proofs, dear trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from diagkit.diagnosis import arms
from diagkit.diagnosis.audit.validation import validation_objective
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.layers.capacity import FEW, small_batch_loss
from diagkit.diagnosis.trial import LAST, Trial
from diagkit.diagnosis.twin import can_start_afresh
from diagkit.errors import DiagkitError, InputError
from diagkit.measure import signal_propagation
from diagkit.objective import same_random_state
from diagkit.result import Result, show_number


@dataclass(frozen=True)
class Answer:
    """What came back from an order.

    Attributes
    ----------
    words : the numbers in a sentence or two. result : what can be drawn, None where numbers are all there is.
    batch_size : of the run, beside a noise scale; else None. order : its name.
    """

    words: str
    result: Result | None = None
    batch_size: int | None = None
    order: str = ""


@dataclass(frozen=True)
class Order:
    """One measurement on the list.

    Attributes
    ----------
    question : what it asks. price : 1 for a few passes over the data, 2 for tens of them, 3 for hundreds.
    tells : causes that this one measurement can show. ask : Case -> Answer.
    """

    question: str
    price: int
    tells: tuple[str, ...]
    ask: Callable[[Case], Answer]


def _held(case: Case) -> Answer:
    named = {n: p for n, p in case.model.named_parameters() if p.is_floating_point()}
    if case.optimizer is None:
        frozen = [n for n, p in named.items() if not p.requires_grad]
        return Answer(f"No optimizer was given; frozen tensors: {', '.join(frozen) or 'none'}.")
    held = {id(p) for group in case.optimizer.param_groups for p in group["params"]}
    idle = [n for n, p in named.items() if not p.requires_grad or id(p) not in held]
    total = sum(p.numel() for p in named.values())
    share = 1 - sum(named[n].numel() for n in idle) / max(total, 1)
    known = {id(p) for p in case.model.parameters()}
    strange = len(held - known)
    words = f"{100 * share:.3g} % of the {total} parameters are trained"
    words += f"; frozen or not in the optimizer: {', '.join(idle[:4])}" if idle else ""
    words += "." if not strange else f"; the optimizer holds {strange} tensors that are not the model's."
    return Answer(words)


def _level(case: Case) -> Answer:
    loss = show_number(case.loss)
    if case.baseline is None:
        return Answer(f"Loss {loss}; the best constant prediction cannot be had for this loss function.")
    return Answer(
        f"Loss {loss}; the best constant prediction, which never looks at its input, has "
        f"{show_number(case.baseline)}.",
    )


def _gradient(case: Case) -> Answer:
    share = case.relative_slope
    gain = "more than the whole loss" if share >= 1 else f"{show_number(100 * share, 2)} % of the loss"
    return Answer(
        f"‖∇L‖ = {show_number(case.gradient_norm, 3)}. Were this slope to stay, a move as long as the "
        f"weights would gain {gain} of knowing nothing."
    )


def _validation(case: Case) -> Answer:
    objective = validation_objective(case)
    if objective is None:
        return Answer("No validation data were given.")
    return Answer(f"Training loss {show_number(case.loss)}, validation loss {show_number(objective.loss())}.")


def _layers(case: Case) -> Answer:
    found = signal_propagation(case.objective)
    sizes = found.gradient_sq_norms[found.is_weight_layer] ** 0.5
    growth = found.gradient_growth.factor
    dead = found.summary()["most_dead"]
    words = (
        f"Gradient that arrives at the first weight layer {show_number(sizes[0], 2)}, at the last "
        f"{show_number(sizes[-1], 2)}: {found.verdict}"
        if len(sizes)
        else f"Gradients over depth: {found.verdict}"
    )
    words += f", squared × {show_number(growth, 2)} per layer on the way back" if growth == growth else ""
    if dead == dead:
        words += f". Units that are 0 for every example: up to {100 * dead:.3g} % of a layer"
    return Answer(words + ".", found)


def _noise(case: Case) -> Answer:
    found = case.noise
    if found is None:
        return Answer("Too few examples to tell noise from gradient.")
    batch = f"the run uses batches of {case.batch_size}"
    if not found.resolved:
        return Answer(f"The gradient is lost in its noise; {batch}.", found, case.batch_size)
    low, high = found.interval
    return Answer(
        f"Noise and gradient are equal in batches of {show_number(found.noise_scale, 3)} examples "
        f"({show_number(low, 2)} to {show_number(high, 2)}); {batch}.",
        found,
        case.batch_size,
    )


def _curvature(case: Case) -> Answer:
    place = case.place
    low, high = float(place.smallest.values[0]), float(place.largest.values[0])
    words = f"Curvature from {show_number(low, 3)} to {show_number(high, 3)}; the place: {place.verdict}."
    ratio = case.stability_ratio
    if ratio is not None:
        words += f" The largest is {show_number(ratio, 2)} times the limit at which steps of this rate swing."
    return Answer(words, place)


def _few(case: Case) -> Answer:
    if not can_start_afresh(case.model):
        return Answer("The model cannot be initialized again, so that this cannot be tried.")
    left = 100 * small_batch_loss(case, longer=1)
    return Answer(
        f"Trained afresh on {FEW} examples alone, with Adam, the model ends at {show_number(left, 2)} % of "
        "the loss of knowing nothing."
    )


def _rates(*factors: float) -> Callable[[Case], Answer]:
    """Another rate from this checkpoint; of several, the one that ends lowest."""

    def ask(case: Case) -> Answer:
        if case.optimizer is None:
            return Answer("No optimizer was given, so that there is no rate to change.")
        trials = {factor: case.try_out(arms.rate_times(factor)) for factor in factors}
        factor = max(trials, key=lambda f: trials[f].effect)
        trial: Trial = trials[factor]
        before = float(trial.without[:, -LAST:].clip(max=trial.ceiling).mean())
        level = show_number(trial.level, 3) + (" or more" if trial.level >= 0.99 * trial.ceiling else "")
        best = f", the best of × {', '.join(f'{f:g}' for f in factors)}" if len(factors) > 1 else ""
        half = (trial.interval[1] - trial.interval[0]) / 2
        way = "lower" if trial.effect > 0 else "higher"
        found = (
            f"{way} by {show_number(abs(trial.effect), 2)} ± {show_number(half, 2)}"
            if len(trial.without) > 1
            else "one seed tells nothing"
        )
        return Answer(
            f"After {int(trial.steps[-1])} more steps, {len(trial.without)} seeds: loss "
            f"{show_number(before, 3)} as before, {level} at {factor:g} times the rate{best} ({found}).",
            trial,
        )

    return ask


LOST = ("vanishing-gradients", "exploding-gradients", "dead-units", "saturated-units")
ORDERS: dict[str, Order] = {
    "optimizer": Order(
        "Which parameters are trained?", 1, ("parameters-not-trained", "optimizer-stale-params"), _held
    ),
    "constant": Order("Is the loss better than a constant prediction's?", 1, (), _level),
    "gradient": Order("How long is the gradient?", 1, (), _gradient),
    "validation": Order("And on other data?", 1, ("overfitting",), _validation),
    "layers": Order("What arrives at each layer?", 2, LOST, _layers),
    "noise": Order("How noisy is the gradient?", 2, (), _noise),
    "curvature": Order(
        "What kind of place is it?", 3, ("saddle-point", "symmetric-initialization"), _curvature
    ),
    "few": Order(f"Can it learn {FEW} examples by heart?", 3, (), _few),
    "lower rate": Order(
        "What does a tenth of the rate do?", 3, ("learning-rate-too-large", "noise-floor"), _rates(0.1)
    ),
    "higher rate": Order(
        "What do higher rates do?", 3, ("learning-rate-too-small",), _rates(10.0, 100.0, 1000.0)
    ),
}


def order(case: Case, name: str) -> Answer:
    """The answer to one order. What cannot be measured says so.

    Raises
    ------
    InputError : a name that is not on the list.
    """
    if name not in ORDERS:
        raise InputError(f"order {name!r}", allowed=f"one of {list(ORDERS)}")

    try:
        with same_random_state():
            found = ORDERS[name].ask(case)
    except DiagkitError as error:
        found = Answer(f"This cannot be measured here: {error}")
    return replace(found, order=name)


def telling(cause: str) -> str | None:
    """The cheapest order that can show this cause by itself; None where the log, or no single one, does.

    Example
    -------
    >>> telling("dead-units"), telling("healthy")
    ('layers', None)
    """
    able = [name for name, one in ORDERS.items() if cause in one.tells]
    return min(able, key=lambda name: ORDERS[name].price, default=None)
