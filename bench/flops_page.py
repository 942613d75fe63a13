"""Page."""


def page(results):
    return ""
