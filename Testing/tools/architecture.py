"""``python -m architecture``: draw the rooms and their imports into docs/architecture.md, from the code itself."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
LIBRARIES = ("lnsegfm", "LNSegFMLib", "LNSegFMFineTuneLib")
BEGIN, END = "<!-- rooms: made by `make architecture` -->", "<!-- end of rooms -->"
# Every room may use these; their arrows would hide the others.
GROUND = "lnsegfm.base"


def room_of(module: str) -> str:
    """Return the room of a module: the library and its first folder; of the engine, its second as well."""
    parts = module.split(".")
    return ".".join(parts[:3] if parts[:2] == ["lnsegfm", "engine"] and len(parts) > 3 else parts[:2])


def rooms() -> dict[str, set[str]]:
    """Return the rooms that each room imports from."""
    graph = grimp.build_graph(*LIBRARIES, include_external_packages=False)
    found: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        room = room_of(module)
        if room in LIBRARIES:
            continue
        used = {room_of(each) for each in graph.find_modules_directly_imported_by(module)}
        found.setdefault(room, set()).update(used - {room, *LIBRARIES})
    return found


def without_detours(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out the arrows that longer ways of arrows replace, so that the picture can be read.

    Raises:
        SystemExit: Rooms import each other in a circle.
    """
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise SystemExit(f"Rooms import each other: {' <- '.join(error.args[1])}") from None

    def reach(room: str) -> set[str]:
        below = set(graph.get(room, ()))
        return below.union(*(reach(each) for each in below))

    return {
        room: {each for each in used if not any(each in reach(other) for other in used - {each})}
        for room, used in graph.items()
    }


def drawing(graph: dict[str, set[str]]) -> str:
    """Return a Mermaid flowchart: a box per library, an arrow from each room to those it imports from."""
    lines = ["```mermaid", "flowchart TD"]
    for library in reversed(LIBRARIES):
        lines.append(f"  subgraph {library}")
        lines += [f"    {_key(room)}[{room.partition('.')[2]}]" for room in sorted(graph) if _library(room) == library]
        lines.append("  end")
    for room, used in sorted(without_detours(graph).items()):
        lines += [f"  {_key(room)} --> {_key(each)}" for each in sorted(used)]
    return "\n".join([*lines, "```"])


def page_with(text: str, picture: str) -> str:
    """Return the page with its picture replaced.

    Raises:
        ValueError: The page has no place for it.
    """
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{picture}\n{END}{after}"


def main(arguments: Iterable[str] = ()) -> int:
    """Write the picture, or with ``--check`` only tell whether it is that of the code."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = page_with(text, drawing(rooms()))
    if "--check" in arguments:
        if wanted != text:
            print(f"The picture in {PAGE.name} is not that of the code. Type: make architecture", file=sys.stderr)
        return int(wanted != text)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def _library(room: str) -> str:
    return room.partition(".")[0]


def _key(room: str) -> str:
    return room.replace(".", "_")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
