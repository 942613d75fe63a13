"""What a changed key of a recipe repeats: exactly what depends on it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from recipe_keys import changed, keys

import earwise
from earwise.planning.compile import compile_recipe
from earwise.recipe.read import load_recipe
from earwise.work.run import Run

RECIPES = Path(earwise.__file__).parents[2] / "recipes"
SWEPT = ("quickstart", "micro_encoder", "micro_base", "sightsound/micro", "self_kd/beyond")

TRAINS = {
    "DataJob",
    "BaseJob",
    "EncoderJob",
    "AnswersJob",
    "AlignJob",
    "TrainJob",
    "ChooseJob",
    "TracesJob",
    "VerifyJob",
}
"""Jobs that make or train something that is tested later."""
TESTS = re.compile(r"name|description|evaluate\.|conditions\.|guards\.|attention\.|report\.|speech\.test_")
"""Keys that only say what is tested, and how it is reported."""
ASKED = {"MediaJob", "ReportJob", "EvaluateJob", "PredictJob"}

EXACTLY: dict[str, tuple[set[str], ...]] = {
    r"name": ({"ReportJob"}, set()),  # no report without [evaluate]
    r"description": (set(),),
    r"data\..*": ({"DataJob"},),
    r"speech\.workers": (set(),),
    r"speech\..*": ({"SpeechJob"},),
    r"conditions\.\w+\.models": ({"EvaluateJob", "PredictJob", "ReportJob"},),
    r"conditions\..*": ({"SpeechJob"},),
    r"(traces\.teacher|verify\.checker)\.(batch_size|replicas)": (set(),),
    r"traces\.items": ({"MediaJob", "TracesJob", "VerifyJob"},),
    r"traces\..*": ({"TracesJob"},),
    r"verify\..*": ({"VerifyJob"},),
    r".*\.(save_every|log_every|report_to)": (set(),),
    r"base\..*": ({"BaseJob"},),
    r"encoder\..*": ({"EncoderJob"},),
    r"training\.select\.items": (
        {"TrainJob", "MediaJob"},
        {"TrainJob", "ChooseJob", "MediaJob", "SpeechJob", "ReportJob"},
    ),
    r"training\..*": ({"TrainJob"}, {"TrainJob", "ChooseJob"}),
    r"align\.data": ({"AlignJob"}, {"AlignJob", "MediaJob", "SpeechJob", "ReportJob"}),
    r"answers\.batch_size": (set(),),
    r"answers\.items": ({"AnswersJob", "TrainJob", "ChooseJob", "MediaJob", "SpeechJob", "ReportJob"},),
    r"answers\..*": ({"AnswersJob"},),
    r"align\..*": ({"AlignJob"},),
    r"evaluate\.batch_size": (set(),),
    r"evaluate\.profile": ({"EvaluateJob", "MediaJob"},),
    r"evaluate\.(max_new_tokens|suffix)": ({"PredictJob"},),
    r"evaluate\.cascade": ({"PredictJob"}, set()),
    r"evaluate\.views": ({"PredictJob", "MediaJob", "ReportJob"},),
    r"evaluate\.models": ({"EvaluateJob", "PredictJob", "ReportJob"}, set()),
    r"evaluate\.(benchmarks|limit)": (ASKED, ASKED | {"SpeechJob"}),
    r"evaluate\.(text|speech)_view": ({"ReportJob"},),
    r"report\..*": ({"ReportJob"},),
}
"""By pattern of a key the kinds of jobs that then depend on something else; the first pattern counts."""
OTHERWISE = re.compile(r"seeds|model\..*|train\..*|choose\..*")
"""Keys with tests of their own below."""


@pytest.mark.parametrize("recipe", SWEPT)
def test_a_changed_key_changes_what_exactly_its_jobs_depend_on(recipe: str) -> None:
    seen = 0
    for key, jobs in changed(RECIPES / f"{recipe}.toml"):
        kinds = {*jobs.values()}
        if TESTS.match(key) and not key.startswith("speech"):
            assert not kinds & TRAINS, key
        if OTHERWISE.fullmatch(key):
            continue
        allowed = next((sets for pattern, sets in EXACTLY.items() if re.fullmatch(pattern, key)), None)
        assert allowed is not None, f"{key} has no row"
        assert kinds in allowed, key
        seen += 1
    assert seen > 20


@pytest.mark.parametrize("recipe", ["quickstart", "self_kd/beyond"])
def test_a_training_runs_key_changes_that_run_and_no_other(recipe: str) -> None:
    for key, jobs in changed(RECIPES / f"{recipe}.toml"):
        if key.startswith("train.") and not key.endswith(".once"):  # what starts from it has another start, too
            name = key.split(".")[1]
            trained = {job.rpartition("train.")[2] for job, kind in jobs.items() if kind == "TrainJob"}
            assert trained == {name}, key
            assert {*jobs.values()} <= {"TrainJob", "ChooseJob", "MediaJob", "ReportJob", "SpeechJob"}, key


def test_a_models_key_changes_every_training_run_and_no_data() -> None:
    for key, jobs in changed(RECIPES / "quickstart.toml"):
        if key.startswith("model."):
            assert {"AlignJob", "TrainJob", "PredictJob"} <= {*jobs.values()}, key
            bases = [name for name in jobs if "/predict.base/" in name]
            assert bool(bases) == (not key.startswith(("model.ears", "model.lora", "model.decoder"))), key
            assert {*jobs.values()} <= {"AlignJob", "TrainJob", "PredictJob", "SpeechJob"}, key


def test_every_table_of_a_recipe_is_swept_somewhere() -> None:
    found = {key.split(".")[0] for name in SWEPT for key, _, _ in keys(load_recipe(RECIPES / f"{name}.toml"))}
    assert found >= {
        "data",
        "speech",
        "conditions",
        "traces",
        "verify",
        "model",
        "training",
        "base",
        "encoder",
        "align",
    }
    assert found >= {"train", "choose", "evaluate", "report"}


SMALL = (
    "data.train_images=12", "data.validation_images=2", "data.test_images=24", "data.transcribe_items=24",
    "speech.train_voices=3", "align.steps=1", "align.batch_size=4", "training.steps=1", "training.batch_size=4",
    'evaluate.benchmarks=["mme", "textvqa"]', 'evaluate.cascade=[]', "evaluate.limit=6",
)  # fmt: skip


class Tiny:
    """The quickstart in small, and what its stages did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *overrides: str) -> list[str]:
        """Bring it up to date; the names of the stages that worked."""
        recipe = load_recipe(RECIPES / "quickstart.toml", [*SMALL, *overrides])
        self.said: list[str] = []
        return Run(self.folder, recipe, say=self.said.append).execute(compile_recipe(recipe))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repeats") / "run"
    Tiny(folder)()
    return folder


