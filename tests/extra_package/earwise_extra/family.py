"""A family."""

from earwise.models.families.internvl import InternVL


class OtherInternVL(InternVL):
    """InternVL under another name."""

    name = "other_internvl"
