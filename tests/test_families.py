"""What every family must do, on tiny random checkpoints: layouts, states and answers as the model's own."""

import json
import re
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from hugging_face import decoded, hugging_face_inputs, published_tokens, spectrograms
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny import QUESTIONS, tiny_model, tiny_samples
from tiny_families import AUDIO, NATIVE, PARTS, write_tiny_family

from earwise.data.media import save_wav
from earwise.errors import EarwiseError, InputError
from earwise.models import Ears, EarsConfig, OmniModel, Sample, Turn
from earwise.models.batch import collate
from earwise.models.families import OwnEars, load_family
from earwise.models.layout import AUDIO_ID
from earwise.models.sample import Sound
from earwise.models.states import Ask, Wants
from earwise.records import Item
from earwise.views import HEARD as HEARING
from earwise.views import SEEN, VIEWS

NEW = tuple(PARTS)
VIEWS_OF = {family: [v for v in VIEWS if "image" in PARTS[family] or VIEWS[v].context not in SEEN] for family in NEW}
NOT_SHARING = {"gemma3": "sliding-window layers forget keys", "qwen3_5": "linear-attention layers keep a state"}
SHARING = [family for family in NEW if family not in NOT_SHARING]
CASES = [(family, view) for family in NEW for view in VIEWS_OF[family]]
OWN = [(f, v) for f, v in CASES if f in NATIVE or (VIEWS[v].query != "speech" and VIEWS[v].context not in HEARING)]
"""Cases in which the model's own forward pass needs no ears from elsewhere."""
INSTRUCTION = "repeat the speech in the picture and is it the number two or the star"
SPOKEN, HEARD, SUFFIX = "is it green", "is it blue", "please answer"
DESCRIPTION = "a green circle and a star"


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A checkpoint of each family that the laboratory does not build."""
    root = tmp_path_factory.mktemp("families")
    return {family: write_tiny_family(root / f"tiny-{family}", family) for family in NEW}


_READY = {}


def ready(folders, family):
    """A model that no test changes, loaded once."""
    if family not in _READY:
        _READY[family] = load(folders, family)
    return _READY[family]


def load(folders, family, part="tower"):
    model = tiny_model(folders[family], ears=family not in NATIVE)
    if isinstance(model.ears, OwnEars):
        model.ears.train_part(part)
    return model


def asked(folder, count=3, instruction=INSTRUCTION):
    """Samples whose images are of several sizes and whose clips end just before, at and after a whole second."""
    rng = np.random.default_rng(1)
    samples = []
    for n, (size, length) in enumerate(zip(((64, 64), (96, 48), (48, 80)), (15_999, 16_000, 41_234), strict=True)):
        image, clip = folder / f"{n}.png", folder / f"{n}.wav"
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(image)
        save_wav(clip, (rng.standard_normal(length) * 0.1).astype(np.float32))
        item = Item(
            id=f"item-{n}", source="tiny", question=QUESTIONS[n], answers=(("red", "yes it is", "two")[n],),
            cluster=f"c{n}", instruction=instruction,
        )  # fmt: skip
        turn = Turn(
            item, QUESTIONS[n], clip=clip, num_samples=length, spoken=SPOKEN, heard=HEARD, description=DESCRIPTION,
            suffix=SUFFIX,
        )  # fmt: skip
        sound, other = Sound(clip, length - 1_000), Sound(folder / "0.wav", 9_000)
        samples.append(Sample((turn,), image, frames=(image, folder / "0.png"), sound=sound, other_sound=other))
    return samples[:count]


def words(model, layout, role):
    ids = [i for s in layout.spans if s.role == role for i in layout.ids[s.start : s.stop]]
    runs = [[i for i in run if i != AUDIO_ID] for _, run in groupby(ids, lambda i: i == AUDIO_ID)]
    text = " ".join(model.family.tokenizer.decode(run) for run in runs)
    return re.sub(r"(<[^>]*>)", r" \1 ", text).split()


@pytest.mark.parametrize(("family", "view"), CASES)
def test_every_view_is_laid_out_with_its_spans(family, view, folders, tmp_path):
    model = ready(folders, family)
    sample = asked(tmp_path)[1]
    layout = model.layouts.build(sample, view, answers=True)
    assert [s.start for s in layout.spans] == [0, *(s.stop for s in layout.spans[:-1])]
    assert layout.spans[-1].stop == len(layout)
    assert words(model, layout, "response") == ["yes", "it", "is", "<|im_end|>"]
    assert words(model, layout, "system")[:2] == ["<|im_start|>", "system"]
    query = words(model, layout, "query")
    assert query[:4] == INSTRUCTION.split()[:4]
    assert query[-2:] == SUFFIX.split()
    role_of = {i: s.role for s in layout.spans for i in range(s.start, s.stop)}
    spec = VIEWS[view]
    heard_as = "sound" if spec.context in HEARING else "query"
    for medium in layout.media:
        place = range(medium.start, medium.stop)
        assert {role_of[i] for i in place} == {"image" if medium.kind == "image" else heard_as}
    for kind, placeholder in (("image", getattr(model.base.config, "image_token_id", None)), ("audio", AUDIO_ID)):
        places = [i for medium in layout.media if medium.kind == kind for i in medium.places]
        assert [i for i, token in enumerate(layout.ids) if token == placeholder] == places
    kinds = ["image"] * {"image": 1, "video": 2}.get(spec.context, 0)
    kinds += ["audio"] * (spec.query == "speech" or spec.context in HEARING)
    assert [medium.kind for medium in layout.media] == kinds
    assert ("blue" in query) == (spec.query == "transcript")
    assert ("red" in query) == (spec.query == "text")
    assert ("green" in query) == (spec.query == "spoken_form")


@pytest.mark.parametrize("family", NATIVE)
def test_clips_stand_as_the_chat_template_writes_them(family, folders, tmp_path):
    """A spoken dialogue, cut into pieces and put together, has the ids of the whole text that the template renders."""
    model = ready(folders, family)
    samples = asked(tmp_path, instruction="")
    turns = [turn for sample in samples[:2] for turn in sample.turns]
    layout = model.layouts.build(Sample(tuple(turns)), "speech_only", answers=True)
    messages = []
    for turn in turns:
        messages.append({"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": turn.suffix}]})
        messages.append({"role": "assistant", "content": turn.item.answers[0]})
    tokenizer = model.family.tokenizer
    ids = tokenizer.encode(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False)
    clips = iter(m for m in layout.media)
    expanded = []
    for token in ids:
        count = 1
        if token == model.base.config.audio_token_id:
            medium = next(clips)
            count, token = medium.stop - medium.start, AUDIO_ID
        expanded += [token] * count
    assert layout.ids == tuple(expanded)
    written = PARTS[family]["audio"].replace("{{ clips.n }}", "2")
    assert model.family.around_clip(2) == tuple(written.split(model.family.audio_placeholder))


@pytest.mark.parametrize("family", NATIVE)
def test_a_clip_takes_as_many_tokens_as_the_published_processors_count(family, folders):
    ears = ready(folders, family).ears
    for num_samples in (640, 641, 15_999, 16_000, 16_001, 41_234, 480_000):
        assert ears.num_tokens(num_samples) == published_tokens(family, num_samples)
    by_hand = {"voxtral": 375, "qwen3_omni": 13}
    assert ears.num_tokens(16_000) == by_hand.get(family, 25)
    longest = {"audioflamingo3": 600, "voxtral": 2_400}.get(family, 30)
    assert ears.num_tokens(longest * 16_000) > 0
    with pytest.raises(InputError, match=rf"{longest}\.1 s is longer than {longest} s"):
        ears.num_tokens(longest * 16_000 + 1_600)
    with pytest.raises(InputError, match="too short to be heard"):
        ears.num_tokens(0 if family == "voxtral" else 100)


@pytest.mark.parametrize("family", NATIVE)
def test_a_clip_is_heard_in_half_precision_as_in_full(family, folders):
    """Autocast rounds products of the tower, and not the spectrogram."""
    ears, clip = ready(folders, family).ears, torch.randn(20_000, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        full = ears([clip])
        with torch.autocast("cpu", torch.bfloat16):
            half = ears([clip])
    assert 0 < (half.float() - full).abs().max() < 0.05 * full.abs().max()


@pytest.mark.parametrize("family", ["audioflamingo3", "voxtral"])
def test_a_long_sound_is_heard_in_pieces_as_the_model_itself_hears_it(family, folders, tmp_path):
    """Pieces that end at, just behind and well behind 30 s; the tokens stand one behind another."""
    model = ready(folders, family)
    lengths = (480_000, 480_960, 1_040_123)
    clips = [torch.randn(length, generator=torch.Generator().manual_seed(length)) * 0.1 for length in lengths]
    with torch.no_grad():
        heard = model.ears(clips)
        expected = [
            model.base.model.get_audio_features(**spectrograms(model.family, [clip.numpy()])).pooler_output
            for clip in clips
        ]
    assert [len(one) for one in expected] == [model.ears.num_tokens(length) for length in lengths]
    torch.testing.assert_close(heard, torch.cat(expected), atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize(("family", "view"), OWN)
def test_states_equal_the_hugging_face_forward(family, view, folders, tmp_path):
    """Layout, features and positions are right if the model's own forward gives the same states."""
    model = ready(folders, family)
    samples = asked(tmp_path)
    layouts = [model.layouts.build(sample, view, answers=True) for sample in samples]
    with torch.no_grad():
        expected = []
        for layout in layouts:
            states = model.base.model(**hugging_face_inputs(model, layout)).last_hidden_state[0]
            expected.append(states[[i - 1 for i in layout.response]])
        actual = model(collate({view: layouts}, model.family, share_prefix=False))[view].hidden
    torch.testing.assert_close(actual, torch.cat(expected), atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize(("family", "view"), CASES)
def test_answers_equal_hugging_face_generate(family, view, folders, tmp_path):
    model = ready(folders, family)
    samples = asked(tmp_path)
    together = model.generate(samples, view=view, max_new_tokens=6)
    if (family, view) not in OWN:
        expected = [model.generate([sample], view=view, max_new_tokens=6)[0] for sample in samples]
    else:
        expected = [hugging_face_answer(model, sample, view) for sample in samples]
    assert together == expected


def hugging_face_answer(model, sample, view):
    layout = model.layouts.build(sample, view, answers=False)
    out = model.base.generate(**hugging_face_inputs(model, layout), max_new_tokens=6, do_sample=False)
    return decoded(model.family.tokenizer, out[0, len(layout) :])


@pytest.mark.parametrize("family", SHARING)
def test_answers_on_a_shared_prefix_equal_answers_without(family, folders, tmp_path):
    model, samples = ready(folders, family), asked(tmp_path)
    views = [v for v in VIEWS_OF[family] if VIEWS[v].context == VIEWS[VIEWS_OF[family][0]].context]
    shared = model.generate_views(samples, views=views, max_new_tokens=6)
    apart = model.generate_views(samples, views=views, max_new_tokens=6, share_prefix=False)
    assert shared == apart


def two_views(family):
    return ("image_speech", "image_text") if "image" in PARTS[family] else ("speech_only", "text_only")


def run(model, samples, share_prefix, views):
    layouts = {view: [model.layouts.build(sample, view, answers=True) for sample in samples] for view in views}
    batch = collate(layouts, model.family, share_prefix=share_prefix)
    assert (batch.prefix is not None) == share_prefix
    every = Wants(layers=frozenset({1}))
    return model(batch, {view: Ask(every, learn=view == views[0]) for view in views})


@pytest.mark.parametrize(("family", "why"), NOT_SHARING.items())
def test_a_family_that_shares_no_prefix_says_why_and_computes_whole_views(family, why, folders, tmp_path):
    model, views = ready(folders, family), two_views(family)
    assert why in model.no_shared_prefix
    samples = asked(tmp_path)
    together = model.generate_views(samples, views=views, max_new_tokens=4)
    assert together == {view: model.generate(samples, view=view, max_new_tokens=4) for view in views}
    with pytest.raises(EarwiseError, match=f"the prefix cannot be shared: {why}"):
        run(model, samples, True, views)


@pytest.mark.parametrize("family", SHARING)
def test_shared_prefix_equals_full_passes_in_states_and_gradients(family, folders, tmp_path):
    model, samples, views = load(folders, family).train(), asked(tmp_path), two_views(family)
    assert model.no_shared_prefix is None
    model.ears.requires_grad_(True)
    assert model.base_is_frozen
    assert model.no_shared_prefix is None
    gradients, states = [], []
    for share in (True, False):
        found = run(model, samples, share, views)
        model.zero_grad()
        (found[views[0]].hidden[:, :8].sum() + found[views[0]].layers.square().mean()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.ears.parameters() if p.grad is not None]))
        states.append(found)
    for view in views:
        torch.testing.assert_close(states[0][view].layers, states[1][view].layers, atol=3e-5, rtol=1e-4)
    scale = gradients[1].abs().max()
    assert scale > 1e-4
    assert (gradients[0] - gradients[1]).abs().max() / scale < 1e-4


