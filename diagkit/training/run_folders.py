"""Which files in a folder are the log of its run: the trainer's own first, then event files, then any log."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEEPEST = 3  # lightning_logs/version_0/metrics.csv, runs/Nov24_12-00-00_host/validation/events...
MOST_FILES = 20_000  # a folder with more is no run folder, and walking on would take long
# Names that trainers give to their logs, the best known first; what else they write lies beside them.
TRAINERS = ("trainer_state.json", "metrics.csv")
SPLITS = {"train", "training", "val", "valid", "validation", "eval", "evaluation", "dev", "test"}
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
PACKED = ".gz"


@dataclass(frozen=True)
class Log:
    """The log of one run: one file, or the event files of a ``folder`` and of its subfolders."""

    folder: Path
    files: tuple[Path, ...]

    @property
    def is_events(self) -> bool:
        return is_event_file(self.files[0])

    @property
    def path(self) -> Path:
        """What stands for the log in a message."""
        return self.folder if len(self.files) > 1 else self.files[0]


def is_event_file(path: Path) -> bool:
    """Does TensorBoard take this for one of its files?

    Example
    -------
    >>> is_event_file(Path("runs/a/events.out.tfevents.1700000000.host.1.0"))
    True
    """
    return "tfevents" in path.name


def log_suffix(path: Path) -> str:
    """The ending that tells the format, without the one of a compressed file.

    Example
    -------
    >>> log_suffix(Path("run/log.jsonl.gz")), log_suffix(Path("metrics.CSV"))
    ('.jsonl', '.csv')
    """
    name = path.name.lower().removesuffix(PACKED)
    return Path(name).suffix


def find_logs(folder: Path) -> list[Log]:
    """Logs in a folder and down to three levels below it, the likeliest first.

    A trainer's state, a ``metrics.csv``, event files, other logs; of one kind the one least deep, and there
    the last by number: ``checkpoint-1000`` before ``checkpoint-500``, ``version_10`` before ``version_9``.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for part in ("checkpoint-500", "checkpoint-1000"):
    ...         Path(name, part).mkdir()
    ...         Path(name, part, "trainer_state.json").touch()
    ...     Path(name, "config.json").touch()
    ...     [log.path.relative_to(name).as_posix() for log in find_logs(Path(name))]
    ['checkpoint-1000/trainer_state.json', 'checkpoint-500/trainer_state.json', 'config.json']
    """
    files = list(_walk(folder))
    plain = [Log(path.parent, (path,)) for path in files if log_suffix(path) in SUFFIXES]
    logs = sorted([*plain, *_event_runs(folder, files)], key=lambda log: _natural(log.path), reverse=True)
    return sorted(logs, key=lambda log: (_kind(log), len(log.files[0].relative_to(folder).parts)))


def _walk(folder: Path) -> Iterator[Path]:
    seen = 0
    for place, folders, names in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if depth < DEEPEST else []
        for name in sorted(names):
            seen += 1
            if not name.startswith("."):
                yield Path(place, name)
        if seen > MOST_FILES:
            return


def _event_runs(root: Path, files: list[Path]) -> list[Log]:
    """Event files by run: ``train`` and ``validation`` below a folder belong together, and so does what one
    writer put into subfolders of its own."""
    events = [path for path in files if is_event_file(path)]
    homes = {path.parent for path in events}
    runs: dict[Path, list[Path]] = {}
    for path in events:
        home = path.parent
        if home != root and (home.name.lower() in SPLITS or home.parent in homes):
            home = home.parent
        runs.setdefault(home, []).append(path)
    # The name holds the second in which the file was begun: the last run first, the files of a run in order.
    begun = {home: sorted(paths, key=lambda p: _natural(Path(p.name))) for home, paths in runs.items()}
    return [Log(home, tuple(paths)) for home, paths in begun.items()]


def _kind(log: Log) -> int:
    if log.is_events:
        return len(TRAINERS)
    name = log.files[0].name.lower()
    return TRAINERS.index(name) if name in TRAINERS else len(TRAINERS) + 1


def _natural(path: Path) -> list[tuple[int, str]]:
    """Numbers in a path as numbers: version_10 comes after version_9."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
