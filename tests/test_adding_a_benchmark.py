"""The walk of CONTRIBUTING.md, done as it stands there: two files, and everything knows the benchmark."""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from earwise.data.media import save_wav

PROJECT = Path(__file__).parent.parent
REGISTRY = "evaluate/benchmarks/registry.py"

USE = """
import sys
from earwise.evaluate.audit import audit
from earwise.evaluate.benchmarks import aggregate, load_benchmark, score_predictions
from earwise.evaluate.scoring import score
from earwise.report.grids import benchmark_label
items = load_benchmark("tones", ".")
said = {"tones-1": "The first.", "tones-2": "first", "tones-3": "first or second"}
scores = score_predictions("tones", items, said, model="m", view="sound_text").scores
print([one.value for one in scores], [one.invalid for one in scores], aggregate("tones", scores))
print(score("tones", "second", "the second"), benchmark_label("tones"), len(audit("tones", "tones.json").errors))
"""


def walk():
    """The new file and the diff of the registry, as the document has them."""
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## How to add a benchmark")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, flags=re.M | re.S)
    (diff,) = re.findall(r"^```diff\n(.*?)^```$", section, flags=re.M | re.S)
    return code, diff


def apply(diff, text):
    """`text` with the lines that each hunk adds, after the lines that stand before them; each hunk must fit once."""
    for hunk in re.split(r"^@@\n", diff, flags=re.M)[1:]:
        old = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] == " ")
        new = "".join(line[1:] for line in hunk.splitlines(keepends=True))
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_the_walk_touches_two_files_and_everything_knows_the_benchmark(tmp_path):
    package = tmp_path / "src/earwise"
    shutil.copytree(PROJECT / "src/earwise", package, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    code, diff = walk()
    before = (package / REGISTRY).read_text(encoding="utf-8")
    (package / "evaluate/benchmarks/tones.py").write_text(code, encoding="utf-8")
    (package / REGISTRY).write_text(apply(diff, before), encoding="utf-8")
    changed = list(difflib.unified_diff(before.splitlines(), (package / REGISTRY).read_text().splitlines(), n=0))
    assert sum(line.startswith("+") for line in changed) - 1 == 2
    records = [("second", "third"), ("first", "third"), ("second", "fifth")]
    (tmp_path / "tones.json").write_text(
        json.dumps(
            [
                {"id": n, "wav": "a.wav", "higher": higher, "interval": interval}
                for n, (higher, interval) in enumerate(records, 1)
            ]
        )
    )
    save_wav(tmp_path / "a.wav", np.tile(np.float32([0.2, -0.2]), 800))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-c", USE]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "[0.0, 1.0, 0.0] [False, False, True] 25.0",  # 50 of thirds, 0 of fifths
        "1.0 Tones 0",
    ]
