"""Docstrings as they are written here, for Sphinx.

A section is a title underlined with dashes; an entry of it is ``name : text`` at the margin, and its further
lines are indented. They become a rubric and a list. Other layouts expect one entry per line and a type after
the colon.
"""

from __future__ import annotations

import re
from typing import Any

ENTRY = re.compile(r"^(\S.*?) : (.*)$")
MORE = re.compile(
    r"(?<=[.;]) (\w+(?: \[[^\]]*\])?(?:, \w+(?: \[[^\]]*\])?)*) : "
)  # one more on the same line
CODE = ("Example", "Examples")
SPECIAL = re.compile(r"([|*\\]|_(?!\w))")
LITERAL = re.compile(r"(``.*?``|:\w+:`.*?`|(?<![\w*])\*\w[^*]*\w\*(?![\w*]))")


def convert(lines: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText.

    Example
    -------
    >>> convert(["What.", "", "Raises", "------", "InputError : no data."])
    ['What.', '', '.. rubric:: Raises', '', '* **InputError**: no data.', '']
    """
    out: list[str] = []
    section = ""
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if is_rule(following) and line.strip():
            section = line.strip()
            out += ["", f".. rubric:: {section}", ""]
        elif not is_rule(line):
            out += [line] if section in CODE else entry(line) if section else prose(line, out)
    return [*tidy(out), ""]


def is_rule(line: str) -> bool:
    """Is it the line below a title?"""
    return len(line.strip()) >= 3 and set(line.strip()) == {"-"}


def entry(line: str) -> list[str]:
    """One line of a section that lists names."""
    found = ENTRY.match(line)
    text = MORE.sub(r" **\1**: ", plain(found[2] if found else line).strip())
    if not text:
        return [""]
    if found:
        return [f"* **{plain(found[1])}**: {text}"]
    return [f"  {text}"] if line.startswith(" ") else [text]


def prose(line: str, before: list[str]) -> list[str]:
    """One line of the text; a formula set apart by its margin gets the empty lines that Sphinx wants."""
    last = before[-1] if before else ""
    moved = (
        bool(last.strip())
        and margin(line) != margin(last)
        and not last.lstrip().startswith(("*", "-", ">>>"))
    )
    return ["", plain(line)] if moved and line.strip() else [plain(line)]


def margin(line: str) -> int:
    """Blanks at the beginning."""
    return len(line) - len(line.lstrip())


def plain(text: str) -> str:
    """Bars and stars of formulas mean nothing to Sphinx; what is code already stays."""
    parts = LITERAL.split(text)
    return "".join(part if i % 2 else SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))


def tidy(lines: list[str]) -> list[str]:
    """An empty line before and after each list, and never two of them."""
    out: list[str] = []
    for line in lines:
        starts, inside = line.startswith("* "), bool(out) and out[-1].startswith(("* ", "  "))
        if line and not line.startswith(" ") and out and out[-1] and starts != inside:
            out.append("")
        if line or (out and out[-1]):
            out.append(line)
    return out


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect(
        "autodoc-process-docstring", lambda *args: args[-1].__setitem__(slice(None), convert(args[-1]))
    )
    return {"parallel_read_safe": True}
