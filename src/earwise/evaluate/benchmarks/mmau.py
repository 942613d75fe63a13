"""MMAU test-mini: options about sounds, music and speech, as a whole and by task."""

from __future__ import annotations

from functools import partial
from typing import Final

from earwise.data.audit_scans import sounds_scan
from earwise.data.mmau import TASKS, Task, read_mmau
from earwise.data.public_files import PublicFile
from earwise.evaluate import audio_choice
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, option_text, plain

_FILE: Final = "mmau-test-mini.json"
_SIZES: Final = {"sound": 333, "music": 334, "speech": 333}
_RULES: Final = Rules(
    "mmau",
    {
        "strict": audio_choice.strict,
        "lmms_eval": audio_choice.lmms_eval_mmau,
        "official": audio_choice.official,
    },
)

_WHOLE: Final = Benchmark(
    name="mmau",
    label="MMAU",
    file=PublicFile(
        _FILE,
        sounds_scan(read_mmau),
        counts={"rows": 1000, **_SIZES, "easy": 224, "medium": 540, "hard": 236},
        one_answer=True,
    ),
    read=plain(read_mmau),
    rules=_RULES,
    gold=option_text,
)


def _task(task: Task) -> Benchmark:
    read = partial(read_mmau, task=task)
    return Benchmark(
        name=f"mmau_{task}",
        label=f"MMAU {task}",
        file=PublicFile(_FILE, sounds_scan(read), counts={"rows": _SIZES[task]}, one_answer=True),
        read=plain(read),
        rules=_RULES,
        gold=option_text,
    )


MMAU: Final = (_WHOLE, *map(_task, TASKS))