@pytest.mark.parametrize("family", NEW)
def test_a_sample_does_not_depend_on_the_samples_beside_it(family, folders, tmp_path):
    """Ragged windows of the vision tower and ragged clips included."""
    model, samples, views = ready(folders, family), asked(tmp_path), two_views(family)
    with torch.no_grad():
        share = family in SHARING
        together = run(model, samples, share, views)[views[0]].hidden
        alone = torch.cat([run(model, [sample], share, views)[views[0]].hidden for sample in samples])
    torch.testing.assert_close(together, alone, atol=3e-5, rtol=1e-4)


def test_omni_counts_positions_of_a_clip_and_an_image_as_its_own_rule_does(folders, tmp_path):
    """By hand: 11 tokens, a 4 x 4 grid that takes 4 positions, then one position per token, of text or of clip."""
    model = load(folders, "qwen2_5_omni")
    [sample] = tiny_samples(tmp_path, 1)
    layout = model.layouts.build(sample, "image_speech", answers=True)
    positions = model.family.positions(layout)
    image = layout.media[0]
    assert (image.start, image.stop) == (11, 27)
    rows, columns = torch.arange(4).repeat_interleave(4), torch.arange(4).repeat(4)
    assert torch.equal(positions[:, 11:27], torch.stack([torch.zeros_like(rows), rows, columns]) + 11)
    assert torch.equal(positions[:, 27:], (torch.arange(len(layout) - 27) + 15).expand(3, -1))


