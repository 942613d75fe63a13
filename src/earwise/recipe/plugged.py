"""Tables with several kinds, selected by `type`: built-in kinds, and those that installed packages register.

A package registers the settings class of a kind: a subclass of the group's base, with `type: Literal["my_kind"]`, its
own keys, and `makes`, the factory that takes the settings. The class is imported when a recipe names its kind, and the
factory when a stage needs it, so that settings can be in a module without torch.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, ClassVar, get_args

from pydantic import JsonValue, ValidatorFunctionWrapHandler
from pydantic_core import PydanticKnownError

from earwise.errors import InputError
from earwise.io import plugins
from earwise.recipe.table import Settings
from earwise.records import NonEmpty

_OURS = __name__.partition(".")[0]
BUILT_IN, PLUGIN = "a built-in kind", "a kind of a plugin"
"""Tags of the two halves of a union. They are not keys, so errors leave them out."""


class Plugged(Settings):
    """Base of the settings of one kind."""

    registry: ClassVar[str]
    """The group of entry points for this kind of table."""
    makes: ClassVar[Any]
    """The factory that takes these settings, or its path `module:attribute`, which is imported on use."""

    type: NonEmpty

    @property
    def is_plugin(self) -> bool:
        """Whether another package defines this kind."""
        return type(self).__module__.partition(".")[0] != _OURS

    def for_stage(self) -> dict[str, JsonValue]:
        """As in `Settings`; for a plugin also its package and version, which may change the result."""
        mine = super().for_stage()
        return {**mine, "plugin": plugins.origin(self.registry, self.type)} if self.is_plugin else mine


def made(settings: Plugged, kind: Any) -> Any:
    """The product of `settings`, an instance of the class or protocol `kind`. Raises `InputError` naming the package if
    a plugin cannot be loaded or makes something else.
    """
    makes = type(settings).makes
    if isinstance(makes, str):
        own = not settings.is_plugin
        makes = plugins.attribute(makes) if own else plugins.loaded(makes, settings.registry, settings.type)
    product = makes(settings)
    if not isinstance(product, kind):
        whose = f"the plugin {settings.type!r} of {plugins.origin(settings.registry, settings.type)}"
        raise InputError(f"{whose} makes no {kind.__name__}: {product!r}")
    return product


class Kinds:
    """The kinds of one group, for the annotation of a table with several kinds.

    Args:
        base: of the settings of every kind.
        built_in: the union of the built-in kinds.
    """

    def __init__(self, base: type[Plugged], built_in: object) -> None:
        self.base = base
        classes: tuple[type[Plugged], ...] = get_args(built_in)
        self.built_in = tuple(str(name) for one in classes for name in get_args(one.model_fields["type"].annotation))

    def tag(self, value: Any) -> str:
        """The half of the union for a table. Everything but a plugin's name goes to the built-in half, which reports
        errors.
        """
        if isinstance(value, dict):
            kind = value.get("type")
            return PLUGIN if isinstance(kind, str) and kind not in self.built_in else BUILT_IN
        return PLUGIN if isinstance(value, self.base) and value.is_plugin else BUILT_IN

    def read(self, value: Any, _: ValidatorFunctionWrapHandler) -> Plugged:
        """The settings of a plugin's kind."""
        return value if isinstance(value, self.base) else self._settings(str(value["type"])).model_validate(value)

    def _settings(self, kind: str) -> type[Plugged]:
        group = self.base.registry
        cls = plugins.found(group, kind)
        if cls is None:
            known = ", ".join(map(repr, (*self.built_in, *plugins.names(group))))
            told = {"discriminator": "'type'", "tag": kind, "expected_tags": known}
            raise PydanticKnownError("union_tag_invalid", told)
        if (wrong := self._wrong(cls, kind)) is not None:
            package = plugins.origin(group, kind)
            raise InputError(f"the plugin {kind!r} of {package} {wrong}", remedy=f"update or uninstall {package}")
        assert isinstance(cls, type)
        assert issubclass(cls, Plugged)
        return cls

    def _wrong(self, cls: object, kind: str) -> str | None:
        if not isinstance(cls, type) or not issubclass(cls, self.base):
            return f"is no subclass of {self.base.__name__}"
        if get_args(cls.model_fields["type"].annotation) != (kind,):
            return f'does not say type: Literal["{kind}"]'
        makes = getattr(cls, "makes", None)
        if isinstance(makes, str):
            return None if _is_there(makes.partition(":")[0]) else f"is made by {makes!r}, which is no module"
        return None if callable(makes) else "does not say what it makes"


def _is_there(module: str) -> bool:
    """Whether a module can be found; only its parent packages are imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
