"""What a benchmark's file holds, against what it should: hash, counts, rows that cannot be read, rows to doubt.

Unlike a reader, which stops at the first bad row, an audit names them all. It writes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from earwise.data.aro import DEFAULT_COUNT, Type, check_case, is_symmetric, load_cases, read_aro
from earwise.data.audit_emotions import (
    IEMOCAP,
    MELD_OTHERS,
    MELD_TEST,
    iemocap_extras,
    meld_extras,
    read_every_session,
)
from earwise.data.avqa import read_avqa
from earwise.data.choices import LETTERS
from earwise.data.fields import Refuse
from earwise.data.findings import Finding as Finding
from earwise.data.findings import Level
from earwise.data.iemocap import SESSIONS, listing_files, read_iemocap
from earwise.data.media import load_audio
from earwise.data.meld import read_meld
from earwise.data.mmar import read_mmar
from earwise.data.mmau import read_mmau
from earwise.data.music_avqa import edition, read_music_avqa
from earwise.data.tsv import KNOWN_DEFECTS, hallusion_place, scan_tsv
from earwise.data.video import check_video
from earwise.errors import InputError
from earwise.records import Item

ANNOTATORS: Final = 10
"""Answers of each question of TextVQA."""

QUESTIONS_PER_IMAGE: Final = 2
"""Questions that MME asks about each image of a category."""


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
    folder: bool = False
    """Whether it is a folder."""
    whole: ReadSounds | None = None
    """What reads all that is there, where `sounds` reads the tested part of it."""
    extras: Callable[[Path, Sequence[Item], list[Finding]], dict[str, int]] | None = None
    """What else there is to count and to find."""

    def there(self, path: Path) -> bool:
        """Whether there is such a file, or folder, at `path`."""
        return path.is_dir() if self.folder else path.is_file()


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


@dataclass(frozen=True)
class FileAudit:
    """What a file holds. `expected` has an entry for each count whose right value is known."""

    path: Path
    size_bytes: int
    md5: str
    sha256: str
    expected_md5: str | None = None
    """None where none is known, or the file is somebody's own."""
    counts: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    items: Sequence[Item] = ()
    findings: Sequence[Finding] = ()


def audit_file(benchmark: str, path: str | Path, *, own: bool = False) -> FileAudit:
    """Read all of `path` as `benchmark` (a key of `PUBLIC`) and name everything that is wrong with it.

    Images are decoded to their last line. With `own` the file is somebody's own in the public format: neither hash nor
    counts are expected. Hashes and size of a folder are those of the files that list its records, one after the other.
    Raises `InputError` only for a file that is not there.
    """
    path, public = Path(path), PUBLIC[benchmark]
    if not public.there(path):
        raise InputError(f"no file of benchmark {benchmark!r}", file=path)
    listing = _listing(path) if public.folder else [path]
    md5, sha256 = _hashes(listing)
    findings: list[Finding] = []
    try:
        if public.sounds is not None:
            items, counts = _sounds(path, benchmark, public, findings)
        elif public.aro is not None:
            items, counts = _aro(path, public.aro, findings)
        else:
            items, counts = _tsv(path, public, findings)
    except InputError as error:
        items, counts = [], {}
        findings.append(Finding("file", "error", str(error.record or ""), _said(error)))
    expected = {} if own or not counts else public.others.get(path.name, public.counts)
    for what, right in expected.items():
        if (found := counts.get(what, 0)) != right:
            findings.append(Finding("count", "error", "", f"{found:,} {what}, the public file has {right:,}"))
    if not own and public.md5 is not None and md5 != public.md5:
        findings.append(Finding("hash", "warning", "", f"MD5 {md5}, VLMEvalKit expects {public.md5}"))
    findings += _repeated(items)
    expected_md5 = None if own else public.md5
    size = sum(file.stat().st_size for file in listing)
    return FileAudit(path, size, md5, sha256, expected_md5, counts, expected, items, findings)


def _listing(release: Path) -> list[Path]:
    return listing_files(release, [session for session in SESSIONS if (release / f"Session{session}").is_dir()])


def _hashes(files: Sequence[Path]) -> tuple[str, str]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                md5.update(block)
                sha256.update(block)
    return md5.hexdigest(), sha256.hexdigest()


def _said(error: InputError) -> str:
    return error.what + (f" ({error.remedy})" if error.remedy else "")


def _tsv(path: Path, public: PublicFile, findings: list[Finding]) -> tuple[list[Item], dict[str, int]]:
    refused, known = 0, KNOWN_DEFECTS.get(public.layout, {})

    def refuse(index: str, error: InputError) -> None:
        nonlocal refused
        refused += 1
        level: Level = "warning" if index in known else "error"
        check = "known defect" if index in known else "row"
        findings.append(Finding(check, level, str(error.record), _said(error)))

    scan = scan_tsv(path, public.layout, public.split, refuse, write_images=False)
    items = scan.items
    odd = [Finding("no image", "warning", record, "no image, so it is not asked") for record in scan.without_image]
    odd += [Finding("short row", "warning", record, f"{lacking}: filled up") for record, lacking in scan.short]
    findings += odd
    if not items and not refused and not scan.without_image:
        raise InputError(f"no rows{f' of split {public.split!r}' if public.split else ''}")
    counts = {"rows": len(items) + refused, "images": len({item.image for item in items})}
    if public.layout == "mme":
        counts |= _mme(items, findings)
    if public.layout == "hallusionbench":
        counts |= {"rows without image": scan.text_only} | _hallusion(items)
    counts |= _pictures(scan.pictures, findings)
    if public.layout == "textvqa":
        findings += [
            Finding("annotators", "warning", item.id, f"{len(item.answers)} answers, not {ANNOTATORS}")
            for item in items
            if len(item.answers) != ANNOTATORS
        ]
    return items, counts


