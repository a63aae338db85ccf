"""Errors on the screen in three parts: what, where, what to do.

error[E102]: unknown optimizer 'adma'
  --optimizer adma
              ^^^^ known: adam, ema, gd, heavy-ball, nesterov, rmsprop
help: did you mean 'adam'?   (eoslab explain E102)
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from eoslab.cli import output
from eoslab.cli.settings import FILE, env_name
from eoslab.core.errors import EoslabError, InvalidArgument, UnknownName, suggest

__all__ = ["Finish", "Interrupted", "WrongUsage", "show", "usage"]

#: Names that the library gives to what the command line calls otherwise.
OPTION_OF = {"w0": "init", "beta_min": "floor", "n_steps": "steps"}


class Finish(Exception):
    """The command is over, with this exit code; everything has been said."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class WrongUsage(EoslabError):
    """The command line itself is wrong: an unknown command or option, a missing or superfluous word."""

    code: ClassVar[str] = "E104"
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, word: str = "", remark: str = "", help: str = "") -> None:
        super().__init__(message, help)
        self.word, self.remark = word, remark


class Interrupted(EoslabError):
    """Ctrl-C before there was anything to keep, or a second one."""

    code: ClassVar[str] = "E105"
    exit_code: ClassVar[int] = 130


def show(error: EoslabError, argv: Sequence[str], as_json: bool) -> int:
    """Write the error to stderr (and as one object to stdout with --json); returns the exit code."""
    what, remark = _head(error)
    place, begin, length = _place(error, argv)
    head = f"error[{error.code}]: {what}"
    output.note(output.paint(f"error[{error.code}]", "1;31", sys.stderr) + head[len(f"error[{error.code}]") :])
    output.note(f"  {place}")
    if length:
        indent = 2 + begin
        text = " " * indent + "^" * length
        if remark:
            width = max(shutil.get_terminal_size((100, 24)).columns, indent + length + 24)
            words = remark.split(", ")
            text += " " + output.columns(words, width - 1, indent + length + 1)
        output.note(text)
    elif remark:
        output.note(f"  {remark}")
    help = error.help.rstrip(".") or _general_help(argv)
    output.note(output.paint("help", "1;36", sys.stderr) + f": {help}   (eoslab explain {error.code})")
    if as_json:
        output.emit({"error": _record(error, what, remark, place, help)})
    return error.exit_code


def _record(error: EoslabError, what: str, remark: str, place: str, help: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "code": error.code,
        "message": what,
        "expected": remark.removeprefix("expected ") or None,
        "where": place,
        "help": help,
        "exit_code": error.exit_code,
    }
    if isinstance(error, UnknownName):
        record["known"] = error.known
    return record


def _head(error: EoslabError) -> tuple[str, str]:
    """What is wrong, and the remark beside the place."""
    if isinstance(error, UnknownName):
        known = error.known
        return f"unknown {error.kind} {error.name!r}", f"known: {', '.join(known)}" if known else ""
    if isinstance(error, InvalidArgument):
        return f"{_flag(error.name)}: got {error.got}", f"expected {error.expected}"
    if isinstance(error, WrongUsage):
        return error.message, error.remark
    return error.message, ""


def _flag(name: str) -> str:
    """The name under which the user knows an argument."""
    plain = OPTION_OF.get(name, name)
    return f"--{plain.replace('_', '-')}" if plain.replace("_", "").isalnum() and plain[0].islower() else plain


def _place(error: EoslabError, argv: Sequence[str]) -> tuple[str, int, int]:
    """The piece of the command line (or environment, or file) that is meant; where the ^^^^ go in it."""
    name = getattr(error, "argument", "") or getattr(error, "name", "")
    value = str(getattr(error, "name" if isinstance(error, UnknownName) else "got", ""))
    flag = _flag(str(name)) if name else ""
    for i, word in enumerate(argv):
        if flag and word == flag and i + 1 < len(argv):
            return f"{flag} {shlex.quote(argv[i + 1])}", *_within(argv[i + 1], value, len(flag) + 1)
        if flag and word.startswith(flag + "="):
            text = word[len(flag) + 1 :]
            return word, *_within(text, value, len(flag) + 1)
    if isinstance(error, (UnknownName, InvalidArgument)):
        variable = env_name(OPTION_OF.get(str(name), str(name)))
        if variable in os.environ:
            return f"{variable}={os.environ[variable]}", len(variable) + 1, max(1, len(os.environ[variable]))
        if FILE in f"{error.message}":
            return FILE, 0, len(FILE)
    return _positional(error, argv)


def _within(text: str, value: str, offset: int) -> tuple[int, int]:
    """The ^^^^ under one item of a list, or under the whole value."""
    bare = value.strip("'\"")
    at = text.find(bare) if bare else -1
    quoted = 1 if shlex.quote(text) != text else 0
    return (offset + quoted + at, len(bare)) if at >= 0 else (offset + quoted, max(1, len(text)))


def _positional(error: EoslabError, argv: Sequence[str]) -> tuple[str, int, int]:
    """The whole command with the ^^^^ under the word that the message speaks of."""
    before = "eoslab"
    command = " ".join(["eoslab", *map(shlex.quote, argv)])
    spoken = getattr(error, "word", "") or ""
    for word in argv:
        if word == spoken or (not spoken and len(word) > 0 and repr(word)[1:-1] in _quoted(error.message)):
            quoted = shlex.quote(word)
            return command, len(before) + 1 + (quoted != word), len(word)
        before += " " + shlex.quote(word)
    return command, 0, 0


def _quoted(message: str) -> list[str]:
    """What stands between quotes in a message."""
    parts = message.replace('"', "'").split("'")
    return parts[1::2]


def _general_help(argv: Sequence[str]) -> str:
    words = []
    for word in argv:
        if word.startswith("-"):
            break
        words.append(word)
    return f"eoslab {' '.join(words[:1])} --help".replace("  ", " ")


def usage(error: Any) -> EoslabError:
    """A usage error of the parser in our words."""
    context = getattr(error, "ctx", None)
    option = getattr(error, "option_name", None)
    if isinstance(error, EoslabError):
        return error
    if option and hasattr(error, "possibilities"):
        known = _options(context)
        near = suggest(option, known)
        return WrongUsage(
            f"unknown option {option!r}",
            option,
            f"known: {', '.join(known)}",
            f"did you mean '{near}'?" if near else "",
        )
    if option:
        return WrongUsage(f"option {option!r} needs a value", option, "", "")
    param = getattr(error, "param", None)
    if param is not None and type(error).__name__ == "MissingParameter":
        name = param.opts[0] if param.opts[0].startswith("-") else (param.metavar or param.name.upper())
        return WrongUsage(f"{name.rstrip('.')} is missing", "", "", f"{_usage_line(context)}")
    text = error.format_message().rstrip(".")
    extra = getattr(context, "args", None)
    word = text.split("(")[-1].rstrip(")").split()[0] if "unexpected extra argument" in text and not extra else ""
    return WrongUsage(text[0].lower() + text[1:], word, "", _usage_line(context))


def _options(context: Any) -> list[str]:
    """The long options of a command."""
    if context is None:
        return []
    found = [o for p in context.command.params for o in p.opts if o.startswith("--")]
    return sorted({*found, "--help"})


def _usage_line(context: Any) -> str:
    return " ".join(context.get_usage().split()).removeprefix("Usage: ") if context is not None else ""
