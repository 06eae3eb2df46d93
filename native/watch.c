#define _GNU_SOURCE
#include "watch.h"

#include "log.h"
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define LOOK_EVERY_MS 250
#define LOOKS 3 /* that find the same call: it hangs */

static uint64_t recording; /* the notification being recorded, 0 for none */

void watch_begin(uint64_t id)
{
    __atomic_store_n(&recording, id, __ATOMIC_RELAXED);
}

void watch_end(void)
{
    __atomic_store_n(&recording, 0, __ATOMIC_RELAXED);
}

static int still(uint64_t id)
{
    return __atomic_load_n(&recording, __ATOMIC_RELAXED) == id;
}

/* Calls not recorded. Nothing is appended to the log here: its lock may be what the supervisor hangs with. */
static void count_unseen(int64_t calls)
{
    __atomic_fetch_add(&log_header->unreadable, (uint64_t)calls, __ATOMIC_RELAXED);
}

static void let_all_pass(int listener, uint64_t hanging)
{
    supervisor_go_on(listener, hanging);
    while (still(hanging)) {
        union notification from;
        struct pollfd ready = {.fd = listener, .events = POLLIN};
        memset(&from, 0, sizeof from);
        if (poll(&ready, 1, LOOK_EVERY_MS) < 0 && errno != EINTR)
            return;
        if (ready.revents & POLLIN) {
            if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &from) == 0) {
                count_unseen(1);
                supervisor_go_on(listener, from.it.id);
            }
        } else if (ready.revents) {
            return; /* no process is left */
        }
    }
}

static void *watch(void *argument)
{
    const struct timespec moment = {0, LOOK_EVERY_MS * 1000000};
    int listener = *(const int *)argument;
    uint64_t last = 0;
    for (int same = 0;;) {
        nanosleep(&moment, NULL);
        uint64_t now = __atomic_load_n(&recording, __ATOMIC_RELAXED);
        same = now && now == last ? same + 1 : 0;
        last = now;
        if (same < LOOKS - 1)
            continue;
        count_unseen(1);
        let_all_pass(listener, now);
        if (!still(now))
            count_unseen(-1); /* it has been recorded after all */
        last = 0;
        same = 0;
    }
    return NULL;
}

void watch_start(int listener)
{
    static int its_listener;
    pthread_t thread;
    its_listener = listener;
    if (pthread_create(&thread, NULL, watch, &its_listener) == 0)
        pthread_detach(thread);
}
