"""One term of the loss rules, and another stays where outputs that ignore the inputs would leave it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from diagkit.diagnosis import scales
from diagkit.diagnosis.audit.loss_terms import reweighted, terms_of
from diagkit.diagnosis.audit.probe import probe
from diagkit.diagnosis.audit.repair import apart, bench_of, trained_on
from diagkit.diagnosis.audit.term_levels import TermLevel, gradient_ratio, term_levels
from diagkit.diagnosis.bench import Bench
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.curve import fall_between_halves
from diagkit.diagnosis.trial import Trial
from diagkit.diagnosis.twin import can_start_afresh, start_afresh
from diagkit.errors import InputError
from diagkit.objective import Step, Stepwise

LESS = (
    1e-4  # of their weight is left to the other terms: next to nothing, but no direction is without a slope
)
LONGER = 2  # times the steps of other trials, since only three arms are run
MOST_TRIED = 2  # terms that stay at the level of constant outputs


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"terms": 1, "stuck": [], "name": "", "value": 0.0, "constant": 0.0}
    numbers |= {"helps": False, "level": None}
    found = probe(case)
    levels = None if found is None else term_levels(found)
    if found is None or levels is None:
        return Evidence(numbers)
    numbers["terms"] = len(levels)
    total = sum(abs(level.value) for level in levels)
    stuck = [index for index, level in enumerate(levels) if learned_nothing(level)]
    trial = None
    for index in sorted(stuck, key=lambda i: levels[i].value)[:MOST_TRIED]:
        level = levels[index]
        if level.value > 0.5 * total and still_falls(case):
            continue  # the loss is mostly this term, and it is on its way
        tried = weighed_anew(case, index, level, gradient_ratio(found, index))
        if tried is None:
            continue
        trial, helps = tried
        numbers |= {"name": called(levels, index), "value": level.value, "constant": level.constant}
        numbers |= {"helps": helps, "level": trial.level}
        if helps:
            break
    numbers["stuck"] = [called(levels, index) for index in stuck]
    return Evidence(numbers, () if trial is None else (trial,), trial)


def learned_nothing(level: TermLevel) -> bool:
    """The term gains no tenth of what the best constant outputs leave of it."""
    return level.has_a_level and level.value >= (1 - scales.MATERIAL_LOSS) * level.constant


def still_falls(case: Case) -> bool:
    trend = case.trend
    return trend is not None and trend.is_falling and trend.fall >= scales.STILL_FALLING * case.unit


def called(levels: list[TermLevel], index: int) -> str:
    """Its place in the sum, and the function it comes from where that says something."""
    name = levels[index].name
    telling = any(word in name for word in ("loss", "entropy", "div", "norm", "logits"))
    return f"term {index + 1} of {len(levels)}" + (f" ({name})" if telling and name != "div" else "")


def weighed_anew(case: Case, index: int, level: TermLevel, ratio: float) -> tuple[Trial, bool] | None:
    """Less weight for the other terms: does this one come down? None where it does so by itself.

    Its own weight is raised by the ratio of gradients, so that steps stay as long as they are. Looked at is
    the term alone, as it enters the loss now, on examples that were not trained on: from here, and from a
    fresh start, since a network that was pulled flat may not rise again in the steps of a trial.
    """
    own = case.step or Stepwise.of_pairs(case.loss_fn).step
    try:
        trained, seen = apart(case.read)  # what is learned by heart is not learned
        num_steps = LONGER * case.bench.num_steps
        bench = bench_of(case, alone(own, index), seen, trained=trained, num_steps=num_steps)
    except InputError:  # the term is no loss by itself
        return None
    more = max(ratio, 1.0)
    changed = reweighted(own, lambda i, n: more if i == index else more * LESS)
    words = ("terms weighted as they are", f"the other terms at {LESS:g} of their weight")
    as_is, less = trained_on(own, words[0]), trained_on(changed, words[1])
    mean, half = fall_between_halves(bench.run(as_is).loss[:, 1:].clip(max=bench.ceiling))
    if mean > max(scales.STILL_FALLING * level.constant, half):
        return None
    trial = bench.compare(less, as_is)
    if brings_down(trial, bench, level) or not can_start_afresh(case.model):
        return trial, brings_down(trial, bench, level)
    remedy, reference = (
        trained_on(step, f"freshly initialized, {text}", start_afresh)
        for step, text in zip((changed, own), reversed(words), strict=True)
    )
    trial = bench.compare(remedy, reference)
    return trial, brings_down(trial, bench, level)


def alone(step: Step, index: int) -> Step:
    """The loss of one term."""

    def term(model: nn.Module, payload: Any) -> Tensor:
        loss, parts = terms_of(step, model, payload)
        return parts[index].term if index < len(parts) else loss

    return term


def brings_down(trial: Trial, bench: Bench, level: TermLevel) -> bool:
    """Beyond the interval, and by a fifth of the level of constant outputs, below that level."""
    worth = scales.LARGE * level.constant
    return trial.interval[0] > 0 and trial.effect > worth and trial.level <= bench.objective.loss() - worth


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if evidence["terms"] < 2:
        return "Nothing to balance: the loss is not seen to be a sum of terms."
    if not evidence["stuck"]:
        return f"Yes: of {evidence['terms']} terms none is stuck where constant outputs would leave it."
    if not evidence["name"]:
        return f"Not to be told: {', '.join(evidence['stuck'])} has learned nothing yet, but falls by itself."
    state = (
        f"{evidence['name']} is at {evidence['value']:.3g}, and outputs that ignore the inputs would give "
        f"{evidence['constant']:.3g}"
    )
    if judgement.verdict == "supported":
        return f"No: {state}; with the other terms all but left out it falls to {evidence['level']:.3g}."
    return f"It is not the weights: {state}, and no less with the other terms all but left out."


CHECK = Check(
    cause="loss-terms-unbalanced",
    meaning="one term of the loss rules, another stays at what a constant prediction gives",
    question="Are the terms of the loss in balance?",
    rung=3.46,
    rank=1.75,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Give the other terms far less weight than {evidence['name']}, or raise theirs slowly from 0 (a "
        "divergence, a penalty); average all terms over the same elements, and log each by itself."
    ),
    code="weight = min(1.0, step / warmup_steps) * final_weight\nloss = data_term + weight * other_term",
    source="terms seen while they are summed, against their best constant outputs; other weights tried; "
    "Bowman et al. 2016, arXiv:1511.06349; Chen et al. 2018, arXiv:1711.02257",
    group="able",
)
