"""A small finished run of the shipped models, for tests of what comes after training."""

import json
from pathlib import Path

from earwise_process import earwise

RECIPE = """\
name = "small"
seeds = [0, 1]
[data]
source = "micro"
seed = 3
train_images = 6
validation_images = 1
test_images = 60
turns_per_image = 2
transcribe_items = 16
[speech]
engine = { type = "espeak" }
train_voices = 2
test_voices = 1
rates_wpm = [160, 190]
pitches = [40, 60]
[model]
base = "internvl-micro"
ears = { encoder = "pretrained", path = "whisper-micro", stack = 4, hidden = 32 }
[align]
steps = 2
batch_size = 4
lr = 1e-3
[training]
steps = 2
batch_size = 4
lr = 1e-3
[train.self_kd_layers]
terms = [{ type = "logits", weight = 1.0 }]
[evaluate]
benchmarks = ["textvqa", "realworldqa"]
views = ["image_text", "image_speech", "image_transcript"]
cascade = ["aligned"]
batch_size = 4
max_new_tokens = 8
limit = 6
"""


def finished_run(folder: Path) -> Path:
    """Run the recipe in `folder`; returns the run's folder."""
    (folder / "small.toml").write_text(RECIPE)
    result = earwise(folder, "run", "small.toml")
    assert (result.code, result.stderr) == (0, "")
    return folder / "runs/small"


def predictions(run: Path, model: str, benchmark: str) -> dict[tuple[str, str], dict[str, str]]:
    """By item and view, what `evaluate` stored."""
    file = run / f"stages/seed0/predict.{model}/{benchmark}/predictions.jsonl"
    records = [json.loads(line)["record"] for line in file.read_text().splitlines()]
    return {(record["item"], record["view"]): record for record in records}
