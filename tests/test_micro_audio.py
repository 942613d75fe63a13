"""The laboratory's model that hears by itself, and a tokenizer that can write reasoning."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_samples
from transformers import AutoFeatureExtractor, AutoTokenizer, Qwen2AudioForConditionalGeneration
from transformers.models.whisper.modeling_whisper import sinusoids

from earwise.data.media import load_audio
from earwise.micro.build import write_tiny
from earwise.micro.build_audio import build_qwen2_audio
from earwise.micro.sounds.words import SOUND_VOCABULARY
from earwise.micro.tokenizer import REASONING, build_tokenizer
from earwise.models import OmniModel
from earwise.models.sample import Sound
from earwise.traces.claims import sentences
from earwise.traces.format import Outcome, parse, render

WORDS = ("bell", "at", "one", "horn", "two", "yes")
CHAIN = render("bell at one . horn at two .", "yes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("hearing") / "tiny", "qwen2_audio")


def reasoning(family="qwen2_audio"):
    return build_tokenizer(family, WORDS, reasoning=True)


def test_a_chain_of_reasoning_comes_back_as_it_was_written(tmp_path):
    reasoning().save_pretrained(tmp_path)
    for tokenizer in (reasoning(), AutoTokenizer.from_pretrained(tmp_path)):
        ids = tokenizer(CHAIN)["input_ids"]
        assert len(ids) == len(CHAIN.split())
        (text,) = tokenizer.batch_decode([ids], skip_special_tokens=True)
        assert text == CHAIN
        assert tokenizer(text)["input_ids"] == ids
        parsed = parse(text)
        assert (parsed.outcome, parsed.answer) == (Outcome.OK, "yes")
        assert sentences(parsed.reasoning) == ["bell at one .", "horn at two ."]


def test_tags_and_full_stops_are_no_special_tokens_and_other_punctuation_is_dropped():
    tokenizer = reasoning()
    assert not {*REASONING} & {*tokenizer.all_special_tokens}
    ids = tokenizer("Bell, at (one)! Horn at two.<answer>yes?</answer>")["input_ids"]
    assert tokenizer.decode(ids) == "bell at one horn at two . <answer> yes </answer>"
    assert build_tokenizer("qwen2_audio", WORDS).decode(tokenizer("Bell.")["input_ids"][:1]) == "bell"
    assert len(build_tokenizer("qwen2_audio", WORDS)("Bell.")["input_ids"]) == 1


def test_ids_do_not_depend_on_the_family():
    vocabularies = [reasoning(family).get_vocab() for family in ("internvl", "qwen2_vl", "qwen2_audio")]
    assert vocabularies[0] == vocabularies[1] == vocabularies[2]
    seeing, hearing = build_tokenizer("internvl").get_vocab(), build_tokenizer("qwen2_audio").get_vocab()
    assert {*hearing} - {*seeing} == {"audio", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"}
    assert not {"<|AUDIO|>", *REASONING} & {*seeing}


def test_sounds_are_written_and_counted_as_in_the_published_template():
    sound, text = {"type": "audio"}, {"type": "text", "text": "Bell?"}
    messages = [{"role": "user", "content": [sound, text]}, {"role": "user", "content": [sound]}]
    assert (
        reasoning()
        .apply_chat_template(messages, tokenize=False)
        .endswith(
            "<|im_start|>user\nAudio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\nBell?<|im_end|>\n"
            "<|im_start|>user\nAudio 2: <|audio_bos|><|AUDIO|><|audio_eos|>\n<|im_end|>\n"
        )
    )
    assert reasoning().unk_token_id not in reasoning()("Audio 1: ")["input_ids"]


def test_the_checkpoint_is_a_real_one_and_30_s_fit(folder):
    model = OmniModel.from_pretrained(str(folder))
    assert model.family.name == "qwen2_audio"
    assert model.ears.num_tokens(30 * 16_000) == 750
    assert AutoFeatureExtractor.from_pretrained(folder).feature_size == 40
    assert json.loads((folder / "config.json").read_text())["audio_config"]["num_mel_bins"] == 40
    positions = model.base.model.audio_tower.embed_positions.weight
    assert torch.equal(positions, sinusoids(1_500, 32))


def test_answers_are_those_of_the_models_own_processor(folder, tmp_path):
    """The published way: a processor that expands the placeholder, and `generate`."""
    sample = tiny_samples(tmp_path, 1)[0]
    turn = sample.turns[0]
    sample = replace(sample, turns=(replace(turn, clip=None),), image=None, sound=Sound(turn.clip, turn.num_samples))
    ours = OmniModel.from_pretrained(str(folder)).eval()
    (answer,) = ours.generate([sample], view="sound_text", max_new_tokens=6)
    theirs = Qwen2AudioForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer, extractor = AutoTokenizer.from_pretrained(folder), AutoFeatureExtractor.from_pretrained(folder)
    content = [{"type": "audio"}, {"type": "text", "text": turn.text}]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    text = text.replace("<|AUDIO|>", "<|AUDIO|>" * ours.ears.num_tokens(turn.num_samples))
    heard = extractor(
        load_audio(turn.clip), sampling_rate=16_000, return_attention_mask=True, padding="max_length",
        return_tensors="pt",
    )  # fmt: skip
    ids = tokenizer(text, return_tensors="pt")
    out = theirs.generate(
        **ids, input_features=heard["input_features"], feature_attention_mask=heard["attention_mask"], max_new_tokens=6
    )
    assert tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip() == answer


def test_the_sound_reaches_the_answer_and_weights_follow_the_seed(folder, tmp_path):
    model = OmniModel.from_pretrained(str(folder)).eval()
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(16_000).astype(np.float32))
    tone = torch.sin(torch.arange(16_000) * 0.2)
    with torch.no_grad():
        one, two = (model.ears([wave]) for wave in (noise, tone))
    assert (one - two).abs().mean() > 0.1
    same, again, other = (build_qwen2_audio(seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(same[name], again[name]) for name in same)
    name = "model.audio_tower.layers.0.fc1.weight"
    assert not torch.equal(same[name], other[name])
    assert same[name].std().item() == pytest.approx(96**-0.5, rel=0.05)


def test_a_model_of_the_sound_laboratory_knows_its_words(tmp_path):
    for family in ("internvl", "qwen2_audio"):
        tokenizer = AutoTokenizer.from_pretrained(write_tiny(tmp_path / family, family, vocabulary="sounds"))
        ids = tokenizer(text := " ".join((*SOUND_VOCABULARY, *REASONING)))["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.batch_decode([ids], skip_special_tokens=True) == [text]


def test_frames_of_32_pixels_are_four_tokens(tmp_path):
    write_tiny(tmp_path / "small", image_size=32)
    model = OmniModel.from_pretrained(str(tmp_path / "small"))
    sample = tiny_samples(tmp_path, 1)[0]
    image = model.family.preprocess(Image.open(sample.image).resize((32, 32)))
    assert image.num_tokens == 4
