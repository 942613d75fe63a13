"""Derived files lie in the cache, are made again when their input changes, and never beside the data."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from test_data_aro import case
from test_data_tsv import mme, picture, write
from videos import write_video

from earwise.data.derived import cache_folder, content_digest, derived_path, is_derived
from earwise.data.media import load_image, resolve
from earwise.data.video import FrameChoice, frame_files, sound_file
from earwise.errors import InputError
from earwise.evaluate.benchmarks import load_benchmark


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EARWISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tmp_path):
    """A folder with a table, cases of ARO with a picture, and a video."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    write(folder / "MME.tsv", [mme(0, picture(9)), mme(1, "0", answer="No")])
    for shade in range(3):
        Image.new("RGB", (10, 10), (shade, 0, 0)).save(folder / f"images/{shade}.png")
    (folder / "visual_genome_relation.json").write_text(json.dumps([case(0), case(1)]))
    write_video(folder / "v.mp4", frames=4)
    return folder


def there(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv("EARWISE_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("EARWISE_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "earwise"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "earwise"


def test_nothing_is_written_beside_the_data(data, cache):
    before = there(data)
    (first, second), aro = load_benchmark("mme", data), load_benchmark("mmalign_relation", data)
    frames, sound = frame_files(data / "v.mp4"), sound_file(data / "v.mp4")
    assert there(data) == before
    shown = [resolve(data, item.image) for item in (first, second, *aro)]
    assert all(cache in path.parents and path.is_file() for path in (*shown, *frames, sound))
    assert load_image(shown[0]).getpixel((0, 0)) == (9, 0, 0)
    assert Path(data) / first.image == shown[0]  # a path relative to the folder, or one that stands for itself


def test_reading_again_writes_nothing(data, cache):
    def read():
        return load_benchmark("mme", data), load_benchmark("mmalign_relation", data), frame_files(data / "v.mp4")

    first, written = read(), there(cache)
    assert read() == first
    assert there(cache) == written


def test_a_changed_input_gives_other_files_and_the_first_one_its_own_again(data, cache):
    choice = FrameChoice(count=2)
    old_bytes, state = (data / "v.mp4").read_bytes(), (data / "v.mp4").stat()
    old = frame_files(data / "v.mp4", choice), sound_file(data / "v.mp4")
    crop = load_benchmark("mmalign_relation", data)[0].image
    # Another content of the same size, dated back: only the content tells.
    changed = bytearray(old_bytes)
    place = old_bytes.index(b"mdat") + 200
    changed[place] ^= 1
    (data / "v.mp4").write_bytes(bytes(changed))
    os.utime(data / "v.mp4", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (data / "v.mp4").stat().st_size == len(old_bytes)
    assert content_digest(data / "v.mp4") != content_digest(shutil.copy(old[1], data / "w.wav"))
    assert frame_files(data / "v.mp4", choice)[0].parent != old[0][0].parent
    Image.new("RGB", (10, 10), (77, 0, 0)).save(data / "images/0.png")
    new = load_benchmark("mmalign_relation", data)[0].image
    assert new != crop
    assert load_image(new).getpixel((0, 0)) == (77, 0, 0)
    (data / "moved.mp4").write_bytes(old_bytes)  # under another name, the same content has the same files
    assert (frame_files(data / "moved.mp4", choice), sound_file(data / "moved.mp4")) == old


def test_frames_that_were_deleted_are_written_again(data, cache):
    first, *_ = frame_files(data / "v.mp4")
    first.unlink()
    assert frame_files(data / "v.mp4")[0].is_file()
    (first.parent / "frames.json").write_text("{")
    assert len(frame_files(data / "v.mp4")) == 8


def test_a_cache_that_cannot_be_written_is_named_with_its_remedy(data, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EARWISE_CACHE", str(tmp_path / "file" / "cache"))
    remedy = "this is the cache: make room, or name another folder in EARWISE_CACHE"
    for read in (
        lambda: load_benchmark("mme", data),
        lambda: load_benchmark("mmalign_relation", data),
        lambda: frame_files(data / "v.mp4"),
        lambda: sound_file(data / "v.mp4"),
    ):
        with pytest.raises(InputError, match=remedy) as caught:
            read()
        assert str(tmp_path / "file" / "cache") in str(caught.value)


def test_only_paths_into_the_cache_may_be_absolute(tmp_path, cache):
    inside = derived_path("images", "0" * 64, ending=".png")
    assert resolve(tmp_path, str(inside)) == inside
    for path in ("/etc/hostname", f"{cache}/../secret.png", str(tmp_path / "a.png")):
        assert not is_derived(path)
        with pytest.raises(InputError, match="is not a relative path"):
            resolve(tmp_path, path)


def test_several_readers_may_derive_the_same_at_a_time(data, cache):
    def read(_):
        items = load_benchmark("mme", data)
        files = (*frame_files(data / "v.mp4"), sound_file(data / "v.mp4"), resolve(data, items[0].image))
        return [(file, file.read_bytes()) for file in files]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, range(4)))
    assert all(each == found[0] for each in found)
    assert not [path for path in cache.rglob("*") if path.name.endswith(".part")]
