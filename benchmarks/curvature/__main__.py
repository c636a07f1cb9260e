"""Rerun every comparison and print the tables; ``--quick`` leaves out the GPT and the repeats."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.curvature import memory, products, speed

RESULTS = Path(__file__).parents[1] / "results"


def machine() -> str:
    """The day and the machine, in words."""
    cores = f"one thread of a machine with {os.cpu_count()} cores ({platform.machine()}), no GPU"
    return f"{datetime.date.today().isoformat()}, {cores}, PyTorch {torch.__version__}"


def markdown(frame: pd.DataFrame) -> str:
    def cell(value: object) -> str:
        if isinstance(value, float):
            return "-" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
        return str(value)

    rows = [list(frame.columns), ["---"] * frame.shape[1]]
    rows += [[cell(v) for v in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curvature", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["speed", "products", "memory"])
    asked = parser.parse_args()
    parts = [f"# Curvature against public peers\n\n{machine()}"]
    if asked.only in (None, "speed"):
        print("top five eigenvalues", flush=True)
        names = ("mlp", "cnn") if asked.quick else ("mlp", "cnn", "gpt")
        frame = speed.run(names, seeds=(0,) if asked.quick else (0, 1), quick=asked.quick)
        table = speed.summary(frame)
        means = [float(np.exp(np.log(table[c]).mean())) for c in ("ratio plain", "ratio hindsight")]
        parts += [
            f"## Top five eigenvalues\n\n{speed.__doc__}\n{markdown(table)}",
            f"Geometric means of the ratios: plain {means[0]:.2f}, hindsight {means[1]:.2f}.",
            f"### Every solver\n\n{markdown(frame.drop(columns=['P']))}",
        ]
    if asked.only in (None, "products"):
        print("products", flush=True)
        parts.append(f"## Products\n\n{products.__doc__}\n\n{markdown(products.run())}")
    if asked.only in (None, "memory"):
        print("memory", flush=True)
        parts.append(f"## Memory\n\n{memory.__doc__}\n\n{markdown(memory.run())}")
    text = "\n\n".join(parts) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    whole = asked.only is None and not asked.quick
    path = RESULTS / ("curvature.md" if whole else f"curvature-{asked.only or 'quick'}.md")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
