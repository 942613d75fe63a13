"""Text-to-speech models of `transformers` that need only token ids (VITS, MMS-TTS)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForTextToWaveform, AutoTokenizer

from earwise.data.media import Waveform
from earwise.data.resample import to_16_khz
from earwise.errors import InputError
from earwise.io.loading import load_whole
from earwise.recipe.speech import HuggingFaceSettings as Settings
from earwise.speech.engine import NORMAL_RATE_WPM, check_own_pitch, check_voice


class HuggingFaceEngine:
    """A model from a folder or the hub, safetensors only, seeded for each clip, on a GPU if there is one.

    Voices are the model's speakers by number (`"0"`, `"1"`, ...). Rates need a model with a `speaking_rate`.
    """

    waits = False

    def __init__(self, model: str, *, revision: str | None = None, device: str | None = None) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if model.startswith((".", "/", "~")) and not Path(model).is_dir():
            raise InputError("no such model folder", file=model)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
            loaded = load_whole(AutoModelForTextToWaveform, model, revision=revision, use_safetensors=True)
        except InputError:
            raise
        except (OSError, ValueError) as error:  # for a missing file and an unknown type
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"cannot load a text-to-speech model: {reason}", file=model) from error
        self._model = loaded.to(self._device).eval()
        self._rate_hz = self._find_rate_hz(model)
        version = revision or getattr(loaded.config, "_commit_hash", None)
        self.name = f"transformers {loaded.config.model_type} {model}" + (f" {version}" if version else "")

    def _find_rate_hz(self, model: str) -> int:
        rate_hz = getattr(self._model.config, "sampling_rate", None)
        if not isinstance(rate_hz, int):
            what = f"the config of a {self._model.config.model_type!r} model does not say its sampling rate"
            raise InputError(what, file=model, remedy="use a VITS or MMS-TTS checkpoint")
        return rate_hz

    def voices(self) -> list[str]:
        """Speaker numbers, in order."""
        return [str(number) for number in range(getattr(self._model.config, "num_speakers", 1))]

    @torch.inference_mode()
    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """As `SpeechEngine.speak`. The random generators of the process do not change."""
        check_voice(voice, self.voices(), self.name)
        check_own_pitch(pitch, self.name)
        self._set_rate(rate)
        inputs = self._tokenizer(spoken, return_tensors="pt", split_special_tokens=True).to(self._device)
        speaker = {"speaker_id": int(voice)} if len(self.voices()) > 1 else {}
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(seed)
            waveform = self._model(**inputs, **speaker).waveform[0]
        return to_16_khz(waveform.float().cpu().numpy().astype(np.float32).reshape(-1), self._rate_hz)

    def _set_rate(self, rate: float) -> None:
        if hasattr(self._model, "speaking_rate"):
            self._model.speaking_rate = rate / NORMAL_RATE_WPM
        elif rate != NORMAL_RATE_WPM:
            remedy = f"set rates_wpm to [{NORMAL_RATE_WPM:g}, {NORMAL_RATE_WPM:g}]"
            raise InputError(f"{self.name} cannot change its rate, got {rate:g}", remedy=remedy)


def open_huggingface(settings: Settings) -> HuggingFaceEngine:
    """The engine for a recipe's settings."""
    return HuggingFaceEngine(settings.model, revision=settings.revision)
