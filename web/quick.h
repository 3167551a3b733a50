/*
 * What is asked most, answered in the live loop: the present of one asset, which is in shared memory and waits for nobody. A
 * hand-over to an HTTP thread and back would cost more than the answer, and on a busy machine a hundred times more.
 */
#pragma once

#include "web/live/live.h"
#include "web/rest/rest.h"

struct px_quick;

/* `rest` must outlive it. PX_E_MEMORY, PX_E_TOO_LARGE. */
int px_quick_create(struct px_rest *rest, struct px_quick **quickp);
void px_quick_destroy(struct px_quick **quickp); /* *quickp may be NULL */

/* A px_live_quick; `user` is the px_quick. Live thread only. */
int px_quick_serve(void *user, const struct px_http_head *request, const char *peer, px_live_write *write, void *ctx);
