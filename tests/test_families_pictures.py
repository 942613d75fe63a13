"""Pictures that a family shows in its own way or not at all, and what a checkpoint asks for in vain."""

import json
import logging
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from data_folder import RECIPE, write_data_folder
from earwise_process import earwise
from PIL import Image
from tiny import tiny_model, tiny_samples
from transformers import GenerationConfig, InternVLProcessor

from earwise.errors import InputError
from earwise.models.families import load_family
from earwise.models.families.generation import ignored
from earwise.records import Score
from earwise.stages.samples import that_can_be_shown
from earwise.traces.local_prompt import layout_of
from earwise.traces.requests import Frames, Message, Picture, Request, Sampling
from earwise.work.store import read_store


def picture(path, width, height):
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_a_frame_of_a_video_is_one_tile_and_a_picture_is_cut(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"])
    wide = picture(tmp_path / "wide.png", 256, 128)
    each = model.base.config.image_seq_length
    [sample] = tiny_samples(tmp_path, 1)
    shown = replace(sample, image=wide, frames=(wide, wide, wide))
    frames = model.layouts.build(shown, "video_text", answers=False).media
    assert [medium.stop - medium.start for medium in frames] == [each] * 3
    [whole] = model.layouts.build(shown, "image_text", answers=False).media
    assert whole.stop - whole.start >= 3 * each  # two tiles and the thumbnail
    expected = model.family.image_processor(Image.open(wide), crop_to_patches=False, return_tensors="pt")
    assert torch.equal(frames[0].image.tensors["pixel_values"], expected["pixel_values"])


def test_frames_of_a_request_are_frames(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"])
    wide = picture(tmp_path / "wide.png", 256, 128)
    sizes = {}
    for name, part in (("frames", Frames((wide, wide))), ("picture", Picture(wide))):
        request = Request("r", (Message("user", (part, "is it red")),), Sampling(max_tokens=1))
        sizes[name] = [medium.image.num_tokens for medium in layout_of(model, request).media]
    each = model.base.config.image_seq_length
    assert sizes["frames"] == [each, each]
    assert sizes["picture"][0] >= 3 * each


def text_of_the_processor(family, each, count):
    """A video of `count` frames in a prompt, by the processor's own words (all of it needs torchvision)."""
    begin, end = "<img>", "</img>"
    processor = SimpleNamespace(
        start_image_token=begin, end_image_token=end, image_token=family.image_placeholder, image_seq_length=each
    )
    frames = {"pixel_values_videos": np.zeros((1, count, 3, 8, 8))}
    return InternVLProcessor.replace_video_token(processor, frames, 0)


@pytest.mark.parametrize("file", ["video_preprocessor_config.json", "processor_config.json"])
def test_frames_stand_in_the_prompt_as_the_processor_writes_a_video(file, tiny_checkpoints, tmp_path):
    folder = shutil.copytree(tiny_checkpoints["internvl"], tmp_path / "internvl")
    (folder / file).write_text('{"processor_class": "InternVLProcessor"}')
    model = tiny_model(folder)
    family, each = model.family, model.base.config.image_seq_length
    paths = tuple(picture(tmp_path / f"{n}.png", 64, 64) for n in range(3))
    [sample] = tiny_samples(tmp_path, 1)
    question = sample.turns[0].text
    text = family.render([question], ["END"], 1).partition("END")[0]
    text = text.replace(family.image_placeholder, text_of_the_processor(family, each, 3))
    assert text.count("\nFrame2: <img>") == 1
    expected = tuple(family.tokenizer.encode(text, add_special_tokens=False))
    shown = model.layouts.build(replace(sample, frames=paths), "video_text", answers=False)
    assert shown.ids == expected
    request = Request("r", (Message("user", (Frames(paths), question)),), Sampling(max_tokens=1))
    assert layout_of(model, request).ids == expected
    for medium in shown.media:
        assert set(shown.ids[medium.start : medium.stop]) == {model.base.config.image_token_id}


def test_frames_have_no_numbers_where_a_checkpoint_brings_no_processor(tiny_checkpoints, tmp_path):
    family = tiny_model(tiny_checkpoints["internvl"]).family
    assert family.frame_label(1) == ""


@pytest.mark.parametrize(("width", "height"), [(2000, 8), (8, 2000), (1608, 8)])
def test_a_picture_that_is_too_narrow_is_named_with_its_item(width, height, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["qwen2_vl"])
    samples = tiny_samples(tmp_path, 2)
    strip = picture(tmp_path / "strip.png", width, height)
    bad = replace(samples[1], image=strip)
    said = rf"strip\.png: item-1: a picture of {width} x {height} pixels is too narrow for qwen2_vl \(cut or pad"
    with pytest.raises(InputError, match=said):
        model.layouts.build(bad, "image_text", answers=True)
    told = []
    assert that_can_be_shown([samples[0], bad], model.family, told.append) == [samples[0]]
    assert told == [
        f"1 items left out: their pictures cannot be shown, e.g. item-1: a picture of {width} x {height} pixels is too "
        "narrow for qwen2_vl"
    ]
    with pytest.raises(InputError, match=r"strip\.png: item-1: no picture can be shown"):
        that_can_be_shown([bad], model.family, told.append)


def test_the_narrowest_picture_that_the_processor_takes_is_taken(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["qwen2_vl"])
    assert model.family.load_image(picture(tmp_path / "strip.png", 1600, 8)).num_tokens > 0


def test_settings_that_would_change_a_greedy_answer_are_told_once(tiny_checkpoints, tmp_path, caplog):
    assert ignored(GenerationConfig(do_sample=True, temperature=0.1, top_p=0.9)) == {}
    assert ignored(GenerationConfig(repetition_penalty=1.0, num_beams=1, suppress_tokens=[])) == {}
    asked = GenerationConfig(repetition_penalty=1.05, no_repeat_ngram_size=3)
    assert ignored(asked) == {"repetition_penalty": 1.05, "no_repeat_ngram_size": 3}
    folder = tmp_path / "penalised"
    shutil.copytree(tiny_checkpoints["internvl"], folder)
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"repetition_penalty": 1.05}))
    with caplog.at_level(logging.WARNING, logger="earwise"):
        load_family(str(folder))
        load_family(str(folder))
    said = [record.getMessage() for record in caplog.records if "generation_config" in record.getMessage()]
    asked_for = "its generation_config sets repetition_penalty = 1.05"
    assert said == [f"{folder}: {asked_for}; answers here are plainly greedy and ignore it"]


def test_an_item_whose_picture_is_too_narrow_is_left_out_of_a_benchmark_and_counted(tiny_checkpoints, tmp_path):
    write_data_folder(tmp_path / "own")
    picture(tmp_path / "own/benchmarks/images/blue.png", 2000, 8)
    (tmp_path / "own.toml").write_text(RECIPE)
    (tmp_path / "vlm").symlink_to(tiny_checkpoints["qwen2_vl"])
    result = earwise(tmp_path, "run", "own.toml")
    assert (result.code, result.stderr) == (0, "")
    assert "1 items left out: their pictures cannot be shown, e.g. b1: a picture of 2000 x 8 pixels" in result.stdout
    base, own = (tmp_path / "runs/own/stages/seed0" / f"evaluate.{name}" for name in ("base", "sft"))
    not_asked = tmp_path / "runs/own/stages/seed0/predict.base/colors/not_asked.json"
    assert json.loads(not_asked.read_text()) == ["b1"]
    for folder in (base, own):
        asked = {score.item for score in read_store(folder / "scores.jsonl", Score) if score.source == "colors"}
        assert asked == {"b0", "b2"}
