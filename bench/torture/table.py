"""What was tried, what was right, and each wrong one with its input."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Table:
    """Counts by part; a try is right when nothing is said against it."""

    tried: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    """Part, input, and what was wrong."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Part, and why it was not tried."""

    def note(self, part: str, name: str, wrong: str) -> None:
        """Count one try; `wrong` is empty for a right one."""
        self.tried[part] = self.tried.get(part, 0) + 1
        if wrong:
            self.wrong.append((part, name, " ".join(wrong.split())[:300]))
        print(f"{part}: {name}: {'WRONG: ' + wrong if wrong else 'right'}", flush=True)

    def markdown(self) -> str:
        """The table, and the wrong ones below it."""
        lines = ["| part | tried | right |", "|---|---|---|"]
        for part, tried in self.tried.items():
            lines.append(f"| {part} | {tried} | {tried - sum(one[0] == part for one in self.wrong)} |")
        lines += [f"| {part} | | not tried: {why} |" for part, why in self.skipped.items()]
        if self.wrong:
            lines += ["", "Wrong:", ""]
            lines += [f"- {part}, {name}: {_plain(what)}" for part, name, what in self.wrong]
        return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return "`" + text.replace("`", "'") + "`"
