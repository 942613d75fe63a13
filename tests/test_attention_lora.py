"""The attention analysis of models with LoRA: what they do with a typed question is their own, not the base's."""

import json
import shutil

import pytest
from data_folder import RECIPE, write_data_folder
from earwise_process import earwise

from earwise.attention.measure import Look, measure
from earwise.attention.records import AttentionRow
from earwise.evaluate.benchmarks import load_benchmark
from earwise.models import OmniModel
from earwise.report.attention import attention_section
from earwise.stages.samples import sample_items
from earwise.work.store import read_store

TYPED, SPOKEN = "image_text", "image_speech"
LORA = 'base = "vlm"\nlora = { rank = 2, alpha = 64 }'
ATTENTION = '[attention]\nitems = 3\nbenchmarks = ["colors"]\n[report]'


@pytest.fixture(scope="module")
def run(tiny_checkpoints, tmp_path_factory):
    """A run of one training with LoRA, and its analysis."""
    place = tmp_path_factory.mktemp("lora")
    shutil.copytree(tiny_checkpoints["internvl"], place / "vlm")
    write_data_folder(place / "own")
    text = RECIPE.replace('base = "vlm"', LORA).replace("[report]", ATTENTION).replace("lr = 1e-3", "lr = 0.1")
    (place / "own.toml").write_text(text)
    result = earwise(place, "run", "own.toml")
    assert (result.code, result.stderr) == (0, "")
    return place / "runs/own"


@pytest.fixture(scope="module")
def rows(run):
    found = {}
    for row in read_store(run / "stages/seed0/attention/rows.jsonl", AttentionRow):
        found.setdefault((row.model, row.view), {})[row.item] = row
    return found


def shares(row):
    return [*row.query.share, *row.response.share]


def test_every_model_is_measured_under_every_view(rows):
    own = {(model, view) for model in ("aligned", "sft") for view in (TYPED, SPOKEN)}
    assert rows.keys() == {("base", TYPED), *own}
    assert {len(items) for items in rows.values()} == {3}


def test_typed_rows_are_those_of_the_model_with_its_lora(run, rows):
    folder = run.parent.parent / "own/benchmarks"
    clips = run / "stages/speech/benchmarks/colors"
    samples = sample_items(load_benchmark("colors", folder), folder, clips, print)
    model = OmniModel.from_pretrained(str(run.parent.parent / "vlm"), run / "stages/seed0/train.sft/ears").eval()
    with model.lora.switched_off():
        plain = measure(model, "base", "colors", samples, TYPED, Look())
    trained = measure(model, "sft", "colors", samples, TYPED, Look())
    for name, measured in (("base", plain), ("sft", trained)):
        for row in measured:
            for one, other in zip(shares(row), shares(rows[name, TYPED][row.item]), strict=True):
                assert one == pytest.approx(other, abs=1e-5)
    apart = [
        abs(a - b)
        for one in trained
        for x, y in zip(shares(one), shares(rows["base", TYPED][one.item]), strict=True)
        for a, b in zip(x, y, strict=True)
    ]
    assert max(apart) > 1e-3


def test_untrained_lora_reads_as_the_base_does(rows):
    for item, row in rows["aligned", TYPED].items():
        assert shares(row) == shares(rows["base", TYPED][item])


def test_numbers_and_page_have_the_typed_view_of_each_model(run):
    found = json.loads((run / "attention.json").read_text())
    assert found["reference"] == {"model": "base", "view": TYPED}
    typed = {d["model"]: d["value"] for d in found["distances"] if (d["view"], d["variant"]) == (TYPED, "share")}
    assert typed["aligned"] == 0.0
    assert typed["sft"] > 0
    assert {(c["model"], c["view"]) for c in found["comparisons"]} == {("aligned", TYPED), ("aligned", SPOKEN)}
    section = attention_section(run)
    assert section is not None
    assert "SFT, typed" in (run / "report.html").read_text()
