"""A package of somebody else adds a term, a family and an engine: one recipe uses them, and nothing else is touched."""

import functools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from example_recipe import TEXT
from extra import ENTRY_POINTS, install
from tiny import tiny_model, tiny_samples
from training_case import STEPS, trainer_of

from earwise.distil.objective import Objective
from earwise.distil.terms import make_term
from earwise.errors import InputError
from earwise.io import plugins
from earwise.models.batch import collate
from earwise.models.families import load_family
from earwise.models.families.internvl import InternVL
from earwise.recipe.read import load_recipe
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import SftTerm
from earwise.records import Item
from earwise.speech.clips import load_clip, make_clips
from earwise.speech.engine import open_engine

NAMES_ALL = (
    TEXT.replace('{ type = "espeak" }', '{ type = "tones", octave = 1 }')
    .replace('["a", "b"]', '["high"]')
    .replace("train_voices = 8", 'train_voices = ["low"]')
    .replace('base = "internvl-micro"', 'base = "internvl-micro"\nfamily = "other_internvl"')
    .replace('[{ type = "sft", weight = 1.0 }]', '[{ type = "norm", weight = 0.5, layer = 2 }]')
)
BUILT_IN_TERMS = (
    "'sft', 'logits', 'layers', 'layer_map', 'attention', 'first_token', 'input_alignment', 'acoustic', 'grpo'"
)


