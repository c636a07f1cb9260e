"""Histories from log files and run folders; damage is named, what can be read is used."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diagkit.errors import InputError
from diagkit.training.csv_text import read_csv_text
from diagkit.training.history import History
from diagkit.training.json_text import read_json_lines, read_json_text
from diagkit.training.records import history_of_records, named
from diagkit.training.run_folders import PACKED, Log, find_logs, is_event_file, log_suffix

FORMATS = (
    ".csv and .tsv (a header, then one row per record), .jsonl and .ndjson (one object per line), .json, "
    "each also .gz; TensorBoard event files; a run folder"
)
MOST_TRIED = 50  # files of a folder that are opened in search of a log
Reader = Callable[[str, list[str]], Any]  # (text, notes to extend) -> records, or a dict of series
READERS: dict[str, Reader] = {
    ".csv": read_csv_text,
    ".tsv": read_csv_text,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_text,
}


def read_history(path: str | os.PathLike[str]) -> History:
    """Read the history that a training run left in a file or a folder.

    CSV and TSV with a header (Lightning's ``metrics.csv`` is one); JSON lines; JSON with a list of records, a
    dict of lists, or Hugging Face's ``trainer_state.json``; TensorBoard event files, one or a folder of them
    (``pip install 'diagkit[logs]'``). Of another folder the likeliest log is read: see
    :func:`diagkit.training.run_folders.find_logs`; ``source`` names it and ``notes`` the others.

    Series are found under their usual names (``train/loss``, ``learning_rate``, ``eval_loss``, ...); others
    keep theirs. Validation records may stand on lines of their own. A loss that is written as "nan" or "inf"
    was recorded as such; an empty field or null means that nothing was.

    A file that was cut short or damaged is used as far as it can be read; ``notes`` name each damage with its
    line or byte. The last line of a CSV file, if it has no end, may have lost digits: its last number is used
    only if it is as long as the shortest above it, and noted.

    Raises
    ------
    FileNotFoundError : there is no such file.
    InputError : an empty or binary file, a format that is not read here, nothing readable in it.
    MissingPackageError : event files without the package that reads them.

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
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise FileNotFoundError(_where_it_could_be(path))
    return _read_log(Log(path.parent, (path,)))


def _read_folder(folder: Path) -> History:
    """The first log of a folder that holds a loss, else the first that can be read at all."""
    logs = find_logs(folder)
    refused: list[str] = []
    spare: History | None = None
    for log in logs[:MOST_TRIED]:
        try:
            history = _read_log(log)
        except InputError as error:
            refused.append(str(error))
            continue
        others = [_shown(other, folder) for other in logs if other is not log and _is_like(other, log)]
        if others:
            note = f"{_shown(log, folder)} was read; the folder also holds {named(others)}"
            history = replace(history, notes=(*history.notes, note))
        if history.loss is not None or history.val_loss is not None:
            return history
        spare = spare or history
    if spare is not None:
        return spare
    reason = refused[0] if refused else "no file in it ends like a log"
    raise InputError(f"{folder}, a folder without a log that can be read: {reason}", allowed=FORMATS)


def _is_like(other: Log, log: Log) -> bool:
    """Could it have been meant instead? Not the settings that lie beside a trainer's state."""
    return other.is_events == log.is_events and (log.is_events or other.files[0].name == log.files[0].name)


def _shown(log: Log, folder: Path) -> str:
    return log.path.relative_to(folder).as_posix()


def _read_log(log: Log) -> History:
    path, notes = log.path, list[str]()
    try:
        if log.is_events:
            # Looked up when it is needed: the optional formats come after this layer, and need its records.
            from diagkit.integrations.tensorboard import read_event_files

            records = read_event_files(log.files, log.folder, notes)
            return history_of_records(records, source=str(path), place="event", notes=notes)
        return _read_text(path, notes)
    except InputError as error:
        raise InputError(
            f"{path.name}, which cannot be read as a history: {error}"
            + (f" [{'; '.join(notes)}]" if notes and notes[0] not in str(error) else ""),
            allowed=FORMATS,
        ) from error


def _read_text(path: Path, notes: list[str]) -> History:
    suffix = log_suffix(path)
    reader = READERS.get(suffix)
    if reader is None:
        raise InputError(f"{path.name}", allowed=f"a file that ends in {FORMATS}")
    data = path.read_bytes()
    text = _decode(_unpack(data, notes) if path.name.lower().endswith(PACKED) else data, path, notes)
    found = reader(text, notes)
    if isinstance(found, dict):
        history = History.from_dict(found)
        return replace(history, source=str(path), notes=(*notes, *history.notes))
    place = "record" if suffix == ".json" and text.lstrip()[:1] != "{" else "line"
    return history_of_records(found, source=str(path), place=place, notes=notes)


def _where_it_could_be(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no {path}; there is no folder {path.parent}"
    beside: Sequence[str] = sorted(
        p.name for p in path.parent.iterdir() if log_suffix(p) in READERS or is_event_file(p)
    )
    where = f"the folder holds {beside[:5]}" if beside else f"no log file is in {path.parent}"
    return f"there is no {path}; {where}"


def _unpack(data: bytes, notes: list[str]) -> bytes:
    """Content of a gzip file, as far as it goes: a run that was killed leaves one without an end."""
    text = b""
    try:
        while data:  # a file that was appended to has several members
            member = zlib.decompressobj(wbits=31)
            for start in range(0, len(data), 65536):
                text += member.decompress(data[start : start + 65536])
            if not member.eof:
                notes.append("the compressed file has no end: what comes before is used")
            data = member.unused_data
    except zlib.error as error:
        notes.append(f"the compressed file is damaged ({error}): what comes before is used")
    return text


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
