"""`earwise plan`: what it shows, within 100 columns, and that its numbers are those of real steps."""

import itertools
import re
from pathlib import Path

import pytest
import torch
from corpora import conversation, write_librispeech, write_llava
from data_folder import write_data_folder
from earwise_process import earwise
from example_recipe import TEXT as EXAMPLE
from test_corpora_pipeline import RECIPE as CORPORA
from test_corpora_pipeline import RECORDS
from tiny import tiny_model, tiny_samples
from tiny_families import NATIVE, PARTS, write_tiny_family
from torch.utils.flop_counter import FlopCounterMode

from earwise.distil.objective import Objective
from earwise.distil.rollouts import LocalRollouts, Prompt
from earwise.distil.terms import make_term
from earwise.errors import InputError
from earwise.planning.cost import Pass, drawing_flops, shared_starts, step_flops, step_memory
from earwise.planning.page import plan
from earwise.planning.sizes import Shown, Sizes
from earwise.recipe.read import load_recipe
from earwise.recipe.terms import LayerMapTerm
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm

RECIPES = Path(__file__).parent.parent / "recipes"
SFT, LOGITS = SftTerm(type="sft", weight=0.25), LogitsTerm(type="logits", weight=0.75)
LAYER_MAP = LayerMapTerm(type="layer_map", weight=0.05)
VIEWS = ("image_speech", "image_text")


def lines_of(path: Path, *overrides: str, shown: int = 1) -> list[str]:
    lines = [line.plain for line in plan(load_recipe(path, overrides), shown)]
    assert [line for line in lines if len(line) > 100] == []
    return lines


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    path = tmp_path_factory.mktemp("example") / "quick.toml"
    path.write_text(EXAMPLE)
    return lines_of(path, "speech.test_voices=2", 'gate={ train = "leave_out" }', shown=3)


def test_what_only_the_gate_can_know_is_said(example):
    said = "what fails the gate is left out, too: `earwise gate` says how much"
    at = [n for n, line in enumerate(example) if line.strip() == said]
    assert len(at) == sum(line.startswith("data ") for line in example) == 2


def test_every_training_of_the_quickstart_is_planned():
    recipe = load_recipe(RECIPES / "quickstart.toml")
    ears = 'model.ears={encoder="fresh", layers=1, width=16, heads=2, mel_bins=16, stack=5, hidden=24}'
    lines = lines_of(RECIPES / "quickstart.toml", ears, "align.frozen_layers=0", "training.frozen_layers=0")
    (at,) = [number for number, line in enumerate(lines) if line.startswith("item ")]
    assert not any(line.startswith(("training ", "data ")) for line in lines[at:]), "costs come before tokens"
    planned = [line.split()[1].rstrip(":") for line in lines if line.startswith("training ")]
    assert planned == list(recipe.models)


def test_three_items_stand_side_by_side_with_their_spans(example):
    at = [n for n, line in enumerate(example) if line.startswith("item ")]
    assert len(at) == 3
    head, first = example[at[0] + 1], example[at[0] + 2]
    assert re.fullmatch(r"image_speech: \d+ tokens +│ image_text: \d+ tokens", head)
    assert re.fullmatch(r"\[system 0:10\] +│ \[system 0:10\]", first)
    item = example[at[0] : at[1]]
    assert any("<IMG_CONTEXT> x 16" in line for line in item)
    left = [line.partition(" │ ")[0] for line in item]
    assert any(re.search(r"\|<speech> x \d+\|", line) for line in left)
    assert "shared prefix: tokens 0:28 of the views are computed once" in item
    roles = [re.match(r"\[(\w+) (\d+):(\d+)\]", line) for line in left]
    spans = [(m[1], int(m[2]), int(m[3])) for m in roles if m]
    assert [name for name, *_ in spans] == ["system", "image", "query", "template", "response"]
    assert all(one[2] == other[1] for one, other in itertools.pairwise(spans))
    assert spans[-1][2] == int(re.match(r"image_speech: (\d+)", head)[1])


