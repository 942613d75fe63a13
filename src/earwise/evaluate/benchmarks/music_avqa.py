"""MUSIC-AVQA: questions about music videos with answers from a closed vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from earwise.data.audit_scans import sounds_scan
from earwise.data.findings import Finding
from earwise.data.music_avqa import CELLS, edition, read_music_avqa
from earwise.data.public_files import PublicFile
from earwise.evaluate import labels
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, plain
from earwise.evaluate.metrics import mean, shares, whole
from earwise.records import Item, Score

_NEWER: Final = (1017, 594, 1197, 1225, 988, 920, 1265, 1101, 822)
_OLDER: Final = (1022, 601, 1199, 1228, 995, 927, 1274, 1115, 824)
"""Questions of each of `CELLS` in the two editions."""


def music_avqa_parts(scores: Sequence[Score]) -> dict[str, float]:
    """Accuracy, 0-100, over all audio, visual and audio-visual questions; a modality without scores is left out."""
    return shares(scores, [score.kind.rpartition(" ")[0] for score in scores])


def music_avqa_columns(scores: Sequence[Score]) -> dict[str, float]:
    """Accuracy, 0-100, of all Temporal, Comparative, Counting and Existential questions, and of these together as
    `all`: the columns of arXiv 2509.15661, which leaves out Location questions.
    """
    asked = [score for score in scores if not score.kind.endswith(" Location")]
    return shares(asked, [score.kind.rpartition(" ")[2] for score in asked]) | {"all": whole(mean(asked), asked)}


def _edition(path: Path, items: Sequence[Item], findings: list[Finding], rows: int) -> Mapping[str, int]:
    deleted = [item.id for item in items if item.meta["deleted"]]
    findings += [Finding("deleted", "warning", id_, "is marked as deleted, but still asked") for id_ in deleted]
    if edition(rows) == "json":
        findings.append(Finding("edition", "warning", "", f"{rows:,} rows: edition json; json_update is the newer one"))
    return {}


def _outside_of_vocabulary(items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        if labels.normalise(item.answers[0]) not in labels.VOCABULARY:
            yield Finding("gold", "error", item.id, f"answer {item.answers[0]!r} is not of the closed vocabulary")


def _counts(cells: tuple[int, ...]) -> dict[str, int]:
    return {"rows": sum(cells), **dict(zip(CELLS, cells, strict=True))}


MUSIC_AVQA: Final = Benchmark(
    name="music_avqa",
    label="MUSIC-AVQA",
    file=PublicFile(
        "avqa-test.json",
        sounds_scan(read_music_avqa, _edition),
        counts=_counts(_NEWER),
        editions=(_counts(_OLDER),),
        one_answer=True,
    ),
    read=plain(read_music_avqa),
    # The released script scores logits, not text.
    rules=Rules("music_avqa", {"strict": labels.music_avqa}),
    doubts=_outside_of_vocabulary,
)
