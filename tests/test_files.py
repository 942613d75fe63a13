"""One door for files: what is no regular file never waits, and text that is not UTF-8 is named, whoever reads it."""

import gzip
import json
import os
import socket
from pathlib import Path

import pytest
from data_folder import COLORS

from earwise.data.aro import load_cases
from earwise.data.asr_folders import read_common_voice
from earwise.data.asr_manifests import read_lhotse, read_nemo
from earwise.data.cota import CotaFile
from earwise.data.items import read_items
from earwise.data.llava import LlavaFile
from earwise.data.mmau import read_mmau
from earwise.data.tsv import read_tsv
from earwise.errors import InputError
from earwise.evaluate.audit import audit
from earwise.io.files import found_file, open_text, parse_json, read_bytes, read_text, text_lines
from earwise.recipe.read import load_recipe
from earwise.work.provenance import InputHashes
from earwise.work.store import read_json

READERS = {
    "recipe": load_recipe,
    "items": read_items,
    "llava": lambda path: LlavaFile(path, path.parent),
    "cota": lambda path: CotaFile(path, path.parent, "cota", "media"),
    "nemo": read_nemo,
    "lhotse": read_lhotse,
    "tsv": lambda path: read_tsv(path, "mme"),
    "aro": load_cases,
    "mmau": read_mmau,
    "json": read_json,
    "common voice": lambda path: read_common_voice(path.parent, path.stem),
    "audit mme": lambda path: audit("mme", path, own=True),
    "audit mmau": lambda path: audit("mmau", path, own=True),
}
each_reader = pytest.mark.parametrize("name", READERS)


def refused(read, path: Path) -> str:
    """What `read` says of a file: its error, or what its audit found."""
    try:
        result = read(path)
    except InputError as error:
        said, what = str(error), error.what
    else:
        (what,) = [finding.what for finding in result.findings if finding.check == "file"]
        said = f"{path}: {what}"
    assert "\n" not in said
    assert said.startswith(str(path))
    return what


def special(folder: Path, kind: str) -> Path:
    """A thing that is no regular file."""
    path = folder / "mme.tsv"
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as there:
            there.bind(str(path))
    return path


@each_reader
@pytest.mark.parametrize("kind", ["a named pipe", "a device", "a socket"])
def test_what_is_no_file_is_refused_and_never_waited_for(name, kind, tmp_path):
    path = special(tmp_path, kind)
    if name == "common voice":  # it looks for files among what is there
        with pytest.raises(InputError, match=r"no split 'mme'"):
            READERS[name](path)
        return
    assert refused(READERS[name], path).startswith(f"is {kind}, not a file")


