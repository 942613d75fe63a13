"""The benchmarks' public files: what reads them, and what they should hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from earwise.data.aro import DEFAULT_COUNT, Type
from earwise.data.audit_emotions import (
    IEMOCAP,
    MELD_OTHERS,
    MELD_TEST,
    iemocap_extras,
    meld_extras,
    read_every_session,
)
from earwise.data.avqa import read_avqa
from earwise.data.fields import Refuse
from earwise.data.findings import Finding
from earwise.data.iemocap import read_iemocap
from earwise.data.meld import read_meld
from earwise.data.mmar import read_mmar
from earwise.data.mmau import read_mmau
from earwise.data.music_avqa import read_music_avqa
from earwise.io.files import found_file
from earwise.records import Item


class ReadSounds(Protocol):
    """Reads a benchmark of sounds; `refuse` is told of every record that cannot be used."""

    def __call__(self, path: Path, *, refuse: Refuse | None = None) -> list[Item]:
        """The items of the file at `path`."""


@dataclass(frozen=True)
class PublicFile:
    """The file of a benchmark as it is published."""

    name: str
    md5: str | None
    """As VLMEvalKit checks it; None where nobody publishes one."""
    counts: Mapping[str, int]
    layout: str = ""
    """Of `tsv.LAYOUTS`, for a TSV file."""
    split: str | None = None
    """Of its rows, where the benchmark is one split."""
    aro: Type | None = None
    """For a file of ARO."""
    sounds: ReadSounds | None = None
    """For questions about sounds: what reads the file."""
    others: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Counts of other files of the same form, by name."""
    editions: Sequence[Mapping[str, int]] = ()
    """Counts of other editions of the file, told apart by their rows."""
    folder: bool = False
    """Whether it is a folder."""
    whole: ReadSounds | None = None
    """What reads all that is there, where `sounds` reads the tested part of it."""
    extras: Callable[[Path, Sequence[Item], list[Finding]], dict[str, int]] | None = None
    """What else there is to count and to find."""

    def expected(self, path: Path, rows: int) -> Mapping[str, int]:
        """Counts of the file at `path`, which has so many rows."""
        known = self.others.get(path.name, self.counts)
        return next((counts for counts in self.editions if counts["rows"] == rows), known)

    def there(self, path: Path) -> bool:
        """Whether there is such a file, or folder, at `path`; raises `InputError` for a pipe, a device or a socket."""
        return path.is_dir() if self.folder else found_file(path)


_CHARTQA: Final = "c902e0aa9be5582a7aad6dcf52734b42"
_MMALIGN: Final = {"items": DEFAULT_COUNT, "gold A": DEFAULT_COUNT // 2}

PUBLIC: Final[Mapping[str, PublicFile]] = {
    "mme": PublicFile(
        "MME.tsv",
        "b36b43c3f09801f5d368627fb92187c3",
        {"rows": 2374, "images": 1187, "categories": 14, "gold yes": 1187},
        layout="mme",
    ),
    "hallusionbench": PublicFile(
        "HallusionBench.tsv",
        "0c23ac0dc9ef46832d7a24504f2a0c7c",
        {"rows": 951, "figures": 346, "questions over figures": 455, "gold yes": 401},
        layout="hallusionbench",
    ),
    "realworldqa": PublicFile(
        "RealWorldQA.tsv", "92321028d2bc29040284b6674721e48f", {"rows": 765}, layout="realworldqa"
    ),
    "textvqa": PublicFile("TextVQA_VAL.tsv", "b233b31f551bbf4056f2f955da3a92cd", {"rows": 5000}, layout="textvqa"),
    "chartqa_human": PublicFile("ChartQA_TEST.tsv", _CHARTQA, {"rows": 1250}, layout="chartqa", split="test_human"),
    "chartqa_augmented": PublicFile(
        "ChartQA_TEST.tsv", _CHARTQA, {"rows": 1250}, layout="chartqa", split="test_augmented"
    ),
    "docvqa": PublicFile("DocVQA_VAL.tsv", "d5ee77e1926ff10690d469c56b73eabf", {"rows": 5349}, layout="docvqa"),
    "infovqa": PublicFile("InfoVQA_VAL.tsv", "2342e9c225222f0ef4dec545ebb126fe", {"rows": 2801}, layout="infovqa"),
    "mmalign_relation": PublicFile("visual_genome_relation.json", None, {"cases": 23_937} | _MMALIGN, aro="relation"),
    "mmalign_attribute": PublicFile(
        "visual_genome_attribution.json", None, {"cases": 28_748} | _MMALIGN, aro="attribute"
    ),
    "mmau": PublicFile(
        "mmau-test-mini.json",
        None,
        {"rows": 1000, "sound": 333, "music": 334, "speech": 333, "easy": 224, "medium": 540, "hard": 236},
        sounds=read_mmau,
    ),
    "mmau_sound": PublicFile("mmau-test-mini.json", None, {"rows": 333}, sounds=partial(read_mmau, task="sound")),
    "mmau_music": PublicFile("mmau-test-mini.json", None, {"rows": 334}, sounds=partial(read_mmau, task="music")),
    "mmau_speech": PublicFile("mmau-test-mini.json", None, {"rows": 333}, sounds=partial(read_mmau, task="speech")),
    "mmar": PublicFile(
        "MMAR-meta.jsonl",
        None,
        {
            "rows": 1000,
            "speech": 294,
            "mix-sound-speech": 218,
            "music": 206,
            "sound": 165,
            "mix-music-speech": 82,
            "mix-sound-music-speech": 24,
            "mix-sound-music": 11,
        },
        sounds=read_mmar,
    ),
    "avqa": PublicFile("val_qa.json", None, {}, sounds=read_avqa),
    "music_avqa": PublicFile(
        "avqa-test.json",
        None,
        {
            "rows": 9129,
            "Audio Counting": 1017,
            "Audio Comparative": 594,
            "Visual Counting": 1197,
            "Visual Location": 1225,
            "Audio-Visual Existential": 988,
            "Audio-Visual Location": 920,
            "Audio-Visual Counting": 1265,
            "Audio-Visual Comparative": 1101,
            "Audio-Visual Temporal": 822,
        },
        sounds=read_music_avqa,
        editions=(
            {
                "rows": 9185,
                "Audio Counting": 1022,
                "Audio Comparative": 601,
                "Visual Counting": 1199,
                "Visual Location": 1228,
                "Audio-Visual Existential": 995,
                "Audio-Visual Location": 927,
                "Audio-Visual Counting": 1274,
                "Audio-Visual Comparative": 1115,
                "Audio-Visual Temporal": 824,
            },
        ),
    ),
    "meld": PublicFile("test_sent_emo.csv", None, MELD_TEST, sounds=read_meld, others=MELD_OTHERS, extras=meld_extras),
    "iemocap": PublicFile(
        "IEMOCAP_full_release",
        None,
        IEMOCAP,
        sounds=read_iemocap,
        folder=True,
        whole=read_every_session,
        extras=iemocap_extras,
    ),
}
"""Benchmark -> its public file. Hashes are from VLMEvalKit's source, counts from the benchmarks' papers and files."""
