"""What a stage depends on, as one hash, and in words what differs between then and now."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def fingerprint(depends: dict[str, Any]) -> str:
    """sha256 of what a stage depends on; of an input it is the content that counts, not where it lies."""
    content = {**depends, "inputs": list(depends["inputs"].values())}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two `depends`, in words: settings as `lr: 0.1 -> 0.2`, inputs and stages by name."""
    was, now = (_flat({**one["settings"], "seed": one["seed"], "version": one.get("version", 1)}) for one in (old, new))
    differ = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    said = [f"{key}: {was.get(key, 'absent')} -> {now.get(key, 'absent')}" for key in differ]
    for kind, of in (("input", "inputs"), ("stage", "needs")):
        names = {**old[of], **new[of]}
        said += [f"{kind} {name} changed" for name in names if old[of].get(name) != new[of].get(name)]
    return said


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Dotted key -> JSON of each leaf."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for name, inner in pairs for k, v in _flat(inner, f"{key}.{name}".lstrip(".")).items()}
    return {key: json.dumps(value)}
