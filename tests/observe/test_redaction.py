"""Secrets go before anything is stored."""

import base64
import random
import time

import pytest

from roar.observe.redaction import (
    REDACTED,
    is_secret_name,
    redact_command,
    redact_labels,
    redact_patch,
    redact_text,
    redact_url,
)


@pytest.mark.parametrize(("given", "stored"), [
    (["--api-key", "abc"], ["--api-key", REDACTED]),
    (["--api_key=abc"], [f"--api_key={REDACTED}"]),
    (["--token", "--verbose"], ["--token", "--verbose"]),
    (["-H", "Authorization: Bearer abcdefgh1234"], ["-H", f"Authorization: Bearer {REDACTED}"]),
    (["WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567"], [f"WANDB_API_KEY={REDACTED}"]),
    (["env", "PASSWORD=x", "cmd"], ["env", f"PASSWORD={REDACTED}", "cmd"]),
    (["--db", "postgresql://ann:geheim@db/x"], ["--db", "postgresql://db/x"]),
    (["https://h/?a=1&write_token=zzz#x"], [f"https://h/?a=1&write_token={REDACTED}#x"]),
    (["--hf=hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"], [f"--hf={REDACTED}"]),
    (["bash", "-c", "export HF_TOKEN=foo && train"], ["bash", "-c", f"export HF_TOKEN={REDACTED} && train"]),
    (["sh", "-c", "train --token foo; x -k v"], ["sh", "-c", f"train --token {REDACTED}; x -k v"]),
    (["+trainer.secret_key=abc"], [f"+trainer.secret_key={REDACTED}"]),
    (["https://h/x?sv=1&sig=ab%2Bc"], [f"https://h/x?sv=1&sig={REDACTED}"]),
    (["https://h/x?X-Amz-Signature=ab&X-Goog-Signature=cd"],
     [f"https://h/x?X-Amz-Signature={REDACTED}&X-Goog-Signature={REDACTED}"]),
    (["env", "PGPASSWORD=x", "MYSQL_PWD=y", "DBPASSWORD=z"],
     ["env", f"PGPASSWORD={REDACTED}", f"MYSQL_PWD={REDACTED}", f"DBPASSWORD={REDACTED}"]),
    (["sh", "-c", "export PGPASSWORD=x MYSQL_PWD=y AUTHTOKEN=z psql"],
     ["sh", "-c", f"export PGPASSWORD={REDACTED} MYSQL_PWD={REDACTED} AUTHTOKEN={REDACTED} psql"]),
    (["x", "--pass", "a", "--auth", "b", "--smtp-pass=c"],
     ["x", "--pass", REDACTED, "--auth", REDACTED, f"--smtp-pass={REDACTED}"]),
    (["curl", "-u", "ann:pw", "--user", "ann:pw", "--user=ann:pw", "-uann:pw"],
     ["curl", "-u", REDACTED, "--user", REDACTED, f"--user={REDACTED}", f"-u{REDACTED}"]),
    (["sh", "-c", "curl -u ann:pw https://h/"], ["sh", "-c", f"curl -u {REDACTED} https://h/"]),
    (['{"password":"S3CRETarg16"}'], [f'{{"password":"{REDACTED}"}}']),
    ([r'"{\"password\": \"geheim\"}"'], [rf'"{{\"password\": \"{REDACTED}\"}}"']),
    (["--dsn", "user=x password=S3CRETarg31 host=y"], ["--dsn", f"user=x password={REDACTED} host=y"]),
    (["-H", "X-Api-Key: S3CRETsh4"], ["-H", f"X-Api-Key: {REDACTED}"]),
    (["-H", "cookie: a=b; c=d"], ["-H", f"cookie: {REDACTED}"]),
    (["sh", "-c", 'curl -H "X-Api-Key: S3CRETsh4" h'], ["sh", "-c", f'curl -H "X-Api-Key: {REDACTED}" h']),
    (["sh", "-c", "x --token 'a b' y"], ["sh", "-c", f"x --token {REDACTED} y"]),
    (["postgresql://ann:p@ss@db/x"], ["postgresql://db/x"]),
    (["mysql", "-uroot", "-pgeheim", "db"], ["mysql", "-uroot", f"-p{REDACTED}", "db"]),
    (["sshpass", "-p", "geheim", "ssh", "h"], ["sshpass", "-p", REDACTED, "ssh", "h"]),
    (["/usr/bin/docker", "login", "-u", "ann", "-p", "geheim", "h"],
     ["/usr/bin/docker", "login", "-u", "ann", "-p", REDACTED, "h"]),
    (["sudo", "redis-cli", "-a", "geheim", "get", "k"], ["sudo", "redis-cli", "-a", REDACTED, "get", "k"]),
    (["openssl", "rsa", "-passin", "pass:geheim"], ["openssl", "rsa", "-passin", f"pass:{REDACTED}"]),
    (["sh", "-c", "mysqldump -u root -p'ge heim' db | gzip; sshpass -pgeheim scp a b && mongo -p geheim"],
     ["sh", "-c", f"mysqldump -u root -p{REDACTED} db | gzip; sshpass -p{REDACTED} scp a b && mongo -p {REDACTED}"]),
    (["sh", "-c", "openssl enc -k geheim -in a\nunzip -P geheim a.zip"],
     ["sh", "-c", f"openssl enc -k {REDACTED} -in a\nunzip -P {REDACTED} a.zip"]),
    (['{"db": {"pass": "S3CRETarg"}}'], [f'{{"db": {{"pass": "{REDACTED}"}}}}']),
    (["K=-----BEGIN RSA PRIVATE KEY-----\nabc"], [f"K={REDACTED}"]),
])
def test_secrets_are_replaced(given, stored):
    assert list(redact_command(given)) == stored


