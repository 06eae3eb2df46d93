"""The one table of what tells a secret: shapes of credentials, names of settings, options of programs.

Python compiles it to regular expressions, tools/write_secrets.py writes it into native/secrets.h. A shape is a prefix
and a run of letters behind it, no more, so that both sides can apply it in time proportional to the text. Every shape
names the page of its issuer that describes it.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import NamedTuple


class Letters(StrEnum):
    """What a credential is made of; the value is the inside of a regular expression's class."""

    ALNUM = r"A-Za-z0-9"
    WORD = r"A-Za-z0-9_"
    DASH = r"A-Za-z0-9_\-"
    DOTS = r"A-Za-z0-9_\-."
    UPPER = r"A-Z0-9"
    HEX = r"0-9a-f"
    BASE64 = r"A-Za-z0-9+/=_\-"
    PATH = r"A-Za-z0-9/_\-"
    ADDRESS = r"A-Za-z0-9/_\-@:"


class Need(Enum):
    """What must be among the first NEED_REACH characters behind the prefix: names of models have words instead."""

    NOTHING = 0
    DIGIT = 1
    MIXED = 2  # a digit, a capital and a small letter
    NUMBER = 3  # ten digits in a row


NEED_REACH = 200
NUMBER_LENGTH = 10


class Shape(NamedTuple):
    """Credentials that are told by how they begin.

    Attributes:
        kind: as it is told to people (`a GitHub token`).
        prefixes: how they begin, where no letter or digit stands before.
        letters: what follows, `least` characters at the least.
        exact: whether it is no more than `least`; a longer run is something else.
        kept: whether the prefix stays: it says where the credential is for, and is none itself.
        source: where the issuer describes it.
    """

    kind: str
    prefixes: tuple[str, ...]
    letters: Letters
    least: int
    source: str
    need: Need = Need.NOTHING
    exact: bool = False
    kept: bool = False


SHAPES = (
    Shape("an AWS access key", ("AKIA", "ASIA", "ABIA", "ACCA"), Letters.UPPER, 16, exact=True,
          source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"),
    Shape("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), Letters.ALNUM, 36,
          source="https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/"),
    Shape("a GitHub token", ("github_pat_",), Letters.WORD, 40,
          source="https://docs.github.com/en/authentication/keeping-your-account-and-data-secure"),
    Shape("a GitLab token", ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "gloas-", "glimt-",
                             "glagent-", "glwt-", "glrtr-", "glffct-"), Letters.DOTS, 20,
          source="https://docs.gitlab.com/security/tokens/#token-prefixes"),
    Shape("a Hugging Face token", ("hf_", "api_org_"), Letters.ALNUM, 34, exact=True,
          source="https://huggingface.co/docs/hub/security-tokens"),
    Shape("a W&B key", ("wandb_v1_", "wandb_v2_"), Letters.WORD, 40, need=Need.MIXED,
          source="https://docs.wandb.ai/support/models/articles/why-does-my-api-key-fail-with-must-be-40-characters"),
    Shape("a Neptune token", ("eyJhcGlf",), Letters.BASE64, 40,  # base64 of `{"api_`
          source="https://docs.neptune.ai/setup/setting_api_token"),
    Shape("an Anthropic key", ("sk-ant-",), Letters.DASH, 24, need=Need.MIXED,
          source="https://docs.anthropic.com/en/api/overview"),
    Shape("an API key", ("sk-proj-", "sk-svcacct-", "sk-admin-"), Letters.DASH, 32, need=Need.MIXED,
          source="https://platform.openai.com/docs/api-reference/authentication"),
    Shape("an API key", ("sk-",), Letters.ALNUM, 32, need=Need.DIGIT,
          source="https://platform.openai.com/docs/api-reference/authentication"),
    Shape("an API key", ("sk-or-v1-",), Letters.HEX, 64,
          source="https://openrouter.ai/docs/api-reference/authentication"),
    Shape("an API key", ("gsk_",), Letters.ALNUM, 40, need=Need.MIXED,
          source="https://console.groq.com/docs/quickstart"),
    Shape("an API key", ("nvapi-",), Letters.DASH, 40, need=Need.MIXED,
          source="https://docs.nvidia.com/ngc/gpu-cloud/ngc-user-guide/index.html"),
    Shape("an API key", ("xai-", "pplx-"), Letters.ALNUM, 40, need=Need.MIXED, source="https://docs.x.ai/docs/overview"),
    Shape("a Replicate token", ("r8_",), Letters.ALNUM, 37, exact=True,
          source="https://replicate.com/docs/topics/security/api-tokens"),
    Shape("a Slack token", ("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"), Letters.DASH, 12,
          need=Need.NUMBER, source="https://docs.slack.dev/authentication/tokens"),
    Shape("a Slack token", ("xoxa-", "xoxe-", "xoxe.xoxb-", "xoxe.xoxp-"), Letters.DASH, 40, need=Need.MIXED,
          source="https://docs.slack.dev/authentication/using-token-rotation"),
    Shape("a Slack webhook", ("hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/"),
          Letters.PATH, 16, kept=True,
          source="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"),
    Shape("a Discord webhook", ("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"), Letters.PATH, 40,
          kept=True, source="https://discord.com/developers/docs/resources/webhook"),
    Shape("a Teams webhook", ("webhook.office.com/webhookb2/",), Letters.ADDRESS, 40, kept=True,
          source="https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook"),
    Shape("a Telegram token", ("api.telegram.org/bot", "api.telegram.org/file/bot"), Letters.ADDRESS, 40, kept=True,
          source="https://core.telegram.org/bots/api#authorizing-your-bot"),
    Shape("a Google API key", ("AIza",), Letters.DASH, 35, exact=True,
          source="https://cloud.google.com/docs/authentication/api-keys"),
    Shape("a Google access token", ("ya29.",), Letters.DOTS, 20,
          source="https://developers.google.com/identity/protocols/oauth2"),
    Shape("a Google client secret", ("GOCSPX-",), Letters.DASH, 28,
          source="https://developers.google.com/identity/protocols/oauth2/web-server"),
    Shape("a Stripe key", ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"), Letters.ALNUM, 16,
          need=Need.DIGIT, source="https://docs.stripe.com/keys"),
    Shape("an npm token", ("npm_",), Letters.ALNUM, 36, exact=True,
          source="https://github.blog/2021-09-23-announcing-npms-new-access-token-format/"),
    Shape("a PyPI token", ("pypi-",), Letters.DASH, 40, need=Need.MIXED, source="https://pypi.org/help/#apitoken"),
    Shape("a Docker token", ("dckr_pat_", "dckr_oat_"), Letters.DASH, 20, need=Need.DIGIT,
          source="https://docs.docker.com/security/access-tokens/"),
    Shape("a Databricks token", ("dapi",), Letters.HEX, 32,
          source="https://docs.databricks.com/aws/en/dev-tools/auth/pat"),
    Shape("a Linear key", ("lin_api_",), Letters.ALNUM, 32, source="https://linear.app/developers/graphql"),
    Shape("a DigitalOcean token", ("dop_v1_", "doo_v1_", "dor_v1_"), Letters.HEX, 64,
          source="https://docs.digitalocean.com/reference/api/create-personal-access-token/"),
    Shape("a Vault token", ("hvs.", "hvb.", "hvr."), Letters.DASH, 24,
          need=Need.MIXED, source="https://developer.hashicorp.com/vault/docs/concepts/tokens"),
    Shape("an age key", ("AGE-SECRET-KEY-1",), Letters.UPPER, 50, source="https://github.com/C2SP/C2SP/blob/main/age.md"),
)

