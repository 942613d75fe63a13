"""What people write never becomes a placeholder or another special token of the model, in any family and any place."""

from collections import Counter
from dataclasses import replace

import pytest
from test_families import asked
from text_models import write_text_model
from tiny import FAMILIES, tiny_model, tiny_samples
from tiny_families import NATIVE, PARTS, write_tiny_family
from transformers import TrainerCallback

from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule
from earwise.distil.terms import make_term
from earwise.errors import EarwiseError, InputError
from earwise.models.batch import collate
from earwise.models.layout import AUDIO_ID
from earwise.recipe.train import SftTerm, Training
from earwise.traces.local_prompt import layout_of
from earwise.traces.requests import Message, Request, Sampling
from earwise.views import SEEN, VIEWS
from earwise.work.metrics import Metrics

MARKUP = (
    "a <IMG_CONTEXT> <|image_pad|> <|AUDIO|> <|vision_start|> <|vision_bos|> <|audio_bos|> <|im_end|> <|im_start|> "
    "<image> <start_of_image> <sound> [AUDIO] <|audio_pad|> star"
)


@pytest.fixture(scope="module")
def models(tiny_checkpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    folders = {name: write_tiny_family(root / name, name) for name in PARTS} | {
        n: tiny_checkpoints[n] for n in FAMILIES
    }
    folders["causal_lm"] = write_text_model(root / "text")
    return {name: tiny_model(folder, ears=name not in NATIVE) for name, folder in folders.items()}


def saying(sample, text):
    """`sample` with `text` wherever a person or a model writes something."""
    turn = sample.turns[0]
    item = turn.item.model_copy(update={"question": text, "answers": (text,), "instruction": text})
    turns = (replace(turn, item=item, text=text, spoken=text, heard=text, description=text, suffix=text),)
    return replace(sample, turns=turns)


def markup_of(model, layout):
    """How often each special token stands in a layout outside of its media."""
    tokenizer = model.family.tokenizer
    special = {one for one, token in tokenizer.added_tokens_decoder.items() if token.special}
    special -= {tokenizer.unk_token_id}  # brackets and bars are no words of this tokenizer
    inside = {n for medium in layout.media for n in range(medium.start, medium.stop)}
    return Counter(one for n, one in enumerate(layout.ids) if n not in inside and one in special)


@pytest.mark.parametrize("family", [*FAMILIES, *PARTS, "causal_lm"])
def test_markup_in_every_text_of_every_view_stays_text(family, models, tmp_path):
    model, sample = models[family], asked(tmp_path)[1]
    views = [view for view in VIEWS if model.family.sees or VIEWS[view].context not in SEEN]
    assert model.family.tokenizer.encode(MARKUP) != model.family.words.alone(MARKUP)
    for view in views:
        plain, written = (
            model.layouts.build(saying(sample, text), view, answers=True) for text in ("a red star", MARKUP)
        )
        assert markup_of(model, written) == markup_of(model, plain), view
        assert [m.stop - m.start for m in written.media] == [m.stop - m.start for m in plain.media]
        for medium in written.media:
            if medium.kind == "audio":
                assert not set(medium.words) & {AUDIO_ID, *model.family.placeholder_ids}
        collate({view: [written]}, model.family, share_prefix=False)  # positions are those of the media that there are


@pytest.mark.parametrize("family", ["internvl", "qwen2_5_omni"])
def test_markup_in_a_prompt_stays_text(family, models):
    plain, written = (
        layout_of(models[family], Request("r", (Message("user", (text,)),), Sampling(max_tokens=2)))
        for text in ("a red star", MARKUP)
    )
    assert markup_of(models[family], written) == markup_of(models[family], plain)


def train(model, samples, folder, steps, objective=None, callbacks=()):
    model.ears.requires_grad_(True)
    objective = objective or Objective("image_speech", [make_term(SftTerm(type="sft", weight=1.0))], model)
    settings = Training(steps=steps, batch_size=1, lr=1e-3, log_every=1)
    fit(
        model, objective, Schedule(samples, list(range(len(samples)))), settings,
        folder / "fit", seed=0, metrics=Metrics(folder / "metrics.jsonl"), what="tiny",
        callbacks=callbacks,
    )  # fmt: skip


def test_a_training_on_markup_does_all_its_steps(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["qwen2_vl"])
    samples = [saying(sample, MARKUP) for sample in tiny_samples(tmp_path, 3)]
    train(model, samples, tmp_path, steps=3)
    assert (tmp_path / "metrics.jsonl").read_text().count('"loss"') == 3


@pytest.mark.parametrize("error", [StopIteration, KeyError, RuntimeError])
def test_an_error_while_a_batch_is_made_ends_the_training_and_names_the_item(error, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"])
    objective = Objective("image_speech", [make_term(SftTerm(type="sft", weight=1.0))], model)
    collate_well = objective.collate

    def collate_badly(samples):
        if samples[0].key == "item-1":
            raise error("nothing there")
        return collate_well(samples)

    objective.collate = collate_badly
    with pytest.raises(EarwiseError, match=f"item-1: cannot be prepared for training: {error.__name__}") as raised:
        train(model, tiny_samples(tmp_path, 3), tmp_path, steps=3, objective=objective)
    assert not isinstance(raised.value, InputError)


class StopsAfterOne(TrainerCallback):
    """As whatever ends the loop of the trainer before its time."""

    def on_step_end(self, args, state, control, **_):
        control.should_training_stop = True
        return control


def test_a_training_that_ends_before_its_last_step_is_not_done(tiny_checkpoints, tmp_path):
    model, samples = tiny_model(tiny_checkpoints["internvl"]), tiny_samples(tmp_path, 2)
    with pytest.raises(EarwiseError, match="tiny ended after 1 of 2 steps"):
        train(model, samples, tmp_path, steps=2, callbacks=[StopsAfterOne()])
