"""One table of what is a secret: the client, the server and the tracer go by the same, and never by more or less."""

import ctypes
import filecmp
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest
from credential_examples import EXAMPLES, HARMLESS, SECRET
from hypothesis import given, settings
from hypothesis import strategies as st

from roar.credentials.table import SHAPES
from roar.credentials.text import find_secret, redact_over_lines, redact_text
from roar.credentials.words import redact_words
from roar.model import REDACTED, Job, JobState, Tracer
from roar.observe.redaction import redact_patch
from roar.wire import Registration, iter_secrets, without_secrets

ROOT = Path(__file__).parents[2]
LINES = [example.line for example in EXAMPLES]


def registration(words, **values):
    job = Job(uid="0" * 32, step=1, command=tuple(words), cwd=".", started_at="2026-11-22T10:00:00.000000Z",
              duration_s=1, exit_code=0, state=JobState.DONE, tracer=Tracer(mode="full"), **values)
    return Registration(version=1, client="roar", session="1" * 32, jobs=(job,))


@pytest.fixture(scope="module")
def tracer(tmp_path_factory):
    """What the tracer's rules make of the words of a command."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "hide.c").write_text('#include "secrets.h"\nvoid hide(char *list, size_t length)\n'
                                   "{\n    secrets_hide_arguments(list, length);\n}\n")
    subprocess.run(["gcc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-shared",
                    "-fPIC", f"-I{ROOT / 'native'}", "-o", folder / "hide.so", folder / "hide.c"], check=True)
    library = ctypes.CDLL(str(folder / "hide.so"))

    def hide(words):
        raw = b"\0".join(word.encode("utf-8", "surrogateescape") for word in words) + b"\0"
        buffer = ctypes.create_string_buffer(raw, len(raw))
        library.hide(buffer, ctypes.c_size_t(len(raw)))
        return tuple(word.decode("utf-8", "surrogateescape") for word in buffer.raw[:-1].split(b"\0"))

    return hide


@pytest.mark.parametrize("example", EXAMPLES, ids=LINES)
def test_the_client_takes_out_secrets_and_nothing_else(example):
    without_user = tuple(word.replace(f"://{REDACTED}@", "://") for word in example.hidden(lambda _: REDACTED))
    assert redact_words(example.words) == without_user


@pytest.mark.parametrize("example", EXAMPLES, ids=LINES)
def test_the_server_refuses_secrets_and_nothing_else(example):
    sent = registration(example.words)
    assert bool(list(iter_secrets(sent))) == bool(example.secrets)
    cleaned = without_secrets(sent)
    assert list(iter_secrets(cleaned)) == []
    kept = " ".join(cleaned.jobs[0].command)
    assert not [secret for secret in example.secrets if len(secret) > 3 and secret in kept]
    assert list(iter_secrets(registration(redact_words(example.words)))) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=LINES)
def test_the_tracer_overwrites_secrets_and_nothing_else(example, tracer):
    assert tracer(example.words) == example.hidden(lambda secret: "*" * len(secret))


@pytest.mark.parametrize("example", HARMLESS, ids=[example.line for example in HARMLESS])
def test_harmless_words_pass_by_themselves(example):
    for word in example.words:
        assert find_secret(word) is None
        assert redact_text(word) == word


def test_every_shape_has_an_example():
    words = [secret for example in SECRET for secret in example.secrets]
    texts = [word for example in SECRET for word in example.words]
    assert len(words) > 80
    for kind in ("a GitHub token", "a GitLab token", "a Hugging Face token", "a W&B key", "an AWS access key",
                 "a Neptune token", "an Anthropic key", "an API key", "a Slack token", "a Slack webhook",
                 "a PyPI token", "a Google API key", "a Google access token", "an npm token",
                 "a JSON Web Token", "a private key"):
        assert kind in {find_secret(text) for text in texts} | {find_secret(word) for word in words}, kind
    assert all(shape.source.startswith("https://") for shape in SHAPES)


def test_the_tables_of_the_tracer_are_written_from_the_table(tmp_path):
    header = ROOT / "native" / "secrets.h"
    (tmp_path / "secrets.h").write_bytes(header.read_bytes())
    subprocess.run([sys.executable, ROOT / "tools" / "write_secrets.py", tmp_path / "secrets.h"], check=True)
    assert filecmp.cmp(header, tmp_path / "secrets.h", shallow=False), "run tools/write_secrets.py"
    assert set(runpy.run_path(str(ROOT / "tools" / "write_secrets.py"))["LETTERS"]) >= {
        shape.letters for shape in SHAPES}


PIECES = st.one_of(st.sampled_from([word for example in EXAMPLES for word in example.words]),
                   st.sampled_from(["://", "@", "=", ":", " ", "-", "--token", "password=", "?sig=", "'", '"', "#",
                                    "/", "sk-", "eyJ", REDACTED, "-u", "login", "mysql", "-p", "Bearer "]),
                   st.text(max_size=8))
COMMANDS = st.lists(st.lists(PIECES, min_size=1, max_size=3).map("".join), min_size=1, max_size=8)


@settings(max_examples=400, deadline=None, database=None)
@given(words=COMMANDS)
def test_the_server_accepts_whatever_the_client_sends(words):
    recorded = registration(redact_words(words), name=redact_text(words[0]), labels={"note": redact_text(words[-1])})
    assert list(iter_secrets(without_secrets(recorded))) == []


@settings(max_examples=400, deadline=None, database=None)
@given(words=COMMANDS)
def test_what_was_cleaned_is_not_cleaned_again(words):
    cleaned = without_secrets(registration(words))
    assert without_secrets(cleaned) is cleaned
    redacted = redact_words(words)
    assert redact_words(redacted) == redacted
    text = redact_text(" ".join(words))
    assert redact_text(text) == text


@settings(max_examples=400, deadline=None, database=None)
@given(words=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | PIECES, min_size=1,
                      max_size=8))
def test_the_tracer_keeps_every_length(words, tracer):
    words = [word.replace("\0", "") for word in words]
    hidden = tracer(words)
    assert [len(word.encode("utf-8", "surrogateescape")) for word in hidden if word.isascii()] == [
        len(given_word.encode("utf-8", "surrogateescape")) for word, given_word in zip(hidden, words, strict=True)
        if word.isascii()]


@pytest.mark.parametrize("part", [
    "a", "a=", "a=b;", "key=", "tokens=[", "tokens=['a',", "name: token\n", "machine a ", "ENV A ", "secret: >\n  a\n",
    "token='", 'key="', "--token ", "-a '", "://", "://a@", "?a=", "?token=", "eyJ-",
    "eyJaaaaaaaa.", "sk-", "sk-ant-", "xoxb-", "-----BEGIN ", "Basic ", "mysql ", "login -p", "_", "a.", "/token=",
    "\\n"])
def test_long_words_take_time_in_proportion(part, tracer):
    """Fifty thousand characters and twice as many: twice the time, with room for a machine under load."""

    def seconds(size):
        text = (part * size)[:size]
        start = time.process_time()
        tracer(["x", text])
        find_secret(text)
        redact_words(["x", text])
        return time.process_time() - start

    assert min(seconds(100_000) for _ in range(2)) < 3 * max(seconds(50_000) for _ in range(2)) + 0.05


VALUE = "Zq8s3cr3tXy7Kw2Lm9"


@pytest.mark.parametrize("text", [
    'parser.add_argument("--api-key", default="VALUE")',
    'parser.add_argument("--token", type=str, default="VALUE", help="x")',
    '+parser.add_argument(\n+    "--api-key",\n+    type=str,\n+    default="VALUE",\n+)',
    '@click.option("--password", default="VALUE")', 'api_key: str = field(default="VALUE")',
    '+cfg = {\n+    "password":\n+        "VALUE"}', "x = {'token': (\n    'VALUE')}", 'PASSWORD = (\n    "VALUE"\n)',
    '+os.environ["WANDB_API_KEY"] = \\\n+    "VALUE"', 'password <- "VALUE"', 'const Password string = "VALUE"',
    "TOKEN=${1:-VALUE}", 'read -r TOKEN <<< "VALUE"', "docker login --password-stdin <<< VALUE",
    "echo VALUE | docker login -u x --password-stdin", "printf %s VALUE | podman login --password-stdin",
    'echo "VALUE" | gh auth login --with-token', 'add_argument("-p", "--password", default="VALUE")',
    '-api_key: str = field(default="VALUE")', "-TOKEN=${1:-VALUE}", '-password <- "VALUE"',
])
@pytest.mark.parametrize("value", [VALUE, "geheimes"])
def test_secrets_in_source_code_are_taken_out(text, value):
    hidden = redact_text(text.replace("VALUE", value))
    assert hidden == text.replace("VALUE", REDACTED)
    assert redact_text(hidden) == hidden


@pytest.mark.parametrize("text", [
    'password = SecretStr("VALUE")', 'x = SecretStr("VALUE")', 'token: str = typer.Option("VALUE", "--token")',
    'api_key: str = Field("VALUE", env="API_KEY")', 'api_key: str = field(default_factory=lambda: "VALUE")',
    'pw = password or "VALUE"', 'wandb.login("never", "VALUE")', 'requests.get(u, auth=("user", "VALUE"))',
    'api_key, other = "VALUE", 1', '+api_key = a if b else "VALUE"', 'const api_key = process.env.K || "VALUE";',
    'p.add_argument("--api-key", help="a (b) c", default="VALUE")', "vault login VALUE", "run --api_keys VALUE",
    "npm config set //registry.example/:_authToken VALUE", 'run(["train", "--password",\n     "VALUE"])',
    '"tokens": ["VALUE", "VALUE"]', 'tokens: list[str] = [\n    "VALUE",\n    "VALUE",\n]',
    'PASSWORDS = {"a": "VALUE"}', "machine h.example login ann password VALUE",
    "- name: HF_TOKEN\n  value: VALUE", '- name: HF_TOKEN\n  value: "VALUE"', '"name": "HF_TOKEN",\n"value": "VALUE"',
    "ENV HF_TOKEN VALUE", "setenv HF_TOKEN VALUE", "set -gx HF_TOKEN VALUE; x",
    "machine h.example\n  login ann\n  password VALUE", "password VALUE", "api_key: !secret VALUE",
])
def test_a_string_that_looks_a_secret_is_one_behind_the_name_of_one(text):
    assert redact_text(text.replace("VALUE", VALUE)) == text.replace("VALUE", REDACTED)


@pytest.mark.parametrize("text", [
    "tokens:\n  - VALUE\n  - VALUE\nlr: 1", "passwords:\n- geheim\nnames:\n- ann".replace("geheim", "VALUE"),
    "env:\n  secret: >\n    VALUE\n  lr: |\n    1", "api_key: !!str |-\n  VALUE\n  VALUE", "secrets:\n  hf: 'VALUE'\n",
    'secret_key = """\nVALUE\n"""', "secret_key = '''\\\nVALUE\\\n'''", "  - token: |\n      VALUE\n    lr: 1",
    'run(["train", "--password",\n     "VALUE"])', "- name: HF_TOKEN\n  value: VALUE",
    "machine h\nlogin ann\npassword VALUE",
])
def test_a_secret_on_a_line_below_its_name_is_taken_out(text):
    hidden = redact_over_lines(text.replace("VALUE", VALUE))
    assert hidden == text.replace("VALUE", REDACTED)
    assert redact_over_lines(hidden) == hidden
    patch = "\n".join(("diff --git a/x b/x", "--- a/x", "+++ b/x", f"@@ -0,0 +1,{len(text.split(chr(10)))} @@",
                       *(f"+{line}" for line in text.replace("VALUE", VALUE).split("\n")), ""))
    assert redact_patch(patch) == patch.replace(VALUE, REDACTED)


@pytest.mark.parametrize("text", [
    "tokens:\n  - hello\n  - '##ing2'\n  - data/fineweb10B-edu\nlr: 1", "special_tokens:\n  - Zq8s3cr3tXy7Kw2Lm9",
    "secrets:\n  my_secret:\n    file: ./x1.txt\n    external: true", "secrets: inherit\njobs:\n  a1b2c3d4e5f6g7: x",
    "token:\n  description: The token of the user\n  type: string", "password: |\n  ${{ secrets.PASSWORD }}\n",
    "password:\n  name: x\nuser:\n  - Zq8s3cr3tXy7Kw2Lm9", 'x = """\nZq8s3cr3tXy7Kw2\n"""',
    "token: >\n  A text about tokens2 and more", "class Token:\n    value1: int2\n    name: str",
    "login to the machine with password protection", "password protected2 pages", "the password\npassword is needed",
    "api_key: !secret wifi_password2", "key: !Ref DatabasePassword2", "ENV TOKENIZERS_PARALLELISM false",
    "ENV PASSWORD_FILE /run/secrets/pw", "set -e\nset -x",
    "- name: HF_TOKEN\n  valueFrom:\n    secretKeyRef: x1y2z3a4b5c6",
    "- name: lr\n  value: Zq8s3cr3tXy7Kw2Lm9", "- name: HF_TOKEN\n  value: $HF_TOKEN", "name: token\nvalue: int64",
])
def test_data_and_configuration_without_secrets_stay(text):
    assert redact_text(text) == text
    assert redact_over_lines(text) == text


@pytest.mark.parametrize("text", [
    'add_argument("--auth", default="oauth2")', 'add_argument("--cookie", default="cookies.txt")',
    'tokenizer = load("ResNet50V2LargeModel7")', 'token_ids = f("Abc123Abc123Abc123xyz")',
    'x = sha256("Abc123Abc123Abc123xyz")', 'model = "Qwen2.5-7B-Instruct-GPTQ"',
    'password = None\nname = "Zq8s3cr3tXy7Kw2Lm9"',
    'def f(x) -> "CompositeToken":\n    """Parse a text."""',
    'class Token:\n    """What a token is."""', 'class Secret:\n    "A description"',
    'def f(token: str):\n    "A text"',
    'parser.add_argument("--token", type=str, default=None)', 'add_argument("--tokenizer", default="bert-base")',
    'add_argument("--token-file", default="tokens.txt")', 'add_argument("--password-file", default="/etc/pw")',
    'add_argument("--max-tokens", default="1024")', 'add_argument("--api-key", default=os.environ["X"])',
    'add_argument("--token", help="t"); add_argument("--model", default="resnet50")',
    'x <- tokenizer("hello")', 'token <- read.csv("a.csv")', 'TOKENS = (\n    "<pad>",\n)',
    'pad_token = (\n    "[PAD]"\n)',
    'token = (\n    tokenizer("x")\n)', 'password = getpass(\n    "Your password"\n)', "if password:\n    'a text'",
    "echo hello | tr a b", "cat x | docker login --password-stdin", 'read -r LINE <<< "hello world"', "TOKEN=${1:-}",
    "TOKEN=${TOKEN:-$OTHER}", "docker login --password-stdin <<< $TOKEN", "echo $TOKEN | gh auth login --with-token",
])
def test_source_code_without_secrets_stays(text):
    assert redact_text(text) == text
