"""Markdown: tables, verdicts, and on what it was measured."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import torch

from diagkit.experiments.study import Study

Markdown = list[str]


def machine() -> str:
    return f"{date.today()}; torch {torch.__version__}, {os.cpu_count()} cores of a CPU, one thread per run"


def table(header: list[str], rows: Iterable[list[Any]]) -> Markdown:
    shown = [
        header,
        ["---"] * len(header),
        *([str(cell).replace("|", r"\|") for cell in row] for row in rows),
    ]
    return [f"| {' | '.join(row)} |" for row in shown] + [""]


def verdicts(study: Study) -> Markdown:
    rows = [
        [
            v.claim,
            f"**{v.verdict}**",
            f"{v.value:.3g} [{v.interval[0]:.3g}, {v.interval[1]:.3g}]",
            v.unit,
            v.count,
        ]
        for v in study.verdicts
    ]
    return table(["claim", "verdict", "effect, 95 % interval", "unit", "n"], rows)


def inside(folder: Path | None, name: str) -> Path | None:
    return None if folder is None else folder / name
