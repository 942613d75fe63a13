"""MMAR: options about mixtures of sound, music and speech."""

from __future__ import annotations

from typing import Final

from earwise.data.audit_scans import sounds_scan
from earwise.data.mmar import read_mmar
from earwise.data.public_files import PublicFile
from earwise.evaluate import audio_choice
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, option_text, plain

MMAR: Final = Benchmark(
    name="mmar",
    label="MMAR",
    file=PublicFile(
        "MMAR-meta.jsonl",
        sounds_scan(read_mmar),
        counts={
            "rows": 1000,
            "speech": 294,
            "mix-sound-speech": 218,
            "music": 206,
            "sound": 165,
            "mix-music-speech": 82,
            "mix-sound-music-speech": 24,
            "mix-sound-music": 11,
        },
        one_answer=True,
    ),
    read=plain(read_mmar),
    rules=Rules(
        "mmar",
        {
            "strict": audio_choice.strict,
            "lmms_eval": audio_choice.lmms_eval_mmar,
            "official": audio_choice.official,
        },
    ),
    gold=option_text,
)
