"""A consultation: a run whose cause is hidden, measurements ordered one by one, a guess, the report."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diagkit.clinic import Patient
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.loss_curve import LossCurve
from diagkit.diagnosis.orders import ORDERS, Answer, order, telling
from diagkit.diagnosis.report import Report
from diagkit.diagnosis.triage import diagnose
from diagkit.errors import InputError
from diagkit.objective import batch_size_of
from diagkit.result import Result
from diagkit.training import as_history
from diagkit.work import StoppedError, interrupted, progress

POINTS = 10  # to spend on one patient
SECONDS = (
    300.0  # so much that a busy machine does not measure on fewer examples, which would be other numbers
)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Consultation(Result):
    """What is known of a run so far, and what it cost to know it.

    Attributes
    ----------
    card : model, optimizer and data in one line. curve : of the log, None without one. level : loss of the
        best constant prediction where that was ordered. answers : in the order in which they were asked for.
    spent : points of ``budget``. guess : the cause that was named, None before. report : of ``dk.diagnose``,
        None before the guess. right : is the guess right? cause : what it is; both None before the guess.
    would_tell : the cheapest order that shows the cause by itself; None before the guess, or where none does.
    """

    card: str
    curve: LossCurve | None
    level: float | None
    answers: tuple[Answer, ...]
    spent: int
    budget: int
    guess: str | None = None
    report: Report | None = None
    cause: str | None = None
    right: bool | None = None
    would_tell: str | None = None

    def summary(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"orders": len(self.answers), "spent": self.spent, "guess": self.guess}
        return facts if self.guess is None else facts | {"cause": self.cause, "right": self.right}


class Consulted:
    """One run, and all that was measured of it; answers are kept, so that nothing is paid for twice.

    Parameters
    ----------
    patient : one of the clinic, or the arguments of ``dk.diagnose`` as a mapping. seed : of the measurements.

    Raises
    ------
    InputError : neither of the two, or arguments that ``dk.diagnose`` does not know.
    """

    def __init__(self, patient: Patient | Mapping[str, Any], *, seed: int = 0) -> None:
        self.patient = patient if isinstance(patient, Patient) else None
        if not isinstance(patient, Patient | Mapping):
            raise InputError(
                f"a patient of type {type(patient).__name__}",
                allowed="a Patient of the clinic, or the arguments of dk.diagnose",
                write='{"model": model, "loss_fn": loss_fn, "train_data": data}',
            )
        known = set(inspect.signature(diagnose).parameters) - {"budget", "seed"}
        self.arguments: dict[str, Any] = dict(patient.arguments() if self.patient else patient)  # type: ignore
        unknown = sorted(self.arguments.keys() - known)
        if unknown or not {"model", "train_data"} <= self.arguments.keys():
            given = f"argument {unknown[0]!r}" if unknown else "no model or no train_data"
            raise InputError(given, allowed=f"those of dk.diagnose: {sorted(known)}")
        self.seed = seed
        self.arguments["history"] = as_history(self.arguments.get("history"))
        self.case = Case(**{"loss_fn": None, **self.arguments}, budget=SECONDS, seed=seed)
        self._answers: dict[str, Answer] = {}
        self._report: Report | None = None

    @property
    def card(self) -> str:
        """Model, optimizer and data in one line; nothing that was measured."""
        model, optimizer = self.case.model, self.case.optimizer
        parts = [f"{type(m).__name__}" for m in model.modules() if not list(m.children())]
        shown = " → ".join(parts[:7]) + (" → …" if len(parts) > 7 else "")
        count = sum(p.numel() for p in model.parameters())
        how = "no optimizer given"
        if optimizer is not None:
            group = optimizer.param_groups[0]
            momentum = f", momentum {group['momentum']:g}" if group.get("momentum") else ""
            how = f"{type(optimizer).__name__} at {float(group['lr']):g}{momentum}"
        loss = self.case.loss_fn
        name = "own step" if loss is None else getattr(loss, "__name__", type(loss).__name__)
        read = sum(batch_size_of(payload) for payload in self.case.read)
        return (
            f"{shown} ({count} parameters); {name}; {how}; {read} examples, batches of {self.case.batch_size}"
        )

    def stages(self, orders: Sequence[str], guess: str | None) -> Iterator[Consultation]:
        """What is known already at once, then each further answer, then the report if there is a guess."""
        spent = check_orders(orders)
        curve, card = self.case.curve, self.card

        def now(**more: Any) -> Consultation:
            answers = tuple(self._answers[name] for name in orders if name in self._answers)
            level = self.case.baseline if any(a.order == "constant" for a in answers) else None
            known: dict[str, Any] = {"card": card, "curve": curve, "level": level, "answers": answers}
            return Consultation(**known, spent=spent, budget=POINTS, seed=self.seed, **more)

        yield now()
        with progress("orders", len(orders)) as advance:
            for name in orders:
                if name not in self._answers:
                    try:
                        self._answers[name] = order(self.case, name)
                    except StoppedError:
                        return
                    yield now(complete=not interrupted())
                if interrupted():
                    return
                advance(1)
        if guess is None:
            return
        if self._report is None:
            self._report = diagnose(**{"loss_fn": None, **self.arguments}, seed=self.seed)
        report = self._report
        cause = report.cause if self.patient is None else self.patient.cause
        right = self._accepts(guess, report)
        found: dict[str, Any] = {"guess": guess, "report": report, "cause": cause, "right": right}
        yield now(**found, would_tell=telling(cause), complete=report.complete)

    def _accepts(self, guess: str, report: Report) -> bool:
        if self.patient is not None:
            return self.patient.accepts(guess)
        return guess == report.cause or (guess == "healthy" and report.is_well)


def check_orders(orders: Sequence[str]) -> int:
    """What these cost together.

    Raises
    ------
    InputError : a name that is not on the list or comes twice, or more than the budget.

    Example
    -------
    >>> check_orders(["constant", "layers"])
    3
    """
    for name in orders:
        if name not in ORDERS:
            raise InputError(f"order {name!r}", allowed=f"one of {list(ORDERS)}")
        if list(orders).count(name) > 1:
            raise InputError(f"order {name!r} twice", allowed="each once: its answer stays")
    spent = sum(ORDERS[name].price for name in orders)
    if spent > POINTS:
        raise InputError(f"orders for {spent} points", allowed=f"at most {POINTS} for one patient")
    return spent


def consult(
    patient: Patient | Mapping[str, Any],
    orders: Sequence[str] = (),
    guess: str | None = None,
    *,
    seed: int = 0,
) -> Consultation:
    """Order measurements of a run, name its cause, and see the report of ``dk.diagnose``.

    Without a guess there is no report: what the cause is stays unknown. Nothing of the run is changed.

    Parameters
    ----------
    patient : one of ``dk.clinic``, or the arguments of ``dk.diagnose`` as a mapping.
    orders : names on the list ``diagkit.diagnosis.ORDERS``, paid for with 10 points. guess : id of a cause.

    Raises
    ------
    InputError : an order that is not on the list, comes twice, or is beyond the budget.

    Example
    -------
    >>> import diagkit as dk
    >>> seen = dk.diagnosis.consult(dk.clinic.patient("frozen-body"), ["optimizer"])
    >>> seen.spent, seen.answers[0].words[:35]
    (1, '44 % of the 750 parameters are trai')
    """
    *_, last = Consulted(patient, seed=seed).stages(orders, guess)
    return last
