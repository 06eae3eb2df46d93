/* Answers the notifications of the filter and waits for the processes below. */
#ifndef ROAR_SUPERVISOR_H
#define ROAR_SUPERVISOR_H

#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel may know a larger notification than this program's headers. */
union notification {
    struct seccomp_notif it;
    char room[256];
};

/* Runs until no traced process is left. listener: -1 without a filter. status: descriptor for messages to roar. */
void supervisor_run(int listener, pid_t command, int status);

/* Completes what a supervisor that was killed had begun. */
void supervisor_take_over(int listener);

/* Answers one notification while the command is being prepared. Returns 0 or -errno. */
int supervisor_answer_one(int listener);

/* Lets a call go on. Fails harmlessly if it has been answered. */
void supervisor_go_on(int listener, uint64_t id);

#endif
