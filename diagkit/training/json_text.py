"""Records and series from JSON and JSON lines, also where the text breaks off."""

from __future__ import annotations

import json
import re
from typing import Any

from diagkit.errors import InputError
from diagkit.training.records import named

ALLOWED = "a list of objects, a dict of lists, or an object with a log_history"
# Strings as a whole, so that brackets and commas inside them are not taken for structure.
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


def read_json_lines(text: str, notes: list[str]) -> Any:
    """One object per line, as (line number, values); extends ``notes`` by the damage.

    Example
    -------
    >>> notes = []
    >>> read_json_lines('{"step": 0, "train": {"loss": 2.5}}\\n{"step": 1, "tra', notes)
    [(1, {'step': 0, 'train/loss': 2.5})]
    >>> notes
    ['left out, not a JSON object: line 2']
    """
    rows, damaged = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            record = None
        if isinstance(record, dict) and "\ufffd" not in line:
            rows.append((number, flatten(record)))
        else:
            damaged.append(f"line {number}")
    if not rows and text.lstrip().startswith("["):
        return read_json_text(text, notes)
    if damaged:
        notes.append(f"left out, not a JSON object: {named(damaged)}")
    if not rows:
        raise InputError("no line that is a whole JSON object", allowed="one object per line")
    return rows


def read_json_text(text: str, notes: list[str]) -> Any:
    """Records as (number, values), or a dict of series; extends ``notes`` by the damage.

    Example
    -------
    >>> notes = []
    >>> read_json_text('{"step": [0, 1, 2], "loss": [2.5, 1.5, 0.', notes), notes
    ({'step': [0, 1], 'loss': [2.5, 1.5]}, ['line 1: the text breaks off, 2 entries of each series are used'])
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise InputError("JSON that is nested too deeply", allowed=ALLOWED) from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            return read_json_lines(text, notes)
        content = close_brackets(text[: error.pos])
        if content is None:
            raise InputError(
                f"text that is no JSON at line {error.lineno}: {error.msg}", allowed=ALLOWED
            ) from error
        content, note = _trim(content)
        notes.append(f"line {error.lineno}: the text breaks off, {note}")
    if isinstance(content, dict) and isinstance(content.get("log_history"), list):
        content = content["log_history"]
    if isinstance(content, dict):
        if any(isinstance(values, list) for values in content.values()):
            single = [name for name, values in content.items() if not isinstance(values, list)]
            if single:
                notes.append(f"left out, not a list: {', '.join(map(repr, single))}")
            return {name: values for name, values in content.items() if isinstance(values, list)}
        content = [content]
    if not isinstance(content, list) or not any(isinstance(record, dict) for record in content):
        raise InputError(f"JSON that holds a {type(content).__name__}", allowed=ALLOWED)
    odd = [f"record {i}" for i, record in enumerate(content) if not isinstance(record, dict)]
    if odd:
        notes.append(f"left out, not an object: {named(odd)}")
    return [(i, flatten(record)) for i, record in enumerate(content) if isinstance(record, dict)]


def flatten(record: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Inner objects as names with a slash.

    Example
    -------
    >>> flatten({"train": {"loss": 1.5}, "step": 2})
    {'train/loss': 1.5, 'step': 2}
    """
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= flatten(value, f"{before}{name}/") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def close_brackets(text: str) -> Any:
    """Content of JSON that breaks off: up to the last value that is certainly whole; None if there is none.

    A number at the very end may have lost digits, so a value counts once a comma or a bracket follows it.

    Example
    -------
    >>> close_brackets('[{"a": 1, "b": 2}, {"a": 3, "b": 0.')
    [{'a': 1, 'b': 2}, {'a': 3}]
    """
    open_brackets: list[str] = []
    end, closing = 0, ""
    for token in TOKENS.finditer(text):
        sign = token.group()
        if sign in "[{":
            open_brackets.append("]" if sign == "[" else "}")
            continue
        if sign in "]}" and open_brackets:
            open_brackets.pop()
            end = token.end()
        elif sign == ",":
            end = token.start()
        else:
            continue
        closing = "".join(reversed(open_brackets))
    try:
        return json.loads(text[:end] + closing) if end else None
    except (json.JSONDecodeError, RecursionError):
        return None


def _trim(content: Any) -> tuple[Any, str]:
    """Bring the series of a dict that broke off to one length again."""
    if not isinstance(content, dict):
        return content, "what comes before is used"
    series = {n: v for n, v in content.items() if isinstance(v, list) and v and not isinstance(v[0], dict)}
    own = {"val_step", "val_loss"} & series.keys()
    per_step = [n for n in series if n not in own]
    if not per_step or (isinstance(content.get("log_history"), list)):
        return content, "what comes before is used"
    size = min(len(series[n]) for n in per_step)
    size_own = min((len(series[n]) for n in own), default=0)
    return {
        n: v[: size_own if n in own else size] if n in series else v for n, v in content.items()
    }, f"{size} entries of each series are used"
