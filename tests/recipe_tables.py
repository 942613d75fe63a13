"""The tables of a recipe, as its schema has them."""

import typing
from collections.abc import Iterator

from earwise.recipe.table import Settings


def members(annotation: object) -> Iterator[type[Settings]]:
    """The tables that an annotation mentions, members of unions one by one."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from members(inner)
