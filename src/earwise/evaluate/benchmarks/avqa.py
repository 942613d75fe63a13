"""AVQA: options about the sound of videos; the gold one is given by its place."""

from __future__ import annotations

from typing import Final

from earwise.data.audit_scans import sounds_scan
from earwise.data.avqa import read_avqa
from earwise.data.public_files import PublicFile
from earwise.evaluate import audio_choice
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, option_place, plain

AVQA: Final = Benchmark(
    name="avqa",
    label="AVQA",
    file=PublicFile("val_qa.json", sounds_scan(read_avqa), one_answer=True),
    read=plain(read_avqa),
    # The released script scores logits, not text.
    rules=Rules("avqa", {"strict": audio_choice.strict_index}),
    gold=option_place,
)
