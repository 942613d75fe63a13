"""Checks of safetensors files by their headers, without reading a weight.

A file is 8 bytes with the header's length, the header in JSON (name -> type, shape, place), then the data.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any, Final, NamedTuple

from earwise.errors import InputError

Shapes = dict[str, tuple[int, ...]]
"""Shape of each tensor by its name."""

WHOLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_LONGEST_HEADER: Final = 100_000_000
"""Bytes, the limit of the format."""
_AGAIN: Final = "fetch or write the file again"


class _Place(NamedTuple):
    start: int
    stop: int
    name: str


def read_shapes(path: Path) -> Shapes:
    """The tensors of one file. Raises `InputError` for a file that is missing, truncated, too long or no safetensors
    file, and for a header that does not fit the data.
    """
    if not path.is_file():
        raise InputError("no such file", file=path, remedy=_AGAIN)
    try:
        size = path.stat().st_size
        header, length = _header(path, size)
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", file=path) from None
    places, shapes = [], {}
    for name, entry in header.items():
        if name != "__metadata__":
            shape, place = _tensor(name, entry, path)
            shapes[name] = shape
            places.append(place)
    _check_places(sorted(places), size - 8 - length, path)
    return shapes


def read_weights_of(folder: Path) -> Shapes:
    """The tensors of a model folder, in one file or in the shards of its index. Raises `InputError` as `read_shapes`,
    and for weights of another format, missing shards, and shards that lack tensors of the index.
    """
    if (folder / WHOLE).is_file():
        return read_shapes(folder / WHOLE)
    if (folder / INDEX).is_file():
        return _sharded(folder)
    raise _no_weights(folder)


def read_object(path: Path, *, most_bytes: int = 10_000_000) -> dict[str, Any]:
    """The object in a small JSON file; raises `InputError` for anything else."""
    if not path.is_file():
        raise InputError("no such file", file=path)
    try:
        if path.stat().st_size > most_bytes:
            raise InputError(f"is larger than {most_bytes} bytes", file=path)
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", file=path, remedy=_AGAIN) from None
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", file=path) from None
    if not isinstance(found, dict):
        raise InputError("is JSON, but no object", file=path, remedy=_AGAIN)
    return found


def _header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        begin = file.read(8)
        if begin == b"version ":
            what = "is a pointer of Git LFS, not the weights"
            raise InputError(what, file=path, remedy="fetch the file itself: git lfs pull")
        if len(begin) < 8:
            raise InputError(f"is truncated: {size} bytes", file=path, remedy=_AGAIN)
        length = struct.unpack("<Q", begin)[0]
        if length > min(size - 8, _LONGEST_HEADER):
            what = f"is truncated or no safetensors file: a header of {length} bytes in a file of {size}"
            raise InputError(what, file=path, remedy=_AGAIN)
        content = file.read(length)
    try:
        header = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError("is no safetensors file: its header is not JSON", file=path, remedy=_AGAIN) from None
    if not isinstance(header, dict):
        raise InputError("is no safetensors file: its header is no object", file=path, remedy=_AGAIN)
    return header, length


def _tensor(name: str, entry: Any, path: Path) -> tuple[tuple[int, ...], _Place]:
    try:
        shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, start, stop))
        fits = whole and (stop - start) * 8 == math.prod(shape) * _BITS[entry["dtype"]]
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError("its header is damaged", file=path, record=name, remedy=_AGAIN)
    return shape, _Place(start, stop, name)


def _check_places(places: list[_Place], there: int, path: Path) -> None:
    """Check that the tensors fill the data from the first byte to the last, without gaps or overlaps."""
    end = 0
    for place in places:
        if place.start != end:
            raise InputError("its header is damaged: places overlap", file=path, record=place.name, remedy=_AGAIN)
        end = place.stop
    if there != end:
        what = "truncated" if there < end else "damaged"
        raise InputError(f"is {what}: {end} bytes of weights promised, {there} there", file=path, remedy=_AGAIN)


def _sharded(folder: Path) -> Shapes:
    index = folder / INDEX
    shard_of = read_object(index, most_bytes=200_000_000).get("weight_map")
    if not isinstance(shard_of, dict) or not shard_of or not all(isinstance(name, str) for name in shard_of.values()):
        raise InputError("has no weight_map", file=index, remedy=_AGAIN)
    shapes: Shapes = {}
    for name in sorted(set(shard_of.values())):
        if Path(name).name != name:
            raise InputError(f"names a shard that is no file of the folder: {name!r}", file=index, remedy=_AGAIN)
        if not (folder / name).is_file():
            raise InputError(f"the shard {name} is missing", file=index, remedy="fetch it as well")
        found = read_shapes(folder / name)
        lacking = [tensor for tensor, shard in shard_of.items() if shard == name and tensor not in found]
        if lacking:
            raise InputError(f"lacks what {INDEX} promises", file=folder / name, record=min(lacking), remedy=_AGAIN)
        shapes |= found
    return shapes


def _no_weights(folder: Path) -> InputError:
    names = {path.name for path in folder.iterdir()}
    if "adapter_config.json" in names:
        what, remedy = "holds a LoRA adapter, not a model", "merge it into its base first, or name the base"
    elif any(name.endswith(".safetensors") for name in names):
        what, remedy = f"has shards of weights but no {INDEX}", "fetch the whole folder"
    elif any(name.endswith((".bin", ".pt", ".pth", ".ckpt", ".h5", ".gguf", ".onnx")) for name in names):
        what, remedy = "has weights in another form only", "convert them to safetensors (save_pretrained writes them)"
    else:
        what, remedy = "model folder without weights", "it needs *.safetensors files"
    return InputError(what, file=folder, remedy=remedy)
