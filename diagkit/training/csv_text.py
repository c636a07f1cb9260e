"""Records from comma-separated text, line by line, so that one damaged line costs one line."""

from __future__ import annotations

import csv
from typing import Any

from diagkit.errors import InputError
from diagkit.training.records import named, parse_number


def read_csv_text(text: str, notes: list[str]) -> list[tuple[int, dict[str, Any]]]:
    """Rows below a header, as (line number, values); extends ``notes`` by the damage.

    Raises
    ------
    InputError : no header, or no row below it.

    Example
    -------
    >>> notes = []
    >>> read_csv_text("step;loss\\n0;0,5\\n1\\n", notes)
    [(2, {'step': '0', 'loss': '0.5'}), (3, {'step': '1'})]
    >>> notes
    ['line 3: fewer than 2 fields, the others empty']
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    unfinished = len(lines) if lines[-1].strip() else 0  # number of a last line without an end
    numbered = [(i, line) for i, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        raise InputError("no line", allowed="a header and rows")
    head, rest = numbered[0], numbered[1:]
    delimiter = max(",;\t", key=head[1].count)
    names = [name.strip() for name in _fields(head[1], delimiter) or []]
    if not names or any(parse_number(name) is not None for name in names):
        raise InputError(
            f"line {head[0]} = {head[1][:40]!r}", allowed="a header that names the columns", write="step,loss"
        )
    if len(set(names)) < len(names):
        notes.append("two columns have one name: the last one is used")
    if not rest:
        raise InputError(f"a header ({', '.join(names)[:60]}) and no row", allowed="at least one row")
    rows: list[tuple[int, dict[str, Any]]] = []
    damaged: dict[str, list[str]] = {}
    shortest: dict[str, int] = {}  # characters of the shortest number in each column
    for number, line in rest:
        fields = _fields(line, delimiter)
        if fields is None or "\ufffd" in line or "\0" in line:
            damaged.setdefault("left out, not readable", []).append(f"line {number}")
            continue
        if len(fields) > len(names):
            damaged.setdefault(f"left out, more than {len(names)} fields", []).append(f"line {number}")
            continue
        if number == unfinished:
            _mind_the_end(fields, names, shortest, number, notes)
        elif len(fields) < len(names):
            damaged.setdefault(f"fewer than {len(names)} fields, the others empty", []).append(
                f"line {number}"
            )
        if delimiter == ";":  # written where the decimal mark is a comma
            fields = [field.replace(",", ".") for field in fields]
        row = dict(zip(names, fields, strict=False))
        for name, field in row.items():
            if parse_number(field) is not None:
                shortest[name] = min(len(field), shortest.get(name, len(field)))
        if (
            row != dict.fromkeys(names, head[1]) and fields != names
        ):  # a resumed run may write its header again
            rows.append((number, row))
    notes.extend(f"{named(places)}: {what}" for what, places in damaged.items())
    return rows


def _fields(line: str, delimiter: str) -> list[str] | None:
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error:
        return None


def _mind_the_end(
    fields: list[str], names: list[str], shortest: dict[str, int], number: int, notes: list[str]
) -> None:
    """Drop the last field of a line without an end if digits seem to be missing from it."""
    last = fields[-1]
    if len(fields) < len(names):
        notes.append(
            f"line {number} is cut short ({len(fields)} of {len(names)} fields): {last!r} may be incomplete "
            "and was left out"
        )
    elif not last:
        notes.append(f"line {number} has no end: what should follow its last comma may be missing")
        return
    elif len(last) >= shortest.get(names[-1], 0) and parse_number(last) is not None:
        notes.append(
            f"line {number} has no end: if the file was cut short, digits may be missing from {last!r}"
        )
        return
    else:
        notes.append(f"line {number} is cut short: {last!r} may be incomplete and was left out")
    fields.pop()
