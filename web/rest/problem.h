/*
 * Everything that can be wrong with a request, as one table, and the body that says so: application/problem+json (RFC
 * 9457) with our `code`, the request's id and, for validation, one entry per mistake. Pure; any process, any thread.
 */
#pragma once

#include "base/json_out.h"

/* name, status, code in the body, title */
#define PX_PROBLEM_TABLE(X)                                                                                            \
    X(NONE, 200, "", "")                                                                                               \
    X(BAD_REQUEST, 400, "bad_request", "The request is malformed")                                                     \
    X(UNAUTHORIZED, 401, "unauthorized", "A valid API key is needed")                                                  \
    X(FORBIDDEN, 403, "forbidden", "The key does not allow this")                                                      \
    X(NOT_FOUND, 404, "not_found", "There is nothing here")                                                            \
    X(UNKNOWN_SYMBOL, 404, "unknown_symbol", "Unknown symbol")                                                         \
    X(UNKNOWN_ALERT, 404, "unknown_alert", "Unknown alert")                                                            \
    X(UNKNOWN_CHANNEL, 404, "not_found", "Unknown channel")                                                            \
    X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", "The method is not allowed here")                                 \
    X(REQUEST_TIMEOUT, 408, "bad_request", "The body did not arrive in time")                                          \
    X(CONFLICT, 409, "conflict", "It exists already")                                                                  \
    X(LENGTH_REQUIRED, 411, "bad_request", "A Content-Length is needed")                                               \
    X(PRECONDITION_FAILED, 412, "precondition_failed", "It has changed in the meantime")                               \
    X(TOO_LARGE, 413, "too_large", "The request is too large")                                                         \
    X(VALIDATION, 422, "validation", "The request is not valid")                                                       \
    X(IDEMPOTENCY_CONFLICT, 422, "idempotency_conflict", "The Idempotency-Key was used for another request")           \
    X(RATE_LIMITED, 429, "rate_limited", "Too many requests")                                                          \
    X(INTERNAL, 500, "internal", "Internal error")                                                                     \
    X(NOT_READY, 503, "not_ready", "Not ready")

enum px_problem_kind {
#define PX_PROBLEM_ENUM(NAME, status, code, title) PX_PROBLEM_##NAME,
    PX_PROBLEM_TABLE(PX_PROBLEM_ENUM)
#undef PX_PROBLEM_ENUM
        PX_PROBLEMS
};

#define PX_FIELD_ERRORS_MAX 16

struct px_field_error {
    char pointer[80]; /* JSON pointer into the body, or "?name" for a query parameter */
    char detail[160]; /* a sentence's rest: "must be greater than 0" */
};

struct px_problem {
    enum px_problem_kind kind; /* PX_PROBLEM_NONE: nothing wrong */
    char detail[240];
    unsigned error_count;   /* of `errors`; mistakes beyond PX_FIELD_ERRORS_MAX are not kept */
    unsigned retry_after_s; /* 0: no Retry-After */
    struct px_field_error errors[PX_FIELD_ERRORS_MAX];
};

int px_problem_status(enum px_problem_kind kind);
const char *px_problem_code(enum px_problem_kind kind);

/* States the problem; the first one stated stays. */
void px_problem_set(struct px_problem *problem, enum px_problem_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds one mistake; states PX_PROBLEM_VALIDATION if nothing was stated before. */
void px_problem_add(struct px_problem *problem, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a PX_E_* from the keeper or a parser means to a client. */
void px_problem_of_error(struct px_problem *problem, int error);

/* Writes the body. `instance` is the path of the request as it came in. */
void px_problem_write(const struct px_problem *problem, struct px_text instance, const char *request_id,
                      struct px_json *json);
