"""Build markup that is safe by construction: every attribute and every text is escaped."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

NO_ATTRIBUTES: Mapping[str, object] = {}


def element(name: str, attributes: Mapping[str, object] = NO_ATTRIBUTES, *children: str | Markup) -> Markup:
    """One element; strings among the children are escaped, `Markup` is taken as it is."""
    head = Markup("").join(Markup(' {}="{}"').format(Markup(key), value) for key, value in attributes.items())
    body = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), head, body)
