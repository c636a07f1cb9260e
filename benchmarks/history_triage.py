"""How often ``diagnose_history`` is right on curves with known answers, and how often it cries wolf.

    python benchmarks/history_triage.py [--seeds 20] [--write]

``--write`` puts the tables into benchmarks/results/history-triage.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.curve_families import FAMILIES, WELL, Family
from diagkit import diagnose_history

LENGTHS = (50, 200, 1000, 5000, 20000)
NOISES = (0.02, 0.1, 0.3)
HONESTLY = """\
The held-out half is not quite untouched. After a first look at it the rule for a spent schedule was written
anew (it accused every exponential decay), alternating losses were asked for in shorter logs, and the noise of
short logs is estimated otherwise; `idle-after-a-cosine`, added then, was narrowed to runs that had
converged."""
RESULT = Path(__file__).parent / "results" / "history-triage.md"


def answers(family: Family, seeds: range) -> Counter[str]:
    found: Counter[str] = Counter()
    for n in LENGTHS:
        for noise in NOISES:
            for seed in seeds:
                rng = np.random.default_rng([seed, n, int(100 * noise)])
                found[diagnose_history(family.make(rng, n, noise)).cause] += 1
    return found


def table(half: str, seeds: range) -> list[str]:
    lines = [
        "| curves | right answers | runs | right | undecided | false alarms | other |",
        "|---|---|---|---|---|---|---|",
    ]
    alarms = runs_well = right_ill = undecided_ill = wrong_ill = runs_ill = 0
    for family in (f for f in FAMILIES if f.half == half):
        found = answers(family, seeds)
        runs = sum(found.values())
        right = sum(found[c] for c in family.right - {"undecided"} or family.right)
        undecided = 0 if family.right == {"undecided"} else found["undecided"]
        false = sum(v for c, v in found.items() if c not in family.right | WELL | {"undecided"})
        other = ", ".join(f"{c} {v}" for c, v in found.most_common() if c not in family.right | {"undecided"})
        named = ", ".join(sorted(family.right - {"undecided"} or family.right))
        lines.append(
            f"| {family.name} | {named} | {runs} | {right} | {undecided} | {false} | {other or '–'} |"
        )
        if family.is_healthy:
            alarms, runs_well = alarms + false, runs_well + runs
        else:
            runs_ill, right_ill = runs_ill + runs, right_ill + right
            undecided_ill += undecided
            wrong_ill += runs - right - undecided
    lines += [
        "",
        f"False alarms on healthy curves: {alarms} of {runs_well} ({100 * alarms / runs_well:.2f} %). Faulty "
        f"curves: {right_ill} of {runs_ill} named ({100 * right_ill / runs_ill:.1f} %), {undecided_ill} left "
        f"undecided, {wrong_ill} wrong.",
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--half", choices=["development", "held-out"])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    started = time.perf_counter()
    lines = ["# Triage of logs alone", "", __doc__.split("\n")[0], ""]
    for half in [options.half] if options.half else ["development", "held-out"]:
        lines += [f"## {half.capitalize()} families", "", *table(half, range(options.seeds)), ""]
    lengths, noises = ", ".join(map(str, LENGTHS)), ", ".join(map(str, NOISES))
    lines += [
        f"Each family: {lengths} logged losses, noise {noises} of the loss, {options.seeds} seeds. "
        "*right* counts any of the right answers; for a healthy curve *undecided* is no alarm.",
        "",
        HONESTLY,
    ]
    print("\n".join(lines), f"\n{time.perf_counter() - started:.0f} s", sep="\n")
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
