"""A whole recipe from end to end: what it leaves, what a second run does, and what is left of it after `kill -9`."""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from earwise_process import ENVIRONMENT, Command, Result, earwise
from test_gate import write_tiny_ctc
from tiny_recipe import DRAWN_VOICES, ENCODER, MODEL

from earwise import __version__

RECIPE = (
    """\
name = "tiny"
[data]
source = "micro"
seed = 3
train_images = 12
validation_images = 1
test_images = 12
turns_per_image = 2
transcribe_items = 16
"""
    + DRAWN_VOICES
    + """\
[gate]
asr = { model = "asr" }
max_wer = 100.0
recovered = false
rates_wpm = [60, 260]
train = "leave_out"
"""
    + ENCODER
    + """\
save_every = 1
"""
    + MODEL
    + """\
[align]
steps = 4
batch_size = 4
lr = 1e-3
save_every = 1
log_every = 1
[training]
steps = 4
batch_size = 4
lr = 1e-3
save_every = 2
log_every = 3
[train.both]
terms = [
  { type = "logits", weight = 0.75 },
  { type = "layers", weight = 1.0 },
  { type = "sft", weight = 0.25 },
]
[evaluate]
benchmarks = ["mme", "textvqa", "mmalign_relation"]
views = ["image_text", "image_speech", "image_transcript", "text_only"]
batch_size = 2
max_new_tokens = 4
[attention]
items = 2
[report]
items = 6
"""
)
BENCHMARKS = ("mme", "textvqa", "mmalign_relation")
GROUPS = [
    "data",
    "data.media",
    "speech",
    "gate.transcripts",
    "gate",
    "seed0/encoder",
    "seed0/align",
    "seed0/train.both",
    "seed0/predict.base",
    "seed0/evaluate.base",
    "seed0/predict.aligned",
    "seed0/evaluate.aligned",
    "seed0/predict.both",
    "seed0/evaluate.both",
    "seed0/attention",
    "attention",
    "report",
]
TRAINED_ON = ("transcribe", "transcribe", "train")
SPOKEN = [*(f"benchmarks/{name}" for name in BENCHMARKS), "train", "transcribe"]
STAGES = [
    stage
    for group in GROUPS
    for stage in (
        [f"{group}/{name}" for name in SPOKEN]
        if group in ("speech", "gate.transcripts", "gate")
        else [f"{group}/{name}" for name in BENCHMARKS]
        if "predict" in group
        else [group]
    )
]
ANSWERS = [stage for stage in STAGES if "predict" in stage]
ANSWERED = [stage for stage in STAGES if "predict" in stage or "evaluate" in stage or stage == "report"]
OF_BOTH = [stage for stage in ANSWERS if ".both/" in stage]
ITEMS = {"mme": 8, "textvqa": 2, "mmalign_relation": 2, "mean": 10, "all": 12}
TYPED, HEARD = {"image_text", "text_only"}, {"image_speech", "image_transcript"}


