"""Lists that are cut where a person would not read on, and the command that shows all."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from roar.present.text import paint

_Item = TypeVar("_Item")
_SHOWN = 20


class Cut(NamedTuple):
    """After how many items a list is cut, None for never, and the command that shows all."""

    most: int | None
    command: str

    def line(self, number: int) -> list[str]:
        """What to say below a list of so many."""
        return [] if self.most is None or number <= self.most else [
            f"    … and {number - self.most:,} more: {self.command} --all"]


def cut_of(command: str, *, everything: bool) -> Cut:
    """How the lists of an answer are cut that this command gives, without `--all`."""
    return Cut(None if everything else _SHOWN, command)


def section(title: str, items: Sequence[_Item], render: Callable[[Sequence[_Item]], list[str]], shown: Cut
            ) -> list[str]:
    """A titled list, perhaps cut: only what is shown is rendered, for there may be a million."""
    if not items:
        return []
    listed = items if shown.most is None else items[:shown.most]
    return [f"  {paint(title, 'dim')}", *(f"    {line}" for line in render(listed)), *shown.line(len(items))]
