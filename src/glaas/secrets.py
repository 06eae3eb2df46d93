"""Recognising secrets in texts. The client redacts before it stores; the server refuses what slipped through."""

import re

REDACTED = r"(?:\*+|…|<redacted>|\[redacted\]|redacted|x{3,}|\$\{?\w+\}?)"

_SECRETS = (
    ("a password in a URL", re.compile(rf"[a-z][a-z0-9+.-]*://[^/\s:@]*:(?!{REDACTED}@)[^/\s@]+@", re.IGNORECASE)),
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})\b")),
    ("a GitLab token", re.compile(r"\bglpat-[\w-]{20,}")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")),
    ("an API key", re.compile(r"\bsk-[A-Za-z0-9_-]{32,}")),
    ("a Slack token", re.compile(r"\bxox[abposr]-[\w-]{10,}")),
    ("a Google API key", re.compile(r"\bAIza[\w-]{35}\b")),
    ("a JSON Web Token", re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")),
    ("a secret in a setting", re.compile(
        rf"(?:api[_-]?key|secret|passw(?:or)?d|access[_-]?token|auth[_-]?token|write_token)\s*[=:]\s*"
        rf"(?!{REDACTED}(?:\W|$))(?=\S*\d)(?=\S*[a-z])[\w./+=~!@#$%^*:-]{{12,}}", re.IGNORECASE)),
)


def find_secret(text: str) -> str | None:
    """What kind of secret `text` seems to hold (`a GitHub token`), or None."""
    for kind, pattern in _SECRETS:
        if pattern.search(text):
            return kind
    return None