@pytest.fixture
def tiny(finished: Path, tmp_path: Path) -> Tiny:
    shutil.copytree(finished, tmp_path / "run")
    return Tiny(tmp_path / "run")


MODELS = ("base", "aligned", "sft", "self_kd", "self_kd_layers")
SCORED = {f"seed0/evaluate.{model}" for model in MODELS}
SPOKEN = {"speech/benchmarks/mme", "speech/benchmarks/textvqa"}


BOTH = {f"seed0/predict.{model}/{name}" for model in MODELS for name in ("mme", "textvqa")}


@pytest.mark.parametrize(
    ("override", "repeated"),
    [
        ("evaluate.batch_size=3", set()),
        ("evaluate.profile=vlmevalkit", {"data.media", *SCORED, "report"}),
        ("evaluate.limit=5", {"data.media", *SPOKEN, *BOTH, *SCORED, "report"}),
        ('evaluate.benchmarks=["textvqa", "mme"]', {"data.media", *SCORED, "report"}),
        ('evaluate.benchmarks=["mme"]', {"data.media", *SCORED, "report"}),
        (
            "speech.test_voices=1",  # training clips are looked at again and are what they were
            {"speech/train", "speech/transcribe", *SPOKEN, *BOTH, *SCORED, "report"},
        ),
        ("report.items=3", {"report"}),
        ("name=other", {"report"}),
    ],
)  # fmt: skip
def test_what_only_changes_testing_trains_nothing(tiny: Tiny, override: str, repeated: set[str]) -> None:
    worked = {*tiny(override)}
    assert not {name for name in worked if name.endswith("/align") or "/train." in name}
    assert worked == repeated
    assert tiny(override) == []
