"""Installs small packages without a package manager: a module, and the entry points that it registers."""

from pathlib import Path


def install(folder: Path, package: str, code: str, **entry_points: str) -> Path:
    """Put `package` with its module of the same name into `folder`, which belongs on `sys.path`.

    `entry_points` are `name="module:attribute"` of the group `earwise.benchmarks`.
    """
    module = folder / f"{package.replace('-', '_')}.py"
    folder.mkdir(parents=True, exist_ok=True)
    module.write_text(code)
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[earwise.benchmarks]", *lines, ""]))
    return folder
