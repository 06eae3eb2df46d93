"""Secrets go before anything is stored."""

import pytest

from roar.observe.redaction import (
    REDACTED,
    is_secret_name,
    redact_command,
    redact_labels,
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
    (["--hf=hf_abcdefghijklmnopqrstuvwxyz"], [f"--hf={REDACTED}"]),
    (["bash", "-c", "export HF_TOKEN=foo && train"], ["bash", "-c", f"export HF_TOKEN={REDACTED} && train"]),
    (["sh", "-c", "train --token foo; x -k v"], ["sh", "-c", f"train --token {REDACTED}; x -k v"]),
    (["+trainer.secret_key=abc"], [f"+trainer.secret_key={REDACTED}"]),
])
def test_secrets_are_replaced(given, stored):
    assert list(redact_command(given)) == stored


@pytest.mark.parametrize("command", [
    ["--max-tokens", "512"], ["--tokenizer", "bert"], ["--sort-key", "name"], ["--lr=0.1"], ["PWD=/home/ann"],
    ["python", "-c", "token = tokenizer(text); key = 5"], ["git@github.com:ann/repo.git"], ["ssh://git@h/x"],
    ["--pad-token-id", "0"], ["--keyframes=3"], ["data/keys/a.csv"], ["--eos_token=</s>"],
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