class Workplace:
    """A folder with the recipe and its base model, in which runs are made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tiny.toml").write_text(RECIPE)

    def run(self, out: str, *overrides: str) -> Result:
        return earwise(self.folder, "run", "tiny.toml", "--out", out, *overrides)

    def start(self, out: str) -> Command:
        return Command(self.folder, "run", "tiny.toml", "--out", out)

    def copy(self, out: str) -> str:
        """A copy of the finished run `whole` under another name, for a test that changes it."""
        shutil.copytree(self.folder / "whole", self.folder / out)
        return out


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_checkpoints):
    folder = tmp_path_factory.mktemp("pipeline")
    shutil.copytree(tiny_checkpoints["internvl"], folder / "vlm")
    write_tiny_ctc(folder / "asr")
    return Workplace(folder)


@pytest.fixture(scope="module")
def first(workplace):
    """The first run, uninterrupted, in the folder `whole`."""
    return workplace.run("whole")


@pytest.fixture(scope="module")
def whole(first, workplace):
    assert (first.code, first.stderr) == (0, "")
    return workplace.folder / "whole"


@pytest.fixture(scope="module")
def summary(whole):
    return json.loads((whole / "summary.json").read_text())


def worked(result: Result) -> list[str]:
    """Stages whose work was called."""
    return re.findall(r"^(\S+): (?:starts|continues)", result.stdout, re.MULTILINE)


def results(run: Path) -> dict[str, object]:
    """Everything a run leaves that must not depend on when and how often it was started."""
    unlike = {"started.json", "done.json", "run.json", "inputs.json", "run.lock", "report.html", "summary.json"}
    files = [path for path in run.rglob("*") if path.is_file() and path.name not in unlike and path.suffix != ".patch"]
    found: dict[str, object] = {str(path.relative_to(run)): path.read_bytes() for path in files}
    found["summary.json"] = json.loads((run / "summary.json").read_text())
    del found["summary.json"]["timings_s"]
    return found


def state(run: Path) -> dict[str, tuple[int, str]]:
    """Time of the last change and content of every file."""
    files = [path for path in run.rglob("*") if path.is_file()]
    return {str(f): (f.stat().st_mtime_ns, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files}


def test_every_stage_runs_once_in_order_and_says_what_it_does(first):
    assert (first.code, first.stderr) == (0, "")
    assert worked(first) == GROUPS
    # On a slow machine there are lines of progress, too.
    greeting, *lines = [line for line in first.stdout.splitlines() if not line.endswith(" left")]
    assert greeting == f"earwise {__version__}, recipe tiny.toml, run folder whole"
    assert lines[0] == "data: starts"
    assert "data: train: 24 items" in lines
    # Clips that fail the gate are left out of the trainings: the encoder's, the alignment's and the main one.
    failed = {name: re.search(rf"^gate: {name}: \d+ clips, (\d+) failed", first.stdout, re.M)[1] for name in TRAINED_ON}
    assert all(int(count) > 0 for count in failed.values())
    left_out = [
        f"{count} items left out: their clips failed the gate (fast {count})"
        if count != "1"
        else "1 item left out: its clip failed the gate (fast 1)"
        for count in map(failed.__getitem__, TRAINED_ON)
    ]
    assert [line for line in lines if "left out" in line] == left_out
    shape = re.compile(
        r"[\w./]+: (starts|done, .*|.*(items|voices|dropped|failed|held-out|precision).*)|\d+ items? left out: .*"
    )
    table = lines.index("report: starts") + 1
    assert [line for line in lines[:table] if not shape.fullmatch(line)] == []
    assert "tiny, benchmark" in lines[table]
    first_words = [line.split()[0] for line in lines[table:-2] if line[:1].isalpha()]
    first_words = [word for word in first_words if word != "doubtful:"]  # two steps of training teach nothing
    assert first_words[1:] == ["model", "base", "aligned", "both"]
    assert lines[-2] == "report: whole/report.html"


def test_the_summary_keeps_the_contract(summary):
    assert {"recipe", "seed", "models", "timings_s", "versions"} <= summary.keys()
    assert (summary["recipe"], summary["seed"]) == ("tiny", 0)
    assert list(summary["timings_s"]) == GROUPS[:-1]
    assert all(seconds >= 0 for seconds in summary["timings_s"].values())
    assert {"python", "earwise", "torch", "transformers"} <= summary["versions"].keys()
    assert list(summary["models"]) == ["base", "aligned", "both"]
    for model, benchmarks in summary["models"].items():
        assert {name: cell["n"] for name, cell in benchmarks.items()} == ITEMS
        for name, cell in benchmarks.items():
            assert cell["views"].keys() == (TYPED if model == "base" else TYPED | HEARD)
            for view in cell["views"].values():
                low, high = view["ci95"]
                assert 0 <= low <= view["score"] <= high <= 100
                assert 0 <= view["invalid_rate"] <= 1
                assert 0 <= view["yes_rate"] <= 1 if name == "mme" else view["yes_rate"] is None


def test_the_gap_is_text_minus_speech_with_its_interval(summary):
    assert all(cell["gap"] is None for cell in summary["models"]["base"].values())
    for model in ("aligned", "both"):
        for cell in summary["models"][model].values():
            score = {view: number["score"] for view, number in cell["views"].items()}
            assert cell["gap"]["value"] == pytest.approx(score["image_text"] - score["image_speech"])
            low, high = cell["gap"]["ci95"]
            assert low <= cell["gap"]["value"] <= high
            assert 0 <= cell["gap"]["p"] <= 1


def test_typed_answers_are_the_same_for_every_model(summary):
    for name in ITEMS:
        typed = [
            {view: cell for view, cell in models[name]["views"].items() if view in TYPED}
            for models in summary["models"].values()
        ]
        assert typed[0] == typed[1] == typed[2]


def test_the_page_is_there_and_shows_the_result(whole):
    page = (whole / "report.html").read_text()
    assert all(word in page for word in ("tiny", "aligned", "both", "mme", "data:audio", "data:image"))


def test_the_ears_moved_and_what_is_beside_them_is_small(whole):
    def ears(stage):
        return (whole / "stages/seed0" / stage / "ears/ears.safetensors").read_bytes()

    assert ears("align") != ears("train.both")
    assert not list(whole.rglob("checkpoint*"))
    steps = [
        json.loads(line)["step"] for line in (whole / "stages/seed0/train.both/metrics.jsonl").read_text().splitlines()
    ]
    assert steps == [2, 3, 4]


def test_a_finished_run_does_nothing(workplace, whole):
    before = state(whole)
    command = [Path(sys.executable).with_name("earwise"), "run", "tiny.toml", "--out", "whole"]
    again = subprocess.run(
        command, cwd=workplace.folder, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith("nothing to do: whole is up to date\n")
    assert state(whole) == before


@pytest.mark.parametrize(
    ("override", "again", "said"),
    [
        (
            "training.lr=2e-3",
            ["seed0/train.both", *OF_BOTH, "seed0/evaluate.both", "seed0/attention", "attention", "report"],
            "seed0/train.both: starts over, training.lr: 0.001 -> 0.002",
        ),
        ("evaluate.max_new_tokens=5", [*ANSWERED], "max_new_tokens: 4 -> 5"),
        ("evaluate.batch_size=3", [], "nothing to do"),
        ("report.items=2", ["report"], "report: starts over, report.items: 6 -> 2"),
        ("align.save_every=3", [], "nothing to do"),
    ],
)
def test_a_change_repeats_what_depends_on_it_and_says_so(override, again, said, workplace, whole):
    out = workplace.copy(f"changed {override}")
    result = workplace.run(out, override)
    assert (result.code, result.stderr) == (0, "")
    assert worked(result) == again
    assert said in result.stdout
    if len(again) > 1:
        assert re.search(f"^report: starts over, {again[0]} was made again with another", result.stdout, re.MULTILINE)


def test_a_lost_page_is_made_again_from_what_is_there(workplace, whole):
    out = workplace.copy("page lost")
    (workplace.folder / out / "report.html").unlink()
    result = workplace.run(out)
    assert (result.code, worked(result)) == (0, ["report"])
    assert (workplace.folder / out / "report.html").exists()
    assert results(workplace.folder / out) == results(whole)


def test_killed_in_every_stage_it_ends_with_the_same_result(workplace, whole):
    """Each stage is killed once, somewhere between its first moment and its last."""
    rng = random.Random(1)
    run = workplace.folder / "killed"
    for stage in STAGES:
        folder = run / "stages" / stage
        took_s = json.loads((whole / "stages" / stage / "done.json").read_text())["seconds"]
        process = workplace.start("killed")
        while not (folder / "started.json").exists():
            assert process.running, process.result()
            time.sleep(0.001)
        time.sleep(rng.uniform(0, took_s))
        process.kill()
        # A stage that was quicker this time was killed after its work: all that is missing then is its marker.
        (folder / "done.json").unlink(missing_ok=True)
    last = workplace.run("killed")
    assert (last.code, last.stderr) == (0, "")
    assert "report: continues" in last.stdout
    again, uninterrupted = results(run), results(whole)
    assert again.keys() == uninterrupted.keys()
    assert [name for name in again if again[name] != uninterrupted[name]] == []