@pytest.mark.parametrize("command", [
    ["--max-tokens", "512"], ["--tokenizer", "bert"], ["--sort-key", "name"], ["--lr=0.1"], ["PWD=/home/ann"],
    ["python", "-c", "token = tokenizer(text); key = 5"], ["git@github.com:ann/repo.git"], ["ssh://git@h/x"],
    ["--pad-token-id", "0"], ["--keyframes=3"], ["data/keys/a.csv"], ["--eos_token=</s>"],
    ["docker", "run", "-u", "1000:1000", "x"], ["python", "-u", "a.py"], ["rsync", "-u", "host:/a", "b"],
    ["--author", "ann"], ["--passes", "2"], ["MONKEY=1", "turkey=2", "max_tokens=3", "tokenizer=bert4"],
    ["sh", "-c", "train --token $HF_TOKEN; x password=$PW"], ["echo", "basic training of token embeddings"],
    ["docker", "run", "-p", "8080:80", "mysql", "--verbose"], ["python", "train.py", "-p", "mysql", "-a", "b"],
    ["sh", "-c", 'mysql -p$PW -u root; sshpass -p "$PW" ssh h; ssh -p 22 h; mkdir -p x/y'],
    ["mysql", "-p", "db"], ['{"pass": "green"}'], ["mkdir", "-p", "a", "b"],
    ["https://host:8080/a@b"], ["ghp_" + "a1" * 4 + "/weights.bin"],
])
def test_what_is_no_secret_stays(command):
    assert list(redact_command(command)) == command


@pytest.mark.parametrize("secret", [
    "ghp_" + "a1" * 18, "github_pat_" + "a1" * 20, "glpat-" + "a1" * 10, "AKIA" + "ABCD1234" * 2, "sk-" + "a1" * 16,
    "xoxb-123456789012-abc", "npm_" + "a1" * 18, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig",
    "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "dapi" + "0a" * 16,
])
def test_credentials_are_known_by_their_shape(secret):
    assert redact_text(f"before {secret} after") == f"before {REDACTED} after"


def test_urls_lose_their_user_info():
    assert redact_url("https://ann:pw@host/repo.git") == "https://host/repo.git"
    assert redact_url("https://ghp_tokentoken@github.com/a/b") == "https://github.com/a/b"


