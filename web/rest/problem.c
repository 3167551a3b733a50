/* Problem bodies. */
#include "web/rest/problem.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

static const struct {
    int status;
    const char *code, *title;
} kinds[PX_PROBLEMS] = {
#define PROBLEM_ROW(NAME, status, code, title) [PX_PROBLEM_##NAME] = {status, code, title},
    PX_PROBLEM_TABLE(PROBLEM_ROW)
#undef PROBLEM_ROW
};

int px_problem_status(enum px_problem_kind kind)
{
    return kinds[kind].status;
}

const char *px_problem_code(enum px_problem_kind kind)
{
    return kinds[kind].code;
}

void px_problem_set(struct px_problem *problem, enum px_problem_kind kind, const char *format, ...)
{
    va_list args;

    if (problem->kind != PX_PROBLEM_NONE)
        return;
    problem->kind = kind;
    va_start(args, format);
    vsnprintf(problem->detail, sizeof problem->detail, format, args);
    va_end(args);
}

void px_problem_add(struct px_problem *problem, const char *pointer, const char *format, ...)
{
    va_list args;

    px_problem_set(problem, PX_PROBLEM_VALIDATION, "See errors for what to change");
    if (problem->error_count == PX_FIELD_ERRORS_MAX)
        return;
    struct px_field_error *error = &problem->errors[problem->error_count++];
    snprintf(error->pointer, sizeof error->pointer, "%s", pointer);
    va_start(args, format);
    vsnprintf(error->detail, sizeof error->detail, format, args);
    va_end(args);
}

/* Errors that mean something of their own to a client; the rest is internal. */
static enum px_problem_kind kind_of(int error)
{
    switch (error) {
    case PX_E_TIMEOUT:
    case PX_E_CLOSED:
    case PX_E_AGAIN:
    case PX_E_FULL:
    case PX_E_OVERRUN:
    case PX_E_DISK:
        return PX_PROBLEM_NOT_READY;
    case PX_E_INVALID:
    case PX_E_FORMAT:
        return PX_PROBLEM_BAD_REQUEST;
    case PX_E_RANGE:
    case PX_E_LIMIT:
    case PX_E_OVERFLOW:
        return PX_PROBLEM_VALIDATION;
    case PX_E_EMPTY:
    case PX_E_NOT_FOUND:
        return PX_PROBLEM_NOT_FOUND;
    case PX_E_EXISTS:
    case PX_E_CONFLICT:
        return PX_PROBLEM_CONFLICT;
    case PX_E_TOO_LARGE:
        return PX_PROBLEM_TOO_LARGE;
    case PX_E_PRECONDITION:
        return PX_PROBLEM_PRECONDITION_FAILED;
    case PX_E_FORBIDDEN:
        return PX_PROBLEM_FORBIDDEN;
    default:
        return PX_PROBLEM_INTERNAL;
    }
}

void px_problem_of_error(struct px_problem *problem, int error)
{
    enum px_problem_kind kind = kind_of(error);

    px_problem_set(problem, kind, "%s", px_error_text(error));
    if (kind == PX_PROBLEM_NOT_READY)
        problem->retry_after_s = 1;
}

static void write_errors(const struct px_problem *problem, struct px_json *json)
{
    px_json_key(json, "errors");
    px_json_open(json, '[');
    for (unsigned i = 0; i < problem->error_count; i++) {
        px_json_open(json, '{');
        px_json_kv_string(json, "pointer", problem->errors[i].pointer);
        px_json_kv_string(json, "detail", problem->errors[i].detail);
        px_json_close(json, '}');
    }
    px_json_close(json, ']');
}

void px_problem_write(const struct px_problem *problem, struct px_text instance, const char *request_id,
                      struct px_json *json)
{
    char type[64];

    snprintf(type, sizeof type, "/problems/%s", kinds[problem->kind].code);
    px_json_open(json, '{');
    px_json_kv_string(json, "type", type);
    px_json_kv_string(json, "title", kinds[problem->kind].title);
    px_json_kv_int(json, "status", kinds[problem->kind].status);
    px_json_kv_string(json, "detail", problem->detail);
    px_json_key(json, "instance");
    px_json_string(json, instance);
    px_json_kv_string(json, "code", kinds[problem->kind].code);
    px_json_kv_string(json, "request_id", request_id);
    if (problem->error_count > 0)
        write_errors(problem, json);
    px_json_close(json, '}');
}
