"""Peak memory of this process (Linux)."""

from collections.abc import Callable
from pathlib import Path


def growth_mib(work: Callable[[], object]) -> float:
    """Growth of the resident set to its peak during `work`, MiB; the result of `work` is kept until then."""
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = _resident_mib("VmRSS")
    kept = work()
    peak = _resident_mib("VmHWM") - before
    del kept
    return peak


def _resident_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
