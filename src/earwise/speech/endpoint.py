"""Any OpenAI-compatible speech endpoint (`POST /v1/audio/speech`, WAV)."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import openai
import soundfile

from earwise.data.media import Waveform
from earwise.data.resample import to_16_khz
from earwise.errors import EarwiseError, InputError
from earwise.speech.engine import NORMAL_RATE_WPM, check_own_pitch, check_voice


class EndpointEngine:
    """A server that speaks. Its answers are cached as clips, but it need not answer the same twice: it takes no seed.

    Answers 408, 409, 429 and 5xx and broken connections are tried again up to `max_retries` times, after the time that
    `Retry-After` asks for (at most two minutes) or else after a doubling pause; this is done by `openai`'s client. The
    key is read from the environment variable `api_key_env` and is never written anywhere.
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
        self._client = openai.OpenAI(base_url=base_url, api_key=key, timeout=timeout_s, max_retries=max_retries)
        self.name = f"endpoint {model} at {base_url}"

    def voices(self) -> list[str]:
        """The voices that were given; the interface has no call that lists them."""
        return list(self._voices)

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """See `SpeechEngine.speak`. Raises `EarwiseError` if the server does not give a WAV file in the end."""
        if self._voices:
            check_voice(voice, self._voices, self.name)
        check_own_pitch(pitch, self.name)
        try:
            answer = self._client.audio.speech.create(
                model=self._model, voice=voice, input=spoken, response_format="wav", speed=rate / NORMAL_RATE_WPM
            )
        except openai.APIError as error:
            raise EarwiseError(f"{self.name}: {_reason(error)}") from error
        return self._decode(answer.content)

    def close(self) -> None:
        """Close the connections that are kept open between requests."""
        self._client.close()

    def _decode(self, content: bytes) -> Waveform:
        try:
            samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise EarwiseError(f"{self.name}: the answer is not readable as audio: {error.error_string}") from error
        return to_16_khz(samples.mean(axis=1, dtype="float32"), rate_hz)


def _reason(error: openai.APIError) -> str:
    if isinstance(error, openai.APITimeoutError):
        return "no answer in time"
    if isinstance(error, openai.APIStatusError):
        return f"answered with status {error.status_code}"
    return "cannot be reached" if isinstance(error, openai.APIConnectionError) else type(error).__name__