def test_names():
    assert all(map(is_secret_name, ["WANDB_API_KEY", "HF_TOKEN", "aws_secret_access_key", "password", "db-passwd"]))
    assert not any(map(is_secret_name, ["MONKEY", "KEYBOARD", "max_tokens", "tokenizer", "author", "PATH"]))


def test_labels():
    assert redact_labels({"owner": "ann", "api_key": "abc", "see": "https://u:p@h/"}) == {
        "owner": "ann", "api_key": REDACTED, "see": "https://h/"}


@pytest.mark.parametrize(("line", "stored"), [
    ('os.environ["WANDB_API_KEY"] = "%s"', 'os.environ["WANDB_API_KEY"] = "[redacted]"'),
    ("os.environ['X_TOKEN']='%s'", "os.environ['X_TOKEN']='[redacted]'"),
    ('os.environ.setdefault("API_KEY", "%s")', 'os.environ.setdefault("API_KEY", "[redacted]")'),
    ('{"db_password": "%s"}', '{"db_password": "[redacted]"}'),
    ('connect(password="%s", port=1)', 'connect(password="[redacted]", port=1)'),
    ('password: str = "%s"', 'password: str = "[redacted]"'),
    ("secret = b'%s'", "secret = b'[redacted]'"),
    ('accessToken = "%s"', 'accessToken = "[redacted]"'),
    ('token = """%s"""', 'token = """[redacted]"""'),
])
@pytest.mark.parametrize("secret", ["0123456789" * 4, "abcdefgh", "S3CRETdict1", "two words"])
def test_a_literal_behind_a_secret_name_is_replaced(line, stored, secret):
    assert redact_text(line % secret) == stored


@pytest.mark.parametrize("line", [
    "token = tokenizer(x)", 'sort(key="name")', 'rows.sort(key = "loss")', "password = getpass()", "token=None",
    'secret = os.environ["X"]', 'API_KEY = os.environ["X"]', "def f(password: str, token: Token2) -> None:",
    'if token == "hello":', 'pad_token="[PAD]"', 'next_token = "hello"', "login(password=password, token=tok1)",
    'print("token: ", token, "x")', 'add_argument("--token", "-t", help="the token")', 'columns = ["token", "label"]',
    'password = "$PASSWORD"', 'token="<eos>"', 'password=""', '{"password": password}', 'token_file = "a/token.txt"',
    "LONGEST_KEY = 600", 'SECRET_WORDS = ("a", "b")', '{"Authorization": f"Basic {credentials}"}',
    "'w32-hot-key', 'w32-window-exists-p'", r"re.compile(r'https://[^\s@]+/@x')",
    "token: int32", "key: Array = x", 'x["key"] = "name"', 'password = f"{password}"',
])
def test_code_stays(line):
    assert redact_text(line) == line


def hunk(*lines, context=""):
    old, new = (sum(line[0] in f" {side}" for line in lines) for side in "-+")
    return "\n".join(["diff --git a/x b/x", "--- a/x", "+++ b/x", f"@@ -1,{old} +1,{new} @@{context}", *lines, ""])


