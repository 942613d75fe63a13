"""Plugins of installed packages, from the entry points in their metadata. Nothing is imported until it is used.

A package registers a name in a group such as `earwise.terms`:

    [project.entry-points."earwise.terms"]
    my_term = "my_package.settings:MyTerm"
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from typing import TYPE_CHECKING

from earwise.errors import InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def names(group: str) -> tuple[str, ...]:
    """Names that installed packages register in `group`, in alphabetical order."""
    return tuple(sorted(_registered(group)))


def found(group: str, name: str) -> object | None:
    """The object that an installed package registers as `name` in `group`; None if there is none. Raises `InputError`
    naming the package if it cannot be loaded, or if several packages register the name.
    """
    if (point := _only(group, name)) is None:
        return None
    return _imported(point.value, f"the plugin {name!r} of {_package(point)}", point)


def origin(group: str, name: str) -> str:
    """The package that registers `name` in `group`, with its version: `my-package 1.2`. Raises as `found`, and if there
    is no such package.
    """
    if (point := _only(group, name)) is None:
        raise _unregistered(group, name)
    return _package(point)


def loaded(path: str, group: str, name: str) -> object:
    """The object at `path`, `module:attribute`, for the plugin `name` of `group`. Raises `InputError` naming the
    package if it cannot be loaded.
    """
    if (point := _only(group, name)) is None:
        raise _unregistered(group, name)
    return _imported(path, f"{path!r}, which the plugin {name!r} of {_package(point)} names,", point)


def attribute(path: str) -> object:
    """The object at `path`, `module:attribute`."""
    module, _, attributes = path.partition(":")
    at: object = importlib.import_module(module)
    for name in attributes.split("."):
        at = getattr(at, name)
    return at


def _registered(group: str) -> dict[str, list[EntryPoint]]:
    from importlib.metadata import entry_points  # takes a moment, and most recipes name no plugin

    points: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in entry_points(group=group):
        points[point.name].append(point)
    return points


def _only(group: str, name: str) -> EntryPoint | None:
    points = _registered(group).get(name, [])
    packages = sorted({_package(point) for point in points})
    if len(points) > 1:
        what = f"{name!r} is registered {len(points)} times in {group}, by {' and '.join(packages)}"
        raise InputError(what, remedy=f"uninstall all but one of {', '.join(packages)}" if len(packages) > 1 else None)
    return points[0] if points else None


def _unregistered(group: str, name: str) -> InputError:
    return InputError(f"no installed package registers {name!r} in {group}", remedy="install the package again")


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"


def _imported(path: str, what: str, point: EntryPoint) -> object:
    try:
        return attribute(path)
    except Exception as error:  # a foreign module may raise anything, and its package is to blame
        reason = f"{type(error).__name__}: {error}"
        remedy = f"repair, update or uninstall {_package(point)}"
        raise InputError(f"{what} cannot be loaded: {reason}", remedy=remedy) from error
