/* Takes secrets out of arguments and console lines before they reach the log: they are overwritten with `*` in place.
 * What is one is said by src/roar/credentials/, which also takes them out of the command that the client stores; the
 * tables below are written from it, and the examples in tests/data/credentials.txt hold both to the same. Freestanding,
 * without memory of its own, and in time proportional to the text: it runs inside of other programs' calls. */
#ifndef ROAR_SECRETS_H
#define ROAR_SECRETS_H

#include <stddef.h>

enum {
    SECRETS_DIGIT = 1, SECRETS_UPPER = 2, SECRETS_LOWER = 4, SECRETS_ALNUM = 7, SECRETS_LINE = 8, SECRETS_DASH = 16,
    SECRETS_DOT = 32, SECRETS_BASE64 = 64, SECRETS_SLASH = 128, SECRETS_HEX = 256,
    SECRETS_NAME = SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, SECRETS_BLANK = 512, SECRETS_QUOTE = 1024,
    SECRETS_AT = 8192, /* and a colon */
    SECRETS_RANDOM = SECRETS_NAME | SECRETS_BASE64 | SECRETS_SLASH | SECRETS_AT | 2048, SECRETS_JOINT = 4096
};

/* written by tools/write_secrets.py */
#define SECRETS_NEED_REACH 200
#define SECRETS_NUMBER_LENGTH 10
#define SECRETS_CURL_FLAGS "sSfLkgiIvNjJqO"
#define SECRETS_MOST_JOINED 4
static const struct {
    char prefix[30];
    unsigned short letters;
    unsigned char least, need, exact, kept;
} secrets_shapes[] = {
    {"AKIA", SECRETS_DIGIT | SECRETS_UPPER, 16, 0, 1, 0},
    {"ASIA", SECRETS_DIGIT | SECRETS_UPPER, 16, 0, 1, 0},
    {"ABIA", SECRETS_DIGIT | SECRETS_UPPER, 16, 0, 1, 0},
    {"ACCA", SECRETS_DIGIT | SECRETS_UPPER, 16, 0, 1, 0},
    {"ghp_", SECRETS_ALNUM, 36, 0, 0, 0},
    {"gho_", SECRETS_ALNUM, 36, 0, 0, 0},
    {"ghu_", SECRETS_ALNUM, 36, 0, 0, 0},
    {"ghs_", SECRETS_ALNUM, 36, 0, 0, 0},
    {"ghr_", SECRETS_ALNUM, 36, 0, 0, 0},
    {"github_pat_", SECRETS_ALNUM | SECRETS_LINE, 40, 0, 0, 0},
    {"glpat-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"gldt-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glrt-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glcbt-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glptt-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glft-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glsoat-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"gloas-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glimt-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glagent-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glwt-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glrtr-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"glffct-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"hf_", SECRETS_ALNUM, 34, 0, 1, 0},
    {"api_org_", SECRETS_ALNUM, 34, 0, 1, 0},
    {"wandb_v1_", SECRETS_ALNUM | SECRETS_LINE, 40, 2, 0, 0},
    {"wandb_v2_", SECRETS_ALNUM | SECRETS_LINE, 40, 2, 0, 0},
    {"eyJhcGlf", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_BASE64, 40, 0, 0, 0},
    {"sk-ant-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 24, 2, 0, 0},
    {"sk-proj-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 32, 2, 0, 0},
    {"sk-svcacct-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 32, 2, 0, 0},
    {"sk-admin-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 32, 2, 0, 0},
    {"sk-", SECRETS_ALNUM, 32, 1, 0, 0},
    {"sk-or-v1-", SECRETS_DIGIT | SECRETS_HEX, 64, 0, 0, 0},
    {"gsk_", SECRETS_ALNUM, 40, 2, 0, 0},
    {"nvapi-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 40, 2, 0, 0},
    {"xai-", SECRETS_ALNUM, 40, 2, 0, 0},
    {"pplx-", SECRETS_ALNUM, 40, 2, 0, 0},
    {"r8_", SECRETS_ALNUM, 37, 0, 1, 0},
    {"xoxa-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 12, 3, 0, 0},
    {"xoxb-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 12, 3, 0, 0},
    {"xoxe-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 12, 3, 0, 0},
    {"xoxo-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 12, 3, 0, 0},
    {"xoxp-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 12, 3, 0, 0},
    {"xoxr-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 12, 3, 0, 0},
    {"xoxs-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 12, 3, 0, 0},
    {"xapp-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 12, 3, 0, 0},
    {"xoxa-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 40, 2, 0, 0},
    {"xoxe-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 40, 2, 0, 0},
    {"xoxe.xoxb-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 40, 2, 0, 0},
    {"xoxe.xoxp-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 40, 2, 0, 0},
    {"hooks.slack.com/services/", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH, 16, 0, 0, 1},
    {"hooks.slack.com/workflows/", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH, 16, 0, 0, 1},
    {"hooks.slack.com/triggers/", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH, 16, 0, 0, 1},
    {"discord.com/api/webhooks/", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH, 40, 0, 0, 1},
    {"discordapp.com/api/webhooks/", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH, 40, 0, 0, 1},
    {"webhook.office.com/webhookb2/", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH | SECRETS_AT, 40, 0, 0, 1},
    {"api.telegram.org/bot", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH | SECRETS_AT, 40, 0, 0, 1},
    {"api.telegram.org/file/bot", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_SLASH | SECRETS_AT, 40, 0, 0, 1},
    {"AIza", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 35, 0, 1, 0},
    {"ya29.", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH | SECRETS_DOT, 20, 0, 0, 0},
    {"GOCSPX-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 28, 0, 0, 0},
    {"sk_live_", SECRETS_ALNUM, 16, 1, 0, 0},
    {"sk_test_", SECRETS_ALNUM, 16, 1, 0, 0},
    {"rk_live_", SECRETS_ALNUM, 16, 1, 0, 0},
    {"rk_test_", SECRETS_ALNUM, 16, 1, 0, 0},
    {"whsec_", SECRETS_ALNUM, 16, 1, 0, 0},
    {"npm_", SECRETS_ALNUM, 36, 0, 1, 0},
    {"pypi-", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 40, 2, 0, 0},
    {"dckr_pat_", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 20, 1, 0, 0},
    {"dckr_oat_", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 20, 1, 0, 0},
    {"dapi", SECRETS_DIGIT | SECRETS_HEX, 32, 0, 0, 0},
    {"lin_api_", SECRETS_ALNUM, 32, 0, 0, 0},
    {"dop_v1_", SECRETS_DIGIT | SECRETS_HEX, 64, 0, 0, 0},
    {"doo_v1_", SECRETS_DIGIT | SECRETS_HEX, 64, 0, 0, 0},
    {"dor_v1_", SECRETS_DIGIT | SECRETS_HEX, 64, 0, 0, 0},
    {"hvs.", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 24, 2, 0, 0},
    {"hvb.", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 24, 2, 0, 0},
    {"hvr.", SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH, 24, 2, 0, 0},
    {"AGE-SECRET-KEY-1", SECRETS_DIGIT | SECRETS_UPPER, 50, 0, 0, 0},
};
static const char secrets_secret_parts[][15] = {
    "api_key", "access_key", "secret_key", "private_key", "signing_key", "encryption_key", "account_key",
    "auth_key", "license_key", "api_keys", "token", "secret", "secrets", "passwd", "password", "passwords",
    "passphrase", "pwd", "credential", "credentials", "authorization", "bearer", "cookie",
};
static const char secrets_secret_ends[][11] = {
    "password", "passwd", "passphrase", "secret", "token", "apikey", "secretkey", "privatekey", "accesskey",
    "accountkey", "authkey", "signingkey",
};
static const char secrets_pass_owners[][7] = {
    "db", "user", "http", "https", "ftp", "proxy", "smtp", "imap", "ssh", "admin", "root", "basic", "mail", "email",
    "become",
};
static const char secrets_weak_ends[][10] = {
    "key", "pat", "sig", "signature", "sas", "jwt",
};
static const char secrets_about_ends[][8] = {
    "file", "path", "url", "uri", "dir", "name", "field", "env", "var", "header", "prompt", "help", "id", "type",
    "regex", "pattern", "format", "len", "length", "size", "policy",
};
static const char secrets_no_secret_before[][12] = {
    "max", "min", "num", "new", "n", "special", "pad", "eos", "bos", "unk", "mask", "sep", "cls", "class", "stop",
    "image", "per", "add", "use", "total", "token", "tokens", "vocab", "prompt", "completion", "sort", "group",
    "join", "partition", "primary", "foreign", "label", "dict", "column", "feature", "target", "index", "map",
    "next", "prev", "previous", "last", "first", "start", "end", "begin", "input", "output", "current", "cur",
    "audio", "video", "sub", "de", "bad", "word", "text", "cache", "object", "hash", "rng", "prng", "query",
    "visual", "vision", "patch", "register", "sample", "latent", "trigger", "placeholder",
};
static const char secrets_no_secret_after[][9] = {
    "id", "ids", "type", "types", "count", "limit", "length", "budget", "dropout", "embed", "dim", "class", "level",
    "merg", "pool", "mix", "shift", "prun", "drop", "mask", "size", "num", "per", "rate", "index", "idx", "pos",
    "weight", "loss", "acc", "feat", "map", "norm", "ratio", "strategy", "mode", "width", "freq", "stat", "len",
    "pad", "offset", "span", "choice", "shuffle", "stream", "usage", "price", "label", "select", "reduc",
};
static const char secrets_names_of_folders[][7] = {
    "PWD", "OLDPWD",
};
static const char secrets_signed_query[][21] = {
    "sig", "signature", "x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature",
    "x-goog-credential",
};
static const char secrets_store_schemes[][15] = {
    "s3", "s3a", "s3n", "gs", "gcs", "az", "abfs", "abfss", "wasb", "wasbs", "hf", "oci", "docker", "oras", "r2",
    "dvc", "wandb-artifact", "models", "runs", "clearml",
};
static const char secrets_user_options[][13] = {
    "-u", "-U", "--user", "--proxy-user",
};
static const char secrets_secret_options[][5] = {
    "pass", "auth",
};
static const struct secrets_program {
    char name[16], joined[8], apart[2][8], last[4], pair[4], pairs[4], user[4];
    unsigned char named, login;
} secrets_programs[] = {
    {"mysql", "-p", {""}, "", "", "", "", 0, 0},
    {"mysqldump", "-p", {""}, "", "", "", "", 0, 0},
    {"mysqladmin", "-p", {""}, "", "", "", "", 0, 0},
    {"mysqlimport", "-p", {""}, "", "", "", "", 0, 0},
    {"mysqlshow", "-p", {""}, "", "", "", "", 0, 0},
    {"mariadb", "-p", {""}, "", "", "", "", 0, 0},
    {"mariadb-dump", "-p", {""}, "", "", "", "", 0, 0},
    {"mariadb-admin", "-p", {""}, "", "", "", "", 0, 0},
    {"7z", "-p", {""}, "", "", "", "", 0, 0},
    {"7za", "-p", {""}, "", "", "", "", 0, 0},
    {"7zz", "-p", {""}, "", "", "", "", 0, 0},
    {"rar", "-p", {""}, "", "", "", "", 0, 0},
    {"unrar", "-p", {""}, "", "", "", "", 0, 0},
    {"sshpass", "-p", {"-p"}, "", "", "", "", 0, 0},
    {"mongo", "-p", {"-p"}, "", "", "", "", 0, 0},
    {"mongosh", "-p", {"-p"}, "", "", "", "", 0, 0},
    {"mongodump", "-p", {"-p"}, "", "", "", "", 0, 0},
    {"mongorestore", "-p", {"-p"}, "", "", "", "", 0, 0},
    {"mongoexport", "-p", {"-p"}, "", "", "", "", 0, 0},
    {"mongoimport", "-p", {"-p"}, "", "", "", "", 0, 0},
    {"twine", "-p", {"-p"}, "", "", "", "", 0, 0},
    {"login", "-p", {"-p"}, "", "", "", "", 0, 1},
    {"redis-cli", "", {"-a"}, "", "", "", "", 0, 0},
    {"openssl", "pass:", {"-k", "-K"}, "", "", "", "", 0, 0},
    {"zip", "-P", {"-P"}, "", "", "", "", 0, 0},
    {"unzip", "-P", {"-P"}, "", "", "", "", 0, 0},
    {"sqlcmd", "-P", {"-P"}, "", "", "", "", 0, 0},
    {"bcp", "-P", {"-P"}, "", "", "", "", 0, 0},
    {"ldapsearch", "-w", {"-w"}, "", "", "", "", 0, 0},
    {"ldapmodify", "-w", {"-w"}, "", "", "", "", 0, 0},
    {"vault", "", {"login"}, "", "", "put", "", 0, 0},
    {"curl", "", {""}, "", "-b", "", "", 0, 0},
    {"http", "", {""}, "", "", "", "-a", 0, 0},
    {"https", "", {""}, "", "", "", "-a", 0, 0},
    {"xh", "", {""}, "", "", "", "-a", 0, 0},
    {"aws", "", {""}, "", "", "", "", 1, 0},
    {"dvc", "", {""}, "", "", "", "", 1, 0},
    {"papermill", "", {""}, "", "", "", "", 1, 0},
    {"poetry", "", {""}, "", "", "", "", 1, 0},
    {"rclone", "", {""}, "", "", "", "", 1, 0},
    {"npm", "", {""}, "", "", "", "", 1, 0},
    {"pnpm", "", {""}, "", "", "", "", 1, 0},
    {"yarn", "", {""}, "", "", "", "", 1, 0},
    {"htpasswd", "", {""}, "-b", "", "", "", 0, 0},
    {"mc", "", {""}, "set", "", "", "", 0, 0},
};
/* end of the written part */

#define SECRETS_EACH(list) (sizeof(list) / sizeof *(list))
#define SECRETS_LONG_NAME 200u  /* characters of a name's end that are looked at */
#define SECRETS_LONG 12u        /* characters of a value that is told by its looks alone */
#define SECRETS_SHORT 6u
#define SECRETS_SEGMENT 8u      /* of a folder's name */
#define SECRETS_LONG_WORD 24u

struct secrets_span {
    const char *text;
    size_t length;
};

static inline unsigned secrets_letter(char c)
{
    if (c >= '0' && c <= '9')
        return SECRETS_DIGIT;
    if (c >= 'A' && c <= 'Z')
        return SECRETS_UPPER;
    if (c >= 'a' && c <= 'z')
        return c <= 'f' ? SECRETS_LOWER | SECRETS_HEX : SECRETS_LOWER;
    switch (c) {
    case '_': return SECRETS_LINE;
    case '-': return SECRETS_DASH;
    case '.': return SECRETS_DOT;
    case '+': case '=': return SECRETS_BASE64;
    case '/': return SECRETS_BASE64 | SECRETS_SLASH;
    case '@': case ':': return SECRETS_AT;
    case '~': case '!': case '#': case '$': case '%': case '^': case '*': return 2048;
    case ' ': case '\t': return SECRETS_BLANK;
    case '"': case '\'': case '`': return SECRETS_QUOTE;
    case ';': case '|': case '&': case '\n': case '\r': return SECRETS_JOINT;
    default: return 0;
    }
}

static inline int secrets_is(char c, unsigned letters)
{
    return (secrets_letter(c) & letters) != 0;
}

static inline size_t secrets_length(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

static inline char secrets_small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* How much of the text a word takes up, 0 where it does not stand there; its `_` is `_`, `-` or nothing. */
static inline size_t secrets_word(struct secrets_span s, size_t at, const char *word)
{
    size_t i = at;
    for (; *word; word++) {
        if (*word == '_' && !(i < s.length && (s.text[i] == '_' || s.text[i] == '-')))
            continue;
        if (i >= s.length || (*word != '_' && secrets_small(s.text[i]) != *word))
            return 0;
        i++;
    }
    return i - at;
}

static inline int secrets_begins(struct secrets_span s, size_t at, const char *word)
{
    for (; *word; word++, at++)
        if (at >= s.length || s.text[at] != *word)
            return 0;
    return 1;
}

static inline int secrets_same(struct secrets_span s, const char *word)
{
    return s.length == secrets_length(word) && secrets_begins(s, 0, word);
}

static inline int secrets_listed(struct secrets_span s, const char *list, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++)
        if (secrets_same(s, list + i * width))
            return 1;
    return 0;
}

#define SECRETS_LISTED(span, list) secrets_listed(span, (list)[0], SECRETS_EACH(list), sizeof(list)[0])

static inline struct secrets_span secrets_part(struct secrets_span s, size_t from, size_t to)
{
    return (struct secrets_span){s.text + from, to - from};
}

static inline size_t secrets_run(struct secrets_span s, size_t at, unsigned letters)
{
    while (at < s.length && secrets_is(s.text[at], letters))
        at++;
    return at;
}

/* The length of the run of these letters at the very end. */
static inline size_t secrets_run_back(struct secrets_span s, unsigned letters)
{
    size_t length = 0;
    while (length < s.length && secrets_is(s.text[s.length - 1 - length], letters))
        length++;
    return length;
}

static inline void secrets_overwrite(char *text, size_t from, size_t to)
{
    while (from < to)
        text[from++] = '*';
}

/* ---- names: 2 holds a secret, 1 one if the value looks like one, 0 none */

static inline int secrets_is_between(char c)
{
    return c == '_' || c == '-' || c == '.';
}

static inline int secrets_starts_part(struct secrets_span s, size_t at)
{
    return at == 0 || secrets_is_between(s.text[at - 1]);
}

static inline int secrets_no_secret_name(struct secrets_span s)
{
    static const char ends[][8] = {"key", "token", "tokens"};
    for (size_t at = 0; at < s.length; at++) {
        size_t size;
        for (size_t b = 0; secrets_starts_part(s, at) && b < SECRETS_EACH(secrets_no_secret_before); b++) {
            if (!(size = secrets_word(s, at, secrets_no_secret_before[b])))
                continue;
            size += at;
            size += size < s.length && (s.text[size] == '_' || s.text[size] == '-');
            for (size_t e = 0; e < SECRETS_EACH(ends); e++)
                if (size + secrets_length(ends[e]) == s.length && secrets_word(s, size, ends[e]))
                    return 1;
        }
        if (!secrets_word(s, at, "token"))
            continue;
        size = at + 5;
        if (secrets_word(s, size, "ize") || secrets_word(s, size, "ise") || (size + 1 == s.length && secrets_word(s, size, "s")))
            return 1;
        for (size_t a = 0; size < s.length && (s.text[size] == '_' || s.text[size] == '-') &&
                           a < SECRETS_EACH(secrets_no_secret_after); a++)
            if (secrets_word(s, size + 1, secrets_no_secret_after[a]))
                return 1;
    }
    return 0;
}

static inline int secrets_says_secret(struct secrets_span s)
{
    size_t size, digits = secrets_run_back(s, SECRETS_DIGIT);
    for (size_t at = 0; at < s.length; at++) {
        if (!secrets_starts_part(s, at))
            continue;
        for (size_t p = 0; p < SECRETS_EACH(secrets_secret_parts); p++)
            if ((size = secrets_word(s, at, secrets_secret_parts[p])) &&
                (at + size == s.length || secrets_is_between(s.text[at + size]) ||
                 secrets_is(s.text[at + size], SECRETS_DIGIT)))
                return 1;
        for (size_t o = 0; at + 5 < s.length && o < SECRETS_EACH(secrets_pass_owners); o++)
            if ((size = secrets_word(s, at, secrets_pass_owners[o])) && at + size + 5 == s.length &&
                (secrets_word(s, at + size, "_pass") == 5 || secrets_word(s, at + size, "_auth") == 5 ||
                 (s.text[at + size] == '.' && (secrets_word(s, at + size + 1, "pass") == 4 ||
                                               secrets_word(s, at + size + 1, "auth") == 4))))
                return 1;
    }
    for (size_t e = 0; e < SECRETS_EACH(secrets_secret_ends); e++) {
        size = secrets_length(secrets_secret_ends[e]);
        if (s.length - digits >= size && secrets_word(s, s.length - digits - size, secrets_secret_ends[e]))
            return 1;
    }
    return 0;
}

static inline int secrets_last_part_is(struct secrets_span s, const char *list, size_t count, size_t width)
{
    size_t at = s.length;
    while (!secrets_starts_part(s, at))
        at--;
    for (size_t i = 0; i < count; i++)
        if (at + secrets_length(list + i * width) == s.length && secrets_word(s, at, list + i * width))
            return at > 0 ? 2 : 1;
    return 0;
}

static inline int secrets_strength(struct secrets_span name)
{
    if (name.length > SECRETS_LONG_NAME)
        name = secrets_part(name, name.length - SECRETS_LONG_NAME, name.length);
    if (SECRETS_LISTED(name, secrets_names_of_folders) || secrets_no_secret_name(name))
        return 0;
    if (secrets_says_secret(name))
        return 2 - (secrets_last_part_is(name, secrets_about_ends[0], SECRETS_EACH(secrets_about_ends),
                                         sizeof secrets_about_ends[0]) == 2);
    return secrets_last_part_is(name, secrets_weak_ends[0], SECRETS_EACH(secrets_weak_ends),
                                sizeof secrets_weak_ends[0]) > 0;
}

static inline int secrets_strength_of_option(struct secrets_span option)
{
    size_t at = 0;
    while (at < option.length && (option.text[at] == '-' || option.text[at] == '+'))
        at++;
    struct secrets_span name = secrets_part(option, at, option.length);
    for (size_t i = 0; at && option.text[0] == '-' && i < SECRETS_EACH(secrets_secret_options); i++)
        if (secrets_word(name, 0, secrets_secret_options[i]) == name.length)
            return 2;
    return secrets_strength(name);
}

static inline int secrets_is_password_name(struct secrets_span s)
{
    static const char ends[][12] = {"pass", "passwd", "password", "passphrase", "pwd"};
    s.length -= secrets_run_back(s, SECRETS_DIGIT);
    for (size_t e = 0; e < SECRETS_EACH(ends); e++) {
        size_t size = secrets_length(ends[e]);
        if (s.length >= size && secrets_word(s, s.length - size, ends[e]))
            return 1;
    }
    return 0;
}

static inline int secrets_is_shouted(struct secrets_span s)
{
    int letters = 0;
    for (size_t i = 0; i < s.length; i++) {
        if (secrets_is(s.text[i], SECRETS_LOWER))
            return 0;
        letters |= secrets_is(s.text[i], SECRETS_UPPER);
    }
    return letters;
}

/* ---- values */

static inline int secrets_is_no_value(struct secrets_span v)
{
    static const char constants[][12] = {"None", "null", "nil", "true", "false", "True", "False", "...", "redacted",
                                         "\xe2\x80\xa6"};
    char first = v.length ? v.text[0] : 0, last = v.length ? v.text[v.length - 1] : 0;
    size_t same = 0, letters;
    if (!v.length || first == '$' || secrets_begins(v, 0, "[redacted]"))
        return 1;
    if (v.length > 1 && ((first == '{' && last == '}') || (first == '<' && last == '>')))
        return 1;
    while (same < v.length && v.text[same] == first)
        same++;
    if (same == v.length && (first == '*' || (first == 'x' && same > 2)))
        return 1;
    letters = secrets_run(v, 1, SECRETS_UPPER | SECRETS_LOWER | SECRETS_LINE);
    if (first == '[' && letters > 1 && letters < v.length && v.text[letters] == ']' &&
        secrets_run_back(v, SECRETS_ALNUM | SECRETS_LINE) == 0)
        return 1;
    return SECRETS_LISTED(v, constants);
}

static inline int secrets_looks_random(struct secrets_span v, size_t least)
{
    unsigned seen = 0;
    for (size_t i = 0; i < v.length; i++) {
        unsigned letter = secrets_letter(v.text[i]);
        if (!(letter & SECRETS_RANDOM))
            return 0;
        seen |= letter;
    }
    return v.length >= least && (seen & SECRETS_DIGIT) && (seen & (SECRETS_UPPER | SECRETS_LOWER));
}

/* A word, a number or the two: group, epoch10, 2024, 7b. */
static inline int secrets_is_readable_piece(struct secrets_span p)
{
    size_t letters = secrets_run(p, 0, SECRETS_UPPER | SECRETS_LOWER), digits = secrets_run(p, letters, SECRETS_DIGIT);
    if (p.length > SECRETS_LONG_WORD)
        return 0;
    if (digits == p.length && digits - letters <= 4)
        return 1;
    if (letters == 0)
        return digits <= 8 && p.length - digits <= 2 && secrets_run(p, digits, SECRETS_UPPER | SECRETS_LOWER) == p.length;
    return letters == 1 && digits - letters >= 1 && digits - letters <= 4 && p.length - digits <= 2 &&
           secrets_run(p, digits, SECRETS_UPPER | SECRETS_LOWER) == p.length;
}

static inline int secrets_is_readable(struct secrets_span v)
{
    for (size_t at = 0; at < v.length; at++) {
        size_t end = secrets_run(v, at, SECRETS_ALNUM);
        if (!secrets_is_readable_piece(secrets_part(v, at, end)))
            return 0;
        at = end;
    }
    return 1;
}

static inline int secrets_begins_path(struct secrets_span v)
{
    size_t scheme = secrets_run(v, 0, SECRETS_ALNUM | SECRETS_DASH | SECRETS_DOT);
    return secrets_begins(v, 0, "/") || secrets_begins(v, 0, "./") || secrets_begins(v, 0, "../") ||
           secrets_begins(v, 0, "~/") || (scheme && secrets_begins(v, scheme, "://"));
}

static inline int secrets_is_path(struct secrets_span v)
{
    size_t end = secrets_run_back(v, SECRETS_ALNUM), slash = 0;
    if (secrets_begins_path(v))
        return 1;
    while (slash < v.length && v.text[slash] != '/')
        slash++;
    if (slash == v.length)
        return 0;
    return v.text[v.length - 1] == '/' || (end >= 1 && end <= 8 && v.text[v.length - end - 1] == '.' &&
                                           secrets_is(v.text[v.length - end], SECRETS_UPPER | SECRETS_LOWER));
}

static inline int secrets_is_weak(struct secrets_span v)
{
    return secrets_looks_random(v, SECRETS_LONG) && !secrets_is_readable(v) && !secrets_is_path(v);
}

static inline struct secrets_span secrets_unquoted(struct secrets_span v)
{
    while (v.length && (v.text[0] == '"' || v.text[0] == '\''))
        v = secrets_part(v, 1, v.length);
    while (v.length && (v.text[v.length - 1] == '"' || v.text[v.length - 1] == '\''))
        v.length--;
    return v;
}

static inline int secrets_is_argument(struct secrets_span option, struct secrets_span value)
{
    int strength = secrets_strength_of_option(option);
    value = secrets_unquoted(value);
    if (!strength || secrets_is_no_value(value))
        return 0;
    if (strength == 1)
        return secrets_is_weak(value);
    return secrets_is_password_name(option) || !secrets_begins_path(value) || !secrets_is_readable(value);
}

/* NAME=VALUE is a folder of partitioned data. */
static inline int secrets_is_folder(struct secrets_span name, struct secrets_span value)
{
    size_t slash = 0;
    while (slash < value.length && value.text[slash] != '/')
        slash++;
    return slash < value.length && !secrets_is_shouted(name) && !secrets_begins_path(value) && secrets_is_path(value);
}

/* ---- rules, each over the whole text */

static inline int secrets_is_boundary(struct secrets_span s, size_t at)
{
    if (at == 0 || !secrets_is(s.text[at - 1], SECRETS_ALNUM))
        return 1;
    if (at >= 3 && s.text[at - 3] == '%' && !secrets_is(s.text[at - 1], SECRETS_LOWER) &&
        !secrets_is(s.text[at - 2], SECRETS_LOWER | SECRETS_LINE))
        return 1; /* behind %3D */
    return at >= 2 && s.text[at - 2] == '\\' && (s.text[at - 1] == 'n' || s.text[at - 1] == 'r' || s.text[at - 1] == 't');
}

static inline int secrets_has_need(struct secrets_span run, unsigned need)
{
    unsigned seen = 0;
    size_t row = 0, longest = 0;
    for (size_t i = 0; i < run.length && i <= SECRETS_NEED_REACH; i++) {
        seen |= secrets_letter(run.text[i]);
        row = secrets_is(run.text[i], SECRETS_DIGIT) ? row + 1 : 0;
        longest = row > longest ? row : longest;
    }
    switch (need) {
    case 1: return (seen & SECRETS_DIGIT) != 0;
    case 2: return (seen & SECRETS_ALNUM) == SECRETS_ALNUM;
    case 3: return longest >= SECRETS_NUMBER_LENGTH;
    default: return 1;
    }
}

/* Where the credential that begins at `at` ends, 0 if none does; *from: what goes. */
static inline size_t secrets_shape(struct secrets_span s, size_t at, size_t *from)
{
    for (size_t i = 0; i < SECRETS_EACH(secrets_shapes); i++) {
        if (s.text[at] != secrets_shapes[i].prefix[0] || !secrets_begins(s, at, secrets_shapes[i].prefix))
            continue;
        size_t start = at + secrets_length(secrets_shapes[i].prefix);
        struct secrets_span near = s;
        if (near.length - start > SECRETS_NEED_REACH + 1)
            near.length = start + SECRETS_NEED_REACH + 1;
        size_t end = secrets_run(near, start, secrets_shapes[i].letters);
        if (end - start < secrets_shapes[i].least || (secrets_shapes[i].exact && end - start > secrets_shapes[i].least) ||
            !secrets_has_need(secrets_part(s, start, end), secrets_shapes[i].need))
            continue;
        *from = secrets_shapes[i].kept ? start : at;
        return secrets_run(s, end, secrets_shapes[i].letters);
    }
    return 0;
}

/* RFC 7519. One that begins behind a dash, as in a file's name, is short in its first part. */
static inline size_t secrets_web_token(struct secrets_span s, size_t at)
{
    const unsigned letters = SECRETS_ALNUM | SECRETS_LINE | SECRETS_DASH;
    struct secrets_span near = s;
    if (!secrets_begins(s, at, "eyJ"))
        return 0;
    if (at && secrets_is(s.text[at - 1], letters) && s.length - at > 303)
        near.length = at + 303;
    size_t end = secrets_run(near, at, letters);
    if (end - at < 11 || !secrets_begins(s, end, ".eyJ"))
        return 0;
    size_t second = secrets_run(s, end + 1, letters);
    if (second - end < 12 || second >= s.length || s.text[second] != '.')
        return 0;
    return secrets_run(s, second + 1, letters);
}

static inline size_t secrets_private_key(struct secrets_span s, size_t at)
{
    if (!secrets_begins(s, at, "-----BEGIN "))
        return 0;
    struct secrets_span near = s;
    if (near.length - at > 80)
        near.length = at + 80;
    size_t end = secrets_run(near, at + 11, SECRETS_UPPER | SECRETS_DIGIT | SECRETS_BLANK);
    struct secrets_span title = secrets_part(s, at, end);
    int found = 0;
    for (size_t i = 10; i + 11 <= title.length; i++)
        found |= secrets_begins(title, i, "PRIVATE KEY");
    if (!found || !secrets_begins(s, end, "-----"))
        return 0;
    while (end < s.length && !secrets_begins(s, end, "-----END "))
        end++;
    if (end >= s.length)
        return s.length;
    end = secrets_run(s, end + 9, SECRETS_UPPER | SECRETS_DIGIT | SECRETS_BLANK);
    return secrets_run(s, end, SECRETS_DASH);
}

static inline void secrets_hide_shapes(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at < length; at++) {
        size_t from = at, end = 0;
        if (text[at] == '-')
            end = secrets_private_key(s, at);
        else if (secrets_is(text[at], SECRETS_ALNUM) && secrets_is_boundary(s, at)) {
            end = secrets_web_token(s, at);
            if (!end)
                end = secrets_shape(s, at, &from);
        }
        if (end) {
            secrets_overwrite(text, from, end);
            at = end - 1;
        }
    }
}

/* Whether what stands before `@` in an address is a login name alone, or a part of a store's address. */
static inline int secrets_is_harmless_user(struct secrets_span s, size_t scheme_end, struct secrets_span user, size_t behind)
{
    struct secrets_span before = secrets_part(s, scheme_end > 20 ? scheme_end - 20 : 0, scheme_end);
    size_t length = secrets_run_back(before, SECRETS_ALNUM | SECRETS_DASH | SECRETS_DOT);
    struct secrets_span scheme = secrets_part(before, before.length - length, before.length);
    int colon = 0;
    for (size_t i = 0; i < user.length; i++)
        colon |= user.text[i] == ':';
    if (secrets_same(user, "git") ||
        (!colon && length >= 3 && secrets_word(scheme, length - 3, "ssh")))
        return 1;
    if (SECRETS_LISTED(scheme, secrets_store_schemes)) {
        while (behind < s.length && s.text[behind] != '/' && !secrets_is(s.text[behind], SECRETS_BLANK | SECRETS_QUOTE))
            behind++;
        if (!colon || ((behind >= s.length || s.text[behind] != '/') && secrets_is_readable(user)))
            return 1;
    }
    if (colon || !length || secrets_word(scheme, 0, "ftp") || !secrets_is_readable(user))
        return 0;
    for (size_t i = 0; i < length; i++)
        if (secrets_word(scheme, i, "http"))
            return 0;
    return 1;
}

static inline void secrets_hide_users(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at + 3 < length; at++) {
        if (!secrets_begins(s, at, "://"))
            continue;
        size_t sign = 0, end = at + 3;
        for (; end < length && text[end] != '/' && text[end] != '?' && text[end] != '#' && text[end] != '\n' &&
               !secrets_is(text[end], SECRETS_BLANK | SECRETS_QUOTE); end++)
            if (text[end] == '@')
                sign = end;
        if (sign && !secrets_is_harmless_user(s, at, secrets_part(s, at + 3, sign), sign + 1))
            secrets_overwrite(text, at + 3, sign);
        at = end - 1;
    }
}

static inline int secrets_ends_value(char c)
{
    return c == 0 || secrets_is(c, SECRETS_BLANK | SECRETS_QUOTE) || c == '&' || c == ';' || c == '\n' || c == '\r';
}

static inline int secrets_is_signed(struct secrets_span name)
{
    for (size_t i = 0; i < SECRETS_EACH(secrets_signed_query); i++)
        if (name.length == secrets_length(secrets_signed_query[i]) && secrets_word(name, 0, secrets_signed_query[i]))
            return 1;
    return 0;
}

static inline void secrets_hide_queries(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at < length; at++) {
        if (text[at] != '?' && text[at] != '&' && text[at] != ';' && text[at] != '#')
            continue;
        size_t name_end = secrets_run(s, at + 1, SECRETS_NAME), end = name_end + 1;
        struct secrets_span name = secrets_part(s, at + 1, name_end);
        if (!name.length || name_end >= length || text[name_end] != '=')
            continue;
        int is_signed = secrets_is_signed(name), strength = secrets_strength(name), weak = !is_signed && strength == 1;
        if (!is_signed && !strength)
            continue;
        while (end < length && !secrets_ends_value(text[end]) && text[end] != '#')
            end++;
        struct secrets_span value = secrets_part(s, name_end + 1, end);
        if (!secrets_is_no_value(value) && (!weak || secrets_is_weak(value)) &&
            (text[at] == '?' || text[at] == '&' || secrets_looks_random(value, SECRETS_LONG)))
            secrets_overwrite(text, name_end + 1, end);
        at = end - 1;
    }
}

/* The end of a word: quoted, or up to a blank or a sign of the shell. */
static inline size_t secrets_argument_end(struct secrets_span s, size_t at)
{
    size_t start = at;
    if (at < s.length && (s.text[at] == '"' || s.text[at] == '\'')) {
        char quote = s.text[at++];
        while (at < s.length && s.text[at] != quote)
            at += s.text[at] == '\\' && quote == '"' ? 2 : 1;
        return at < s.length ? at + 1 : start;
    }
    while (at < s.length && s.text[at] != ')' && !secrets_is(s.text[at], SECRETS_BLANK | SECRETS_QUOTE | SECRETS_JOINT))
        at++;
    return at;
}

/* USER:PASSWORD, which neither two numbers nor a path behind a host is. */
static inline int secrets_is_user_and_password(struct secrets_span v)
{
    v = secrets_unquoted(v);
    size_t user = 0;
    while (user < v.length && v.text[user] != ':') {
        if (!secrets_is(v.text[user], SECRETS_NAME) && v.text[user] != '@' && v.text[user] != '+' && v.text[user] != '%')
            return 0;
        user++;
    }
    if (user == 0 || user + 1 >= v.length || secrets_is(v.text[user + 1], SECRETS_SLASH | SECRETS_DOT) ||
        v.text[user + 1] == '~' || v.text[user + 1] == '$')
        return 0;
    for (size_t i = user + 1; i < v.length; i++)
        if (secrets_is(v.text[i], SECRETS_BLANK | SECRETS_QUOTE | SECRETS_JOINT))
            return 0;
    return secrets_run(v, 0, SECRETS_DIGIT) != user || secrets_run(v, user + 1, SECRETS_DIGIT) != v.length;
}

/* Whether options of one letter are joined of which the last is `letter`; the others are some of `flags`, or any. */
static inline int secrets_is_joined(struct secrets_span o, char letter, const char *flags)
{
    if (o.length < 3 || o.text[0] != '-' || o.text[o.length - 1] != letter)
        return 0;
    for (size_t i = 1; i + 1 < o.length; i++) {
        size_t known = 0;
        while (flags && flags[known] && flags[known] != o.text[i])
            known++;
        if (flags ? !flags[known] : !secrets_is(o.text[i], SECRETS_UPPER | SECRETS_LOWER))
            return 0;
    }
    return 1;
}

/* Whether USER:PASSWORD may stand behind an option. */
static inline int secrets_takes_user(struct secrets_span o)
{
    return SECRETS_LISTED(o, secrets_user_options) || secrets_is_joined(o, 'u', SECRETS_CURL_FLAGS) ||
           secrets_is_joined(o, 'U', SECRETS_CURL_FLAGS);
}

static inline void secrets_hide_options(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at < length; at++) {
        if (text[at] != '-' || (at && !secrets_is(text[at - 1], SECRETS_BLANK | SECRETS_QUOTE) && text[at - 1] != '\n' &&
                                text[at - 1] != '(' && text[at - 1] != '['))
            continue;
        size_t name_end = secrets_run(s, at, SECRETS_NAME);
        size_t blank = name_end + (name_end < length && secrets_is(text[name_end], SECRETS_QUOTE));
        size_t from = secrets_run(s, blank, SECRETS_BLANK);
        struct secrets_span option = secrets_part(s, at, name_end);
        at = name_end - 1;
        if (from == blank || from >= length || text[from] == '-' || text[from] == '=' || text[from] == ':')
            continue;
        size_t end = secrets_argument_end(s, from);
        struct secrets_span value = secrets_part(s, from, end);
        if (secrets_takes_user(option) ? secrets_is_user_and_password(value) : secrets_is_argument(option, value)) {
            secrets_overwrite(text, from, end);
            at = end - 1;
        }
    }
}

/* The words behind a program's name. */
struct secrets_call {
    const struct secrets_program *program;
    struct secrets_span before;
    char *last;
    size_t last_length;
    int flagged, pairs;
};

static inline const struct secrets_program *secrets_program_of(struct secrets_span word)
{
    size_t base = word.length;
    while (base && word.text[base - 1] != '/')
        base--;
    for (size_t i = 0; i < SECRETS_EACH(secrets_programs); i++)
        if (secrets_same(secrets_part(word, base, word.length), secrets_programs[i].name))
            return &secrets_programs[i];
    return NULL;
}

static inline int secrets_is_variable(struct secrets_span v)
{
    v = secrets_unquoted(v);
    return v.length > 0 && v.text[0] == '$';
}

static inline int secrets_is_hexadecimal_key(struct secrets_span v)
{
    v = secrets_unquoted(v);
    return v.length == 40 && secrets_run(v, 0, SECRETS_DIGIT | SECRETS_HEX) == 40;
}

/* The letters of an option that may be the last of some that are joined. */
static inline int secrets_is_apart(struct secrets_span before, const char *sign)
{
    return sign[0] && (secrets_same(before, sign) ||
                       (secrets_length(sign) == 2 && sign[0] == '-' && before.length <= SECRETS_MOST_JOINED + 1 &&
                        secrets_is_joined(before, sign[1], NULL)));
}

/* NAME=VALUE: what stands behind the sign goes. */
static inline void secrets_hide_pair(char *word, size_t length)
{
    struct secrets_span w = {word, length};
    size_t from = length && secrets_is(word[0], SECRETS_QUOTE), end = length;
    if (from && length > 1 && word[length - 1] == word[0])
        end--;
    if (word[from] == '-')
        return;
    while (from < end && word[from] != '=')
        from++;
    if (from + 1 < end && !secrets_is_no_value(secrets_part(w, from + 1, end)))
        secrets_overwrite(word, from + 1, end);
}

static inline void secrets_call_word(struct secrets_call *call, char *word, size_t length)
{
    const struct secrets_program *program = call->program;
    struct secrets_span w = {word, length};
    size_t joined = secrets_length(program->joined);
    int behind = 0;
    for (size_t i = 0; i < SECRETS_EACH(program->apart); i++)
        behind |= secrets_is_apart(call->before, program->apart[i]);
    if (program->user[0] && secrets_same(call->before, program->user))
        behind |= secrets_is_user_and_password(w);
    if (program->named && call->before.length && call->before.text[0] != '-' && secrets_strength(call->before) == 2)
        behind |= secrets_is_argument(call->before, w);
    if (call->pairs || secrets_is_apart(call->before, program->pair))
        secrets_hide_pair(word, length);
    else if (!secrets_is_variable(w)) {
        if ((behind && word[0] != '-') || (program->login && secrets_is_hexadecimal_key(w)))
            secrets_overwrite(word, 0, length);
        else if (joined && length > joined && secrets_begins(w, 0, program->joined) &&
                 !secrets_is_variable(secrets_part(w, joined, length)))
            secrets_overwrite(word, joined, length);
    }
    call->flagged |= program->last[0] && secrets_same(w, program->last);
    call->pairs |= program->pairs[0] && secrets_same(w, program->pairs);
    if (program->last[0] == '-' && word[0] == '-' && secrets_run(w, 1, SECRETS_UPPER | SECRETS_LOWER) == length)
        for (size_t i = 1; i < length; i++)
            call->flagged |= word[i] == program->last[1];
    call->before = w;
    call->last = word;
    call->last_length = length;
}

static inline void secrets_call_end(struct secrets_call *call)
{
    struct secrets_span last = {call->last, call->last_length};
    if (call->program && call->flagged && call->last && call->last[0] != '-' &&
        !secrets_is_variable(last))
        secrets_overwrite(call->last, 0, call->last_length);
}

/* The end of a word, in which quoted parts may have blanks. */
static inline size_t secrets_shell_word_end(struct secrets_span s, size_t at, size_t end)
{
    s.length = end;
    while (at < end && s.text[at] != ')' && s.text[at] != '`' && !secrets_is(s.text[at], SECRETS_BLANK)) {
        size_t quoted = secrets_is(s.text[at], SECRETS_QUOTE) ? secrets_argument_end(s, at) : at + 1;
        if (quoted == at)
            break;
        at = quoted;
    }
    return at;
}

static inline size_t secrets_hide_call(char *text, size_t at, size_t length, const struct secrets_program *program)
{
    struct secrets_span s = {text, length};
    struct secrets_call call = {.program = program};
    size_t end = at;
    while (end < length && !secrets_is(text[end], SECRETS_JOINT))
        end++;
    while (at < end) {
        size_t word_end = secrets_shell_word_end(s, at, end);
        if (word_end > at)
            secrets_call_word(&call, text + at, word_end - at);
        at = word_end > at ? word_end : at + 1;
    }
    secrets_call_end(&call);
    return end;
}

static inline void secrets_hide_calls(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at < length; at++) {
        if (!secrets_is(text[at], SECRETS_NAME))
            continue;
        size_t end = secrets_run(s, at, SECRETS_NAME);
        const struct secrets_program *program = NULL;
        if (end < length && secrets_is(text[end], SECRETS_BLANK))
            program = secrets_program_of(secrets_part(s, at, end));
        at = program ? secrets_hide_call(text, end, length, program) : end;
    }
}

/* The end of `Bearer ` or another scheme of authentication at `at`, or `at`. */
static inline size_t secrets_scheme_end(struct secrets_span s, size_t at)
{
    static const char schemes[][8] = {"bearer", "basic", "token", "digest"};
    for (size_t i = 0; i < SECRETS_EACH(schemes); i++) {
        size_t size = secrets_word(s, at, schemes[i]), end = secrets_run(s, at + size, SECRETS_BLANK);
        if (size && end > at + size)
            return end;
    }
    return at;
}

static inline void secrets_hide_bearers(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at < length; at++) {
        char first = secrets_small(text[at]);
        if ((first != 'b' && first != 't') || (at && secrets_is(text[at - 1], SECRETS_NAME | SECRETS_SLASH)))
            continue;
        size_t from = secrets_scheme_end(s, at);
        if (from == at)
            continue;
        size_t end = secrets_run(s, from, SECRETS_NAME | SECRETS_BASE64);
        struct secrets_span value = secrets_part(s, from, end);
        if (value.length < 8 || (!secrets_word(s, at, "bearer") && (secrets_is_readable(value) || !secrets_looks_random(value, 8))))
            continue;
        secrets_overwrite(text, from, end);
        at = end - 1;
    }
}

/* X-Api-Key, PRIVATE-TOKEN, Cookie: what stands behind such a name is the whole rest of the line. */
static inline int secrets_is_header(struct secrets_span name)
{
    int dash = 0, capital = 0;
    for (size_t i = 0; i < name.length; i++) {
        dash |= name.text[i] == '-';
        capital |= secrets_is(name.text[i], SECRETS_UPPER);
    }
    return (name.length == 13 && secrets_word(name, 0, "authorization")) ||
           (name.length == 6 && secrets_word(name, 0, "cookie")) ||
           (dash && name.text[0] != '-' && (capital || secrets_begins(name, 0, "x-")));
}

/* A value without quotes. `token = tokenizer(x)` is code. */
static inline int secrets_is_value(struct secrets_span name, struct secrets_span value, int spaced, int colon)
{
    size_t word = secrets_run(value, 0, SECRETS_ALNUM | SECRETS_LINE | SECRETS_DOT);
    if (secrets_is_no_value(value) || (word && word < value.length && (value.text[word] == '(' || value.text[word] == '[')))
        return 0;
    if (secrets_strength(name) == 1)
        return secrets_is_weak(value);
    if (!secrets_is_password_name(name) && secrets_begins_path(value) && secrets_is_readable(value))
        return 0;
    if (secrets_looks_random(value, SECRETS_LONG))
        return 1;
    if (spaced && (secrets_run(value, 0, SECRETS_DIGIT) == value.length || secrets_is(value.text[0], SECRETS_JOINT) ||
                   value.text[0] == '(' || value.text[0] == '[' || value.text[0] == '{'))
        return 0;
    return secrets_is_shouted(name) || (secrets_is_password_name(name) && !colon && !spaced) ||
           secrets_looks_random(value, SECRETS_SHORT);
}

struct secrets_assignment {
    struct secrets_span name;
    size_t from, end; /* of the value */
    char quote;
    int spaced, colon, closed, folder; /* folder: it stands in a path */
};

/* Reads NAME=, NAME: or "NAME": " of a name that ends at `name_end`; returns whether it is one. */
static inline int secrets_read_name(struct secrets_span s, size_t start, size_t name_end, struct secrets_assignment *a)
{
    size_t sign;
    *a = (struct secrets_assignment){.name = secrets_part(s, start, name_end), .end = name_end};
    while (name_end < s.length && (s.text[name_end] == '\\' || secrets_is(s.text[name_end], SECRETS_QUOTE) ||
                                   s.text[name_end] == ']')) {
        a->closed = 1;
        name_end++;
    }
    sign = secrets_run(s, name_end, SECRETS_BLANK);
    if (sign >= s.length || (s.text[sign] != '=' && s.text[sign] != ':'))
        return 0;
    a->colon = s.text[sign] == ':';
    if (sign + 1 < s.length && (s.text[sign + 1] == '=' || s.text[sign + 1] == '>'))
        return 0; /* a comparison */
    a->from = secrets_run(s, sign + 1, SECRETS_BLANK);
    if (a->colon && (secrets_begins(s, sign + 1, "//") || secrets_begins(s, secrets_run(s, sign + 1, SECRETS_NAME), "=")))
        return 0; /* an address; a section before the name proper */
    a->spaced = sign > name_end || a->from > sign + 1;
    while (a->from < s.length && (s.text[a->from] == '\\' || secrets_is(s.text[a->from], SECRETS_QUOTE)))
        a->quote = s.text[a->from++];
    a->folder = start > 0 && s.text[start - 1] == '/' && !a->colon && !a->spaced && !a->quote && !secrets_is_shouted(a->name);
    return 1;
}

static inline void secrets_read_value(struct secrets_span s, struct secrets_assignment *a)
{
    a->end = a->from;
    while (a->end < s.length && (a->quote ? s.text[a->end] != a->quote && s.text[a->end] != '\\' && s.text[a->end] != '\n'
                                          : !secrets_ends_value(s.text[a->end]) && s.text[a->end] != ',' &&
                                                s.text[a->end] != '}' && !(a->folder && s.text[a->end] == '/')))
        a->end++;
}

static inline int secrets_is_assigned(struct secrets_span s, struct secrets_assignment *a, int strength)
{
    struct secrets_span value = secrets_part(s, a->from, a->end);
    if (!value.length)
        return 0;
    if (!strength)
        return a->closed && a->quote && secrets_same(a->name, "pass") && secrets_looks_random(value, SECRETS_SHORT);
    if (a->quote && strength == 2)
        return !secrets_is_no_value(value) && value.text[0] != ')' && value.text[0] != ',' &&
               (secrets_looks_random(value, SECRETS_LONG) ||
                (!(secrets_begins_path(value) && secrets_is_readable(value)) &&
                 (value.length >= 4 || secrets_is_shouted(a->name))));
    if (a->colon && secrets_is_header(a->name)) {
        a->from = secrets_scheme_end(s, a->from);
        while (a->end < s.length && !secrets_is(s.text[a->end], SECRETS_QUOTE) && s.text[a->end] != '\n' &&
               s.text[a->end] != '\r')
            a->end++;
        return a->end > a->from && !secrets_is_no_value(secrets_part(s, a->from, a->end));
    }
    if (a->folder || (!a->colon && !a->closed && !a->quote && secrets_is_folder(a->name, value))) {
        for (size_t i = a->from; i < a->end; i++)
            if (s.text[i] == '/')
                a->end = i;
        value = secrets_part(s, a->from, a->end);
        return strength == 2 && secrets_looks_random(value, SECRETS_SEGMENT) && !secrets_is_readable(value) && !secrets_is_no_value(value);
    }
    return secrets_is_value(a->name, value, a->spaced, a->colon);
}

static inline void secrets_hide_assigned(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at < length; at++) {
        struct secrets_assignment a;
        int strength;
        if (!secrets_is(text[at], SECRETS_NAME))
            continue;
        size_t start = at;
        at = secrets_run(s, at, SECRETS_NAME);
        if (!secrets_read_name(s, start, at, &a) || (!(strength = secrets_strength(a.name)) && !a.closed))
            continue;
        secrets_read_value(s, &a);
        if (secrets_is_assigned(s, &a, strength))
            secrets_overwrite(text, a.from, a.end);
        else if (a.quote)
            a.end = a.from;
        at = a.end > at ? a.end - 1 : at;
    }
}

/* ---- lists, and pairs of a name and a value */

static inline int secrets_ends_as(struct secrets_span s, const char *word)
{
    size_t size = secrets_length(word);
    return s.length >= size && secrets_word(s, s.length - size, word) == size;
}

static inline int secrets_is_tokens(struct secrets_span name)
{
    name.length -= secrets_run_back(name, SECRETS_DIGIT);
    return secrets_ends_as(name, "tokens") &&
           (name.length == 6 || secrets_is_between(name.text[name.length - 7]));
}

/* Whether what a list of this name holds may be secrets: 2, or 1 where they must look like nothing else. */
static inline int secrets_list_strength(struct secrets_span name)
{
    int strength = secrets_strength(name);
    if (!strength && secrets_is_tokens(name)) {
        struct secrets_span one = name;
        one.length -= secrets_run_back(one, SECRETS_DIGIT);
        for (size_t at = 0; at < one.length; at++)
            for (size_t b = 0; secrets_starts_part(one, at) && b < SECRETS_EACH(secrets_no_secret_before); b++) {
                size_t size = at + secrets_word(one, at, secrets_no_secret_before[b]);
                size += size > at && size < one.length && (one.text[size] == '_' || one.text[size] == '-');
                if (size > at && size + 6 == one.length)
                    return 0;
            }
        return 1;
    }
    return strength;
}

static inline int secrets_is_listed(struct secrets_span name, struct secrets_span value)
{
    int strength = secrets_list_strength(name);
    struct secrets_span one = name;
    if (!strength || secrets_is_no_value(value) || (secrets_begins_path(value) && secrets_is_readable(value)))
        return 0;
    one.length -= secrets_run_back(one, SECRETS_DIGIT);
    if (strength == 2) {
        one.length -= one.length && secrets_small(one.text[one.length - 1]) == 's' && !secrets_ends_as(one, "pass");
        if (secrets_is_password_name(one))
            return value.length >= 4;
        return secrets_looks_random(value, SECRETS_SHORT);
    }
    for (size_t i = 0; i < value.length; i++)
        if (value.text[i] == '/' && secrets_is_tokens(name))
            return 0;
    return secrets_is_weak(value);
}

/* The end of a text between quotes that begins at `at`, without them: `at` where none does. */
static inline size_t secrets_quoted_end(struct secrets_span s, size_t at)
{
    size_t end = at;
    if (!at || !secrets_is(s.text[at - 1], SECRETS_QUOTE))
        return at;
    while (end < s.length && s.text[end] != s.text[at - 1] && s.text[end] != '\n' && s.text[end] != '\\')
        end++;
    return end < s.length && s.text[end] == s.text[at - 1] ? end : at;
}

static inline int secrets_is_list_sign(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == '[' || c == '(' || c == '{';
}

static inline size_t secrets_hide_list(char *text, size_t length, size_t at, struct secrets_span name)
{
    struct secrets_span s = {text, length};
    for (;;) {
        size_t from = at;
        while (from < length && secrets_is_list_sign(text[from]))
            from++;
        if (from + 1 >= length || !secrets_is(text[from], SECRETS_QUOTE) || text[from] == '`')
            return at;
        size_t end = secrets_quoted_end(s, ++from);
        if (end == from)
            return at;
        at = secrets_run(s, end + 1, SECRETS_BLANK);
        if (at < length && text[at] == ':') {
            at++;
            continue; /* a key */
        }
        if (secrets_is_listed(name, secrets_part(s, from, end)))
            secrets_overwrite(text, from, end);
        at = end + 1;
    }
}

static inline void secrets_hide_lists(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at < length; at++) {
        struct secrets_assignment a;
        size_t start = at;
        if (!secrets_is(text[at], SECRETS_NAME))
            continue;
        at = secrets_run(s, at, SECRETS_NAME);
        if (secrets_read_name(s, start, at, &a) && !a.quote && a.from < length &&
            (text[a.from] == '[' || text[a.from] == '(' || text[a.from] == '{') && secrets_list_strength(a.name))
            at = secrets_hide_list(text, length, a.from, a.name);
        at -= at > start;
    }
}

/* "--password", "X" and "-u", "USER:X", as a list of arguments has them, on one line or two. */
static inline void secrets_hide_followers(char *text, size_t length)
{
    struct secrets_span s = {text, length};
    for (size_t at = 0; at < length; at++) {
        if (!secrets_is(text[at], SECRETS_NAME))
            continue;
        size_t start = at, end;
        at = secrets_run(s, at, SECRETS_NAME);
        struct secrets_span name = secrets_part(s, start, at);
        size_t from = secrets_run(s, at + 1, SECRETS_BLANK);
        if (at < length && secrets_is(text[at], SECRETS_QUOTE) && from < length && text[from] == ',') {
            for (from++; from < length && secrets_is_list_sign(text[from]) && from < at + 100;)
                from++;
            if (from + 1 < length && (end = secrets_quoted_end(s, from + 1)) > from + 1) {
                struct secrets_span value = secrets_part(s, from + 1, end);
                if (secrets_takes_user(name) ? secrets_is_user_and_password(value)
                                             : secrets_strength(name) == 2 && !secrets_is_no_value(value) &&
                                                   secrets_looks_random(value, SECRETS_LONG))
                    secrets_overwrite(text, from + 1, end);
            }
        }
        at -= at > start;
    }
}

/* {"name": "TOKEN", "value": "X"} */
static inline void secrets_hide_pairs(char *text, size_t length)
{
    struct secrets_span s = {text, length}, named = {text, 0};
    size_t named_end = 0;
    for (size_t at = 0; at < length; at++) {
        struct secrets_assignment a;
        size_t start = at;
        if (!secrets_is(text[at], SECRETS_NAME))
            continue;
        at = secrets_run(s, at, SECRETS_NAME);
        int near = named.length && start - named_end < 100;
        for (size_t i = named_end; near && i < start; i++)
            near = secrets_is(text[i], SECRETS_QUOTE | SECRETS_BLANK) || text[i] == ',' || text[i] == '\n' || text[i] == '\r';
        if (secrets_read_name(s, start, at, &a)) {
            struct secrets_span value = secrets_part(s, a.from, secrets_run(s, a.from, SECRETS_NAME));
            int has_value = (a.name.length == 5 && secrets_word(a.name, 0, "value")) ||
                            (a.name.length == 7 && secrets_word(a.name, 0, "default"));
            if (near && has_value)
                secrets_read_value(s, &a);
            struct secrets_span whole = secrets_part(s, a.from, near && has_value ? a.end : a.from);
            if (whole.length >= 4 && secrets_is_argument(named, whole) &&
                (secrets_is_password_name(named) || secrets_is_shouted(named) || secrets_looks_random(whole, SECRETS_SHORT)))
                secrets_overwrite(text, a.from, a.end);
            named.length = 0;
            if ((a.name.length == 4 && secrets_word(a.name, 0, "name")) || (a.name.length == 3 && secrets_word(a.name, 0, "key"))) {
                named = value;
                named_end = a.from + value.length;
                at = named_end > at ? named_end : at;
            }
        }
        at -= at > start;
    }
}

static inline void secrets_hide(char *text, size_t length)
{
    secrets_hide_shapes(text, length);
    secrets_hide_users(text, length);
    secrets_hide_queries(text, length);
    secrets_hide_calls(text, length);
    secrets_hide_options(text, length);
    secrets_hide_bearers(text, length);
    secrets_hide_assigned(text, length);
    secrets_hide_followers(text, length);
    secrets_hide_lists(text, length);
    secrets_hide_pairs(text, length);
}

/* ---- arguments */

static inline int secrets_is_shell(struct secrets_span word)
{
    static const char shells[][8] = {"sh", "bash", "dash", "zsh", "ksh", "fish", "su"};
    size_t base = word.length;
    while (base && word.text[base - 1] != '/')
        base--;
    return SECRETS_LISTED(secrets_part(word, base, word.length), shells);
}

static inline int secrets_is_plain(struct secrets_span v)
{
    for (size_t i = 0; i < v.length; i++)
        if (!secrets_is(v.text[i], SECRETS_LOWER | SECRETS_LINE | SECRETS_DASH) && v.text[i] != '+')
            return 0;
    return 1;
}

/* The word NAME=VALUE: `token=char` chooses how to split a text. */
static inline int secrets_is_setting(struct secrets_span name, struct secrets_span value)
{
    struct secrets_span last = name;
    if (SECRETS_LISTED(name, secrets_user_options))
        return secrets_is_user_and_password(value);
    if (!secrets_is_argument(name, value))
        return 0;
    if (name.text[0] == '-' || secrets_is_shouted(name))
        return 1;
    while (last.length > 5)
        last = secrets_part(last, 1, last.length);
    return !secrets_is_folder(name, value) &&
           !(secrets_same(last, "token") && (name.length == 5 || name.text[name.length - 6] == '.') &&
             value.length <= 24 && secrets_is_plain(value));
}

static inline void secrets_hide_word(char *word, size_t length, struct secrets_span before, int shell)
{
    struct secrets_span w = {word, length};
    size_t plus = 0;
    while (plus < 2 && plus < length && word[plus] == '+')
        plus++;
    size_t name = secrets_run(w, plus, SECRETS_NAME);
    if (shell && before.length > 1 && before.text[0] == '-' && before.text[before.length - 1] == 'c' &&
        secrets_run(before, 1, SECRETS_LOWER) == before.length)
        secrets_hide(word, length); /* a script */
    else if (secrets_takes_user(before) && secrets_is_user_and_password(w))
        secrets_overwrite(word, 0, length);
    else if (name > plus && name < length && word[name] == '=' &&
             secrets_is_setting(secrets_part(w, 0, name), secrets_part(w, name + 1, length))) {
        secrets_overwrite(word, name + 1, length);
        secrets_hide(word, name);
    } else if (length > 2 && word[0] == '-' && word[1] == 'u' && secrets_is_user_and_password(secrets_part(w, 2, length)))
        secrets_overwrite(word, 2, length);
    else
        secrets_hide(word, length);
}

/* The same for strings that follow each other, each ended by a NUL: an option may name the secret that follows it. */
static inline void secrets_hide_arguments(char *list, size_t length)
{
    static const char no_program_behind[][4] = {"-p", "-a", "-P", "-w"};
    struct secrets_call call = {0};
    struct secrets_span before = {list, 0}, option = {list, 0};
    int shell = 0;
    for (size_t at = 0; at < length;) {
        size_t size = 0;
        int assigned = 0;
        for (; at + size < length && list[at + size]; size++)
            assigned |= list[at + size] == '=';
        struct secrets_span word = {list + at, size};
        const struct secrets_program *program =
            SECRETS_LISTED(before, no_program_behind) ? NULL : secrets_program_of(word);
        if (program) {
            secrets_call_end(&call);
            call = (struct secrets_call){.program = program};
        } else if (call.program)
            secrets_call_word(&call, list + at, size);
        if (option.length && !secrets_begins(word, 0, "--") && secrets_is_argument(option, word)) {
            secrets_overwrite(list, at, at + size);
            before.length = option.length = 0;
        } else {
            shell |= secrets_is_shell(word);
            secrets_hide_word(list + at, size, before, shell);
            before = word;
            option = word;
            if (!size || list[at] != '-' || assigned || !secrets_strength_of_option(word))
                option.length = 0;
        }
        at += size + 1;
    }
    secrets_call_end(&call);
}

#endif
