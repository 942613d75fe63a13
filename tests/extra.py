"""A package beside this one, as `pip` leaves it on `sys.path`: modules and metadata."""

import shutil
from pathlib import Path

SOURCE = Path(__file__).parent / "extra_package"
ENTRY_POINTS = {
    "earwise.terms": {"norm": "earwise_extra.settings:NormTerm"},
    "earwise.engines": {"tones": "earwise_extra.settings:TonesEngine"},
    "earwise.families": {"other_internvl": "earwise_extra.family:OtherInternVL"},
}


def install(folder: Path, name: str = "earwise-extra", version: str = "1.0", points=ENTRY_POINTS) -> Path:
    """Put the package into `folder`, under a name, with entry points."""
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    told = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, some in points.items():
        lines += [f"[{group}]", *(f"{key} = {at}" for key, at in some.items())]
    (told / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
