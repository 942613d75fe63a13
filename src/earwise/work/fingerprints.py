"""A hash of everything a stage depends on, and a description of what changed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earwise.work.markers import Marker


def fingerprint(depends: dict[str, Any]) -> str:
    """sha256 of what a stage depends on; of an input only the content counts, not its path."""
    content = {**depends, "inputs": list(depends["inputs"].values())}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


_SHOWN = 4
"""Changes that are named: a list that became shorter changes in many places."""


def changes(old: Marker, new: Marker) -> str:
    """The differences between two attempts, in words: settings as `lr: 0.1 -> 0.2`, inputs and stages by name."""
    was, now = old.depends, new.depends
    before, after = (_flat({**one["settings"], "seed": one["seed"], "version": one["version"]}) for one in (was, now))
    differ = _differ(before, after)
    said = [f"{key}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}" for key in differ]
    said += [f"input {name} changed" for name in _differ(was["inputs"], now["inputs"])]
    said += [f"now without {name}" for name in old.made_from if name not in new.made_from]
    said += [f"now with {name}" for name in new.made_from if name not in old.made_from]
    both = {name: content for name, content in new.made_from.items() if name in old.made_from}
    said += [f"{name} was made again with another result" for name in both if both[name] != old.made_from[name]]
    return ", ".join(said[:_SHOWN]) + (f", and {len(said) - _SHOWN} more" if len(said) > _SHOWN else "")


def _differ(old: dict[str, str], new: dict[str, str]) -> list[str]:
    return [name for name in {**old, **new} if old.get(name) != new.get(name)]


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Dotted key -> JSON of each leaf."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for name, inner in pairs for k, v in _flat(inner, f"{key}.{name}".lstrip(".")).items()}
    return {key: json.dumps(value)}
