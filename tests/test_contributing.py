"""The walks of CONTRIBUTING.md: their diffs, applied to the sources, add what they say, in as many files."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")

TRAINS = """
from pathlib import Path
import torch
from earwise.recipe.train import Train
from training_case import STEPS, trainer_of
train = Train.model_validate({{"terms": ({{"type": "sft", "weight": 1.0}}, {{"type": "{name}", "weight": 0.5}})}})
trainer, logs = trainer_of(Path({checkpoint!r}), Path("."), Path("out"), batch=4, terms=train.terms)
trainer.train()
curve = [numbers["terms/{name}"] for _, numbers in logs if "terms/{name}" in numbers]
assert len(curve) == STEPS and curve[0] != curve[-1] and all(value > 0 for value in curve), curve
"""
LOADS = """
from pathlib import Path
from PIL import Image
from earwise.models.families import load_family
from earwise.recipe.model import Model
ears = {{"encoder": "fresh", "stack": 5, "hidden": 8, "layers": 1, "width": 8, "heads": 2}}
asked = Model.model_validate({{"base": {checkpoint!r}, "family": "{name}", "ears": ears}}).family
plain, new = load_family({checkpoint!r}), load_family({checkpoint!r}, family=asked)
assert (plain.name, new.name) == ("internvl", "{name}")
image = Image.new("RGB", (256, 64))
assert new.preprocess(image).num_tokens < plain.preprocess(image).num_tokens
"""
SPEAKS = """
from functools import partial
from pathlib import Path
from earwise.recipe.speech import Speech
from earwise.records import Item
from earwise.speech.clips import make_clips
from earwise.speech.engine import open_engine
speech = Speech.model_validate({{
    "engine": {{"type": "{name}", "hertz": 110}}, "train_voices": 1, "test_voices": 1, "rates_wpm": (150, 150),
    "pitches": (50, 50),
}})
item = Item(id="1", source="t", question="Is it red?", answers=("yes",), cluster="c")
made = make_clips(
    [item], Path("clips"), partial(open_engine, speech.engine), voices=["tone1"], rates=(150.0, 150.0),
    pitches=(50.0, 50.0),
)
assert [clip.num_samples for clip in made.clips] == [round(16_000 * 3 * 60 / 150)], made
"""


def diffs(heading: str) -> list[str]:
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## )", TEXT, flags=re.M | re.S)
    return re.findall(r"^```diff\n(.*?)^```", section, flags=re.M | re.S)


@pytest.mark.parametrize(
    ("heading", "number", "files", "name", "script"),
    [
        ("How to add a term", 0, 2, "norm", TRAINS),
        ("How to add a term", 1, 4, "gist", TRAINS),
        ("How to add a family", 0, 2, "internvl_one_tile", LOADS),
        ("How to add an engine", 0, 2, "tones", SPEAKS),
    ],
)
def test_a_walk_adds_what_it_says(heading, number, files, name, script, tmp_path, tiny_checkpoints):
    diff = diffs(heading)[number]
    assert len(re.findall(r"^\+\+\+ b/src/", diff, flags=re.M)) == files
    shutil.copytree(PROJECT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (tmp_path / "walk.diff").write_text(diff)
    done = subprocess.run(
        ["git", "apply", "-C1", "walk.diff"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    code = script.format(name=name, checkpoint=str(tiny_checkpoints["internvl"]))
    path = ":".join([str(tmp_path / "src"), str(PROJECT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
