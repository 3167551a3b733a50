/* Inside web/rest/alert_body.c and alert_rule_body.c: a body on its way into a record. */
#pragma once

#include <jansson.h>

#include "web/rest/alert_body.h"

struct pxi_reading {
    px_asset_finder *find;
    void *ctx;
    struct px_alert *alert;
    struct px_symbol symbol;
    struct px_problem *problem;
    int64_t kept_expires_ns; /* of the record that is changed: it may have passed */
};

#define PXI_POINTER_SIZE 80

/* "/a/b" with the escapes of RFC 6901. */
void pxi_pointer_to(char *pointer, size_t size, const char *parent, const char *name);

bool pxi_is_one_of(const char *name, const char *const *list);
void pxi_check_members(struct pxi_reading *reading, json_t *object, const char *parent, const char *const *known);

/* A string of at most size - 1 bytes, copied. False when it is not there, null or wrong; what is wrong is told. */
bool pxi_take_string(struct pxi_reading *reading, json_t *value, const char *pointer, char *to, size_t size);

/* condition or all_of, frequency, bar, hysteresis, cooldown, max_fires, expires_at. The symbol has been read. */
void pxi_rule_read(struct pxi_reading *reading, json_t *root);

/* The same members, out of the record. */
void pxi_rule_write(const struct px_rule *rule, struct px_json *json);
