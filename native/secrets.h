/* Takes secrets out of arguments and console lines before they reach the log: they are overwritten with `*` in place.
 * What is one: the value behind a name that says so (NAME=VALUE, --name VALUE, ?name=VALUE, name: VALUE), user info in
 * a URL, and words that begin as well-known credentials do. Wide rather than exact: the command itself is stored by
 * the client, with finer rules; here only the traces of trackers are looked for. Freestanding. */
#ifndef ROAR_SECRETS_H
#define ROAR_SECRETS_H

#include "environment.h"

#include <stddef.h>

static inline int secrets_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static inline int secrets_ends_value(char c)
{
    return c == 0 || c == ' ' || c == '\t' || c == '\n' || c == '"' || c == '\'' || c == '&' || c == ';' || c == ',';
}

static inline size_t secrets_hide_value(char *text, size_t at, size_t length)
{
    while (at < length && (text[at] == ' ' || text[at] == '"' || text[at] == '\''))
        at++;
    if (at + 1 < length && text[at] == '/' && text[at + 1] == '/')
        return at; /* the address behind a scheme */
    while (at < length && !secrets_ends_value(text[at]))
        text[at++] = '*';
    return at;
}

/* user:password@ between :// and the next slash; `at` is behind the slashes. */
static inline void secrets_hide_user(char *text, size_t at, size_t length)
{
    for (size_t end = at; end < length && text[end] != '/' && !secrets_ends_value(text[end]); end++)
        if (text[end] == '@')
            for (size_t i = at; i < end; i++)
                text[i] = '*';
}

static inline int secrets_begins_credential(const char *text, size_t length)
{
    static const char beginnings[][12] = {"hf_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "sk-",
                                          "xoxb-", "xoxp-", "AKIA", "ASIA", "npm_", "pypi-", "dapi", "eyJ"};
    for (size_t b = 0; b < sizeof beginnings / sizeof beginnings[0]; b++) {
        size_t size = environment_name_length(beginnings[b]);
        if (length >= size + 12 && environment_same(text, beginnings[b], size, 0))
            return 1;
    }
    return 0;
}

static inline void secrets_hide(char *text, size_t length)
{
    size_t word = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && secrets_is_word(text[i]))
            continue;
        if (secrets_begins_credential(text + word, i - word))
            for (size_t k = word; k < i; k++)
                text[k] = '*';
        if (i < length && (text[i] == '=' || text[i] == ':') && environment_looks_secret(text + word, i - word))
            i = secrets_hide_value(text, i + 1, length) - 1;
        else if (i + 1 < length && text[i] == ' ' && text[word] == '-' && text[i + 1] != '-' &&
                 environment_looks_secret(text + word, i - word))
            i = secrets_hide_value(text, i + 1, length) - 1;
        else if (i + 2 < length && text[i] == ':' && text[i + 1] == '/' && text[i + 2] == '/')
            secrets_hide_user(text, i + 3, length);
        word = i + 1;
    }
}

/* The same for strings that follow each other, each ended by a NUL: an option may name the secret that follows it. */
static inline void secrets_hide_arguments(char *list, size_t length)
{
    int follows = 0;
    for (size_t at = 0; at < length;) {
        size_t size = 0;
        int assigned = 0;
        while (at + size < length && list[at + size]) {
            assigned |= list[at + size] == '=';
            size++;
        }
        if (follows && list[at] != '-')
            for (size_t i = 0; i < size; i++)
                list[at + i] = '*';
        else
            secrets_hide(list + at, size);
        follows = size > 1 && list[at] == '-' && !assigned && environment_looks_secret(list + at, size);
        at += size + 1;
    }
}

#endif
