"""Speech recognisers, for the quality gate and for cascades."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutomaticSpeechRecognitionPipeline,
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
    AutoTokenizer,
    PreTrainedModel,
    pipeline,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES

from earwise.data.media import Waveform
from earwise.errors import InputError
from earwise.io.loading import load_whole
from earwise.recipe.speech import Asr
from earwise.records import SAMPLE_RATE_HZ

_PLACES: Final = 448
"""Tokens that Whisper's decoder has places for."""
_PROMPT_TOKENS: Final = 8
"""At most so many of them stand before the first word: language, task and others."""


class HuggingFaceTranscriber:
    """A speech recogniser from a folder or the hub, safetensors only, on a GPU if there is one.

    Decoding is greedy; a multilingual Whisper is set to English. A CTC model gets one clip at a time, because it would
    transcribe the padding of a batch.
    """

    def __init__(self, settings: Asr, *, device: str | None = None) -> None:
        model = settings.model
        if model.startswith((".", "/", "~")) and not Path(model).is_dir():
            raise InputError("no such model folder", file=model)
        try:
            self._pipeline: AutomaticSpeechRecognitionPipeline = pipeline(
                "automatic-speech-recognition",
                model=_load(model, settings.revision),
                tokenizer=AutoTokenizer.from_pretrained(model, revision=settings.revision),
                feature_extractor=AutoFeatureExtractor.from_pretrained(model, revision=settings.revision),
                device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
            )
        except InputError:
            raise
        except (OSError, ValueError, KeyError) as error:  # how transformers reports a missing file or an unknown type
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"cannot load a speech recogniser: {reason}", file=model) from error
        tokenizer = self._pipeline.tokenizer
        if tokenizer is not None and tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token  # The pipeline needs a name for padding; no text is padded.
        rate_hz = getattr(self._pipeline.feature_extractor, "sampling_rate", None)
        if rate_hz != SAMPLE_RATE_HZ:
            raise InputError(f"the recogniser hears {rate_hz} Hz, clips have {SAMPLE_RATE_HZ}", file=model)

    @property
    def spelling(self) -> dict[str, str]:
        """British to American spelling from a Whisper checkpoint; empty for other models."""
        return dict(getattr(self._pipeline.tokenizer, "english_spelling_normalizer", None) or {})

    def transcribe(self, waveforms: Sequence[Waveform]) -> list[str]:
        """The text of each waveform."""
        inputs: Any = [{"raw": waveform, "sampling_rate": SAMPLE_RATE_HZ} for waveform in waveforms]
        together = len(inputs) if self._pipeline.model.can_generate() else 1
        longest_s = max((len(waveform) for waveform in waveforms), default=0) / SAMPLE_RATE_HZ
        found = self._pipeline(inputs, batch_size=together, generate_kwargs=self._options(longest_s))
        return [one["text"].strip() for one in found]

    def _options(self, longest_s: float) -> dict[str, object]:
        config = getattr(self._pipeline.model, "generation_config", None)
        if not self._pipeline.model.can_generate():
            return {}
        places = getattr(self._pipeline.model.config, "max_target_positions", _PLACES)
        most = min(_most_tokens(longest_s), places - _PROMPT_TOKENS)
        language = {"language": "english", "task": "transcribe"} if getattr(config, "lang_to_id", None) else {}
        return {"do_sample": False, "num_beams": 1, "max_new_tokens": most, **language}


def _most_tokens(seconds: float) -> int:
    """More than anybody says in `seconds`. Whisper repeats itself in noise, up to 448 tokens, if nothing stops it."""
    return 24 + math.ceil(10 * seconds)


def _load(name: str, revision: str | None) -> PreTrainedModel:
    config = AutoConfig.from_pretrained(name, revision=revision)
    has_decoder = config.model_type in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES
    kind = AutoModelForSpeechSeq2Seq if has_decoder else AutoModelForCTC
    model: PreTrainedModel = load_whole(
        kind, name, config=config, revision=revision, dtype="auto", use_safetensors=True
    )
    if model.can_generate() and model.generation_config is not None:
        model.generation_config.max_length = None  # `_most_tokens` decides, and transformers warns of two limits.
    return model
