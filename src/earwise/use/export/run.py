"""`earwise export`."""

from __future__ import annotations

from pathlib import Path

from earwise.io.messages import say
from earwise.use.export.push import check_target, push
from earwise.use.export.write import export
from earwise.use.opening import find_model, open_model


def run(name: str, to: Path, *, merge: bool, target: str | None) -> None:
    """Write the model `name` to `to` and, with `target`, upload the folder as USER/NAME. Raises `InputError`."""
    found = find_model(name)
    if target is not None:
        check_target(target)
    export(open_model(found), found, to, merge=merge)
    say(f"{to}: written; python {to}/try_it.py asks it")
    if target is not None:
        say(f"uploaded to {push(to, target)}")
