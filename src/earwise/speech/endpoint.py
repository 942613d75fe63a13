"""Any OpenAI-compatible speech endpoint (`POST /v1/audio/speech`, WAV)."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from functools import partial
from typing import Final

import openai
import soundfile

from earwise.data.media import Waveform
from earwise.data.resample import to_16_khz
from earwise.errors import EarwiseError, InputError
from earwise.io.http import BadAnswerError, BoundedClient, LoopThread, reason_of
from earwise.recipe.speech import OpenAISettings as Settings
from earwise.speech.engine import NORMAL_RATE_WPM, check_own_pitch, check_voice

LONGEST_S: Final = 120
"""Limit of an answer. A clip too long for the model is dropped later; an answer this long is not a question."""
SLOWEST_HZ: Final = 4_000
FASTEST_HZ: Final = 192_000
MOST_CHANNELS: Final = 8


class EndpointEngine:
    """A speech server. It takes no seed, so it may answer the same request differently; its answers are cached as
    clips.

    `openai`'s client repeats requests after 408, 409, 429, 5xx and broken connections up to `max_retries` times, after
    the time in `Retry-After` (at most two minutes) or a doubling pause. The key comes from the environment variable
    `api_key_env` and is never written to a file. A call ends after `timeout_s`, and an answer is limited in bytes
    (`earwise.io.http`).
    """

    waits = True

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str | None = None,
        voices: Sequence[str] = (),
        timeout_s: float = 60.0,
        max_retries: int = 5,
    ) -> None:
        key = os.environ.get(api_key_env, "") if api_key_env else "none"
        if not key:
            raise InputError(f"the environment variable {api_key_env} with the key of {base_url} is not set")
        self._model, self._voices = model, list(voices)
        self._open = partial(_client, base_url, key, timeout_s, max_retries)
        self._opened: tuple[LoopThread, openai.AsyncOpenAI] | None = None
        self._lock = threading.Lock()
        self.name = f"endpoint {model} at {base_url}"

    def voices(self) -> list[str]:
        """The given voices; the interface cannot list them."""
        return list(self._voices)

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """As `SpeechEngine.speak`. Raises `EarwiseError` if the server does not return a WAV file."""
        if self._voices:
            check_voice(voice, self._voices, self.name)
        check_own_pitch(pitch, self.name)
        loop, client = self._connection()
        answer = client.audio.speech.create(
            model=self._model, voice=voice, input=spoken, response_format="wav", speed=rate / NORMAL_RATE_WPM
        )
        try:
            content = loop.run(answer).content
        except BadAnswerError as error:
            raise EarwiseError(f"{self.name}: {error}") from None
        except openai.APIError as error:  # its text may contain the key
            raise EarwiseError(f"{self.name}: {reason_of(error)}") from None
        return self._decode(content)

    def close(self) -> None:
        """Close the connections that are open between requests."""
        if self._opened is not None:
            loop, client = self._opened
            loop.run(client.close())
            loop.close()
            self._opened = None

    def _connection(self) -> tuple[LoopThread, openai.AsyncOpenAI]:
        """The connection that all threads share."""
        with self._lock:
            if self._opened is None:
                self._opened = LoopThread(), self._open()
            return self._opened

    def _decode(self, content: bytes) -> Waveform:
        try:
            with soundfile.SoundFile(io.BytesIO(content)) as stream:
                rate_hz, longest = stream.samplerate, LONGEST_S * stream.samplerate
                if not SLOWEST_HZ <= rate_hz <= FASTEST_HZ or stream.channels > MOST_CHANNELS:
                    what = f"an answer of {rate_hz} Hz and {stream.channels} channels is no speech"
                    raise EarwiseError(f"{self.name}: {what}")
                samples = stream.read(longest + 1, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise EarwiseError(f"{self.name}: the answer is not readable as audio: {error.error_string}") from error
        if len(samples) > longest:
            raise EarwiseError(f"{self.name}: the answer is longer than {LONGEST_S} s")
        return to_16_khz(samples.mean(axis=1, dtype="float32"), rate_hz)


def _client(base_url: str, key: str, timeout_s: float, max_retries: int) -> openai.AsyncOpenAI:
    sender = BoundedClient(timeout_s)
    return openai.AsyncOpenAI(
        base_url=base_url, api_key=key, timeout=timeout_s, max_retries=max_retries, http_client=sender
    )


def open_endpoint(settings: Settings) -> EndpointEngine:
    """The engine for a recipe's settings."""
    return EndpointEngine(settings.base_url, settings.model, api_key_env=settings.api_key_env)
