"""The result of a run: one self-contained HTML page and one table for the console.

Nothing here imports torch: a report can be made from a run folder on any machine.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earwise.report.console import console_table
    from earwise.report.guards import guard_lines
    from earwise.report.items import Answer, ShownItem
    from earwise.report.page import build_report
    from earwise.report.summary import Summary, read_summary

__all__ = ["Answer", "ShownItem", "Summary", "build_report", "console_table", "guard_lines", "read_summary"]

_HOMES = {
    "Answer": "items",
    "ShownItem": "items",
    "Summary": "summary",
    "build_report": "page",
    "console_table": "console",
    "guard_lines": "guards",
    "read_summary": "summary",
}


def __getattr__(name: str) -> object:
    """Import members on first use, because the console's table does not need the page."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