def test_trainings_are_compared_with_plain_sft(example):
    text = "\n".join(example)
    blocks = {block.splitlines()[0]: block for block in text.split("\n\n") if block.startswith("training ")}
    assert len(blocks) == 4
    (sft,) = [block for title, block in blocks.items() if title.startswith("training sft")]
    (self_kd,) = [block for title, block in blocks.items() if title.startswith("training self_kd:")]
    assert "1.00 of the cost of plain SFT on the same items, its own prefix computed once\n" in sft
    alone = float(re.search(r"(\d\.\d\d) of the cost of plain SFT", self_kd)[1])
    shared, full = map(
        float,
        re.search(r"(\d\.\d\d) of the cost of SFT on whole sequences; with full passes (\d\.\d\d)", self_kd).groups(),
    )
    assert shared < full
    # A teacher's pass is never for nothing: beside SFT that shares its prefix as well, Self-KD costs more.
    assert alone > 1
    assert shared < alone
    assert "10 steps, 1.33 epochs" in self_kd


def samples_passes(model, samples):
    rows = [[model.layouts.build(sample, view, answers=True) for view in VIEWS] for sample in samples]
    sizes = Sizes.of(model, bfloat16=False)
    passes = [Pass([Shown.of(row[n], sizes) for row in rows], learns=n == 0) for n in range(2)]
    return rows, sizes, passes


def counted(model, samples, terms, share, view="image_speech"):
    """Operations of a real step."""
    objective = Objective(view, [make_term(term) for term in terms], model, share_prefix=share)
    batch = objective.collate(samples)["batch"]
    with FlopCounterMode(display=False) as counter:
        values = objective.values(objective.states(model, batch))
        sum(value.sum() for value in values.values()).backward()
    return counter.get_total_flops()


LAYERS = LayersTerm(type="layers", weight=0.05)
STEPS = [([SFT], False), ([SFT], True), ([SFT, LOGITS], False), ([SFT, LOGITS], True), ([SFT, LAYER_MAP], False)]


@pytest.mark.parametrize("family", ["internvl", "qwen2_vl"])
def test_predicted_operations_are_those_of_real_steps(family, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints[family])
    model.ears.requires_grad_(True)
    # One at a time: padding is not part of the count.
    sample = tiny_samples(tmp_path, 2)[1:]
    rows, sizes, passes = samples_passes(model, sample)
    for terms, share in STEPS:
        number = 1 if terms == [SFT] else 2
        starts = shared_starts([row[:number] for row in rows]) if share else [0]
        real = counted(model, sample, terms, share)
        assert step_flops(passes[:number], starts, terms, sizes) == pytest.approx(real, rel=0.05)


@pytest.mark.parametrize("family", PARTS)
def test_operations_of_every_family_are_predicted(family, tmp_path):
    """Ears of the base's own are trained whole; what their convolutions cost is counted only roughly."""
    model = tiny_model(write_tiny_family(tmp_path / family, family), ears=family not in NATIVE)
    if family in NATIVE:
        model.ears.train_part("tower")
    model.ears.requires_grad_(True)
    sample = tiny_samples(tmp_path, 2)[1:]
    view = "image_speech" if model.family.sees else "speech_only"
    sizes = Sizes.of(model, bfloat16=False)
    passes = [Pass([Shown.of(model.layouts.build(sample[0], view, answers=True), sizes)], learns=True)]
    real = counted(model, sample, [SFT], False, view)
    assert step_flops(passes, [0], [SFT], sizes) == pytest.approx(real, rel=0.16 if family in NATIVE else 0.05)


@pytest.mark.parametrize("terms", [[SFT], [SFT, LOGITS]])
def test_a_plan_shares_the_prefix_that_collate_shares(terms, tiny_checkpoints, tmp_path):
    """SFT alone has one, too: what stands before its first clip."""
    model = tiny_model(tiny_checkpoints["internvl"])
    samples = tiny_samples(tmp_path, 3)
    batch = Objective("image_speech", [make_term(term) for term in terms], model).collate(samples)["batch"]
    rows, _, _ = samples_passes(model, samples)
    assert batch.own.prefix is not None
    assert shared_starts([row[: len(batch.own.views)] for row in rows]) == batch.own.prefix.mask.sum(1).tolist()