def _pictures(changed: Iterable[tuple[str, str]], findings: list[Finding]) -> dict[str, int]:
    """How many records show a picture that is not shown as it is, by what is done with it; each becomes a finding."""
    changed = list(changed)
    findings += [Finding("picture", "warning", record, f"a {what}") for record, what in changed]
    return dict(Counter(what for _, what in changed))


def _mme(items: Sequence[Item], findings: list[Finding]) -> dict[str, int]:
    images = Counter(item.cluster for item in items)
    for image, asked in images.items():
        if asked != QUESTIONS_PER_IMAGE:
            what = f"{asked} questions about one image, acc+ is defined for {QUESTIONS_PER_IMAGE}"
            findings.append(Finding("pairs", "error", f"image {image}", what))
    return {"images": len(images), "categories": len({item.kind for item in items}), "gold yes": _yes(items)}


def _hallusion(items: Sequence[Item]) -> dict[str, int]:
    places = [(item.kind, *hallusion_place(str(item.meta["index"]))) for item in items]
    return {
        "figures": len({(kind, set_, figure) for kind, set_, figure, _ in places}),
        "questions over figures": len({(kind, set_, question) for kind, set_, _, question in places}),
        "gold yes": _yes(items),
    }


def _yes(items: Iterable[Item]) -> int:
    return sum(item.answers[0].strip().lower() == "yes" for item in items)


def _aro(path: Path, type_: Type, findings: list[Finding]) -> tuple[list[Item], dict[str, int]]:
    cases, before = load_cases(path), len(findings)
    changed: list[tuple[str, str]] = []
    for place, case in enumerate(cases):
        try:
            changed += [(f"case {place}", note) for note in check_case(path, type_, place, case)]
        except InputError as error:
            findings.append(Finding("row", "error", f"case {place}", _said(error)))
    broken = len(findings) > before
    counts = {"cases": len(cases), "symmetric, not drawn": sum(is_symmetric(type_, case) for case in cases)}
    # A broken case may be among those that are drawn, so nothing can be drawn before it is mended.
    items = [] if broken else read_aro(path, type_, crop="full")
    counts |= _pictures(changed, findings)
    return items, counts | {"items": len(items), "gold A": sum(item.answers[0] == "A" for item in items)}


def _sounds(
    path: Path, benchmark: str, public: PublicFile, findings: list[Finding]
) -> tuple[list[Item], dict[str, int]]:
    """Items, and how many of each kind and difficulty there are; every record that is refused becomes a finding."""
    refused: list[InputError] = []
    read = public.whole or public.sounds
    assert read is not None
    items = read(path, refuse=refused.append)
    findings += [Finding("row", "error", _record(public, error), _said(error)) for error in refused]
    findings += _media(path.absolute().parent, items)
    rows = len(items) + len(refused)
    counts = {"rows": rows} | Counter(item.kind for item in items)
    counts |= Counter(str(level) for item in items if (level := item.meta.get("difficulty")))
    if benchmark == "music_avqa":
        findings += _music_avqa(items, rows)
    if public.extras is not None:
        counts |= public.extras(path, items, findings)
    return items, counts


def _record(public: PublicFile, error: InputError) -> str:
    """The record that is refused, with its file if that is one of several."""
    return f"{Path(error.file).name}: {error.record}" if public.folder and error.file else str(error.record)


def _media(folder: Path, items: Sequence[Item]) -> Iterator[Finding]:
    """Sounds that cannot be decoded to their end, and videos that are shorter than they say or lack a stream."""
    first_of: dict[str, Item] = {}
    for item in items:
        for media in filter(None, (item.audio, item.video)):
            first_of.setdefault(media, item)
    for media, item in first_of.items():
        try:
            if media == item.audio:
                load_audio(folder / media)
            else:
                check_video(folder / media, sound=item.audio is None)
        except InputError as error:
            yield Finding("media", "error", item.id, f"{media}: {_said(error)}")


def _music_avqa(items: Sequence[Item], rows: int) -> list[Finding]:
    deleted = [item.id for item in items if item.meta["deleted"]]
    findings = [Finding("deleted", "warning", id_, "is marked as deleted, and still asked") for id_ in deleted]
    if edition(rows) == "json":
        findings.append(Finding("edition", "warning", "", f"{rows:,} rows: edition json; json_update is the newer one"))
    return findings


def _repeated(items: Sequence[Item]) -> list[Finding]:
    """Options that an item has twice, and questions that are asked twice about one image or sound."""
    findings, asked = [], dict[tuple[object, ...], Item]()
    for item in items:
        texts = [choice.casefold().strip() for choice in item.choices]
        if twice := sorted({text for text in texts if texts.count(text) > 1}):
            gold = texts[LETTERS.index(item.answers[0])]
            what = f"option {twice[0]!r} stands twice" + (", and is the right one" if gold in twice else "")
            findings.append(Finding("choices", "error" if gold in twice else "warning", item.id, what))
        question = (item.image, item.audio, item.video, item.question.casefold(), tuple(sorted(texts)))
        first = asked.setdefault(question, item)
        if first is not item:
            other = first.answers != item.answers and not texts
            what = f"asks what {first.id} asks" + (", with another answer" if other else "")
            findings.append(Finding("question twice", "warning", item.id, what))
    return findings
