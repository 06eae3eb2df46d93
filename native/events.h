/* What a notified call means: reads its arguments and appends the record. */
#ifndef ROAR_EVENTS_H
#define ROAR_EVENTS_H

#include "call.h"

/* Records the call, which has not been made yet. */
void events_record(const struct call *call);

/* The path that proves that the supervisor sees; opening it sets header.canary. */
#define CANARY_PATH "/dev/null/roar-canary"

#endif
