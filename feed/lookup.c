#include "feed/lookup_private.h"

#include "base/error.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct pxi_lookup {
    char host[128];
    uint16_t port;
    int result;
    struct px_address address;
    atomic_bool done;    /* release by the thread after result and address; acquire in poll */
    atomic_uint holders; /* the thread and the owner; whoever leaves last frees */
};

static void leave(struct pxi_lookup *lookup)
{
    if (atomic_fetch_sub_explicit(&lookup->holders, 1, memory_order_acq_rel) == 1)
        free(lookup);
}

static void *run(void *argument)
{
    struct pxi_lookup *lookup = argument;

    lookup->result = px_address_resolve(lookup->host, lookup->port, &lookup->address);
    atomic_store_explicit(&lookup->done, true, memory_order_release);
    leave(lookup);
    return NULL;
}

/* Signals are the loop's business: the thread takes none. */
static int start_thread(struct pxi_lookup *lookup)
{
    sigset_t all, before;
    pthread_t thread;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, run, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return PX_E_SYSTEM;
    pthread_detach(thread);
    return 0;
}

int pxi_lookup_start(const char *host, uint16_t port, struct pxi_lookup **lookupp)
{
    struct pxi_lookup *lookup = calloc(1, sizeof *lookup);

    if (!lookup)
        return PX_E_MEMORY;
    px_text_copy(lookup->host, sizeof lookup->host, px_text_of(host));
    lookup->port = port;
    atomic_init(&lookup->holders, 2);
    if (start_thread(lookup)) {
        free(lookup);
        return PX_E_SYSTEM;
    }
    *lookupp = lookup;
    return 0;
}

int pxi_lookup_poll(struct pxi_lookup *lookup, struct px_address *addressp)
{
    if (!atomic_load_explicit(&lookup->done, memory_order_acquire))
        return PX_E_AGAIN;
    *addressp = lookup->address;
    return lookup->result;
}

void pxi_lookup_end(struct pxi_lookup **lookupp)
{
    if (*lookupp)
        leave(*lookupp);
    *lookupp = NULL;
}