# ------------------------------------------------------------------------------------------------------- names
# Small letters; `_` stands for `_`, `-` or nothing. Comet, ClearML, MLflow and W&B keys have no prefix of their own:
# they are told by the names of their variables (COMET_API_KEY, CLEARML_API_SECRET_KEY, MLFLOW_TRACKING_PASSWORD).

SECRET_PARTS = (
    "api_key", "access_key", "secret_key", "private_key", "signing_key", "encryption_key", "account_key", "auth_key",
    "license_key", "api_keys", "token", "secret", "secrets", "passwd", "password", "passwords", "passphrase", "pwd",
    "credential", "credentials", "authorization", "bearer", "cookie")
"""One of these between separators in a name says that its value is a secret."""
SECRET_ENDS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "secretkey", "privatekey", "accesskey",
               "accountkey", "authkey", "signingkey")
"""So does a name that ends so: PGPASSWORD, accessToken, AccountKey."""
PASS_OWNERS = ("db", "user", "http", "https", "ftp", "proxy", "smtp", "imap", "ssh", "admin", "root", "basic", "mail",
               "email", "become")
"""`smtp_pass`, `proxy_auth` and `db.pass` at a name's end."""
WEAK_ENDS = ("key", "pat", "sig", "signature", "sas", "jwt")
"""The last part of a name that may hold a secret: only a value that looks like one is."""
ABOUT_ENDS = ("file", "path", "url", "uri", "dir", "name", "field", "env", "var", "header", "prompt", "help", "id",
              "type", "regex", "pattern", "format", "len", "length", "size", "policy")
"""The last part of a name that tells about a secret, or where it is: `token_file`. Weak as those."""
NO_SECRET_BEFORE = (
    "max", "min", "num", "new", "n", "special", "pad", "eos", "bos", "unk", "mask", "sep", "cls", "class", "stop",
    "image", "per", "add", "use", "total", "token", "tokens", "vocab", "prompt", "completion", "sort", "group", "join",
    "partition", "primary", "foreign", "label", "dict", "column", "feature", "target", "index", "map", "next", "prev",
    "previous", "last", "first", "start", "end", "begin", "input", "output", "current", "cur", "audio", "video", "sub",
    "de", "bad", "word", "text", "cache", "object", "hash", "rng", "prng", "query", "visual", "vision", "patch",
    "register", "sample", "latent", "trigger", "placeholder")