@pytest.mark.parametrize(("terms", "share"), [([SFT], False), ([SFT], True), ([SFT, LOGITS, LAYERS], True)])
@pytest.mark.parametrize("family", ["internvl", "qwen2_vl"])
def test_predicted_activations_are_those_of_real_steps(family, terms, share, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints[family])
    model.ears.requires_grad_(True)
    # Equally long, so that nothing is padded; long enough that what comes once and not per layer is little.
    samples = [tiny_samples(tmp_path, 4)[3]] * 4
    rows, sizes, passes = samples_passes(model, samples)
    objective = Objective("image_speech", [make_term(term) for term in terms], model, share_prefix=share)
    batch = objective.collate(samples)["batch"]
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        values = objective.values(objective.states(model, batch))
    assert values
    starts = shared_starts([row[: len(batch.own.views)] for row in rows]) if share else [0] * 4
    memory = step_memory(passes[0], starts, sizes, terms, batch=4)
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert memory.activations == pytest.approx(real, rel=0.1)
    assert step_memory(passes[0], starts, sizes, terms, batch=8).activations == 2 * memory.activations
    assert memory.optimiser == 16 * sum(p.numel() for p in model.ears.parameters())


def test_under_autocast_the_matrices_that_are_kept_twice_are_counted(tiny_checkpoints, tmp_path):
    """A frozen float32 decoder is cast for the gradient that passes through it: half of its size comes on top."""
    model = tiny_model(tiny_checkpoints["internvl"])
    model.ears.requires_grad_(True)
    samples = tiny_samples(tmp_path, 2)
    objective = Objective("image_speech", [make_term(SFT)], model, share_prefix=False)
    batch = objective.collate(samples)["batch"]
    matrices = [p for p in (*model.family.backbone.layers.parameters(), *model.ears.parameters()) if p.ndim > 1]
    shapes = {shape for p in matrices for shape in (p.shape, p.mT.shape)}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape in shapes and tensor.dtype == torch.bfloat16:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autocast("cpu", torch.bfloat16), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        values = objective.values(objective.states(model, batch))
    assert values
    _, sizes, passes = samples_passes(model, samples)
    assert sizes.copies == 0
    copies = Sizes.of(model, bfloat16=True).copies
    assert copies == pytest.approx(sum(kept.values()), rel=0.1)
    assert copies >= 2 * sizes.decoder
    memory = step_memory(passes[0], [0] * 2, Sizes.of(model, bfloat16=True), [SFT], batch=2)
    assert memory.weights == sum(p.numel() * 4 for p in model.base.parameters()) + copies
    assert Sizes.of(model.bfloat16(), bfloat16=True).copies == 0


@pytest.fixture
def corpora(tmp_path, monkeypatch, tiny_checkpoints):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vlm").symlink_to(tiny_checkpoints["internvl"])
    write_data_folder(tmp_path / "own")
    write_llava(tmp_path, RECORDS)
    write_librispeech(tmp_path)
    (tmp_path / "corpora.toml").write_text(CORPORA)
    return tmp_path / "corpora.toml"


def test_what_would_be_dropped_is_said_before_anything_is_made(corpora):
    lines = lines_of(corpora)
    assert "data train: 5 conversations" in lines
    assert "  llava: dropped 1: image file missing (first: record 2 (000000000003))" in lines
    assert "  of 7 that were spoken, dropped 1: longer than 30 s when spoken" in lines
    assert sorted(path.name for path in corpora.parent.iterdir()) == [
        "LibriSpeech", "corpora.toml", "images", "mix.json", "own", "vlm",
    ]  # fmt: skip


def test_wrong_data_are_one_error(corpora):
    write_llava(corpora.parent, [conversation(1, "", image=None)])
    with pytest.raises(InputError, match=r"mix\.json: no usable conversation: dropped 1: no question with an answer"):
        lines_of(corpora)


def test_the_published_settings_are_planned_on_small_models(tmp_path, tiny_checkpoints):
    from earwise.micro.lab import LabSize, write_lab

    write_lab(tmp_path / "data", seed=0, size=LabSize(2, 1, 30, 2, 4))
    ears = '{encoder="fresh", layers=1, width=16, heads=2, mel_bins=16, stack=2, hidden=16}'
    small = [f"data.path={tmp_path / 'data'}", f"model.base={tiny_checkpoints['qwen2_vl']}", f"model.ears={ears}"]
    lines = lines_of(RECIPES / "self_kd" / "paper.toml", *small)
    assert "  lengths are estimates at 160 to 190 words per minute" in lines
    assert sum(line.startswith("training ") for line in lines) == 4


