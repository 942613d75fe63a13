"""Published sizes without weights: parameters, three items as tokens, cost and memory."""

import pytest
import tiny_families
import tiny_newer
import torch
from parity.cases import picture, sound, turn
from parity.published import published_tokenizer
from real_sizes import PUBLISHED
from tiny import ENCODER
from transformers import GenerationConfig, WhisperFeatureExtractor

from earwise.models import Ears, EarsConfig, OmniModel, Sample
from earwise.models.families import FAMILIES
from earwise.planning.cost import Pass, step_flops, step_memory
from earwise.planning.sizes import Shown, Sizes
from earwise.recipe.train import SftTerm

SFT = [SftTerm(type="sft", weight=1.0)]
_MARK = {"internvl": "<IMG_CONTEXT>", "smolvlm": "<image>", "gemma3": "<image_soft_token>", "qwen2_5_omni": "<|IMAGE|>"}
_CLIP = {"qwen3_omni": "<|audio_pad|>", "audioflamingo3": "<sound>", "voxtral": "[AUDIO]"}


def built(published):
    """The model on the meta device, with a small tokenizer and the published picture sizes."""
    tokenizer = published_tokenizer(
        published.family, (*tiny_families.SPECIAL, *tiny_newer.SPECIAL.get(published.family, ()))
    )
    tokenizer.add_tokens(
        [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)], special_tokens=True
    )
    ids, adapter = tokenizer.get_vocab(), FAMILIES[published.family]
    config = published.config(text_config=published.decoder, **published.towers, **published.own)
    if adapter.sees:
        config.image_token_id = ids[_MARK.get(published.family, "<|image_pad|>")]
    if adapter.own_ears is not None:
        config.audio_token_id = ids[_CLIP.get(published.family, "<|AUDIO|>")]
    with torch.device("meta"):
        model = published.model(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    images = type(tiny_newer.IMAGES[published.family]())(**published.images) if published.images else None
    extractor = WhisperFeatureExtractor(feature_size=128) if adapter.own_ears is not None else None
    return adapter(model, tokenizer, images, extractor)


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: one.name)
def test_parameters_are_those_of_the_table_and_three_items_are_planned(published, tmp_path):
    family = built(published)
    count = sum(parameter.numel() for parameter in family.model.parameters()) / 1e9
    digits = len(published.billions.partition(".")[2])
    assert f"{count:.{digits}f}" == published.billions
    ears = None if family.hears else Ears.fresh(EarsConfig(ENCODER, family.width), seed=0)
    model = OmniModel(family, ears, base=published.name)
    if family.hears:
        model.ears.train_part("projector")
    model.ears.requires_grad_(True)
    clip = sound(tmp_path, 7.77)
    images = [picture(tmp_path, name, size) for name, size in (("a", (640, 480)), ("b", (200, 300)), ("c", (64, 64)))]
    views = ("image_speech", "image_text") if family.sees else ("speech_only", "text_only")
    samples = [Sample((turn("What color is it?", "it is red.", clip),), image) for image in images]
    rows = [[model.layouts.build(sample, view, answers=True) for view in views] for sample in samples]
    sizes = Sizes.of(model, bfloat16=True)
    passes = [Pass([Shown.of(row[n], sizes) for row in rows], learns=n == 0) for n in range(2)]
    assert all(len(row[0]) > len(row[1]) - 10 for row in rows)
    flops = step_flops(passes, [0] * 3, SFT, sizes)
    tokens = sum(len(layout) for row in rows for layout in row)
    assert flops > 2 * sizes.decoder * tokens
    memory = step_memory(passes[0], [0] * 3, sizes, SFT, batch=3)
    assert memory.weights >= 2 * count * 1e9
