/* Inside base/config_events.c and base/config_yaml.c: the current event of the file, and moving on. */
#pragma once

#include <yaml.h>

#include "base/config_private.h"

#define PXI_SHOWN 40 /* bytes of the file's own words in a message */

struct pxi_walk {
    struct pxi_load *load;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    unsigned depth;
    bool stop; /* nothing more can be read */
};

#define PXI_COMPLAIN(walk, ...) pxi_complain((walk)->load->errors, pxi_here(walk), __VA_ARGS__)

static inline struct pxi_place pxi_place_of(yaml_mark_t mark)
{
    return (struct pxi_place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static inline struct pxi_place pxi_here(const struct pxi_walk *walk)
{
    return pxi_place_of(walk->event.start_mark);
}

static inline struct px_text pxi_scalar(const struct pxi_walk *walk)
{
    return (struct px_text){(const char *)walk->event.data.scalar.value, walk->event.data.scalar.length};
}

static inline bool pxi_at_end(const struct pxi_walk *walk)
{
    return walk->event.type == YAML_SEQUENCE_END_EVENT || walk->event.type == YAML_MAPPING_END_EVENT;
}

/* Makes the next event the current one. False: stop. */
bool pxi_step(struct pxi_walk *walk);

/* Passes over the value that begins with the current event. */
void pxi_skip(struct pxi_walk *walk);

/* Is the current event such a start? Complains and passes over the value when not. */
bool pxi_expect(struct pxi_walk *walk, yaml_event_type_t type, const char *name, const char *example);
bool pxi_expect_scalar(struct pxi_walk *walk, const char *name);
