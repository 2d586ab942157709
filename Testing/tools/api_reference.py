"""``python -m api_reference``: write docs/reference/python-api.md from the docstrings of the session."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lnsegfm.session import AdaptOptions, Session
from lnsegfm.session.adapting import Estimate
from lnsegfm.session.cases_part import CasesPart
from lnsegfm.session.doctor import Cleared, Doctor, Leftover
from lnsegfm.session.job_handle import JobHandle
from lnsegfm.session.jobs_part import JobsPart
from lnsegfm.session.models_part import ExportedModel, InstalledModel, ModelsPart, PublishedModel
from lnsegfm.session.segmenting import Batch, SegmentChoices

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "python-api.md"
CLASSES: dict[type[Any], str] = {
    Session: "Session", ModelsPart: "Session.models", CasesPart: "Session.cases", JobsPart: "Session.jobs",
    Doctor: "Session.doctor",
    JobHandle: "JobHandle", SegmentChoices: "SegmentChoices", Batch: "Batch", AdaptOptions: "AdaptOptions",
    Estimate: "Estimate", InstalledModel: "InstalledModel", ExportedModel: "ExportedModel",
    PublishedModel: "PublishedModel", Leftover: "Leftover", Cleared: "Cleared",
}  # fmt: skip
# What the parts are made of.
INTERNAL = ("store", "worker")
HEAD = """# Python API

<!-- made by `make reference`; change the docstrings instead -->

`lnsegfm.session` is the public Python interface. The panels and the command line call it and nothing below it, so a
script gets the same checks and the same error messages. [Use the Python API](../how-to/python-api.md) has an example to
run. Importing it loads neither PyTorch nor nnU-Net: other processes do the work.

Problems that the user can solve are raised as `lnsegfm.base.errors.UserError` with `what`, `why` and `todo`; a
cancelled call raises `lnsegfm.base.errors.Cancelled`. Every other exception is a fault of this package.
"""


def reference() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(line for kind, title in CLASSES.items() for line in _class(kind, title))])


def _class(kind: type[Any], title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "", f"`{kind.__module__}.{kind.__name__}`", "")
    yield from _text(kind, with_arguments=kind is Session or dataclasses.is_dataclass(kind))
    for name, member in vars(kind).items():
        if name.startswith("_") or name in INTERNAL or (dataclasses.is_dataclass(kind) and not _is_own(member)):
            continue
        function = member.fget if isinstance(member, property) else getattr(member, "func", member)
        if not callable(function) or not inspect.getdoc(function):
            continue
        call = "" if function is not member else _signature(function)
        yield from ("", f"### {title}.{name}", "")
        if call:
            yield from ("```python", f"{name}{call}", "```", "")
        yield from _text(function)


def _is_own(member: Any) -> bool:
    return isinstance(member, property) or inspect.isfunction(member)


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    text = str(signature.replace(parameters=parameters))
    text = re.sub(r"(: |-> )'([^']+)'", r"\1\2", text).replace("''", '""')
    text = re.sub(r"= AdaptOptions\(.*?precision=None\)", "= AdaptOptions()", text)
    return re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", text)


def _text(member: Any, *, with_arguments: bool = True) -> Iterator[str]:
    """Turn a docstring into Markdown: paragraphs, and a list for each section such as Args."""
    for block in (inspect.getdoc(member) or "").split("\n\n"):
        title, _, rest = block.partition("\n")
        if re.fullmatch(r"(Args|Returns|Raises|Example):", title) and rest:
            if with_arguments or title != "Args:":
                yield from (f"*{title}*", "", *_items(rest), "")
        else:
            yield from (_plain(" ".join(block.split())), "")


def _items(text: str) -> Iterator[str]:
    items: list[str] = []
    for line in inspect.cleandoc(text).splitlines():
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        else:
            items.append(line.strip())
    named = [re.match(r"(\w+): (.*)", item) for item in items]
    if all(named):
        yield from (f"* `{each[1]}`: {_plain(each[2])}" for each in named if each)
    else:
        yield _plain(" ".join(items))


def _plain(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", text)


def main(arguments: Iterable[str] = ()) -> int:
    """Write the page, or with ``--check`` only tell whether it is that of the code."""
    wanted = re.sub(r"\n{3,}", "\n\n", reference()).rstrip() + "\n"
    if "--check" in arguments:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted
        if not same:
            print(f"{PAGE.name} is not what the docstrings say. Type: make reference", file=sys.stderr)
        return int(not same)
    PAGE.write_text(wanted, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
