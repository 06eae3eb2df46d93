/* Picks the lines that may hold a link out of what a program writes to its terminal, with up to two neighbours on
 * either side (some programs wrap a link, others print it on the next line). Freestanding: shared by the preload
 * library and the supervisor. All zero bytes is a fresh stream. */
#ifndef ROAR_CONSOLE_H
#define ROAR_CONSOLE_H

#include "secrets.h"

#include <stddef.h>
#include <stdint.h>

#define CONSOLE_LINE 512u       /* longer lines are cut */
#define CONSOLE_MOST_LINES 6000u /* of one stream; then it is looked at no more */
#define CONSOLE_MOST_BYTES 65536u /* of one write */

struct console {
    uint16_t length;     /* of the line being collected */
    uint16_t after;      /* lines still to give after a link */
    uint16_t given;      /* lines given so far */
    uint16_t before_count;
    uint16_t before_length[2];
    char line[CONSOLE_LINE];
    char before[2][CONSOLE_LINE];
};

typedef void console_give(void *context, const char *line, size_t length);

static inline int console_is_done(const struct console *c)
{
    return c->given >= CONSOLE_MOST_LINES;
}

static inline int console_has_link(const char *text, size_t length)
{
    for (size_t i = 0; i + 2 < length; i++)
        if (text[i] == ':' && text[i + 1] == '/' && text[i + 2] == '/')
            return 1;
    return 0;
}

static inline void console_tell(char *line, size_t length, console_give *give, void *context)
{
    secrets_hide(line, length);
    give(context, line, length);
}

static inline void console_end_line(struct console *c, console_give *give, void *context)
{
    size_t length = c->length;
    c->length = 0;
    if (length == 0)
        return;
    if (console_has_link(c->line, length)) {
        for (unsigned i = 0; i < c->before_count; i++, c->given++)
            console_tell(c->before[i], c->before_length[i], give, context);
        c->before_count = 0;
        c->after = 3;
    }
    if (c->after > 0) {
        c->after--;
        c->given++;
        console_tell(c->line, length, give, context);
        return;
    }
    if (c->before_count == 2) {
        c->before_count = 1;
        c->before_length[0] = c->before_length[1];
        __builtin_memcpy(c->before[0], c->before[1], c->before_length[1]);
    }
    c->before_length[c->before_count] = (uint16_t)length;
    __builtin_memcpy(c->before[c->before_count], c->line, length);
    c->before_count++;
}

/* Takes what was written; a line ends with \n or \r and may come in several pieces. */
static inline void console_take(struct console *c, const char *text, size_t length, console_give *give, void *context)
{
    if (length > CONSOLE_MOST_BYTES)
        length = CONSOLE_MOST_BYTES;
    size_t used = c->length;
    for (size_t i = 0; i < length && !console_is_done(c); i++) {
        char byte = text[i];
        if (byte != '\n' && byte != '\r') {
            if (used < CONSOLE_LINE)
                c->line[used++] = byte;
            continue;
        }
        c->length = (uint16_t)used;
        console_end_line(c, give, context);
        used = 0;
    }
    c->length = (uint16_t)used;
}

#endif
