"""`python -m earwise.real [FOLDER]`, and so `make real`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from earwise.errors import InputError
from earwise.io.messages import complain, say
from earwise.real.make import make_all

FOLDER: Final = "data/real"
"""Where recipes look, unless `EARWISE_REAL` says otherwise."""


def main() -> int:
    """0 where everything is there now, 2 where something is missing; each cause was printed in one line."""
    parser = argparse.ArgumentParser(prog="python -m earwise.real", description="Fetch and convert real weights.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(os.environ.get("EARWISE_REAL") or FOLDER))
    folder = parser.parse_args().folder
    try:
        failed = make_all(folder, say)
    except InputError as error:
        failed = [error]
    for one in failed:
        complain(str(one))
    say(f"{folder}: {'some of it is missing, run again' if failed else 'complete'}")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
