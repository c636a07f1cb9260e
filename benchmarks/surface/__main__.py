"""Rerun every comparison and print the tables; ``--quick`` leaves out the GPT and most of the draws."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.curvature.__main__ import machine, markdown
from benchmarks.surface import accuracy, coverage, facts, speed
from benchmarks.surface.cases import BRUTE_FORCE, EXAMPLES, GOAL, RESOLUTION, TOL

RESULTS = Path(__file__).parents[1] / "results"
OFTEN = 0.9  # of the draws
PARTS = ("accuracy", "speed", "facts", "coverage")


def goal(frame: pd.DataFrame) -> str:
    """In words: where the goal of a twentieth of the passes is met and where it is missed."""
    lines = []
    for model, part in frame[frame.plane == "random, extent 1"].groupby("model", sort=False):
        met, passes = int((part.passes <= GOAL).sum()), part.passes
        word = "met" if met == len(part) else "missed" if met == 0 else "met in part"
        lines.append(
            f"- {model}: {word}, {met} of {len(part)} planes; median {passes.median():.0f} passes "
            f"({BRUTE_FORCE / passes.median():.0f} times fewer), {passes.min()} to {passes.max()}."
        )
    head = f"The goal is 1/20 of {BRUTE_FORCE} passes, {GOAL}, on random planes of extent 1:"
    return "\n".join([head, "", *lines])


def accuracy_part(quick: bool) -> str:
    frame = accuracy.run(("mlp", "cnn") if quick else tuple(EXAMPLES))
    columns = ["model seed", "hidden", "fewer", "brute force CPU s"]
    table = markdown(accuracy.summary(frame))
    return (
        f"## Passes and errors\n\n{accuracy.__doc__}\n{table}\n\n{goal(frame)}\n\n"
        f"### Every surface\n\n{markdown(frame.drop(columns=columns))}"
    )


def speed_part(quick: bool) -> str:
    frame = speed.run(("mlp", "cnn") if quick else tuple(EXAMPLES), quick)
    means = frame.groupby("peer", sort=False)[["ratio", "ratio in hindsight"]].agg(
        lambda ratios: float(np.exp(np.log(ratios.dropna()).mean()))
    )
    lines = [
        f"- {peer}: {row['ratio']:.1f}, in hindsight {row['ratio in hindsight']:.2f}"
        for peer, row in means.iterrows()
    ]
    return (
        f"## CPU time against peers\n\n{speed.__doc__}\n{markdown(frame)}\n\n"
        "Geometric means of the ratios, its seconds over ours:\n\n" + "\n".join(lines)
    )


def facts_part(quick: bool) -> str:
    return f"## What a call does beside drawing\n\n{facts.__doc__}\n{markdown(facts.run())}"


def coverage_part(quick: bool) -> str:
    frame = coverage.run(4 if quick else 16, (0,) if quick else (0, 1))
    is_real = frame.family.str.startswith("digits")
    groups = frame.assign(group=np.where(is_real, "digits MLP, all planes", "synthetic, all families"))
    return (
        f"## Coverage\n\n{coverage.__doc__}\n{markdown(coverage.summary(groups, 'group'))}\n\n"
        f"{not_held(frame)}\n\n{markdown(coverage.summary(frame))}\n\n"
        f"### Where the stated error was farthest too good\n\n{markdown(coverage.worst(frame))}"
    )


def not_held(frame: pd.DataFrame) -> str:
    """In words: the families in which the stated error is too good more often than rarely."""
    honest = frame.groupby("family", sort=False).honest.mean()
    named = [f"{family} ({share:.0%})" for family, share in honest.items() if share < OFTEN]
    return f"The stated error held in fewer than {OFTEN:.0%} of the draws of: {', '.join(named) or 'none'}."


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.surface", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=PARTS)
    asked = parser.parse_args()
    made = dict(zip(PARTS, (accuracy_part, speed_part, facts_part, coverage_part), strict=True))
    examples = ", ".join(f"{name} {count}" for name, count in EXAMPLES.items())
    parts = [
        f"# Surfaces against public peers\n\n{machine()}. Processor time of the process, medians of repeats: "
        f"the machine did other work too.\n\nModels of the curvature benchmark, on so many examples: "
        f"{examples}. tol = {TOL}, {RESOLUTION} x {RESOLUTION} cells."
    ]
    for name in PARTS if asked.only is None else (asked.only,):
        print(name, flush=True)
        parts.append(made[name](asked.quick))
    text = "\n\n".join(parts) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    whole = asked.only is None and not asked.quick
    path = RESULTS / ("surface.md" if whole else f"surface-{asked.only or 'quick'}.md")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
