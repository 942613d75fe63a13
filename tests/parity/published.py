"""Chat templates in the style of the published ones, and the published processors, for tiny checkpoints."""

from types import SimpleNamespace
from unittest import mock

import transformers as hf
from hugging_face import spectrograms
from tokenizers_of_all_kinds import byte_level

_PARTS = (
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
    "{% if p.type == 'image' %}IMAGE{% elif p.type == 'audio' %}{% set clips.n = clips.n + 1 %}AUDIO"
    "{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
)
_SYSTEM = (
    "{% if loop.first and m.role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
)


def _template(begin, end, generation, *, image="", audio="", first="", content=_PARTS):
    turns = "{% for m in messages %}" + begin + content.replace("IMAGE", image).replace("AUDIO", audio) + end
    return (
        "{% set clips = namespace(n=0) %}"
        + first
        + turns
        + ("{% endfor %}{% if add_generation_prompt %}" + generation + "{% endif %}")
    )


def _chatml(*, system=True, **parts):
    begin = (_SYSTEM if system else "") + "<|im_start|>{{ m.role }}\n"
    return _template(begin, "<|im_end|>\n", "<|im_start|>assistant\n", **parts)


_SIGHT = "<|vision_start|><|image_pad|><|vision_end|>"
_SPLIT = _template(
    "{{ m.role | capitalize }}{% if m.content[0].type == 'image' %}:{% else %}: {% endif %}",
    "<end_of_utterance>\n", "Assistant:", image="<image>", first="<|im_start|>",
)  # fmt: skip
TEMPLATES = {
    "internvl": _chatml(image="<IMG_CONTEXT>\n", system=False),
    "internvl3_5": _chatml(image="<IMG_CONTEXT>\n"),
    "qwen2_vl": _chatml(image=_SIGHT),
    "qwen2_5_vl": _chatml(image=_SIGHT),
    "qwen3_vl": _chatml(image=_SIGHT, system=False),
    "qwen3_5": _chatml(image=_SIGHT, system=False),
    "smolvlm": _SPLIT,
    "idefics3": _SPLIT,
    "gemma3": _template(
        "<start_of_turn>{% if m.role == 'assistant' %}model{% else %}{{ m.role }}{% endif %}{{ '\\n' }}",
        "<end_of_turn>\n",
        "<start_of_turn>model\n", image="<start_of_image>", first="<bos>",
        content=_PARTS.replace("{{ p.text }}", "{{ p.text | trim }}"),
    ),
    "qwen2_audio": _chatml(audio="Audio {{ clips.n }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n"),
    "audioflamingo3": _chatml(audio="<sound>"),
    "voxtral": _template(
        "{% if m.role == 'user' %}[INST]{% endif %}", "{% if m.role == 'user' %}[/INST]{% else %}</s>{% endif %}", "",
        audio="[BEGIN_AUDIO][AUDIO]", first="<s>",
    ),
    "qwen2_5_omni": _chatml(
        image="<|vision_bos|><|IMAGE|><|vision_eos|>", audio="<|audio_bos|><|AUDIO|><|audio_eos|>"
    ),
    "qwen3_omni": _chatml(image=_SIGHT, audio="<|audio_start|><|audio_pad|><|audio_end|>", system=False),
}  # fmt: skip
_MARKS = {
    "internvl": {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<|video_pad|>",
    },
    "qwen": {
        "image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "vision_bos_token": "<|vision_start|>",
        "vision_eos_token": "<|vision_end|>", "audio_token": "<|audio_pad|>", "audio_bos_token": "<|audio_start|>",
        "audio_eos_token": "<|audio_end|>",
    },
    "gemma": {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
    "split": {"image_token": "<image>"},
    "audio": {"audio_token": "<|AUDIO|>", "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"},
    "omni": {
        "image_token": "<|IMAGE|>", "video_token": "<|VIDEO|>", "vision_bos_token": "<|vision_bos|>",
        "vision_eos_token": "<|vision_eos|>",
    },
}  # fmt: skip
_NAMES = {
    "internvl": "internvl", "internvl3_5": "internvl", "gemma3": "gemma", "qwen2_audio": "audio",
    "qwen2_5_omni": "omni", "smolvlm": "split", "idefics3": "split",
}  # fmt: skip
_ENDS = {
    "gemma3": "<end_of_turn>",
    "voxtral": "</s>",
    "smolvlm": "<end_of_utterance>",
    "idefics3": "<end_of_utterance>",
}
_MORE = ("<end_of_utterance>", "<start_of_turn>", "<end_of_turn>", "<bos>", "[INST]", "[/INST]", "<img>", "</img>",
         "<IMG_CONTEXT>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|audio_pad|>", "<|audio_start|>",
         "<|audio_end|>")  # fmt: skip


def published_tokenizer(family, special):
    """Byte-level BPE with `special` tokens and the family's template."""
    tokenizer = byte_level()
    tokenizer.add_tokens([*_MORE, *special], special_tokens=True)
    names = dict(_MARKS[_NAMES.get(family, "qwen")])
    if family == "qwen2_5_omni":
        names |= _MARKS["audio"]
    tokenizer._set_model_specific_special_tokens(special_tokens=names)
    tokenizer.eos_token = _ENDS.get(family, "<|im_end|>")
    tokenizer.chat_template = TEMPLATES[family]
    return tokenizer


def processor_of(model):
    """The family's published processor around the parts of a loaded model; the video processor needs torchvision."""
    family, config = model.family, model.base.config
    images, tokenizer, extractor = family.image_processor, family.tokenizer, family.feature_extractor
    make = {
        "internvl": lambda: hf.InternVLProcessor(images, tokenizer, None, config.image_seq_length),
        "qwen2_vl": lambda: hf.Qwen2VLProcessor(images, tokenizer, None),
        "qwen2_5_vl": lambda: hf.Qwen2_5_VLProcessor(images, tokenizer, None),
        "qwen3_vl": lambda: hf.Qwen3VLProcessor(images, tokenizer, None),
        "qwen3_5": lambda: hf.Qwen3VLProcessor(images, tokenizer, None),
        "smolvlm": lambda: _split(images, tokenizer, config),
        "gemma3": lambda: hf.Gemma3Processor(images, tokenizer, image_seq_length=config.mm_tokens_per_image),
        "qwen2_audio": lambda: hf.Qwen2AudioProcessor(extractor, tokenizer),
        "audioflamingo3": lambda: hf.AudioFlamingo3Processor(extractor, tokenizer),
        "voxtral": lambda: VoxtralByParts(family),
        "qwen2_5_omni": lambda: hf.Qwen2_5OmniProcessor(images, None, extractor, tokenizer),
        "qwen3_omni": lambda: hf.Qwen3OmniMoeProcessor(images, None, extractor, tokenizer),
    }[family.name]
    with mock.patch.object(hf.ProcessorMixin, "check_argument_for_proper_class"):
        return make()


def _split(images, tokenizer, config):
    side = config.vision_config.image_size // config.vision_config.patch_size
    tokens = int(side**2 / config.scale_factor**2)
    if config.model_type == "idefics3":
        return hf.Idefics3Processor(images, tokenizer, image_seq_len=tokens)
    with mock.patch("transformers.models.smolvlm.processing_smolvlm.num2words", str):  # writes only lengths of videos
        return hf.SmolVLMProcessor(images, tokenizer, SimpleNamespace(), image_seq_len=tokens)


class VoxtralByParts:
    """VoxtralProcessor reads Mistral's own tokenizer only: its extractor and its count of placeholders."""

    def __init__(self, family):
        self.family = family

    def __call__(self, text, audio=(), **options):
        """Ids and spectrograms of one conversation."""
        pieces = text[0].split("[AUDIO]")
        counts = [375 * -(-len(clip) // 480_000) for clip in audio]
        whole = "".join(piece + "[AUDIO]" * count for piece, count in zip(pieces, [*counts, 0], strict=True))
        features = spectrograms(self.family, audio) if audio else {}
        return hf.BatchFeature({**self.family.tokenizer([whole], return_tensors="pt"), **features})
