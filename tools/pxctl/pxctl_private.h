/* Inside tools/pxctl: the engine's REST from a shell. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "base/types.h"

/* Exit codes, as scripts see them. */
enum { PXI_OK = 0, PXI_FAILED = 1, PXI_USAGE = 2 };

enum pxi_format { PXI_TEXT, PXI_JSON, PXI_CSV };

struct pxi_option {
    const char *name, *value, *help; /* "--start", "TIME" or NULL for a switch */
};

#define PXI_OPTIONS_MAX 16

/* What the command line said. */
struct pxi_call {
    const char *url, *key;
    enum pxi_format format;
    const struct pxi_command *command;
    const char *word[520]; /* what is no option, after the command */
    unsigned words;
    const char *option[PXI_OPTIONS_MAX]; /* values, by their place in the command's list; "" for a switch that is set */
};

struct pxi_command {
    const char *name, *words, *summary, *text; /* `text` teaches: what it does, examples */
    unsigned least, most;                      /* words */
    const struct pxi_option *options;
    int (*run)(struct pxi_call *call);
};

extern const struct pxi_command pxi_commands[];

/* The value of an option of the command, NULL if it was not given. */
const char *pxi_option(const struct pxi_call *call, const char *name);

/* One line on stderr: what is wrong and what to do. Returns PXI_FAILED. */
int pxi_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- http.c ---- */

struct pxi_reply {
    long status;
    char *body; /* terminated; owned */
    size_t len;
    char next[1024]; /* path of Link: rel=next; empty: none */
    unsigned retry_after_s;
};

/*
 * Asks, and asks again while the engine says that it is not ready or that it is too much, for a minute. 0, or PXI_FAILED with the reason
 * told; any status of the engine's is 0. *reply is to be freed either way.
 */
int pxi_ask(const struct pxi_call *call, const char *method, const char *path, const char *accept, const char *body,
            size_t body_len, struct pxi_reply *reply);
void pxi_reply_free(struct pxi_reply *reply);

/* Tells what the engine refused, one line each, and what to do about it. Returns PXI_FAILED. */
int pxi_refused(const struct pxi_call *call, const struct pxi_reply *reply);

/* A path of pieces, with its parameters percent-encoded: name, value, …, NULL. A value of NULL is left out. */
void pxi_path(char *to, size_t size, const char *base, const char *segment, ...) __attribute__((sentinel));

/* ---- commands ---- */

int pxi_price(struct pxi_call *call);
int pxi_watch(struct pxi_call *call);
int pxi_watch_looking(struct pxi_call *call); /* with --every */
int pxi_status(struct pxi_call *call);
int pxi_candles(struct pxi_call *call);
int pxi_ticks(struct pxi_call *call);
int pxi_export(struct pxi_call *call);
int pxi_import(struct pxi_call *call);
int pxi_alert(struct pxi_call *call);
int pxi_dlq(struct pxi_call *call);
int pxi_feed(struct pxi_call *call);
int pxi_top(struct pxi_call *call);
int pxi_config(struct pxi_call *call);

/* look.c: the text of a member, "-" if it has none. */
const char *pxi_text_of(const json_t *object, const char *name);
