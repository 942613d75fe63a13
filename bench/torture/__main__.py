"""The torture suite: `make torture`, or parts of it: `python bench/torture --only kills`.

Prints one line for each try and a table, and writes the table to a file. Needs one core and minutes to hours.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bad_inputs
import damaged_runs
import kills
import models
import reports
import servers
from places import Places
from table import Table

PARTS = {
    "inputs": bad_inputs.try_all,
    "models": models.try_all,
    "servers": servers.try_all,
    "damage": damaged_runs.try_all,
    "reports": reports.try_all,
    "kills": kills.try_all,
}
HEAD = """\
# Reliability, measured

`make torture` tries what goes wrong in the field, on small models: kills and signals in every stage, full disks, lost
and damaged files of finished runs, bad inputs, hostile model folders, servers and reports. What is promised is in
[reliability.md](../reliability.md). It shows that nothing of this kind was found, not that there is nothing.

"""


def main() -> int:
    """Try the parts that are asked for; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to try")
    parser.add_argument("--share", type=int, default=1, metavar="N", help="try each N-th case only")
    parser.add_argument("--out", type=Path, help="file that gets the table")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when absent")
    options = parser.parse_args()
    sys.modules["__main__"].__file__ = None  # Commands are forked, and none of them needs to import this file again.
    root = options.folder or Path(tempfile.mkdtemp(prefix="torture-"))
    table, began = Table(), time.monotonic()
    places = Places(root)
    for part in options.only:
        PARTS[part](table, places, options.share)
    if options.folder is None:
        shutil.rmtree(root, ignore_errors=True)
    text = table.markdown() + f"\n{sum(table.tried.values())} tries, {(time.monotonic() - began) / 60:.0f} minutes.\n"
    print(text)
    if options.out is not None:
        options.out.write_text(HEAD + text, encoding="utf-8")
    return 1 if table.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
