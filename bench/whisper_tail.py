"""What silence behind a clip does to a real Whisper: word errors of its own decoder, distance of states, and time.

Needs the folder of `make real`. See docs/results/whisper_tail.md.
"""

from __future__ import annotations

from earwise.work.threads import prepare

prepare()  # before torch is loaded, which reads the environment once

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from earwise.data.asr_manifests import read_nemo
from earwise.data.media import load_audio
from earwise.evaluate.gap import Floats, Metric, metric_interval
from earwise.models.mel import Tail, bucket_frames, log_mels
from earwise.models.whisper import encode, mel_extractor, new_encoder
from earwise.recipe.speech import EspeakSettings
from earwise.speech.espeak import open_espeak
from earwise.speech.recovered import RoundTrip

TAILS: tuple[Tail, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, "full")
APPENDED = "states"
"""The row whose clips are encoded at their real length, with the states of 30 s of silence behind them."""
_LONGEST = 120
"""Tokens of an answer."""
VOICES = ("en-us+f2", "en-gb+m3", "en-gb-scotland+f1", "en-us+m1")
QUESTIONS = (
    "What is a {}?", "Where would you find a {}?", "Is a {} larger than a house?", "What is a {} made of?",
    "Use the word {} in a sentence.", "Who would need a {}?",
)  # fmt: skip
NOUNS = (
    "lighthouse", "carpenter", "violin", "bridge", "turtle", "kettle", "mountain", "window", "ladder", "candle",
    "harbour", "blanket", "engine", "pencil", "island", "market", "rocket", "garden", "hammer", "pillow",
)  # fmt: skip
MANIFESTS = {
    "digits": "asterisk-en/digits", "letters": "asterisk-en/letters", "phonetic": "asterisk-en/phonetic",
    "sentences": "asterisk-en/sentences", "descriptions": "tuxpaint/descriptions",
}  # fmt: skip


@dataclass
class Row:
    """One tail on one set of clips."""

    errors: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    encode_s: float = 0.0


class Ear:
    """Whisper's encoder as ears run it, and its own decoder on whatever states."""

    def __init__(self, folder: Path) -> None:
        self.model = WhisperForConditionalGeneration.from_pretrained(folder).eval()
        self.model.generation_config.max_length = None
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self.encoder = new_encoder(self.model.config.to_dict()).eval()
        self.encoder.load_state_dict(self.model.model.encoder.state_dict())
        self._extractor = mel_extractor(self.encoder)
        self.silence = self.states(torch.zeros(16_000), "full")

    def states(self, clip: Tensor, tail: Tail) -> Tensor:
        """(1, S, E) states of a clip with so much silence behind it."""
        frames = torch.tensor([bucket_frames(len(clip), tail)])
        return encode(self.encoder, log_mels([clip], self._extractor, tail), frames)

    def text(self, states: Tensor, words: int) -> str:
        """What the decoder writes, greedily; of a decoder that loops, some three times as much as `words`."""
        most = min(_LONGEST, 3 * words + 8)
        ids = self.model.generate(encoder_outputs=BaseModelOutput(states), do_sample=False, max_new_tokens=most)
        return str(self._tokenizer.decode(ids[0], skip_special_tokens=True))


def espeak_clips(count: int) -> list[tuple[Tensor, str]]:
    """Questions about nouns, in four voices by turns."""
    engine = open_espeak(EspeakSettings(type="espeak"))
    clips = []
    for n in range(count):
        text = QUESTIONS[n % len(QUESTIONS)].format(NOUNS[n % len(NOUNS)])
        clips.append((torch.from_numpy(engine.speak(text, VOICES[n % len(VOICES)], 165, 50, 0)), text))
    return clips


def recorded_clips(manifest: Path, limit: int) -> list[tuple[Tensor, str]]:
    """Recordings of at most 12 s, in the manifest's order."""
    corpus = read_nemo(manifest)
    some = [one for one in corpus.utterances if one.seconds <= 12][:limit]
    return [(torch.from_numpy(load_audio(corpus.audio / one.audio)), one.text) for one in some]