@pytest.fixture(autouse=True)
def forget():
    """A module of one test's package is not that of the next one's."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "earwise_extra"]:
        del sys.modules[name]


@pytest.fixture
def extra(tmp_path, monkeypatch):
    folder = install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def recipe_of(tmp_path, text=NAMES_ALL, overrides=()):
    (tmp_path / "own.toml").write_text(text)
    return load_recipe(tmp_path / "own.toml", overrides)


def test_a_recipe_names_all_three_with_keys_of_their_own(extra, tmp_path):
    recipe = recipe_of(tmp_path)
    [term] = recipe.train["sft"].terms
    assert (term.type, term.weight, term.layer) == ("norm", 0.5, 2)
    assert (recipe.speech.engine.type, recipe.speech.engine.octave) == ("tones", 1)
    assert recipe.model.family == "other_internvl"
    told = json.loads(recipe.model_dump_json(indent=2))
    assert told["train"]["sft"]["terms"] == [{"type": "norm", "weight": 0.5, "layer": 2}]
    assert told["speech"]["engine"] == {"type": "tones", "octave": 1}
    assert Recipe.model_validate_json(recipe.model_dump_json(indent=2)) == recipe


def test_a_stage_depends_on_the_version_of_the_package(tmp_path, monkeypatch):
    said = []
    for version in ("1.0", "1.1"):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(install(tmp_path / version, version=version)))
            recipe = recipe_of(tmp_path)
            said.append([recipe.train["sft"].for_stage(), recipe.speech.for_stage(), recipe.model.for_stage()])
    for version, (train, speech, model) in zip(("1.0", "1.1"), said, strict=True):
        own = {"plugin": f"earwise-extra {version}"}
        assert train["terms"] == [{"type": "norm", "weight": 0.5, "layer": 2, **own}]
        assert speech["engine"] == {"type": "tones", "octave": 1, **own}
        assert model.items() >= own.items()
    assert "plugin" not in recipe_of(tmp_path, TEXT).model.for_stage()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.sft.terms.0.layers=3", "train.sft.terms.0.layers: unknown key (did you mean 'layer'?)"),
        ("train.sft.terms.0.zzz=3", "train.sft.terms.0.zzz: unknown key (known keys: type, weight, layer)"),
        ("train.sft.terms.0.layer=0", "train.sft.terms.0.layer: expected at least 1, got 0"),
        ("train.sft.terms.0.type=nrm", f"train.sft.terms.0.type: expected one of {BUILT_IN_TERMS}, 'norm', got 'nrm'"),
        ("speech.engine.octave=1.5", "speech.engine.octave: expected a whole number, got 1.5"),
        (
            "speech.engine.type=tone",
            "speech.engine.type: expected one of 'espeak', 'flite', 'festival', 'huggingface', 'openai', 'tones', got",
        ),
        ("model.family=other", "model.family: expected one of 'auto', 'internvl', 'qwen2_vl', 'qwen2_5_vl', "),
        ("model.family=other", "'voxtral', 'other_internvl', got 'other'"),
    ],
)
def test_what_is_wrong_in_such_a_table_is_said_as_of_any_other(extra, tmp_path, override, expected):
    with pytest.raises(InputError) as raised:
        recipe_of(tmp_path, overrides=[override])
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_without_the_package_its_kinds_are_unknown(tmp_path):
    with pytest.raises(InputError, match=r"own\.toml: speech\.engine\.type: expected one of .*'openai', got 'tones'"):
        recipe_of(tmp_path)


@pytest.mark.parametrize(
    ("files", "points", "expected"),
    [
        (
            {"settings.py": "import missing_module"},
            {},
            "the plugin 'norm' of earwise-extra 1.0 cannot be loaded: ModuleNotFoundError: No module named "
            "'missing_module' (repair, update or uninstall earwise-extra 1.0)",
        ),
        ({}, {"norm": "earwise_extra.settings:Nothing"}, "'norm' of earwise-extra 1.0 cannot be loaded: Attr"),
        ({}, {"norm": "earwise_extra.norm:Norm"}, "'norm' of earwise-extra 1.0 is no subclass of TermSettings (update"),
        ({}, {"norm": "earwise_extra.settings:TonesEngine"}, "of earwise-extra 1.0 is no subclass of TermSettings"),
        ({}, {"norm": "earwise.recipe.terms:SftTerm"}, """of earwise-extra 1.0 does not say type: Literal["norm"]"""),
        ({"norm.py": None}, {}, "1.0 is made by 'earwise_extra.norm:Norm', which is no module"),
        ({}, {"sft": "earwise_extra.settings:NormTerm"}, "'sft' is built in, and earwise-extra 1.0 registers it, too"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_one_line_that_names_its_package(tmp_path, monkeypatch, files, points, expected):
    folder = install(tmp_path / "site", points={"earwise.terms": {**ENTRY_POINTS["earwise.terms"], **points}})
    for name, text in files.items():
        path = folder / "earwise_extra" / name
        path.write_text(text) if text is not None else path.unlink()
    monkeypatch.syspath_prepend(str(folder))
    terms = '[{ type = "norm", weight = 0.5 }, { type = "sft", weight = 0.5 }]'
    with pytest.raises(InputError) as raised:
        recipe_of(tmp_path, TEXT.replace('[{ type = "sft", weight = 1.0 }]', terms))
    assert expected in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path}/own.toml: train.s")
    assert "\n" not in str(raised.value)


def test_two_packages_that_register_one_name_are_both_named(extra, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(install(tmp_path / "other", "other-extra", "2.0")))
    with pytest.raises(InputError, match=r"'tones' is registered 2 times in earwise\.engines, by earwise-extra"):
        recipe_of(tmp_path)
    assert plugins.names("earwise.engines") == ("tones",)
    with pytest.raises(InputError, match=r"other-extra 2\.0"):
        plugins.found("earwise.families", "other_internvl")


def test_what_a_plugin_makes_is_checked_when_it_is_made(tmp_path, monkeypatch):
    folder = install(tmp_path / "site")
    (folder / "earwise_extra/tones.py").write_text("Tones = dict\n")
    (folder / "earwise_extra/norm.py").write_text("import torch\nraise OSError('no such library')\n")
    monkeypatch.syspath_prepend(str(folder))
    recipe = recipe_of(tmp_path)
    with pytest.raises(InputError, match=r"the plugin 'tones' of earwise-extra 1\.0 makes no SpeechEngine"):
        open_engine(recipe.speech.engine)
    with pytest.raises(InputError, match=r"'norm' of earwise-extra 1\.0 names, cannot be loaded: OSError"):
        make_term(recipe.train["sft"].terms[0])


def test_nothing_is_imported_before_it_is_needed(extra, tmp_path):
    """Not the package while no recipe names it, and neither torch nor what settings are made into by reading one."""
    (tmp_path / "plain.toml").write_text(TEXT)
    recipe_of(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom earwise.recipe.read import load_recipe\n"
        "load_recipe(Path('plain.toml'))\n"
        "assert not [name for name in sys.modules if name.startswith('earwise_extra')]\n"
        "load_recipe(Path('own.toml'))\n"
        "print(sorted(n for n in sys.modules if n.startswith('earwise_extra')), 'torch' in sys.modules)\n"
    )
    path = [str(extra), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": ":".join(path)},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == "['earwise_extra', 'earwise_extra.settings'] False\n"


def test_the_term_trains(extra, tmp_path, tiny_checkpoints):
    [norm] = recipe_of(tmp_path).train["sft"].terms
    terms = [SftTerm(type="sft", weight=1.0), norm]
    trainer, logs = trainer_of(tiny_checkpoints["internvl"], tmp_path, tmp_path / "out", batch=4, terms=terms)
    model = trainer.model
    objective = Objective("image_speech", [make_term(norm)], model)
    batch = objective.collate(tiny_samples(tmp_path))["batch"]
    with torch.no_grad():
        states = objective.states(model, batch)[objective.student_pass]
        expected = states.layers[2].square().sum(-1) / states.layers.shape[-1]
        torch.testing.assert_close(objective.losses(model, batch)["norm"], expected)
    trainer.train()
    curve = [numbers["terms/norm"] for _, numbers in logs if "terms/norm" in numbers]
    assert len(curve) == STEPS
    alone, _ = trainer_of(tiny_checkpoints["internvl"], tmp_path, tmp_path / "alone", batch=4, terms=terms[:1])
    alone.train()
    one, other = (next(trained.model.ears.parameters()) for trained in (trainer, alone))
    assert not torch.equal(one, other)


def test_the_engine_speaks(extra, tmp_path):
    settings = recipe_of(tmp_path).speech.engine
    items = [Item(id=str(n), source="t", question="Is it red?", answers=("yes",), cluster="c") for n in range(2)]
    made = make_clips(
        items, tmp_path / "clips", functools.partial(open_engine, settings), voices=["low", "high"],
        rates=(150.0, 150.0), pitches=(50.0, 50.0), workers=2,
    )  # fmt: skip
    assert len(made.clips) == 2
    for clip in made.clips:
        assert clip.engine == "tones 1"
        samples = load_clip(clip, tmp_path / "clips")
        peak = np.abs(np.fft.rfft(samples)).argmax() * 16_000 / len(samples)
        assert peak == pytest.approx({"low": 440.0, "high": 880.0}[clip.voice], abs=1.0)


def test_the_family_is_a_family(extra, tmp_path, tiny_checkpoints):
    loaded = load_family(str(tiny_checkpoints["internvl"]), family="other_internvl")
    assert isinstance(loaded, InternVL)
    assert loaded.name == "other_internvl"
    assert type(load_family(str(tiny_checkpoints["internvl"]))) is InternVL
    with pytest.raises(InputError, match="the checkpoint is a 'qwen2_vl', not a 'other_internvl'"):
        load_family(str(tiny_checkpoints["qwen2_vl"]), family="other_internvl")
    model, samples = tiny_model(tiny_checkpoints["internvl"], ears=False), tiny_samples(tmp_path, 1)
    hidden = []
    for family in (model.family, loaded):
        model.family, model.base = family, family.model
        layouts = [model.layouts.build(sample, "image_text", answers=True) for sample in samples]
        with torch.no_grad():
            hidden.append(model(collate({"v": layouts}, family, share_prefix=False))["v"].hidden)
    assert torch.equal(*hidden)


def test_a_plugin_that_is_no_family_is_refused(tmp_path, monkeypatch, tiny_checkpoints):
    points = {"earwise.families": {"mine": "earwise_extra.family:OtherInternVL"}}
    monkeypatch.syspath_prepend(str(install(tmp_path / "site", points=points)))
    with pytest.raises(InputError, match=r"'mine' of earwise-extra 1\.0 is no subclass of Family with the name 'mine'"):
        load_family(str(tiny_checkpoints["internvl"]), family="mine")