KEY = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEpAIBAAKCAQEA", "q83vEjRWeJCrze8S", "-----END RSA PRIVATE KEY-----"]
PATCHES = [
    (hunk('-password = "Zx81Spectrum99old"', '+password = "Zx81Spectrum99new"', " x = 1"),
     hunk('-password = "[redacted]"', '+password = "[redacted]"', " x = 1")),
    (hunk(" x = 1", context=' password = "Zx81Spectrum99ctx"'), hunk(" x = 1", context=' password = "[redacted]"')),
    (hunk(*(f"+{line}" for line in KEY), " x = 1"), hunk(*["+[redacted]"] * 4, " x = 1")),
    (hunk('+k = """' + KEY[0], *(f"+{line}" for line in KEY[1:3]), f'+{KEY[3]}"""', " y = 1"),
     hunk('+k = """[redacted]', *["+[redacted]"] * 2, '+[redacted]"""', " y = 1")),
    (hunk(f" {KEY[0]}", f"-{KEY[1]}", f"+{KEY[2]}", f"-{KEY[3]}", "+QUJDREVGRw==", f"+{KEY[3]}", " z"),
     hunk(" [redacted]", "-[redacted]", "+[redacted]", "-[redacted]", "+[redacted]", "+[redacted]", " z")),
    (hunk("+a = 1", f" {KEY[1]}", f" {KEY[3]}"), hunk("+a = 1", " [redacted]", " [redacted]")),  # it began above
    (hunk(f"+{KEY[0]}", f"+{KEY[1]}", "\\ No newline at end of file"),
     hunk("+[redacted]", "+[redacted]", "\\ No newline at end of file")),
    (hunk('+a\x0cpassword = "Zx81Spectrum99ff"\r'), hunk('+a\x0cpassword = "[redacted]"\r')),
    (hunk("+parser.add_argument(", '+    "--api-key",', "+    type=str,", '+    default="geheimes",', "+)"),
     hunk("+parser.add_argument(", '+    "--api-key",', "+    type=str,", '+    default="[redacted]",', "+)")),
    (hunk(" API_KEY = (", '-    "Zx81Spectrum99old"\r', '+    "Zx81Spectrum99new"', " )"),
     hunk(" API_KEY = (", '-    "[redacted]"\r', '+    "[redacted]"', " )")),
    (hunk(' c = {"password":', '     "geheimes"}', '-os.environ["HF_TOKEN"] = \\', "-  'geheimes'", "+x = 1"),
     hunk(' c = {"password":', '     "[redacted]"}', '-os.environ["HF_TOKEN"] = \\', "-  '[redacted]'", "+x = 1")),
    (hunk("+key: str = field(", '+    default="geheimes")', "+api_key: str = field(", '+    default="geheimes")'),
     hunk("+key: str = field(", '+    default="geheimes")', "+api_key: str = field(", '+    default="[redacted]")')),
    (hunk("+class Token:", '+    """What it is."""', "-API_KEY = (", "+x = (", '     "geheimes"'),
     hunk("+class Token:", '+    """What it is."""', "-API_KEY = (", "+x = (", '     "[redacted]"')),
    (hunk('--- password="abcdefgh"', "+++ x"), hunk('--- password="[redacted]"', "+++ x")),
]


@pytest.mark.parametrize(("patch", "stored"), PATCHES)
def test_a_patch_keeps_its_form(patch, stored):
    assert redact_patch(patch) == stored
    assert redact_patch(stored) == stored


def test_the_names_in_a_patch_stay():
    patch = f"diff --git a/{'ghp_' + 'a1' * 18} b/password=S3CRETpath12\n--- a/x\n+++ b/x\n"
    assert redact_patch(patch) == patch


WORD = base64.b64encode(random.Random(1).randbytes(300_000)).decode()
LONG = 400_000  # characters


@pytest.mark.parametrize("unit", [
    "a", "a.", "a-", "key=", 'key="', 'token=\\"', "://", "a:b@", "-", " -a", "--token ", "eyJ-", "eyJaaaaaaaa.",
    "?a=", "-----BEGIN ", "Basic ", "PASSWORD=", 'setdefault("TOKEN", ', "token: str[", " ", '"', WORD,
])
def test_long_words_take_time_in_proportion(unit):
    text = (unit * (LONG // len(unit) + 1))[:LONG]

    def seconds(text):
        start = time.process_time()
        redact_command(["x", text])
        redact_patch(f"@@ -0,0 +1 @@\n+{text}\n")
        return time.process_time() - start

    half, whole = seconds(text[:LONG // 2]), seconds(text)
    assert whole < 4 * half + 0.3  # it would be 4 times as long, and far longer, were it quadratic
    assert whole < 8  # seconds; a machine under load included


@pytest.mark.parametrize("command", [
    ["--token", "a", "--pass=b", "-uann:pw", '{"password":"S3CRETarg16"}', "PASSWORD='a b'",
     "Authorization: Bearer abcd1234"],
    ["sh", "-c", "x --token foo -u ann:pw; curl -H 'X-Api-Key: a b' https://u:p@h/?sig=a"],
])
def test_what_was_redacted_is_not_redacted_again(command):
    redacted = redact_command(command)
    assert redact_command(redacted) == redacted