@pytest.mark.parametrize("family", NEW)
def test_independent_spoken_turns_equal_questions_asked_one_by_one(family, folders, tmp_path):
    model, samples, view = ready(folders, family), asked(tmp_path), two_views(family)[0]
    turns = tuple(turn for sample in samples for turn in sample.turns)
    packed = Sample(turns, samples[0].image, independent=True)
    single = [Sample(sample.turns, samples[0].image) for sample in samples]
    batches = [
        collate({view: [model.layouts.build(s, view, answers=True) for s in group]}, model.family, share_prefix=False)
        for group in ([packed], single)
    ]
    if family == "qwen3_5":
        with pytest.raises(EarwiseError, match="independent turns are not possible with linear_attention layers"):
            model(batches[0])
        return
    with torch.no_grad():
        one, many = (model(batch)[view] for batch in batches)
    assert torch.equal(one.targets, many.targets)
    torch.testing.assert_close(one.hidden, many.hidden, atol=3e-5, rtol=1e-4)


def test_a_family_without_eyes_refuses_views_with_an_image(folders, tmp_path):
    model = load(folders, "qwen2_audio")
    for view in ("image_text", "image_speech", "image_transcript", "video_text"):
        with pytest.raises(InputError, match=f"item-0: qwen2_audio does not see, and '{view}' .*use one of sound_text"):
            model.layouts.build(asked(tmp_path)[0], view, answers=False)


