"""Likelihoods of the base's typed answers: the numbers by hand, the model's own logits, and a whole run."""

import json
import math
from pathlib import Path

import pytest
import torch
from data_folder import RECIPE, write_data_folder
from test_gate import write_tiny_whisper
from tiny import tiny_model, tiny_samples

from earwise.cli import execute
from earwise.errors import InputError
from earwise.evaluate.likelihood import Likelihood, LikelihoodTable, summarise_likelihood
from earwise.evaluate.likelihood_runner import Measurer, measure, referenced, silenced, swapped
from earwise.models.batch import collate
from earwise.recipe.read import load_recipe
from earwise.work.store import Store, read_store


def one(item, model, how, cross_entropy, kl=0.0, cluster=None):
    return Likelihood(
        item=item, source="free", model=model, how=how, cluster=cluster or item, tokens=3,
        cross_entropy=cross_entropy, kl=kl,
    )  # fmt: skip


def test_rows_and_differences_by_hand():
    records = [
        one("a", "base", "transcript", 1.0), one("b", "base", "transcript", 2.0),
        one("a", "ears", "speech", 0.5, 0.25), one("b", "ears", "speech", 1.0, 0.75),
        one("a", "ears", "swapped", 3.5), one("b", "ears", "swapped", 3.0),
    ]  # fmt: skip
    found = summarise_likelihood(LikelihoodTable.of([records]), ("base", "transcript"))["free"]
    assert (found["n"], found["tokens"]) == (2, 6)
    cascade, ears, control = found["rows"]
    assert cascade["cross_entropy"]["value"] == 1.5
    assert "minus_cascade" not in cascade
    assert (ears["cross_entropy"]["value"], ears["kl"]["value"]) == (0.75, 0.5)
    assert ears["minus_cascade"]["value"] == -0.75
    assert ears["minus_cascade"]["ci95"] == [-1.0, -0.5]
    assert (control["minus_speech"]["value"], control["minus_cascade"]["value"]) == (2.5, 1.75)


def test_seeds_are_averaged_by_item_and_kept_apart():
    seeds = [[one("a", "ears", "speech", 1.0), one("b", "ears", "speech", 3.0)],
             [one("a", "ears", "speech", 2.0), one("b", "ears", "speech", 4.0)]]  # fmt: skip
    row = summarise_likelihood(LikelihoodTable.of(seeds), ("base", "transcript"))["free"]["rows"][0]
    assert row["cross_entropy"]["value"] == 2.5
    assert row["cross_entropy"]["by_seed"] == [2.0, 3.0]
    seeds[1].pop()
    with pytest.raises(InputError, match="seeds have measured different items of free"):
        summarise_likelihood(LikelihoodTable.of(seeds), ("base", "transcript"))


def test_the_numbers_are_those_of_the_models_own_logits(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"]).eval()
    samples = [referenced(sample, "red", cut=n == 1) for n, sample in enumerate(tiny_samples(tmp_path, 3))]
    shown = {"speech": ("image_speech", samples), "silenced": ("image_speech", [silenced(s) for s in samples])}
    with Store(tmp_path / "found.jsonl", Likelihood) as store:
        measure(model, Measurer("ears", "free", "image_text", shown), samples, 2, store)
    found = {(record.item, record.how): record for record in read_store(tmp_path / "found.jsonl", Likelihood)}
    assert len(found) == 6
    for how, (view, some) in shown.items():
        for typed, sample in zip(samples, some, strict=True):
            expected, count = _by_hand(model, typed, sample, view)
            record = found[sample.key, how]
            assert record.tokens == count
            assert (record.cross_entropy, record.kl) == pytest.approx(expected, abs=1e-4)
    assert found["item-1", "speech"].tokens == found["item-0", "speech"].tokens - 1  # no end of turn where it was cut
    assert found["item-0", "speech"].cross_entropy != pytest.approx(found["item-0", "silenced"].cross_entropy, abs=1e-6)


@torch.no_grad()
def _by_hand(model, typed, heard, view):
    logprobs = []
    for sample, shown in ((typed, "image_text"), (heard, view)):
        layout = model.layouts.build(sample, shown, answers=True)
        states = model(collate({shown: [layout]}, model.family, share_prefix=False))[shown]
        logprobs.append((states.hidden @ model.family.head_weight.T).log_softmax(-1))
    teacher, student = logprobs
    nats = -student.gather(-1, states.targets[:, None]).mean()
    kl = (teacher.exp() * (teacher - student)).sum(-1).mean()
    return (float(nats), float(kl)), len(states.targets)


def test_every_question_gets_the_clip_of_another_cluster(tmp_path):
    samples = tiny_samples(tmp_path, 6)
    other = swapped(samples, 3)
    assert [sample.key for sample in other] == [sample.key for sample in samples]
    assert all(a.turns[0].clip != b.turns[0].clip for a, b in zip(samples, other, strict=True))
    assert sorted(s.turns[0].clip for s in other) == sorted(s.turns[0].clip for s in samples)
    assert other == swapped(samples, 3) != swapped(samples, 4)


def test_a_run_measures_every_model_beside_the_cascade(tiny_checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data_folder(Path("own"))
    Path("vlm").symlink_to(tiny_checkpoints["internvl"])
    write_tiny_whisper(Path("whisper"))
    views = 'evaluate.views=["image_text", "image_speech", "image_transcript"]'
    changes = [views, 'evaluate.recogniser={model="whisper"}', "evaluate.cascade=[]", "likelihood.batch_size=2"]
    Path("own.toml").write_text(RECIPE)
    assert execute(Path("own.toml"), changes, Path("run")) == 0
    summary = json.loads(Path("run/summary.json").read_text())
    result = next(iter(summary["likelihood"].values()))
    rows = {(row["model"], row["how"]): row for row in result["rows"]}
    models = [model for model in summary["models"] if model != "base"]
    expected = {("base", "typed"), ("base", "transcript")} | {
        (model, how) for model in models for how in ("speech", "silenced", "swapped")
    }
    assert set(rows) == expected
    assert rows["base", "typed"]["kl"]["value"] == pytest.approx(0, abs=1e-6)
    assert all(math.isfinite(row["cross_entropy"]["value"]) for row in rows.values())
    assert all("image_transcript" in result["views"] for result in summary["models"]["base"].values())
    assert "through a recogniser" in Path("run/report.html").read_text()


WHOLE = [
    'evaluate.views=["image_text", "image_speech", "image_transcript"]',
    'evaluate.recogniser={model="whisper"}',
    "likelihood.batch_size=2",
]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (['likelihood.benchmarks=["docvqa"]'], "likelihood.benchmarks: 'docvqa' is not among evaluate.benchmarks"),
        (['likelihood.models=["other"]'], "likelihood.models: 'other' is not among evaluate.models"),
        (['evaluate.views_of.mme=["image_speech"]'], "evaluate.views: 'mme' is not asked under image_text"),
        (['evaluate.views=["image_text", "image_speech"]'], "evaluate.recogniser: no view shows its transcripts"),
        (["model.decoder=full"], "likelihood: compares with the base"),
    ],
)
def test_what_it_needs_of_the_other_tables(changes, said, tmp_path):
    (tmp_path / "own.toml").write_text(RECIPE)
    with pytest.raises(InputError, match=said):
        load_recipe(tmp_path / "own.toml", [*WHOLE, *changes])
