/* Every error that a function of pxengine returns: a negative number, a code for clients, a sentence for people. */
#pragma once

/* name, number, code in API answers, sentence */
#define PX_ERROR_TABLE(X)                                                                                              \
    X(INVALID, 1, "bad_request", "the request is malformed")                                                           \
    X(RANGE, 2, "validation", "the value is out of range")                                                             \
    X(NOT_DECIMAL, 3, "validation", "not a decimal number")                                                            \
    X(DIGITS, 4, "validation", "more digits after the point than the asset has")                                       \
    X(OVERFLOW, 5, "validation", "the number is too large")                                                            \
    X(FULL, 6, "not_ready", "no room left")                                                                            \
    X(EMPTY, 7, "not_found", "nothing there")                                                                          \
    X(NOT_FOUND, 8, "not_found", "not found")                                                                          \
    X(EXISTS, 9, "conflict", "exists already")                                                                         \
    X(OVERRUN, 10, "not_ready", "the reader was overtaken")                                                            \
    X(TIMEOUT, 11, "not_ready", "no answer in time")                                                                   \
    X(CLOSED, 12, "not_ready", "the other side has gone")                                                              \
    X(AGAIN, 13, "not_ready", "not now; try again")                                                                    \
    X(IO, 14, "internal", "input or output failed")                                                                    \
    X(MEMORY, 15, "internal", "out of memory")                                                                         \
    X(SYSTEM, 16, "internal", "a system call failed")                                                                  \
    X(FORMAT, 17, "bad_request", "not in the expected format")                                                         \
    X(TOO_LARGE, 18, "too_large", "too large")                                                                         \
    X(LAYOUT, 19, "internal", "shared memory of another layout")                                                       \
    X(CONFIG, 20, "validation", "the configuration is wrong")                                                          \
    X(UNKNOWN_VENUE, 21, "validation", "no dialect for this venue")                                                    \
    X(PRECONDITION, 22, "precondition_failed", "changed in the meantime")                                              \
    X(FORBIDDEN, 23, "forbidden", "not allowed")                                                                       \
    X(LIMIT, 24, "validation", "a limit of this account is reached")                                                   \
    X(DISK, 25, "not_ready", "the disk is full; reads go on")                                                          \
    X(CONFLICT, 26, "conflict", "not possible in its present state")

enum px_error {
#define PX_ERROR_ENUM(name, number, code, text) PX_E_##name = -(number),
    PX_ERROR_TABLE(PX_ERROR_ENUM)
#undef PX_ERROR_ENUM
};

/* The sentence, or "unknown error". Static storage. Never blocks; any process. */
const char *px_error_text(int error);

/* The code that API answers carry, such as "validation"; "internal" for what the table does not know. */
const char *px_error_code(int error);