def clip_sets(folder: Path, count: int) -> Iterator[tuple[str, list[tuple[Tensor, str]]]]:
    """The sets of clips by name; sentences only where their words are known."""
    yield "espeak", espeak_clips(count)
    for name, manifest in MANIFESTS.items():
        if (path := folder / f"{manifest}.jsonl").is_file():
            yield name, recorded_clips(path, count)


@torch.inference_mode()
def measure(ear: Ear, clips: Sequence[tuple[Tensor, str]]) -> dict[str, Row]:
    """Every tail on `clips`."""
    trip = RoundTrip({})
    rows = {str(tail): Row() for tail in (*TAILS, APPENDED)}
    for clip, said in clips:
        count = -(-len(clip) // 320)
        full = ear.states(clip, "full")[:, :count]
        for name, row in rows.items():
            started = time.process_time()
            states = _states(ear, clip, name)
            row.encode_s += time.process_time() - started
            row.distances.append(float((states[:, :count] - full).norm() / full.norm()))
            recovery = trip.compare(said, said, ear.text(states, len(said.split())))
            row.errors.append(recovery.errors)
            row.words.append(recovery.words)
    return rows


def _states(ear: Ear, clip: Tensor, name: str) -> Tensor:
    if name == APPENDED:
        states = ear.states(clip, 0.0)
        return torch.cat([states, ear.silence[:, states.shape[1] :]], dim=1)
    return ear.states(clip, "full" if name == "full" else float(name))


def told(rows: dict[str, Row]) -> dict[str, dict[str, Any]]:
    """Numbers of a set: word errors per 100 words with the interval over clips, and how many more than with 30 s."""
    return {
        name: {
            "n": len(row.errors),
            "words": sum(row.words),
            "word_errors": _interval(_rate(row), row),
            "loops": sum(errors > words for errors, words in zip(row.errors, row.words, strict=True)),
            "over_full": _interval(partial(_difference, row, rows["full"]), row),
            "distance": float(np.mean(row.distances)),
            "encoder_cpu_s": row.encode_s / len(row.errors),
        }
        for name, row in rows.items()
    }


def _rate(row: Row) -> Metric:
    """Errors per 100 words. A clip has at most as many as words: how long a decoder loops says nothing."""
    words = np.array(row.words, float)
    errors = np.minimum(np.array(row.errors, float), words)
    return lambda weights: 100 * (weights @ errors) / (weights @ words)


def _difference(row: Row, other: Row, weights: Floats) -> Floats:
    return _rate(row)(weights) - _rate(other)(weights)


def _interval(metric: Metric, row: Row) -> list[float]:
    return [round(value, 2) for value in metric_interval(metric, range(len(row.errors)))]


def _words(value: Sequence[float]) -> str:
    return f"{value[0]:6.1f} [{value[1]:.1f}, {value[2]:.1f}]"


def main() -> None:
    """Print the table, and write the numbers where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=Path(os.environ.get("EARWISE_REAL") or "data/real"))
    parser.add_argument("--clips", type=int, default=60, help="of each set, at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ear, found = Ear(options.real / "whisper-tiny.en"), {}
    for name, clips in clip_sets(options.real, options.clips):
        found[name] = told(measure(ear, clips))
        for tail, row in found[name].items():
            rate, more = row["word_errors"], row["over_full"]
            print(f"{name:13} {tail:7} n={row['n']:3} {_words(rate)}  over 30 s {_words(more)}", end="  ")
            print(f"distance {row['distance']:.3f}  loops {row['loops']}  {row['encoder_cpu_s']:.2f} s", flush=True)
        if options.json:
            command = f"python bench/whisper_tail.py --clips {options.clips}"
            options.json.write_text(json.dumps({"command": command, "sets": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
