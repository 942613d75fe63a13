"""The result of a run, for people: one self-contained HTML page and one table for the console.

Nothing here imports torch: a report can be made from a run folder on any machine.
"""

from earwise.report.console import console_table
from earwise.report.guards import guard_lines
from earwise.report.items import Answer, ShownItem
from earwise.report.page import build_report
from earwise.report.summary import Summary, read_summary

__all__ = ["Answer", "ShownItem", "Summary", "build_report", "console_table", "guard_lines", "read_summary"]