def test_a_base_that_is_trained_from_nothing_has_one_view():
    lines = lines_of(RECIPES / "micro_base.toml", "base.layers=1", "base.width=32")
    assert any(line.startswith("image_text: ") for line in lines)
    assert any(re.fullmatch(r"  trained +[\d,]+  base", line) for line in lines)


def test_the_command_prints_it_and_leaves_nothing_behind(corpora):
    before = sorted(corpora.parent.rglob("*"))
    done = earwise(corpora.parent, "plan", "corpora.toml", "training.steps=7")
    assert (done.code, done.stderr) == (0, "")
    assert any("7 steps" in line for line in done.stdout.splitlines())
    assert sorted(set(corpora.parent.rglob("*")) - {*before}) == [
        corpora.parent / "stderr.txt", corpora.parent / "stdout.txt",
    ]  # fmt: skip
    wrong = earwise(corpora.parent, "plan", "corpora.toml", "model.base=nowhere")
    assert wrong.code == 2
    assert wrong.stderr.startswith("earwise: nowhere: no such model folder")
    assert wrong.stderr.count("\n") == 1


def test_a_training_by_reward_is_planned_by_what_it_draws(tmp_path):
    """The items of the teacher's labels are those of the file it answers; what answers cost is an estimate."""
    small = ["data.train_clips=4", "data.validation_clips=2", "data.test_clips=2", "data.known_clips=1"]
    recipe = load_recipe(RECIPES / "sightsound" / "micro.toml", [*small, "data.guard_items=4"])
    lines = [line.plain for line in plan(recipe)]
    at = next(n for n, line in enumerate(lines) if line.startswith("training sightsound_r1"))
    assert lines[at + 2].split() == "128 answers are drawn per step, of 48 tokens at most".split()
    assert re.fullmatch(
        r" +[\d.,]+ GFLOP at most to draw answers: an estimate, for 6,144 decoded tokens", lines[at + 3]
    )
    assert not any("cost of plain SFT" in line for line in lines[at : at + 5])


@pytest.mark.parametrize("family", ["internvl", "qwen2_vl"])
def test_predicted_operations_of_drawing_are_those_of_real_draws(family, tiny_checkpoints, tmp_path, monkeypatch):
    """Three answers of seven tokens to one prompt, which nothing but the limit ends."""
    model = tiny_model(tiny_checkpoints[family])
    monkeypatch.setattr(type(model.family), "stop_ids", (10**6,))
    (sample,) = tiny_samples(tmp_path, 1)
    prompt = Prompt(sample, model.layouts.build(sample, "image_speech", answers=False))
    sizes = Sizes.of(model, bfloat16=False)
    source = LocalRollouts(model, max_tokens=7, temperature=1.0)
    with FlopCounterMode(display=False) as counter:
        ((*drawn,),) = source.draw([prompt], [1], 3)
    assert [len(one.ids) for one in drawn] == [7, 7, 7]
    shown = Shown.of(prompt.layout, sizes)
    one, two, three, seven = (drawing_flops([shown], sizes, answers=3, tokens=n) for n in (1, 2, 3, 7))
    assert seven == pytest.approx(counter.get_total_flops(), rel=0.06)
    step = 2 * sizes.decoder + 2 * sizes.head + 4 * sizes.layers * sizes.attention_width * (shown.tokens + 1)
    assert two - one == pytest.approx(3 * step, rel=1e-9)
    assert three - two == pytest.approx(3 * (step + 4 * sizes.layers * sizes.attention_width), rel=1e-9)


def test_the_plan_of_a_training_on_policy_estimates_its_draws(tmp_path):
    path = tmp_path / "quick.toml"
    path.write_text(EXAMPLE)
    lines = lines_of(path, "speech.test_voices=2", "train.self_kd.on_policy={ share = 0.5, max_tokens = 8 }")
    said = [line.split(maxsplit=1)[1] for line in lines if "to draw answers" in line]
    assert said == ["GFLOP at most to draw answers: an estimate, for 16 decoded tokens"]
