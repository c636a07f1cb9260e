"""How often is the diagnosis right? All patients of the clinic, in two halves, as Markdown.

    python benchmarks/triage_score.py [NAME ...] [--half HALF] [--seeds 0 1] [--budget 60] [--json OUT]

Rules may be made on the development half only; the held-out half has other data and other models.
An answer of "undecided" is counted apart from a wrong one. A fault given to a healthy run is a false alarm.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import diagkit as dk
from diagkit.clinic.patient import WELL


def examine(name: str, seed: int, budget: float) -> dict[str, Any]:
    """Diagnose one patient."""
    patient = dk.clinic.patient(name, seed)
    started = time.perf_counter()
    try:
        report = dk.diagnose(**patient.arguments(), budget=budget)
        cause, complete = report.cause, report.complete
    except dk.DiagkitError as error:
        cause, complete = f"error: {type(error).__name__}", False
    seconds = time.perf_counter() - started
    outcome = (
        "right"
        if patient.accepts(cause)
        else "undecided"
        if cause == "undecided"
        else "false alarm"
        if patient.is_well
        else "wrong"
    )
    return {
        "name": name,
        "seed": seed,
        "half": patient.half,
        "cause": patient.cause,
        "answer": cause,
        "outcome": outcome,
        "seconds": round(seconds, 2),
        "complete": complete,
    }


def group(cause: str) -> str:
    """The three ways to be well are one class; they are told apart in the list only."""
    return "well" if cause in WELL else cause


def scores(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Recall and precision per cause; an accepted other id counts for the patient's own cause."""
    answers = [
        (group(r["cause"]), group(r["cause"] if r["outcome"] == "right" else r["answer"])) for r in rows
    ]
    table = []
    for cause in sorted({true for true, _ in answers} | {said for _, said in answers}):
        true, said = sum(t == cause for t, _ in answers), sum(a == cause for _, a in answers)
        both = sum(t == a == cause for t, a in answers)
        table.append(
            {
                "cause": cause,
                "patients": true,
                "recall": both / true if true else None,
                "precision": both / said if said else None,
            }
        )
    return table


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts of outcomes, and the median time of a diagnosis."""
    count = Counter(r["outcome"] for r in rows)
    well = sum(group(r["cause"]) == "well" for r in rows)
    return {
        "patients": len(rows),
        "right": count["right"],
        "wrong": count["wrong"],
        "undecided": count["undecided"],
        "false alarms": count["false alarm"],
        "well": well,
        "out of time": sum(not r["complete"] for r in rows),
        "median seconds": statistics.median(r["seconds"] for r in rows),
    }


def line(cells: list[Any]) -> str:
    shown = ["-" if c is None else f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells]
    return "| " + " | ".join(shown) + " |"


def markdown(rows: list[dict[str, Any]]) -> str:
    """Totals, recall and precision, confusion, and what went wrong, for each half."""
    text = []
    for half in sorted({r["half"] for r in rows}):
        here = [r for r in rows if r["half"] == half]
        total = totals(here)
        text += [
            f"## {half} half",
            "",
            line(list(total)),
            line(["---"] * len(total)),
            line([*total.values()]),
        ]
        table = scores(here)
        text += ["", line(list(table[0])), line(["---"] * 4), *(line([*row.values()]) for row in table)]
        said = sorted({r["answer"] for r in here})
        text += ["", line(["true \\ answer", *said]), line(["---"] * (len(said) + 1))]
        for cause in sorted({r["cause"] for r in here}):
            count = Counter(r["answer"] for r in here if r["cause"] == cause)
            text.append(line([cause, *(count[a] or "" for a in said)]))
        missed = [r for r in here if r["outcome"] != "right"]
        text += [
            "",
            *(f"- {r['name']} (seed {r['seed']}): {r['answer']}, not {r['cause']}" for r in missed),
            "",
        ]
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="patients (all)")
    parser.add_argument("--half", choices=["development", "held-out"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write one record per patient here")
    arguments = parser.parse_args()
    halves = dk.clinic.halves()
    names = arguments.names or [n for n, half in halves.items() if arguments.half in (None, half)]
    rows = []
    for name in names:
        for seed in arguments.seeds:
            rows.append(examine(name, seed, arguments.budget))
            print(json.dumps(rows[-1]), flush=True) if arguments.json else None
    print(markdown(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
