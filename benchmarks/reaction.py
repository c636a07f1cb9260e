"""How fast panels react: the first picture, a control where nothing is computed, the stop button.

    python benchmarks/reaction.py [panel ...]

The kernel's share, in milliseconds; what the browser adds is not in it. Each figure comes from a process of
its own where ``diagkit.widgets`` is imported already, as in a notebook. *First*: from the panel's name to its
first picture. *Change*: from the control to the picture that ipympl sends, the first ones not counted.
*Stop*: from the button to the end of the work, pressed at several times.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from diagkit import Objective, clinic
from diagkit.widgets import (
    BatchSizePanel,
    Canvas,
    ClinicPanel,
    CriticalPointPanel,
    LabelLossPanel,
    NoisePanel,
    NormalizationPanel,
    Panel,
    ScalingPanel,
    SurfacePanel,
    ValleyPanel,
)

ROUNDS = 12
STOPS = (0.05, 0.2, 0.5, 1.0, 1.7, 2.5, 4.0)  # seconds after the start
AnyPanel = Panel[Any, Any]


def surface() -> AnyPanel:
    X, y = clinic.digits()
    model = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
    loss = torch.nn.functional.cross_entropy
    parts = (X[:400], y[:400]), (X[400:800], y[400:800])
    return SurfacePanel(*(Objective(model, loss, part) for part in parts))


def clinic_with_report() -> AnyPanel:
    panel = ClinicPanel()
    panel.change(guess=panel.settings.causes[0])
    return panel


PANELS: dict[str, Callable[[], AnyPanel]] = {
    "critical point": CriticalPointPanel,
    "surface": surface,
    "batch size": BatchSizePanel,
    "valley": ValleyPanel,
    "scaling": ScalingPanel,
    "normalization": NormalizationPanel,
    "losses": LabelLossPanel,
    "noise": NoisePanel,
    "clinic": clinic_with_report,
}
# Values that go round. Those of the first three panels concern the view alone, the others are known results.
CHANGES: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("critical point", "step", (20, 40, -40, 0)),
    ("critical point", "direction", ("highest", "lowest")),
    ("surface", "a", (0.0, 0.2, -0.4)),
    ("surface", "data", ("validation", "training")),
    ("batch size", "over", ("epochs", "seconds", "steps")),
    ("valley", "rate", (0.03, 0.02)),
    ("scaling", "kind", ("z-score", "none")),
    ("normalization", "kind", ("batch", "none")),
    ("losses", "head_start", (0.0, 10.0)),
    ("noise", "c", (0.3, 0.55)),
    ("clinic", "ordered", (("constant",), ())),
)


async def first(name: str) -> float:
    began = time.perf_counter()
    panel = PANELS[name]()
    job = panel.start()
    while not any(canvas.figure.axes for canvas in _canvases(panel)):
        await asyncio.sleep(0.001)
    _send(panel)
    taken = 1000 * (time.perf_counter() - began)
    job.stop()
    while job.is_running:
        await asyncio.sleep(0.001)
    return taken


def change(panel: AnyPanel, name: str, value: Any) -> float:
    began = time.perf_counter()
    panel.change(**{name: value})
    _send(panel)
    return 1000 * (time.perf_counter() - began)


def _send(panel: AnyPanel) -> None:
    for canvas in _canvases(panel):
        live = canvas.figure.canvas
        live.syncing_data_url = False  # as soon as a browser shows it
        if canvas.figure.stale:
            live.draw()  # and sends


def _canvases(panel: Any) -> Iterator[Canvas]:
    for owner in (panel, getattr(panel, "view", None)):
        yield from {
            id(one): one for one in vars(owner or object).values() if isinstance(one, Canvas)
        }.values()


async def stop(make: Callable[[], AnyPanel], after: float) -> float | None:
    """None where the work had ended by then."""
    panel = make()
    job = panel.start()
    await asyncio.sleep(after)
    if not job.is_running:
        return None
    began = time.perf_counter()
    panel.stop()
    while job.is_running:
        await asyncio.sleep(0.001)
    return 1000 * (time.perf_counter() - began)


def changes(name: str, setting: str) -> list[float]:
    """After two rounds, in which everything becomes known."""
    panel, values = PANELS[name](), {(n, s): v for n, s, v in CHANGES}[name, setting]
    for value in values * 2:
        panel.change(**{setting: value})
        panel.run()
        change(panel, setting, value)
    return [change(panel, setting, values[i % len(values)]) for i in range(ROUNDS)]


def alone(what: str, *names: str) -> list[float]:
    """In a process of its own: a heap full of other panels slows down the garbage collector."""
    command = [sys.executable, __file__, what, *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--first"]:
        print(asyncio.run(first(arguments[1])))
    elif arguments[:1] == ["--stop"]:
        ends = [asyncio.run(stop(PANELS[arguments[1]], after)) for after in STOPS]
        print(*(end for end in ends if end is not None))
    elif arguments[:1] == ["--change"]:
        print(*changes(*arguments[1:]))
    else:
        tables([name for name in PANELS if not arguments or name in arguments])


def tables(asked: list[str]) -> None:
    print("| panel | first picture | stop, worst |\n|---|---|---|")
    for name in asked:
        (began,), ends = alone("--first", name), alone("--stop", name)
        print(f"| {name} | {began:.0f} ms | {max(ends):.0f} ms of {len(ends)} |", flush=True)
    print("\n| change | median | worst |\n|---|---|---|")
    for name, setting, _ in CHANGES:
        if name in asked:
            taken = alone("--change", name, setting)
            words = f"| {name}: {setting} | {statistics.median(taken):.0f} ms | {max(taken):.0f} ms |"
            print(words, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
