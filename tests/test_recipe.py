import json
from pathlib import Path

import pytest
from example_recipe import TEXT

from earwise.errors import InputError
from earwise.recipe.model import FreshEars
from earwise.recipe.read import load_recipe
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import LogitsTerm, SftTerm


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(TEXT)
    return path


def test_a_recipe_is_read_with_its_types_and_defaults(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.seeds == (0, 1)
    assert recipe.train["self_kd"].terms == (
        SftTerm(type="sft", weight=0.25),
        LogitsTerm(type="logits", weight=0.75, teacher="self", view="image_text", divergence="forward_kl"),
    )
    assert recipe.model is not None
    assert isinstance(recipe.model.ears, FreshEars)
    assert recipe.model.ears.mel_bins == 80
    assert recipe.align is not None
    assert recipe.align.lr == 1.0  # written as a whole number
    assert recipe.models == recipe.evaluated == ("aligned", "sft", "self_kd", "layers")


def test_trainings_share_hyper_parameters_and_may_override_two(path: Path) -> None:
    recipe = load_recipe(path, ["train.layers.lr=5e-4"])
    assert (recipe.optimisation("sft").steps, recipe.optimisation("sft").lr) == (10, 2e-3)
    assert (recipe.optimisation("layers").steps, recipe.optimisation("layers").lr) == (20, 5e-4)
    assert recipe.optimisation("layers").batch_size == 4


def test_the_resolved_recipe_reads_back(path: Path) -> None:
    recipe = load_recipe(path, ["speech.train_voices=['x', 'y']"])
    text = recipe.model_dump_json(indent=2)
    assert json.loads(text)["training"]["warmup_ratio"] == 0.0
    assert Recipe.model_validate_json(text) == recipe


def test_what_only_changes_speed_is_not_part_of_a_stage(path: Path) -> None:
    slow, fast = load_recipe(path), load_recipe(path, ["speech.workers=7", "training.save_every=3"])
    assert slow.speech
    assert fast.speech
    assert slow.speech != fast.speech
    assert slow.speech.for_stage() == fast.speech.for_stage()
    assert slow.optimisation("sft").for_stage() == fast.optimisation("sft").for_stage()
    assert slow.optimisation("sft").for_stage()["steps"] == 10


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.lr=4e-5", 4e-5),
        ("training.lr = 1", 1.0),
        ("training.shared_prefix=off", "off"),
        ("training.group_by_length=false", False),
        ("seeds=[3, 4]", (3, 4)),
        ("train.self_kd.terms.1.weight=0.5", 0.5),
        ("model.base=org/name-2", "org/name-2"),
        ('model.base="1.5"', "1.5"),
        ("description=a = b", "a = b"),
        ("data={source='folder', path='x'}", None),
    ],
)
def test_overrides_are_toml_or_bare_words(path: Path, override: str, expected: object) -> None:
    at: object = load_recipe(path, [override])
    for part in override.partition("=")[0].strip().split("."):
        at = at[int(part)] if isinstance(at, tuple) else at[part] if isinstance(at, dict) else getattr(at, part)  # type: ignore[index]
    if expected is None:
        assert at.path == "x"  # type: ignore[attr-defined]
    else:
        assert at == expected
        assert type(at) is type(expected)


def test_an_override_adds_a_table_that_was_absent(path: Path) -> None:
    recipe = load_recipe(path, ["speech.perturb={probability=1}", "train.new.terms=[{type='sft', weight=1}]"])
    assert list(recipe.train) == ["sft", "self_kd", "layers", "new"]
    assert recipe.train["new"].start == "aligned"


