import errno
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwise.errors import EarwiseError, InputError
from earwise.records import Item, Verdict
from earwise.work.store import Store, read_json, read_jsonl, read_store, write_atomic, write_jsonl


def verdict(trace: str, reason: str = "heard") -> Verdict:
    return Verdict(trace=trace, checker="tagger", accepted=True, reason=reason)


def item(id: str) -> Item:
    return Item(id=id, source="mme", question="How many?", answers=("2",), cluster=id)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "verdicts.jsonl"


def fill(path: Path, *names: str) -> list[Verdict]:
    records = [verdict(name, reason=f'"{name}"\n\u2028 é {{}}') for name in names]
    with Store(path, Verdict) as store:
        for record in records:
            store.append(record)
    return records


def test_reads_back_what_was_appended(path: Path) -> None:
    records = fill(path, "a", 'b"\\', "ç")
    assert read_store(path, Verdict) == records
    with Store(path, Verdict) as store:
        assert list(store) == records
        assert len(store) == 3
        assert store.keys() == tuple(record.key for record in records)
        assert records[1].key in store
        assert "other" not in store


def test_an_explicit_key_replaces_the_records_own(path: Path) -> None:
    with Store(path, Verdict) as store:
        store.append(verdict("a"), key="one")
        store.append(verdict("a"), key="two")
        assert store.keys() == ("one", "two")
    assert read_store(path, Verdict) == [verdict("a"), verdict("a")]


def test_a_duplicate_key_is_refused(path: Path) -> None:
    fill(path, "a")
    with Store(path, Verdict) as store, pytest.raises(InputError, match=r"verdicts.jsonl: a\|tagger\|: duplicate key"):
        store.append(verdict("a"))
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(InputError, match=r"line 2: key 'a\|tagger\|' is already on line 1"):
        Store(path, Verdict)


def test_killed_between_any_two_bytes(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = fill(path, "first", "second", "third")
    whole = path.read_bytes()
    ends = [0] + [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        survivors = sum(end <= cut for end in ends) - 1
        assert read_store(path, Verdict) == records[:survivors], cut
        caplog.clear()
        with caplog.at_level(logging.WARNING), Store(path, Verdict) as store:
            assert list(store) == records[:survivors], cut
            for record in records[survivors:]:
                store.append(record)
        left_over = cut - ends[survivors]
        assert (f"an unfinished last record of {left_over} bytes" in caplog.text) == (left_over > 0), cut
        assert path.read_bytes() == whole, cut


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=5), share=st.floats(0, 1))
def test_any_records_survive_any_cut(path: Path, names: list[str], share: float) -> None:
    path.unlink(missing_ok=True)
    records = fill(path, *names)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))])
    with Store(path, Verdict) as store:
        kept = list(store)
        assert kept == records[: len(kept)]
        for record in records:
            if record.key not in store:
                store.append(record)
    assert path.read_bytes() == whole


def test_every_changed_byte_is_refused_with_its_line(path: Path) -> None:
    fill(path, "first", "second")
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for index in range(len(whole) - 1):
        if whole[index : index + 1] == b"\n":
            continue
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        line = 1 if index < second else 2
        with pytest.raises(InputError, match=rf"verdicts\.jsonl: line {line}: corrupt record"):
            read_store(path, Verdict)
        with pytest.raises(InputError, match=rf"line {line}: corrupt record"):
            Store(path, Verdict)


def test_records_of_another_schema_are_refused(path: Path) -> None:
    fill(path, "a")
    with pytest.raises(InputError, match=r"line 1, field id: is not a valid item: Field required"):
        read_store(path, Item)


def test_one_writer_and_any_readers(path: Path) -> None:
    with Store(path, Verdict) as store:
        store.append(verdict("a"))
        with pytest.raises(EarwiseError, match="the store is in use by another process"):
            Store(path, Verdict)
        assert read_store(path, Verdict) == [verdict("a")]
    fill(path, "b")