"""`pad_token`, `max_tokens`, `sort_key`: with `key`, `token` or `tokens` at a name's end it is no secret."""
NO_SECRET_AFTER = (
    "id", "ids", "type", "types", "count", "limit", "length", "budget", "dropout", "embed", "dim", "class", "level",
    "merg", "pool", "mix", "shift", "prun", "drop", "mask", "size", "num", "per", "rate", "index", "idx", "pos",
    "weight", "loss", "acc", "feat", "map", "norm", "ratio", "strategy", "mode", "width", "freq", "stat", "len", "pad",
    "offset", "span", "choice", "shuffle", "stream", "usage", "price", "label", "select", "reduc")
"""`token_type`, `token_classification`: begins what follows `token_` in a name of language models."""
NAMES_OF_FOLDERS = ("PWD", "OLDPWD")
"""Variables of the shell."""
SIGNED_QUERY = ("sig", "signature", "x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature",
                "x-goog-credential")
"""Parts of a signed address: shared access signatures of Azure, presigned ones of AWS and Google.

https://learn.microsoft.com/rest/api/storageservices/create-service-sas
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
https://cloud.google.com/storage/docs/authentication/signatures
"""
STORE_SCHEMES = ("s3", "s3a", "s3n", "gs", "gcs", "az", "abfs", "abfss", "wasb", "wasbs", "hf", "oci", "docker",
                 "oras", "r2", "dvc", "wandb-artifact", "models", "runs", "clearml")
"""Addresses in which `@` also stands before a version or an account: `abfss://container@account…/`."""

# ---------------------------------------------------------------------------------------------------- programs


class Program(NamedTuple):
    """How a program takes a password that no name gives away; from its own manual.

    Attributes:
        joined: what the password directly follows in one word (`-pX`).
        apart: the word before it (`-p X`); an option of one letter may be the last of some that are joined.
        named: whether a setting's name and its value are two words (`aws configure set aws_secret_access_key X`).
        last: where this word is among them, the last one is a password (`mc alias set NAME URL USER X`); an option of
            one letter may be joined with others (`htpasswd -nb USER X`).
        pair: the word before NAME=SECRET, which may be a file's name as well (`curl -b NAME=X`).
        pairs: where this word is among them, every NAME=VALUE behind it is a secret (`vault kv put PATH NAME=X`).
        user: the word before USER:PASSWORD (`http -a USER:X`).
        login: whether 40 hexadecimal digits behind `login` are a key (`wandb login X`).
    """

    joined: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    named: bool = False
    last: str = ""
    login: bool = False
    pair: str = ""
    pairs: str = ""
    user: str = ""


_MYSQL = Program(joined=("-p",))
_SHORT = Program(joined=("-p",), apart=("-p",))
_LDAP = Program(joined=("-w",), apart=("-w",))
_CAPITAL = Program(joined=("-P",), apart=("-P",))
PROGRAMS: Mapping[str, Program] = {
    **dict.fromkeys(("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlshow", "mariadb", "mariadb-dump",
                     "mariadb-admin", "7z", "7za", "7zz", "rar", "unrar"), _MYSQL),
    **dict.fromkeys(("sshpass", "mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport",
                     "twine"), _SHORT),
    "login": _SHORT._replace(login=True),  # of docker, podman, az, helm; of wandb
    "redis-cli": Program(apart=("-a",)),
    "openssl": Program(joined=("pass:",), apart=("-k", "-K")),
    **dict.fromkeys(("zip", "unzip", "sqlcmd", "bcp"), _CAPITAL),
    **dict.fromkeys(("ldapsearch", "ldapmodify"), _LDAP),
    "vault": Program(apart=("login",), pairs="put"),
    "curl": Program(pair="-b"),
    **dict.fromkeys(("http", "https", "xh"), Program(user="-a")),
    **dict.fromkeys(("aws", "dvc", "papermill", "poetry", "rclone", "npm", "pnpm", "yarn"), Program(named=True)),
    "htpasswd": Program(last="-b"),
    "mc": Program(last="set"),
}
USER_OPTIONS = ("-u", "-U", "--user", "--proxy-user")
"""`curl -u USER:PASSWORD`."""
CURL_FLAGS = "sSfLkgiIvNjJqO"
"""Of curl's options of one letter those that take no value: `-sSfLu USER:PASSWORD`. https://curl.se/docs/manpage.html"""
MOST_JOINED = 4
"""So many options of one letter may be joined before a password: `zip -erqP PASSWORD`."""
SECRET_OPTIONS = ("pass", "auth")
"""Names that say so only as options: `--pass X`."""
