/* Which environment variables are kept: only those asked for, and never one whose name looks like a secret's.
 * Freestanding: shared by the preload library and the supervisor. */
#ifndef ROAR_ENVIRONMENT_H
#define ROAR_ENVIRONMENT_H

#include <stddef.h>

static inline size_t environment_name_length(const char *text)
{
    size_t length = 0;
    while (text[length] && text[length] != '=')
        length++;
    return length;
}

static inline int environment_same(const char *a, const char *b, size_t length, int any_case)
{
    for (size_t i = 0; i < length; i++) {
        char c = a[i];
        if (any_case && c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c != b[i])
            return 0;
    }
    return 1;
}

static inline int environment_looks_secret(const char *name, size_t length)
{
    static const char words[][12] = {"KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "AUTH", "COOKIE", "PRIVATE"};
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        size_t size = environment_name_length(words[w]);
        for (size_t i = 0; i + size <= length; i++)
            if (environment_same(name + i, words[w], size, 1))
                return 1;
    }
    return 0;
}

/* names: NUL separated, ended by an empty one; a trailing '*' makes a prefix. text: NAME or NAME=VALUE. */
static inline int environment_keeps(const char *names, const char *text)
{
    size_t length = environment_name_length(text);
    while (*names) {
        size_t size = 0;
        while (names[size])
            size++;
        int prefix = names[size - 1] == '*';
        size_t compared = prefix ? size - 1 : size;
        if ((prefix ? length >= compared : length == compared) && environment_same(text, names, compared, 0))
            return !environment_looks_secret(text, length);
        names += size + 1;
    }
    return 0;
}

#endif
