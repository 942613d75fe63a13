"""What a benchmark's file holds, against what it should: hash, counts, rows that cannot be read, rows to doubt.

Unlike a reader, which stops at the first bad row, an audit names them all. It writes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from earwise.data.aro import Type, check_case, is_symmetric, load_cases, read_aro
from earwise.data.choices import LETTERS
from earwise.data.fields import ODD
from earwise.data.findings import Finding as Finding
from earwise.data.findings import Level
from earwise.data.iemocap import SESSIONS, listing_files
from earwise.data.media import load_audio
from earwise.data.music_avqa import edition
from earwise.data.public_files import PUBLIC as PUBLIC
from earwise.data.public_files import PublicFile as PublicFile
from earwise.data.tsv import KNOWN_DEFECTS, hallusion_place, scan_tsv
from earwise.data.video import check_video
from earwise.errors import InputError
from earwise.records import Item

ANNOTATORS: Final = 10
"""Answers of each question of TextVQA."""

QUESTIONS_PER_IMAGE: Final = 2
"""Questions that MME asks about each image of a category."""


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
    expected = {} if own or not counts else public.expected(path, counts.get("rows", 0))
    for what, right in expected.items():
        if (found := counts.get(what, 0)) != right:
            findings.append(Finding("count", "error", "", f"{found:,} {what}, the public file has {right:,}"))
    if not own and public.md5 is not None and md5 != public.md5:
        findings.append(Finding("hash", "warning", "", f"MD5 {md5}, VLMEvalKit expects {public.md5}"))
    findings += _repeated(items, one_answer=public.sounds is not None)
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
    findings += [Finding("odd record", "warning", item.id, str(odd)) for item in items for odd in _odd(item)]
    findings += _media(path.absolute().parent, items)
    rows = len(items) + len(refused)
    counts = {"rows": rows} | Counter(item.kind for item in items)
    counts |= Counter(str(level) for item in items if (level := item.meta.get("difficulty")))
    if benchmark == "music_avqa":
        findings += _music_avqa(items, rows)
    if public.extras is not None:
        counts |= public.extras(path, items, findings)
    return items, counts


def _odd(item: Item) -> Sequence[object]:
    found = item.meta.get(ODD)
    return found if isinstance(found, list) else []


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


def _repeated(items: Sequence[Item], *, one_answer: bool) -> list[Finding]:
    """Options that an item has twice, and questions that are asked twice about one image or sound.

    With `one_answer`, options of the same text are one answer to the benchmark's scorers; else only one is right.
    """
    findings, asked = [], dict[tuple[object, ...], Item]()
    for item in items:
        texts = [choice.casefold().strip() for choice in item.choices]
        if twice := sorted({text for text in texts if texts.count(text) > 1}):
            gold = texts[LETTERS.index(item.answers[0])]
            what = f"option {twice[0]!r} stands twice" + (", and is the right one" if gold in twice else "")
            level: Level = "error" if gold in twice and not one_answer else "warning"
            findings.append(Finding("choices", level, item.id, what))
        question = (item.image, item.audio, item.video, item.question.casefold(), tuple(sorted(texts)))
        first = asked.setdefault(question, item)
        if first is not item:
            other = first.answers != item.answers and not texts
            what = f"asks what {first.id} asks" + (", with another answer" if other else "")
            findings.append(Finding("question twice", "warning", item.id, what))
    return findings
