"""What other packages add: values that they name as entry points (`importlib.metadata`), loaded when asked for."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from earwise.errors import InputError


def found(group: str, name: str) -> object | None:
    """The value that an installed package registers as `name` in `group`; None if no package does.

    Raises `InputError` naming the package if the value cannot be loaded, and naming all of them if several packages
    register the name.
    """
    points = list(entry_points(group=group, name=name))
    if not points:
        return None
    packages = sorted({_package(point) for point in points})
    if len(packages) > 1:
        what = f"{name!r} of {group} is registered by several packages: {', '.join(packages)}"
        raise InputError(what, remedy="uninstall all but one of them")
    try:
        value: object = points[0].load()
    except Exception as error:  # whatever a foreign module raises when it is imported
        what = f"package {packages[0]} cannot load {name!r} of {group}: {type(error).__name__}: {error}"
        raise InputError(what, remedy=f"mend or uninstall {packages[0]}") from error
    return value


def names(group: str) -> tuple[str, ...]:
    """The names that installed packages register in `group`, in alphabetical order; nothing is loaded."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
