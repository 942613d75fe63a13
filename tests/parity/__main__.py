"""`python -m parity --out FILE`: every case, and the page; exit code 1 if a difference has no reason."""

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
import transformers

from parity.run import FAMILIES, page, rows_of, unexplained


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="file that gets the page")
    parser.add_argument("--only", nargs="+", default=FAMILIES, choices=FAMILIES, metavar="FAMILY")
    parser.add_argument("--short", action="store_true", help="few cases and no variants")
    options = parser.parse_args()
    begin, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="earwise-parity-") as folder:
        for family in options.only:
            rows += rows_of(Path(folder), [family], short=options.short)
            print(f"{family}: {sum(row.family == family for row in rows)} cases", flush=True)
    minutes = (time.monotonic() - begin) / 60
    made = (
        f"`make parity` on {datetime.now(UTC):%Y-%m-%d} in {minutes:.0f} minutes of one core, transformers "
        f"{transformers.__version__}, torch {torch.__version__.partition('+')[0]}"
    )
    text = page(rows, made)
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    print(text[text.index("Made by") :])
    return int(bool(unexplained(rows)))


if __name__ == "__main__":
    sys.exit(main())
