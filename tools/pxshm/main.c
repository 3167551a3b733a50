/* pxshm: looks into the shared memory of a running engine, without touching it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/pxshm/pxshm_private.h"

static const char help[] =
    "pxshm looks into the shared memory of a running pxengine. It maps it read-only: nothing it does can disturb the "
    "engine.\n"
    "\n"
    "Usage: pxshm [--pid PID | --files DATA YARD] [--json] [--watch SECONDS] [--all]\n"
    "\n"
    "  --pid PID          the supervisor; without it, that of the only engine that runs here\n"
    "  --files DATA YARD  the two files of a region, such as /proc/PID/fd/N\n"
    "  --json             one JSON object on one line instead of tables\n"
    "  --watch SECONDS    again and again, until interrupted or until the engine has ended\n"
    "  --all              counters that are 0 as well\n"
    "\n"
    "How to read it\n"
    "  beat        age of the last heartbeat. A few ms to a second is healthy; the supervisor kills what hangs.\n"
    "  worst loop  the longest turn of the process's loop since it started: what delays everything behind it.\n"
    "  last words  what a process said about itself before it aborted.\n"
    "  lag         events that a consumer has still to read. OVERTAKEN: it will be told, and resyncs from the slots.\n"
    "  queue       records that wait for their consumer. A queue that stays full holds its producer up.\n"
    "  rcu         a reader that is behind for long keeps memory from being reused. DEAD, NOT REAPED should last an "
    "instant.\n"
    "\n"
    "Exit code: 0; 1 when there is no region to look at; 64 when the command line is wrong.\n";

struct options {
    int pid;
    const char *data, *yard;
    unsigned watch_s;
    bool json, zeroes;
};

static int number_of(const char *text)
{
    char *end;
    long number = text ? strtol(text, &end, 10) : 0;

    return text && *text && !*end && number > 0 && number <= INT32_MAX ? (int)number : -1;
}

/* 0, or an exit code in *codep and -1. */
static int read_options(char **list, struct options *options, int *codep)
{
    *codep = 64;
    for (list++; *list; list++) {
        const char *name = *list;

        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            fputs(help, stdout);
            *codep = 0;
            return -1;
        } else if (strcmp(name, "--json") == 0) {
            options->json = true;
        } else if (strcmp(name, "--all") == 0) {
            options->zeroes = true;
        } else if (strcmp(name, "--pid") == 0 && number_of(list[1]) > 0) {
            options->pid = number_of(*++list);
        } else if (strcmp(name, "--watch") == 0 && number_of(list[1]) > 0) {
            options->watch_s = (unsigned)number_of(*++list);
        } else if (strcmp(name, "--files") == 0 && list[1] && list[2]) {
            options->data = *++list;
            options->yard = *++list;
        } else {
            fprintf(stderr, "pxshm: cannot make sense of '%s'; pxshm --help\n", name);
            return -1;
        }
    }
    return 0;
}

int main(int count, char **list)
{
    static struct pxi_snapshot snapshot;
    struct options options = {.pid = 0};
    struct px_shm shm;
    int code;

    if (read_options(list, &options, &code) < 0)
        return code;
    if (pxi_open(options.pid, options.data, options.yard, &shm) < 0)
        return 1;
    for (;;) {
        pxi_look(&shm, &snapshot);
        if (options.json)
            pxi_show_json(&snapshot);
        else
            pxi_show_text(&snapshot, options.zeroes);
        fflush(stdout);
        if (options.watch_s == 0 || !snapshot.supervisor_alive)
            break;
        sleep(options.watch_s);
        if (!options.json)
            printf("\n--------\n");
    }
    px_shm_detach(&shm);
    return 0;
}
