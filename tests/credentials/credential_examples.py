"""The examples that the client, the server and the tracer must treat alike."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "data" / "credentials.txt"
MARKED = re.compile(r"⟦([^⟧]*)⟧")


class Example(NamedTuple):
    line: str
    marked: tuple[str, ...]  # the words, with the marks in them

    @property
    def words(self):
        return tuple(word.replace("⟦", "").replace("⟧", "") for word in self.marked)

    @property
    def secrets(self):
        return tuple(secret for word in self.marked for secret in MARKED.findall(word))

    def hidden(self, stand_in):
        """The words with what `stand_in` makes of each secret."""
        return tuple(MARKED.sub(lambda match: stand_in(match[1]), word) for word in self.marked)


def load_examples():
    for line in PAGE.read_text().splitlines():
        if line and not line.startswith("#"):
            text = re.sub(r"\{([^{}*]+)\*(\d+)\}", lambda match: match[1] * int(match[2]), line)
            yield Example(line=line, marked=tuple(shlex.split(text)))


EXAMPLES = tuple(load_examples())
SECRET = tuple(example for example in EXAMPLES if example.secrets)
HARMLESS = tuple(example for example in EXAMPLES if not example.secrets)