def test_a_worker_that_outlives_its_killed_parent_does_not_keep_the_lock(path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from earwise.records import Verdict
from earwise.work.store import Store
store = Store(Path(sys.argv[1]), Verdict)
if (worker := os.fork()) == 0:
    print(os.getpid(), flush=True)
    signal.pause()
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        try:
            with pytest.raises(EarwiseError, match="in use"):
                Store(path, Verdict)
            parent.kill()
            parent.wait()
            os.kill(worker, 0)  # still there
            fill(path, "a")
        finally:
            os.kill(worker, signal.SIGKILL)


def test_a_killed_writer_leaves_no_lock(path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from earwise.records import Verdict;"
        "from earwise.work.store import Store; Store(Path(sys.argv[1]), Verdict); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL
    fill(path, "a")


@contextmanager
def full_disk() -> Iterator[None]:
    """A real limit: the kernel takes the bytes that fit in 400 and refuses the rest, of pytest's own log too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_whole_records(path: Path) -> None:
    first = verdict("a", reason="x" * 100)
    with full_disk(), Store(path, Verdict) as store:
        store.append(first)
        with pytest.raises(InputError, match=r"verdicts\.jsonl: cannot write: File too large \(make room"):
            store.append(verdict("b", reason="y" * 100))
        assert list(store) == [first]
        assert "b|tagger|" not in store
    assert path.read_bytes().endswith(b"}\n")
    with Store(path, Verdict) as store:
        store.append(verdict("c"), key="c")
        assert len(store) == 2


def test_a_folder_in_the_place_of_a_file_is_to_be_moved_away(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(
        InputError, match=r"report\.html: cannot write: .*a folder stands in the file's place: delete it"
    ):
        write_atomic(tmp_path / "report.html", "text")


def test_no_space_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: object, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Store(path, Verdict) as store:
        monkeypatch.setattr("earwise.work.store._write_all", full)
        with pytest.raises(InputError, match=r"verdicts\.jsonl: cannot write: No space left on device"):
            store.append(verdict("a"))


def test_a_failed_atomic_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_atomic(path, "old")
    with full_disk(), pytest.raises(InputError, match=r"summary\.json: cannot write: File too large"):
        write_atomic(path, "new" * 1000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]
    assert path.read_text() == "old"


def test_atomic_files_have_the_permissions_of_ordinary_ones(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    write_atomic(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_plain_files_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "train.jsonl"
    write_jsonl(path, [item("a"), item("b")])
    assert read_jsonl(path, Item) == [item("a"), item("b")]
    by_hand = b"\xef\xbb\xbf" + item("a").to_json().encode() + b"\r\n\r\n" + item("b").to_json().encode()
    path.write_bytes(by_hand)
    assert read_jsonl(path, Item) == [item("a"), item("b")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "b", "sour', r"train\.jsonl: line 2: is truncated or not JSON: .*EOF"),
        ("id: b", r"line 2: is truncated or not JSON"),
        (item("b").to_json().replace('"mme"', "7"), r"line 2, field source: is not a valid item: .*string"),
        (item("b").to_json().replace('"kind"', '"kidn"'), r"line 2, field kidn: is not a valid item: Extra"),
        (item("b").to_json().replace('["2"]', "[]"), r"line 2, field answers: is not a valid item"),
        (item("a").to_json(), r"line 2: item 'a' is already on line 1 \(ids must be unique\)"),
        ("\xff", r"line 2: is not UTF-8 text"),
    ],
)
def test_a_bad_line_in_a_plain_file_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(item("a").to_json().encode() + b"\n" + line.encode("latin-1"))
    with pytest.raises(InputError, match=said):
        read_jsonl(path, Item)


def test_equal_ids_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    with pytest.raises(InputError, match=r"train\.jsonl: a: duplicate id"):
        write_jsonl(path, [item("a"), item("a")])
    assert not path.exists()


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "done.json").write_text('{"seconds": ')
    with pytest.raises(InputError, match=r"done\.json: is truncated or not JSON: .*\(delete it to make it again\)"):
        read_json(tmp_path / "done.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (lambda path: read_jsonl(path, Item), lambda path: read_store(path, Verdict)):
        with pytest.raises(InputError, match=r"nowhere\.jsonl: no such file"):
            read(tmp_path / "nowhere.jsonl")
