"""Write the tables of native/secrets.h from roar.credentials.table. Usage: write_secrets.py [PATH]."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from roar.credentials import table

HEADER = Path(__file__).parents[1] / "native" / "secrets.h"
START, END = "/* written by tools/write_secrets.py */\n", "/* end of the written part */\n"
LETTERS = {  # the bits of secrets_letter()
    table.Letters.ALNUM: "SECRETS_ALNUM",
    table.Letters.WORD: "SECRETS_ALNUM | SECRETS_LINE",
    table.Letters.DASH: "SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH",
    table.Letters.DOTS: "SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT",
    table.Letters.UPPER: "SECRETS_DIGIT | SECRETS_UPPER",
    table.Letters.HEX: "SECRETS_DIGIT | SECRETS_HEX",
    table.Letters.BASE64: "SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_BASE64",
    table.Letters.PATH: "SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH",
    table.Letters.ADDRESS: "SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH | SECRETS_AT",
}
LISTS = ("SECRET_PARTS", "SECRET_ENDS", "PASS_OWNERS", "WEAK_ENDS", "ABOUT_ENDS", "NO_SECRET_BEFORE",
         "NO_SECRET_AFTER", "NAMES_OF_FOLDERS", "SIGNED_QUERY", "STORE_SCHEMES", "USER_OPTIONS", "SECRET_OPTIONS")


def render_list(name: str, words: Iterable[str]) -> str:
    """A C array of words, each in as many bytes as the longest needs: no pointers, nothing to relocate."""
    words = tuple(words)
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) > 112:  # noqa: PLR2004  width of the page
            lines.append(line)
            line = "   "
        line += f' "{word}",'
    body = "\n".join((*lines, line))
    return f"static const char {name}[][{max(map(len, words)) + 1}] = {{\n{body}\n}};\n"


def render_shapes() -> str:
    """The shapes of credentials, one line for each prefix."""
    lines = [
        f'    {{"{prefix}", {LETTERS[shape.letters]}, {shape.least}, {shape.need.value}, {int(shape.exact)}, '
        f"{int(shape.kept)}}}," for shape in table.SHAPES for prefix in shape.prefixes]
    longest = max(len(prefix) for shape in table.SHAPES for prefix in shape.prefixes) + 1
    return (f"static const struct {{\n    char prefix[{longest}];\n    unsigned short letters;\n"
            "    unsigned char least, need, exact, kept;\n} secrets_shapes[] = {\n" + "\n".join(lines) + "\n};\n")


def render_programs() -> str:
    """The programs that take a password, with at most two words that stand before it."""
    lines = []
    for name, program in table.PROGRAMS.items():
        joined, apart = (program.joined or ("",))[0], ", ".join(f'"{one}"' for one in program.apart) or '""'
        lines.append(f'    {{"{name}", "{joined}", {{{apart}}}, "{program.last}", "{program.pair}", '
                     f'"{program.pairs}", "{program.user}", {int(program.named)}, {int(program.login)}}},')
    return ("static const struct secrets_program {\n"
            "    char name[16], joined[8], apart[2][8], last[4], pair[4], pairs[4], user[4];\n"
            "    unsigned char named, login;\n} secrets_programs[] = {\n" + "\n".join(lines) + "\n};\n")


def render() -> str:
    """Everything between the two marks."""
    constants = "".join(f"#define SECRETS_{name} {json.dumps(getattr(table, name))}\n" for name in (
        "NEED_REACH", "NUMBER_LENGTH", "CURL_FLAGS", "MOST_JOINED"))
    lists = "".join(render_list(f"secrets_{name.lower()}", getattr(table, name)) for name in LISTS)
    return f"{constants}{render_shapes()}{lists}{render_programs()}"


def main() -> None:
    """Replace the generated part, here or in the copy that is given."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else HEADER
    head, _, rest = path.read_text().partition(START)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{START}{render()}{END}{tail}")


if __name__ == "__main__":
    main()
