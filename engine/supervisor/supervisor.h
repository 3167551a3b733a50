/*
 * The supervisor: forks the workers, watches them, brings them back. It touches no data, holds no thread, no store and no liburcu
 * reader; so a fork of it is cheap and safe at any time.
 */
#pragma once

#if defined(_PTHREAD_H)
#error "the supervisor has one thread; nothing that it includes may need another"
#endif

#include "base/config.h"

/*
 * Runs the engine until SIGTERM or SIGINT. `title` is where the process title may be written (argv's memory) and how long it is.
 * Returns an exit code: 0 after a drain, 78 when the configuration or the data folder makes a start impossible, 1 for what
 * may pass, such as a port that is taken.
 */
int px_supervisor_run(const struct px_config *config, char *title, size_t title_size);
