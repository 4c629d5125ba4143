"""Reads the runnable blocks of a Markdown page. README.md in this folder explains the marks."""

import dataclasses
import re

_FENCE = re.compile(r"^(\s*)```")
_COMMENT = re.compile(r"^\s*<!--\s*(runnable|output)\s*(?::\s*(.*?)\s*)?-->\s*$")
_RUN = re.compile(r"^\s*<!-- run\s*(?::\s*(.*?)\s*)?$")
# What a mistyped mark looks like; other comments are left alone.
_ALMOST = re.compile(r"^\s*<!--\s*(runable|runnable|run|output|outputs)\b")
_OPTION = re.compile(r'(background)|exit=(\d+)|until="([^"]+)"|(\S+)')


class PageError(Exception):
    """A mark that cannot be followed, with the line that has it."""


@dataclasses.dataclass
class Step:
    """Commands to run, or the output that the step before must have printed."""

    kind: str  # "run", "background" or "output"
    line: int  # of the first line of the text, from 1
    text: str
    exit_code: int = 0
    until: str = ""  # What a background step prints once it is ready; "" for any first line.
    of_background: bool = False  # The output is that of the newest background step.


def _block(lines, at, mark_line):
    """The text of the fenced block that begins at lines[at], and the index behind it."""
    fence = _FENCE.match(lines[at]) if at < len(lines) else None
    if fence is None:
        raise PageError(f"line {mark_line}: no fenced block follows this mark")
    indent = fence.group(1)
    text = []
    for i in range(at + 1, len(lines)):
        if _FENCE.match(lines[i]):
            return "\n".join(text) + "\n", i + 1
        text.append(lines[i].removeprefix(indent))
    raise PageError(f"line {at + 1}: this block has no end")


def _step(mark, options, line, text):
    step = Step("run" if mark == "runnable" else "output", line, text)
    for background, exit_code, until, unknown in _OPTION.findall(options or ""):
        if unknown:
            raise PageError(f'line {line}: "{unknown}" is not an option of {mark}')
        if background and mark == "runnable":
            step.kind = "background"
        elif background:
            step.of_background = True
        elif mark == "output":
            raise PageError(f"line {line}: output has the option background alone")
        if exit_code:
            step.exit_code = int(exit_code)
        if until:
            step.until = until
    if step.until and step.kind != "background":
        raise PageError(f'line {line}: until="..." needs background')
    return step


def steps_of(markdown):
    """The steps of a page, in order. Raises PageError."""
    lines = markdown.split("\n")
    steps = []
    at = 0
    while at < len(lines):
        mark = _COMMENT.match(lines[at])
        if mark is not None:
            text, end = _block(lines, at + 1, at + 1)
            step = _step(mark.group(1), mark.group(2), at + 3, text)
            if step.kind == "output" and not steps:
                raise PageError(f"line {at + 1}: no step stands before this output")
            steps.append(step)
            at = end
        elif _RUN.match(lines[at]) is not None:
            end = next((i for i in range(at + 1, len(lines)) if lines[i].strip() == "-->"), None)
            if end is None:
                raise PageError(f"line {at + 1}: this comment has no end")
            steps.append(_step("runnable", _RUN.match(lines[at]).group(1), at + 2, "\n".join(lines[at + 1 : end]) + "\n"))
            at = end + 1
        elif _ALMOST.match(lines[at]) is not None:
            raise PageError(f"line {at + 1}: not a mark: {lines[at].strip()}")
        elif _FENCE.match(lines[at]) is not None:
            _, at = _block(lines, at, at + 1)
        else:
            at += 1
    return steps


def matches(expected, actual):
    """Whether `actual` is `expected`, in which "..." stands for anything within a line, and a line that is only
    "..." for any number of lines. White space at the ends of lines does not count."""
    pattern = ""
    for line in expected.rstrip("\n").split("\n"):
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("...")) + r"[^\S\n]*\n"
    lines = actual.rstrip("\n").split("\n")
    return re.fullmatch(pattern, "".join(line.rstrip() + "\n" for line in lines)) is not None