@pytest.mark.parametrize("family", NATIVE)
def test_a_base_that_hears_by_itself_takes_no_ears(family, folders):
    adapter = load_family(str(folders[family]))
    encoder = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    ears = Ears.fresh(EarsConfig({**encoder, "num_mel_bins": 16}, adapter.width), seed=0)
    with pytest.raises(InputError, match=f"{family} hears by itself"):
        OmniModel(adapter, ears, base=str(folders[family]))


def test_a_clip_that_does_not_fit_is_named(folders, tmp_path):
    [sample] = tiny_samples(tmp_path, 1)
    for family, longest in (("qwen2_5_omni", 30), ("audioflamingo3", 600)):
        turn = Turn(sample.turns[0].item, "is it red", clip=Path("a.wav"), num_samples=longest * 16_000 + 20_000)
        with pytest.raises(
            InputError, match=rf"a\.wav: item-0: a clip of {longest + 1}\.2 s is longer than {longest} s"
        ):
            ready(folders, family).layouts.build(Sample((turn,)), "speech_only", answers=False)


def test_a_template_that_drops_an_image_or_a_clip_is_refused(folders, tmp_path):
    model = load(folders, "qwen2_5_omni")
    template = model.family.tokenizer.chat_template
    model.family.tokenizer.chat_template = template.replace("<|IMAGE|>", "")
    with pytest.raises(InputError, match=r"does not write <\|IMAGE\|> for an image part"):
        model.layouts.build(asked(tmp_path)[0], "image_text", answers=False)
    model.family.tokenizer.chat_template = template.replace(AUDIO, "")
    with pytest.raises(InputError, match=r"does not write <\|AUDIO\|> for an audio part"):
        model.layouts.build(asked(tmp_path)[0], "speech_only", answers=False)


