/* A connection to Redis that speaks just as much of its protocol as the benchmark needs; any failure ends the program.
 */
#pragma once

#include "base/types.h"

struct resp {
    int fd;
    size_t at, end; /* unread bytes in `buffer` */
    char buffer[1 << 18];
    size_t out_len;
    char out[1 << 20]; /* commands not yet sent */
};

/* port 0: by the unix socket. */
struct resp *resp_open(const char *unix_path, uint16_t port);
void resp_close(struct resp *resp);

/* Appends one command; arguments may be binary. */
void resp_command(struct resp *resp, unsigned count, const struct px_text *arguments);
void resp_flush(struct resp *resp);

/* Blocks until n bytes are there; they stay valid until the next call. */
const char *resp_need(struct resp *resp, size_t n);
void resp_skip(struct resp *resp, size_t n);
/* The number in a line such as ":12", "$64", "*3"; -1 in "$-1". An error line ends the program. */
long resp_number(struct resp *resp);
/* A bulk string, skipped but returned; valid until the next call. */
struct px_text resp_bulk(struct resp *resp);
