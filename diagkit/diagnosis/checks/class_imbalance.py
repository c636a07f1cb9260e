"""The loss sits at the majority-class solution: rare classes are never predicted, though they could be."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diagkit.diagnosis import arms, scales
from diagkit.diagnosis.audit.classes import balanced, class_counts, split
from diagkit.diagnosis.audit.labels import table
from diagkit.diagnosis.audit.repair import bench_of, lowers, shown
from diagkit.diagnosis.baseline import constant_prediction_loss
from diagkit.diagnosis.bench import Bench
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.trial import Trial
from diagkit.objective import Stepwise

UNEVEN = 3.0  # times its even share, from which the most frequent class is called a majority
ADAM_RATE = 1e-2
HALF = 0.5  # of what can be learned must be missed where the classes are shown as they come
NEVER = (
    0.1  # predictions of the others over their occurrence, below which they are as good as never predicted
)


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"share": None, "classes": 0, "others": None, "suspect": False, "helps": False}
    found = class_counts(case)
    if found is None:
        return Evidence(numbers)
    kinds = int((found.counts > 0).sum())
    numbers |= {"share": found.share, "classes": kinds, "others": found.others_predicted}
    odds = found.share / max(1 - found.share, 1e-12)
    uneven = kinds > 1 and odds * (kinds - 1) >= UNEVEN
    numbers["suspect"] = uneven and found.others_predicted < NEVER and case.is_high
    if not numbers["suspect"]:
        return Evidence(numbers)
    known = table(case)
    assert known is not None
    trained, seen = split(found.labels, case.seed)
    drawn, looked_at = (balanced(found.labels, case.seed, among) for among in (trained, seen))
    step = case.step or Stepwise.of_pairs(case.loss_fn).step

    def batch(chosen: Tensor) -> Any:
        return case.everything.fixed.to_model((known.inputs[chosen], known.targets[chosen]))

    bench = bench_of(case, step, [batch(looked_at)], trained=[batch(drawn)])
    come = [batch(part) for part in trained.split(case.batch_size) if len(part) > 1]
    trial = bench.compare(arms.AS_IS, shown(come, "classes as they come"))
    numbers["helps"] = lowers(trial) and _learns(case, bench, trial)
    if not numbers["helps"]:  # the rate in use may be too low to learn them in the steps of a trial
        adam = arms.adam(ADAM_RATE)
        again = bench.compare(adam, shown(come, "classes as they come, Adam", adam.change))
        numbers["helps"] = lowers(again) and _learns(case, bench, again)
        trial = again if numbers["helps"] else trial
    return Evidence(numbers, (trial,), trial)


def _learns(case: Case, bench: Bench, trial: Trial) -> bool:
    """Below the best constant prediction over balanced classes, and by more than with classes as they come.

    On examples that neither was shown: what is learned by heart does not count. Else the rare ones cannot be
    told at all, or would have been in time.
    """
    if case.loss_fn is None:
        return True
    with bench.objective.quiet():
        least = constant_prediction_loss(case.twin().model.eval(), case.loss_fn, bench.objective.batches)
    if least is None:
        return True
    learned = least - trial.level
    return learned > scales.MATERIAL_LOSS * least and trial.effect >= HALF * learned


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if evidence["share"] is None:
        return "Cannot be seen: the targets are not classes."
    text = (
        f"{100 * evidence['share']:.3g} % of the labels are of one class of {evidence['classes']}; the "
        f"others are predicted {evidence['others']:.2g} times as often as they occur"
    )
    if judgement.verdict == "supported":
        return f"Yes: {text}. Shown all classes equally often, the loss over balanced classes ends lower."
    return f"No: {text}" + ("; showing all equally often gains nothing." if evidence["suspect"] else ".")


CHECK = Check(
    cause="class-imbalance",
    meaning="the loss sits at the majority-class solution",
    question="Does the model predict the most frequent class only?",
    group="high",
    rung=3.5,
    rank=0.95,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Show the classes equally often, or weight the loss; judge by balanced accuracy, not the mean loss."
    ),
    code="weights = 1.0 / torch.bincount(y).float()\n"
    "sampler = torch.utils.data.WeightedRandomSampler(weights[y], len(y))",
    source="predictions counted; tried with balanced batches, both arms looked at over balanced classes",
)