def test_a_chat_template_in_a_file_of_its_own_is_found(folders, tmp_path):
    source, folder = folders["qwen2_audio"], tmp_path / "apart"
    folder.mkdir()
    for path in source.iterdir():
        if path.suffix != ".jinja":
            (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="no chat template"):
        load_family(str(folder))
    template = (source / "chat_template.jinja").read_text(encoding="utf-8")
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}), encoding="utf-8")
    assert load_family(str(folder)).tokenizer.chat_template == template


def test_the_thinker_of_a_whole_omni_checkpoint_is_loaded(folders, tmp_path):
    """Published checkpoints hold thinker, talker and vocoder: config and weights of the thinker lie one level down."""
    source, folder = folders["qwen2_5_omni"], tmp_path / "whole"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    thinker = json.loads((source / "config.json").read_text())
    whole = {"model_type": "qwen2_5_omni", "enable_audio_output": False, "thinker_config": thinker}
    (folder / "config.json").write_text(json.dumps(whole))
    weights = {f"thinker.{name}": value for name, value in load_file(source / "model.safetensors").items()}
    weights["talker.codec_head.weight"] = torch.zeros(2, 2)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    samples = asked(tmp_path)
    one, other = (tiny_model(path, ears=False) for path in (source, folder))
    for (name, a), b in zip(one.base.named_parameters(), other.base.parameters(), strict=True):
        assert torch.equal(a, b), name
    view = "image_speech"
    assert one.generate(samples, view=view, max_new_tokens=4) == other.generate(samples, view=view, max_new_tokens=4)
