"""The audit of a benchmark's file: hash, counts, unreadable rows, doubtful rows.

A reader stops at the first bad row; an audit names them all. It writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earwise.data.audit_scans import explained
from earwise.data.choices import LETTERS
from earwise.data.findings import Finding as Finding
from earwise.data.findings import Level
from earwise.data.iemocap import SESSIONS, listing_files
from earwise.data.public_files import PublicFile as PublicFile
from earwise.errors import InputError
from earwise.records import Item


@dataclass(frozen=True)
class FileAudit:
    """The result of an audit. `expected` has the known counts."""

    path: Path
    size_bytes: int
    md5: str
    sha256: str
    expected_md5: str | None = None
    """None if it is unknown, or the file is the user's own."""
    counts: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    items: Sequence[Item] = ()
    findings: Sequence[Finding] = ()


def audit_public_file(benchmark: str, public: PublicFile, path: str | Path, *, own: bool = False) -> FileAudit:
    """Read all of `path`, the `public` file of `benchmark`, and find all errors.

    Images are fully decoded. An `own` file is the user's, in the public format: neither hash nor counts are expected.
    Hashes and size of a folder are those of the files that list its records, in order. Raises `InputError` only for a
    missing file.
    """
    path = Path(path)
    if not public.there(path):
        raise InputError(f"no file of benchmark {benchmark!r}", file=path)
    listing = _listing(path) if public.folder else [path]
    md5, sha256 = _hashes(listing)
    findings: list[Finding] = []
    try:
        items, counts = public.scan(path, findings)
    except InputError as error:
        items, counts = [], {}
        findings.append(Finding("file", "error", str(error.record or ""), explained(error)))
    expected = {} if own or not counts else public.expected(path, counts.get("rows", 0))
    for what, right in expected.items():
        if (found := counts.get(what, 0)) != right:
            findings.append(Finding("count", "error", "", f"{found:,} {what}, the public file has {right:,}"))
    if not own and public.md5 is not None and md5 != public.md5:
        findings.append(Finding("hash", "warning", "", f"MD5 {md5}, VLMEvalKit expects {public.md5}"))
    findings += _repeated(items, one_answer=public.one_answer)
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


def _repeated(items: Sequence[Item], *, one_answer: bool) -> list[Finding]:
    """Repeated options of an item, and repeated questions about one image or sound.

    With `one_answer`, scorers take options with the same text as one answer; else only one of them is right.
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
