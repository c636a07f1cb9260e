"""Series on their steps: which of them share an axis, and what a NaN among them means."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from diagkit.errors import InputError
from diagkit.training.series_names import is_validation


def place_validation(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give every history a ``step`` and, where there is validation, a ``val_step``."""
    if "step" not in arrays:
        own = arrays.get("val_step", np.empty(0))
        per_step = [v for n, v in arrays.items() if not is_validation(n) or len(v) != len(own)]
        if (
            not per_step and "val_step" not in arrays
        ):  # nothing but a validation loss, one entry per epoch, say
            per_step = list(arrays.values())
        arrays["step"] = np.arange(float(len(per_step[0]))) if per_step else own.copy()
    if "val_step" not in arrays and "val_loss" in arrays:
        if len(arrays["val_loss"]) != len(arrays["step"]):
            raise InputError(
                f"val_loss with {len(arrays['val_loss'])} entries for {len(arrays['step'])} steps "
                "and no val_step",
                allowed="a val_step as long as val_loss, or a val_loss with one entry per step",
                write="'val_step': [the step after which each validation was made]",
            )
        measured = ~np.isnan(arrays["val_loss"])
        at = [n for n, v in arrays.items() if is_validation(n) and len(v) == len(measured)]
        for (
            name
        ) in at:  # another validation series keeps its place beside the loss only where there is a loss
            if name == "val_loss" or not np.any(~np.isnan(arrays[name]) & ~measured):
                arrays[name] = arrays[name][measured]
        arrays["val_step"] = arrays["step"][measured]
    return arrays


def check_lengths(arrays: dict[str, np.ndarray], given: Collection[str]) -> None:
    """Per-step series share one length, validation series another; names those that were ``given``."""
    if "val_step" in arrays and "val_loss" in arrays and len(arrays["val_step"]) != len(arrays["val_loss"]):
        raise InputError(
            f"val_step with {len(arrays['val_step'])} entries and val_loss with {len(arrays['val_loss'])}",
            allowed="one length for both",
        )
    own = len(arrays["val_step"]) if "val_step" in arrays else -1
    size = len(arrays["step"])
    lengths = {
        name: len(values)
        for name, values in arrays.items()
        if name != "val_step" and not (is_validation(name) and len(values) == own)
    }
    if any(length != size for length in lengths.values()):
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items() if name in given)
        raise InputError(
            f"series of different lengths: {shown}",
            allowed="one length for all per-step series; val_step and val_loss may be shorter",
            write="None (or nan) for the steps at which nothing was logged",
        )


def check_steps(name: str, steps: np.ndarray) -> None:
    """Steps are whole numbers that increase."""
    whole = np.isfinite(steps) & (steps == np.floor(steps))
    if not whole.all():
        i = int(np.argmin(whole))
        raise InputError(
            f"{name}[{i}] = {steps[i]:g}",
            allowed="whole numbers that increase",
            write="'epoch' for a series of epochs, and no step",
        )
    if len(steps) > 1 and not (np.diff(steps) > 0).all():
        i = int(np.argmin(np.diff(steps) > 0))
        raise InputError(
            f"{name} that goes from {steps[i]:g} to {steps[i + 1]:g} at entry {i + 1}",
            allowed="steps that increase, each once",
            write="one history per run, sorted by step",
        )


def first_non_finite(loss: np.ndarray, missing: np.ndarray, shortest: int) -> int | None:
    """Index of the first entry that was certainly a NaN or Inf, and not merely an unlogged step.

    A loss that is logged every k steps leaves gaps of k - 1 NaN, at the end too: NaN at the end speaks of
    divergence only if they are at least ``shortest`` and more than in any gap before.
    """
    infinite = np.flatnonzero(np.isinf(loss))
    gaps, length = [0], 0
    for absent in np.isnan(loss):
        length = length + 1 if absent else 0
        gaps.append(length)
    candidates = [int(infinite[0])] if infinite.size else []
    end = len(loss) - length
    written = np.flatnonzero(~missing[end:])
    if len(written) >= shortest and length > max(gaps[: end + 1]):
        candidates.append(end + int(written[0]))
    return min(candidates, default=None)
