"""The precision of training: what the recipe asks for, and what the device is fast at.

Processors without bfloat16 instructions emulate it, much slower than float32. So `auto` asks the device: its list of
instructions, and a few timed products.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earwise.recipe.table import AskedPrecision, Precision

if TYPE_CHECKING:
    import torch

INSTRUCTIONS: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16", "svebf16"})
"""`/proc/cpuinfo` flags of processors that multiply bfloat16: two of x86, two of ARM."""

_SIZE: Final = 256
_ROUNDS: Final = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arithmetic:
    """How a device multiplies bfloat16."""

    device: str
    """A phrase such as `this processor`."""
    has_instructions: bool
    """Whether the device reports bfloat16 instructions."""
    slowdown: float | None
    """Time of bfloat16 products relative to float32; None if not measured."""

    @property
    def multiplies(self) -> bool:
        """Whether bfloat16 is worth using."""
        return self.has_instructions and (self.slowdown is None or self.slowdown < 1)

    @property
    def choice(self) -> Precision:
        """The meaning of `auto` on this device."""
        return "bfloat16" if self.multiplies else "float32"

    def __str__(self) -> str:
        if self.multiplies:
            found = "multiplies bfloat16"
        elif self.has_instructions:
            found = "has instructions for bfloat16, but gains nothing by them"
        elif self.slowdown is not None and self.slowdown < 1:
            found = "does not say that it multiplies bfloat16"
        else:
            found = "emulates bfloat16"
        return f"{self.device} {found}{self._measured()}"

    def _measured(self) -> str:
        if self.slowdown is None:
            return ""
        faster = self.slowdown < 1
        factor = 1 / self.slowdown if faster else self.slowdown
        return (
            f" (measured: {factor:.{0 if factor >= 10 else 1}f} times {'faster' if faster else 'slower'} than float32)"
        )


@cache
def this_machine() -> Arithmetic:
    """The device that this process trains on; measured once, in about a tenth of a second."""
    import torch

    if torch.cuda.is_available():
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
        return gpu(torch.cuda.get_device_name(), supported, lambda: slowdown(torch.device("cuda")))
    return processor(cpu_flags(), lambda: slowdown(torch.device("cpu")))


def processor(flags: frozenset[str], measure: Callable[[], float]) -> Arithmetic:
    """A processor with these flags; `measure` gives the slowdown of bfloat16."""
    return Arithmetic("this processor", bool(flags & INSTRUCTIONS), measure())


def gpu(name: str, supported: bool, measure: Callable[[], float]) -> Arithmetic:
    """A GPU; it is only measured if it does not support bfloat16, to report how slow it is."""
    return Arithmetic(f"the GPU {name}", supported, None if supported else measure())


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Flags of the first processor in `cpuinfo`; empty without such a file, outside of Linux."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    named = (line.partition(":") for line in lines)
    return next(
        (frozenset(flags.split()) for name, _, flags in named if name.strip() in ("flags", "Features")), frozenset()
    )


def slowdown(device: torch.device) -> float:
    """Time of a linear layer's three products (one forward, two backward) in bfloat16, divided by that in float32. On a
    CPU this is processor time of one thread, independent of other programs. Each is the minimum of three rounds.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _seconds(device, torch.bfloat16) / _seconds(device, torch.float32)
    finally:
        torch.set_num_threads(threads)


def _seconds(device: torch.device, dtype: torch.dtype) -> float:
    import torch

    on_gpu = device.type == "cuda"
    size = 8 * _SIZE if on_gpu else _SIZE
    clock = time.perf_counter if on_gpu else time.thread_time
    weight, states = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(2))
    rounds = []
    for _ in range(_ROUNDS + 1):
        start = clock()
        _ = states @ weight.T, states @ weight, states.T @ weight
        if on_gpu:
            torch.cuda.synchronize(device)
        rounds.append(clock() - start)
    return min(rounds[1:])  # the first round includes initialisation


def resolve(asked: AskedPrecision) -> Precision:
    """The precision of a training run outside of a run folder."""
    return this_machine().choice if asked == "auto" else asked


def settle(
    asked: Sequence[AskedPrecision],
    kept: Sequence[Precision] | None,
    what: str,
    say: Callable[[str], None],
    machine: Callable[[], Arithmetic] | None = None,
) -> tuple[Precision, ...]:
    """The precisions of a stage's training runs; reports why they were chosen.

    Args:
        asked: the recipe's precision of each training run of the stage.
        kept: the precisions of an earlier attempt at the stage, which are kept, because half a training run in each
            would be neither.
        what: name of the stage, for the lines.
        say: receives the line about the choice of `auto`.
        machine: describes this machine; by default `this_machine`. Not called if all is float32.

    A warning is logged for emulated bfloat16.
    """
    if {*asked} <= {"float32"}:
        return tuple("float32" for _ in asked)
    found = (machine or this_machine)()
    settled = tuple(kept) if kept is not None else tuple(found.choice if one == "auto" else one for one in asked)
    if "auto" in asked:
        chosen = settled[list(asked).index("auto")]
        began = f"the stage began with it, and {found}" if kept is not None else str(found)
        say(f"{what}: precision {chosen}: {began}")
    if "bfloat16" in settled and not found.multiplies:
        kept_auto = kept is not None and "auto" in asked
        remedy = "remove the stage's folder to choose again" if kept_auto else "set precision = 'auto' or 'float32'"
        log.warning("%s: uses bfloat16, but %s; %s", what, found, remedy)
    return settled
