/* What a path held when it was last opened for reading, so that only the first read of each content is recorded. */
#ifndef ROAR_SEEN_H
#define ROAR_SEEN_H

#include "arch.h"
#include "event_log.h"

#define SEEN_AGAIN_TICKS (1u << 24) /* some milliseconds */

/* Threads write it without a lock: a mixture of two says at worst that a path is new. */
struct seen {
    uint64_t path, content; /* hashes; the path's is never 0 */
    uint64_t ticks;         /* of the last look */
    uint64_t link_epoch;    /* then: since it was raised, the name may lead to something else */
};

static inline uint64_t seen_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Whatever became of its name and its rights, it is the same content. */
static inline uint64_t seen_content(const struct log_signature *signature)
{
    uint64_t hash = seen_mix(signature->device ^ 0x9e3779b97f4a7c15ULL, signature->inode ^ 0xa0761d6478bd642fULL);
    return seen_mix(hash ^ (uint64_t)signature->size, (uint64_t)signature->mtime_ns ^ 0xe7037ed1a0b428dbULL);
}

/* Whether it was looked at a moment ago: another look would cost as much as the open itself. */
static inline int seen_just_now(const struct seen *seen, uint64_t path, uint64_t link_epoch)
{
    return seen->path == path && seen->link_epoch == link_epoch && arch_ticks() - seen->ticks < SEEN_AGAIN_TICKS;
}

/* Whether the path held this content when it was looked at last. */
static inline int seen_before(struct seen *seen, uint64_t path, const struct log_signature *signature,
                              uint64_t link_epoch)
{
    if (seen->path != path || seen->content != seen_content(signature))
        return 0;
    seen->ticks = arch_ticks();
    seen->link_epoch = link_epoch;
    return 1;
}

static inline void seen_remember(struct seen *seen, uint64_t path, const struct log_signature *signature,
                                 uint64_t link_epoch)
{
    *seen = (struct seen){path, seen_content(signature), arch_ticks(), link_epoch};
}

#endif