BAD_VALUES = [
    ("training.step=3", "training.step: unknown key (did you mean 'steps'?)"),
    ("trainin={}", "trainin: unknown key (did you mean 'training'?)"),
    ("train.sft.term=[]", "train.sft.term: unknown key (did you mean 'terms'?)"),
    ("speech.engine.zzz=1", "speech.engine.zzz: unknown key (known keys: type)"),
    ("model.ears.width_=1", "model.ears.width_: unknown key (did you mean 'width'?)"),
    ("training.steps=3.5", "training.steps: expected a whole number, got 3.5"),
    ("training.steps=3.0", "training.steps: expected a whole number, got 3.0"),
    ("training.steps='3'", "training.steps: expected a whole number, got '3'"),
    ("training.steps=true", "training.steps: expected a whole number, got true"),
    ("training.steps=0", "training.steps: expected at least 1, got 0"),
    ("training.lr=0", "training.lr: expected more than 0, got 0"),
    ("training.lr=inf", "training.lr: expected a finite number, got inf"),
    ("training.lr=fast", "training.lr: expected a number, got 'fast'"),
    ("training.warmup_ratio=1.5", "training.warmup_ratio: expected at most 1, got 1.5"),
    ("training.group_by_length=1", "training.group_by_length: expected true or false, got 1"),
    ("description=3", "description: expected text, got 3"),
    ("seeds=0", "seeds: expected a list, got 0"),
    ("seeds=[]", "seeds: expected a list of at least 1, got a list of 0"),
    ("seeds=[0, 0]", "seeds: 0 is listed twice"),
    ("data=3", "data: expected a table, got 3"),
    ("training=3", "training: expected a table, got 3"),
    ("name=two words", "name: expected letters, digits, '_', '-' and '.', got 'two words'"),
    ("speech.train_voices=1.5", "speech.train_voices: expected a whole number or a list, got 1.5"),
    (
        "speech.engine.type=foo",
        "speech.engine.type: expected one of 'espeak', 'flite', 'festival', 'huggingface', 'openai', got 'foo'",
    ),
    ("speech.engine={}", "speech.engine.type: missing (it says which variant the table is)"),
    (
        "speech.engine={type='openai', base_url='http://x'}",
        "speech.engine.model: missing (it is required and has no default)",
    ),
    ("speech.rates_wpm=[180, 120]", "speech.rates_wpm: the range [180, 120] ends before it begins"),
    (
        "evaluate.profile=lax",
        "evaluate.profile: expected one of 'strict', 'vlmevalkit', 'lmms_eval' or 'official', got",
    ),
    ("evaluate.models=some", "evaluate.models: expected 'all' or a list, got 'some'"),
    ("model.ears.heads=3", "model.ears: width 128 is not a multiple of heads 3"),
    ("train.self_kd.terms.1.teacher_share=0.3", "train.self_kd.terms.1: teacher_share has no effect on forward_kl"),
    ("training.lr=[1", "training.lr: the value is not valid TOML"),
    ("training.lr", "training.lr: is not an override (write section.key=value)"),
    ("=3", "=3: is not an override (write section.key=value)"),
    ("training.steps.x=3", "training.steps.x: there is no 'x' in the value 10"),
    ("train.sft.terms.1.weight=3", "train.sft.terms.1.weight: there is no '1' in a list of 1"),
]