def test_a_folder_a_missing_file_and_names_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match=r"is a folder, not a file \(name a regular file\)"):
        read_bytes(special(tmp_path, "a folder"))
    with pytest.raises(InputError, match=r"none\.txt: no such file$"):
        read_bytes(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"\.\.\.: is longer than a file's name can be"):
        found_file(tmp_path / ("n" * 300))
    with pytest.raises(InputError, match="no file can have this name"):
        found_file(tmp_path / "a\0b")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="cannot read: Too many levels of symbolic links"):
        found_file(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert not found_file(tmp_path / "dangling")
    assert not found_file(tmp_path / "none")


@each_reader
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_text_is_named_in_the_same_words_by_every_reader(name, encoding, tmp_path):
    path = tmp_path / "mme.tsv"
    path.write_bytes(json.dumps([{"id": "one", "question": "Is it red?"}]).encode(encoding))
    assert refused(READERS[name], path).startswith(f"is {encoding[:6].upper()} text, not UTF-8")


@pytest.mark.parametrize("text", ["", "a", "{}", "null", "[1]\n", "\0" * 40, "\0\0a" * 30, "Ā" * 100, "ab\0\0\0\0cd"])
def test_narrow_text_is_not_taken_for_wide(text, tmp_path):
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert read_text(tmp_path / "a.txt") == text


@each_reader
def test_a_byte_that_is_no_utf8_is_named_with_its_place(name, tmp_path):
    path = tmp_path / "mme.tsv"
    header = "\t".join(("index", "question", "answer", "image", "category", "client_id", "path", "sentence"))
    path.write_bytes(header.encode() + b'\n{"id": "caf\xe9"}\n' if name in ("tsv", "common voice", "audit mme") else
                     b'\n{"id": "caf\xe9"}\n')  # fmt: skip
    assert "not UTF-8 text" in refused(READERS[name], path)


def test_the_line_of_a_wrong_byte_is_found_in_plain_and_packed_files(tmp_path):
    raw = b"\xef\xbb\xbfone\n\n" + "zwei Übel\n".encode() + b"caf\xe9\nfive\n"
    for name, packed in (("a.txt", raw), ("a.txt.gz", gzip.compress(raw))):
        (tmp_path / name).write_bytes(packed)
        lines = text_lines(tmp_path / name)
        with pytest.raises(InputError, match=rf"{name}: line 4: is not UTF-8 text \(save it as UTF-8\)"):
            list(lines)
    with pytest.raises(InputError, match="line 4: is not UTF-8 text"):
        read_text(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(raw.replace(b"\xe9", b"e"))
    assert list(text_lines(tmp_path / "a.txt")) == [(1, "one"), (3, "zwei Übel"), (4, "cafe"), (5, "five")]


@pytest.mark.parametrize("damage", [lambda raw: raw[:-12], lambda raw: b"plain text", lambda raw: raw[:20] + b"\0" * 9])
def test_a_damaged_archive_is_named(damage, tmp_path):
    path = tmp_path / "m.jsonl.gz"
    path.write_bytes(damage(gzip.compress(b'{"a": 1}\n' * 500)))
    with pytest.raises(InputError, match=r"m\.jsonl\.gz: is damaged: "):
        list(text_lines(path))


def test_a_line_that_does_not_end_is_not_held(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"short\n" + b"a" * 5_000))
    with pytest.raises(InputError, match=r"a\.gz: line 2: is longer than 1,000 bytes"):
        list(text_lines(tmp_path / "a.gz", most=1_000))
    (tmp_path / "big.toml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(InputError, match=r"has 1,048,577 bytes, more than the 1,048,576 that are read"):
        load_recipe(tmp_path / "big.toml")


def test_a_mark_at_the_start_is_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfred\r\nblue")
    assert read_text(tmp_path / "a.txt") == "red\r\nblue"
    with open_text(tmp_path / "a.txt", newline="") as text:
        assert text.read() == "red\r\nblue"


DEEP = {
    "recipe": "a = " + "[" * 100_000,
    "items": '{"id": ' + "[" * 100_000,
    "aro": "[" * 100_000,
    "json": '{"a":' * 100_000,
    "nemo": '{"duration": ' + "[" * 100_000,
    "llava": '[{"id": ' + "[" * 100_000 + "]",
    "mmau": '[{"id": ' + '{"a":' * 100_000,
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting_is_one_line(name, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text(DEEP[name])
    assert "nested too deeply" in (said := refused(READERS[name], path)) or "recursion limit" in said


@pytest.mark.parametrize("name", ["recipe", "items", "aro", "json", "nemo", "llava", "mmau"])
def test_a_number_of_5000_digits_is_one_line(name, tmp_path):
    path = tmp_path / "big.json"
    digits = "9" * 5_000
    path.write_text({"recipe": f"a = {digits}", "aro": f"[{digits}]"}.get(name, f'{{"id": {digits}}}'))
    assert refused(READERS[name], path)


def test_an_override_of_5000_digits_is_one_line(tmp_path):
    (tmp_path / "a.toml").write_text('name = "a"')
    for value in ("9" * 5_000, "[" * 5_000):
        with pytest.raises(InputError, match="the value is not valid TOML"):
            load_recipe(tmp_path / "a.toml", [f"training.steps={value}"])


def test_json_says_what_is_wrong():
    for text, said in (
        ("[" * 10**5, "nested too deeply"),
        ("{", "truncated or not JSON"),
        ("9" * 5_000, "4300 digits"),
    ):
        with pytest.raises(ValueError, match=said):
            parse_json(text)
    assert parse_json('{"a": [1, null]}') == {"a": [1, None]}


def test_names_that_are_no_utf8_are_hashed_and_told_apart(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in (b"a\xff.png", b"a\xfe.png"):
        Path(os.fsdecode(os.fsencode(data) + b"/" + name)).write_bytes(b"same")
    hashes = InputHashes(tmp_path / "inputs.json")
    both = hashes.of(data)
    hashes.save()
    assert InputHashes(tmp_path / "inputs.json").of(data) == both
    Path(os.fsdecode(os.fsencode(data) + b"/a\xfe.png")).rename(data / "b.png")
    assert InputHashes(tmp_path / "inputs.json").of(data) != both


def test_an_input_that_is_no_file_is_refused_by_hashing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: is a named pipe, not a file"):
        InputHashes(tmp_path / "inputs.json").of(tmp_path / "pipe")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pipe").symlink_to(tmp_path / "pipe")
    (tmp_path / "data" / "a.txt").write_text(COLORS[0])
    assert len(InputHashes(tmp_path / "inputs.json").of(tmp_path / "data")) == 64
