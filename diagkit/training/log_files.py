"""Histories from log files: CSV, JSON lines, JSON; damage is named, what can be read is used."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from diagkit.errors import InputError
from diagkit.training.csv_text import read_csv_text
from diagkit.training.history import History
from diagkit.training.json_text import read_json_lines, read_json_text
from diagkit.training.records import history_of_records

FORMATS = ".csv and .tsv (a header, then one row per record), .jsonl and .ndjson (one object per line), .json"
Reader = Callable[[str, list[str]], Any]  # (text, notes to extend) -> records, or a dict of series
READERS: dict[str, Reader] = {
    ".csv": read_csv_text,
    ".tsv": read_csv_text,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_text,
}


def read_history(path: str | os.PathLike[str]) -> History:
    """Read the history that a training run left in a file.

    CSV and TSV with a header; JSON lines; JSON with a list of records, a dict of lists, or a trainer's state
    with its ``log_history``. Series are found under their usual names (``train/loss``, ``learning_rate``,
    ``eval_loss``, ...); others keep theirs. Validation records may stand on lines of their own. A loss that
    is written as "nan" or "inf" was recorded as such; an empty field or null means that nothing was.

    A file that was cut short or damaged is used as far as it can be read; ``notes`` name each damage with its
    line. The last line of a CSV file, if it has no end, may have lost digits: its last number is used only
    if it is as long as the shortest above it, and noted.

    Raises
    ------
    FileNotFoundError : there is no such file.
    InputError : a directory, an empty or binary file, a format that is not read here, nothing readable.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "log.csv"
    ...     _ = path.write_text("step,loss,eval_loss\\n0,2.5,\\n10,1.5,\\n10,,1.75\\n20,1.2")
    ...     history = read_history(path)
    >>> history.step, history.loss, history.val_step, history.val_loss
    (array([ 0., 10.]), array([2.5, 1.5]), array([10.]), array([1.75]))
    >>> history.notes[-1]
    "line 5 is cut short (2 of 3 fields): '1.2' may be incomplete and was left out"
    """
    path = Path(path)
    reader = _reader(path)
    data = path.read_bytes()
    notes: list[str] = []
    text = _decode(data, path, notes)
    try:
        found = reader(text, notes)
        if isinstance(found, dict):
            history = History.from_dict(found)
            return replace(history, source=str(path), notes=(*notes, *history.notes))
        place = "record" if path.suffix.lower() == ".json" and text.lstrip()[:1] != "{" else "line"
        return history_of_records(found, source=str(path), place=place, notes=notes)
    except InputError as error:
        raise InputError(
            f"{path.name}, which cannot be read as a history: {error}"
            + (f" [{'; '.join(notes)}]" if notes and notes[0] not in str(error) else ""),
            allowed=FORMATS,
        ) from error


def _reader(path: Path) -> Reader:
    if path.is_dir():
        logs = sorted(p.name for p in path.iterdir() if p.suffix.lower() in READERS)
        raise InputError(
            f"{path}, which is a folder", allowed="a log file", write=f"one of {logs[:5]}" if logs else ""
        )
    if not path.exists():
        here = path.parent if path.parent.is_dir() else None
        logs = sorted(p.name for p in here.iterdir() if p.suffix.lower() in READERS) if here else []
        where = f"the folder holds {logs[:5]}" if logs else f"no log file is in {path.parent}"
        raise FileNotFoundError(
            f"there is no {path}; {where if here else f'there is no folder {path.parent}'}"
        )
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path.name}", allowed=f"a file that ends in {FORMATS}")
    return reader


def _decode(data: bytes, path: Path, notes: list[str]) -> str:
    """Text of a log file; bytes that are no text are marked, and too many of them are refused."""
    if not data.strip():
        raise InputError(f"{path.name}, which is empty", allowed="a log with at least one record")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # written by a shell that redirects in UTF-16
        return data.decode("utf-16", errors="replace")
    text = data.decode("utf-8-sig", errors="replace")
    bad = text.count("\ufffd") + text.count("\0")
    if bad > 0.1 * len(text):
        raise InputError(
            f"{path.name}, which is binary ({bad} of {len(text)} characters are no text)", allowed=FORMATS
        )
    if bad:
        lines = [i for i, line in enumerate(text.split("\n"), 1) if "\ufffd" in line or "\0" in line]
        notes.append(f"bytes that are no text in line {', '.join(map(str, lines[:8]))}")
    return text
