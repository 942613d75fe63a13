"""One case through earwise and through Hugging Face."""

import json
from dataclasses import dataclass
from pathlib import Path

import tiny_families
import tiny_newer
import torch
from hugging_face import decoded
from tiny import tiny_model
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, WhisperFeatureExtractor

from earwise.data.media import load_audio, load_image
from earwise.models.batch import collate
from earwise.models.layout import AUDIO_ID
from parity.cases import Case, clips_of, heard_cases, messages, pictures_of, read_cases, seen_cases
from parity.published import processor_of, published_tokenizer

ANSWER_TOKENS = 8
VARIANTS = {
    "as built": {}, "tied head": {"tie_word_embeddings": True}, "one key head": {"num_key_value_heads": 1},
    "all key heads": {"num_key_value_heads": 4}, "three layers": {"num_hidden_layers": 3},
}  # fmt: skip
"""Changes of the decoder's configuration. As built: padded vocabulary, two query heads per key head."""
FORMS = ("shards", "bfloat16")
"""How a checkpoint as built is kept: in many files, or in half precision."""
LONG = ("audioflamingo3", "voxtral", "qwen2_5_omni", "qwen3_omni")
_WHOLE = {"smolvlm": "do_image_splitting", "internvl": "crop_to_patches"}
"""The option that leaves a picture whole, as the published processors show a frame of a video."""
ONE_CLIP = ("audioflamingo3",)
"""Families whose processor takes one sound per conversation."""


@dataclass
class Row:
    """What was found for one case."""

    family: str
    variant: str
    case: str
    same_ids: bool
    logits: float
    """Largest difference of a logit of a response token, over the largest logit."""
    loss: float
    answers: tuple[bool, bool]
    """Whether the greedy answer is equal: alone, and in a ragged batch of all cases."""


def checkpoint(folder: Path, family: str, changes: dict, form: str = "") -> Path:
    """Write a tiny checkpoint with a tokenizer and a template of the published kind."""
    special = (*tiny_families.SPECIAL, *tiny_newer.SPECIAL.get(family, ()))
    tokenizer = published_tokenizer(family, special)
    plain = tiny_families.text_config
    with_changes = lambda one: {**plain(one), "num_hidden_layers": 2, **changes}  # noqa: E731
    tiny_families.text_config = with_changes
    try:
        model = tiny_families.build_tiny(family, tokenizer)
    finally:
        tiny_families.text_config = plain
    tiny_families.draw_weights(model, 0)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    if form == "bfloat16":
        model.to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="40KB" if form == "shards" else "5GB")
    tokenizer.save_pretrained(folder)
    processor = tiny_families.image_settings(family)
    if family in tiny_families.NATIVE:
        chunk = 70 if family.endswith("omni") else 30
        processor |= WhisperFeatureExtractor(feature_size=128, chunk_length=chunk).to_dict()
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def cases_of(family: str, media: Path, *, short: bool) -> list[Case]:
    """Everything that the family can be shown."""
    sees, hears = family not in tiny_families.NATIVE or family.endswith("omni"), family in tiny_families.NATIVE
    cases = seen_cases(media, short=short) if sees else []
    if hears:
        cases += heard_cases(media, short=short, long=family in LONG, several=family not in ONE_CLIP)
    return cases + read_cases(short=short)


def hugging_face(model, processor, case: Case, *, answered: bool) -> dict:
    """The published processor's arguments for the published model."""
    text = model.family.tokenizer.apply_chat_template(
        messages(case, answered=answered), tokenize=False, add_generation_prompt=not answered
    )
    media = {}
    if pictures := pictures_of(case):
        media["images"] = [[load_image(path) for path in pictures]]
        if case.view == "video_text" and model.family.name in _WHOLE:
            media[_WHOLE[model.family.name]] = False
    if clips := clips_of(case):
        media["audio"] = [load_audio(path, at_most_s=70) for path in clips]
    made = processor(text=[text], return_tensors="pt", **media)
    dtype = model.family.head_weight.dtype
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in made.items()}


@torch.no_grad()
def compare(family: str, variant: str, model, cases: list[Case]) -> list[Row]:
    """A row per case."""
    processor, batched = processor_of(model), {}
    for view in sorted({case.view for case in cases}):
        group = [case for case in cases if case.view == view]
        answers = model.generate([case.sample for case in group], view=view, max_new_tokens=ANSWER_TOKENS)
        batched |= {case.name: answer for case, answer in zip(group, answers, strict=True)}
    return [_row(family, variant, model, processor, case, batched[case.name]) for case in cases]


def _row(family: str, variant: str, model, processor, case: Case, batched: str) -> Row:
    layout = model.layouts.build(case.sample, case.view, answers=True)
    prompt = model.layouts.build(case.sample, case.view, answers=False)
    theirs, asked = (hugging_face(model, processor, case, answered=answered) for answered in (True, False))
    same = (
        _ids(model, layout) == theirs["input_ids"][0].tolist() and _ids(model, prompt) == asked["input_ids"][0].tolist()
    )
    if not same:
        return Row(family, variant, case.name, False, float("nan"), float("nan"), (False, False))
    places = layout.response
    labels = torch.full_like(theirs["input_ids"], -100)
    labels[0, places] = theirs["input_ids"][0, places]
    expected = model.base(**theirs, labels=labels)
    states = model(collate({case.view: [layout]}, model.family, share_prefix=False))[case.view]
    mine = states.hidden @ model.family.head_weight.T
    logits = expected.logits[0, [place - 1 for place in places]]
    answer = model.generate([case.sample], view=case.view, max_new_tokens=ANSWER_TOKENS)[0]
    out = model.base.generate(**asked, max_new_tokens=ANSWER_TOKENS, do_sample=False)
    answer_of_hf = decoded(model.family.tokenizer, out[0, len(prompt) :])
    return Row(
        family,
        variant,
        case.name,
        True,
        float((mine - logits).abs().max() / logits.abs().max()),
        abs(float(cross_entropy(mine.float(), states.targets) - expected.loss)),
        (answer == answer_of_hf, batched == answer_of_hf),
    )


def _ids(model, layout) -> list[int]:
    audio = getattr(model.base.config, "audio_token_id", None)
    return [audio if one == AUDIO_ID else one for one in layout.ids]


def load(folder: Path, family: str, form: str = ""):
    """The checkpoint in earwise, with ears where the family has none."""
    model = tiny_model(folder, ears=family not in tiny_families.NATIVE)
    return model.to(torch.bfloat16) if form == "bfloat16" else model
