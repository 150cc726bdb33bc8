"""Columns: a table as plain text."""

from collections.abc import Sequence


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells in columns as wide as their longest cell, under a ruled head."""
    wide = [max(len(cells[i]) for cells in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in wide], *rows]
    return "\n".join("  ".join(map(str.ljust, cells, wide)).rstrip() for cells in lines)