@pytest.mark.parametrize(("override", "said"), BAD_VALUES)
def test_a_bad_override_is_one_line_with_its_key(path: Path, override: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(path, [override])
    assert str(caught.value).startswith(f"command line: {said}")
    assert "\n" not in str(caught.value)


DISAGREEMENTS = [
    (["speech.train_voices=['a', 'c']"], "speech.test_voices: a: also among speech.train_voices"),
    (
        ["speech.others=[{engine={type='espeak'}, voices=3, share=0.2}]"],
        "speech.others.0.engine: that of [speech]: its voices belong into speech.train_voices",
    ),
    (
        ["speech.others=[{engine={type='flite'}, voices=1, share=0.5}, {engine={type='flite'}, voices=1, share=0.5}]"],
        "speech.others: their shares leave nothing for speech.engine: they must sum to less than 1",
    ),
    (["train.sft.start=nothing"], "train.sft.start: no model is named 'nothing': choose from base, aligned, sft"),
    (["train.self_kd.start=layers"], "train.self_kd.start: starts from itself: self_kd <- layers <- self_kd"),
    (["train.sft.start=sft"], "train.sft.start: starts from itself: sft <- sft"),
    (["train.sft.terms.0.weight=0"], "train.sft.terms: all weights are 0: nothing would be learned"),
    (["train.self_kd.terms.1.view=image_speech"], "train.self_kd.terms.1.view: teacher and student both see image_s"),
    (["train.base.terms=[{type='sft', weight=1}]"], "train.base: 'base' has a meaning of its own"),
    (["evaluate.models=['sfd']"], "evaluate.models: no model is named 'sfd': choose from base, aligned, sft, self_kd"),
    (["evaluate.models=['base']"], "evaluate.views: image_speech needs a model with ears"),
    (["evaluate.speech_view=image_text"], "evaluate.speech_view: is the same as evaluate.text_view"),
    (["model.base=base"], "model.base: 'base' is the model that a [base] table trains"),
]  # fmt: skip


def test_the_base_beneath_a_lora_may_teach_the_students_own_view(path: Path) -> None:
    overrides = ["train.self_kd.terms.1.view=image_speech", "model.lora={rank=2, alpha=4}"]
    assert load_recipe(path, overrides).train["self_kd"].terms[1].view == "image_speech"


@pytest.mark.parametrize(("overrides", "said"), DISAGREEMENTS)
def test_tables_that_contradict_each_other_are_refused(path: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(path, overrides)
    assert said in str(caught.value)


@pytest.mark.parametrize("table", ["speech", "model", "training"])
def test_a_table_that_another_one_needs_is_asked_for(path: Path, table: str) -> None:
    tables = TEXT.split("\n[")
    path.write_text("\n[".join(text for text in tables if not text.startswith((f"{table}]", f"{table}."))))
    with pytest.raises(InputError, match=rf"quick\.toml: {table}: missing table, which \[\w+\] needs"):
        load_recipe(path)


def test_a_start_that_comes_round_in_other_trainings_is_not_blamed_on_the_one_that_leads_there(path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.self_kd\.start: starts from itself"):
        load_recipe(path, ["train.self_kd.start=layers", "train.sft.start=layers"])


def test_a_text_only_recipe_needs_no_speech(tmp_path: Path) -> None:
    path = tmp_path / "base.toml"
    path.write_text(
        """
        name = "base"
        data = { source = "folder", path = "here" }
        [base]
        family = "internvl"
        width = 128
        feed_forward = 256
        layers = 4
        heads = 4
        key_value_heads = 2
        vision_width = 96
        vision_feed_forward = 192
        vision_layers = 3
        vision_heads = 4
        phases = [{ steps = 100, batch_size = 32, lr = 2e-3, copy_share = 0.2 }]
        [evaluate]
        benchmarks = ["mme"]
        views = ["image_text", "text_only"]
        batch_size = 8
        max_new_tokens = 16
        """
    )
    assert load_recipe(path).evaluated == ("base",)
    with pytest.raises(InputError, match=r"speech: missing table, which evaluate\.views needs for image_speech"):
        load_recipe(path, ["evaluate.views=['image_text', 'image_speech']"])


def test_files_that_are_no_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.toml: no such recipe"):
        load_recipe(tmp_path / "missing.toml")
    with pytest.raises(InputError, match="is a folder, not a file"):
        load_recipe(tmp_path)
    path = tmp_path / "bad.toml"
    path.write_text('name = "x"\nseeds = [0\n[data]\n')
    with pytest.raises(InputError, match=r"bad\.toml: is not valid TOML: .*line 3"):
        load_recipe(path)
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(InputError, match=r"bad\.toml: line 1: is not UTF-8 text"):
        load_recipe(path)
    path.write_text('name = "x"')
    with pytest.raises(InputError, match=r"bad\.toml: data: missing \(it is required"):
        load_recipe(path)


def test_an_unknown_key_in_the_file_names_the_file(path: Path) -> None:
    path.write_text(TEXT.replace("test_voices", "tset_voices"))
    with pytest.raises(InputError, match=r"quick\.toml: speech\.tset_voices: unknown key .*'test_voices'\?"):
        load_recipe(path)
