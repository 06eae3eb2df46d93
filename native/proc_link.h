/* Links below /proc/PID that lead to a place in the file system; see proc_pid_fd(5) and its neighbours. For the library,
 * too: no other function is called here. */
#ifndef ROAR_PROC_LINK_H
#define ROAR_PROC_LINK_H

static inline int begins_with(const char *text, const char *head)
{
    while (*head && *text == *head)
        text++, head++;
    return !*head;
}

static inline const char *behind_component(const char *at)
{
    while (*at && *at != '/')
        at++;
    return at;
}

/* Where in a path that begins with /proc/ such a link ends: fd/N, cwd or root of a process, perhaps within task/TID.
 * NULL where it begins with none of these. */
static inline const char *proc_link_end(const char *path)
{
    const char *at = behind_component(path + 6); /* behind "/proc/" */
    if (begins_with(at, "/task/"))
        at = behind_component(at + 6);
    if (begins_with(at, "/fd/"))
        return at[4] ? behind_component(at + 4) : 0;
    if (!begins_with(at, "/cwd") && !begins_with(at, "/root"))
        return 0;
    const char *end = behind_component(at + 1);
    return end - at == (at[1] == 'c' ? 4 : 5) ? end : 0;
}

#endif
