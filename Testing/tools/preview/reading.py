"""What a user reads off tables and trees; for the stand-in and for a real Slicer."""

from __future__ import annotations

from typing import Any


def cells(table: Any, *columns: int) -> list[list[str]]:
    """Return the texts of a table, row by row; of all columns, or of some."""
    wanted = columns or range(table.columnCount)
    return [
        ["" if (item := table.item(row, column)) is None else item.text() for column in wanted]
        for row in range(table.rowCount)
    ]


def rows_of_tree(tree: Any) -> list[str]:
    """Return the first cells of a tree from top to bottom, indented by two blanks a level."""
    found: list[str] = []

    def visit(item: Any, depth: int) -> None:
        for index in range(item.childCount()):
            child = item.child(index)
            found.append("  " * depth + child.text(0))
            visit(child, depth + 1)

    visit(tree.invisibleRootItem(), 0)
    return found
