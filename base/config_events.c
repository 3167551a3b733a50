/* The events of the file one by one, with what YAML can say and a configuration may not. */
#include "base/config_walk_private.h"

/* libyaml's own time grows with the square of the depth: 64 KB of '[' took it 6.6 s. */
#define DEPTH_MAX 32

static void stop_at_syntax(struct pxi_walk *walk)
{
    const yaml_parser_t *parser = &walk->parser;
    walk->stop = true;
    if (parser->error == YAML_READER_ERROR)
        pxi_complain(walk->load->errors, (struct pxi_place){0, 0}, "byte %zu is not UTF-8 text: %s",
                     parser->problem_offset, parser->problem);
    else if (parser->error == YAML_MEMORY_ERROR)
        pxi_complain(walk->load->errors, (struct pxi_place){0, 0}, "out of memory");
    else
        pxi_complain(walk->load->errors, pxi_place_of(parser->problem_mark), "not YAML: %s",
                     parser->problem ? parser->problem : "unknown problem");
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        pxi_complain(walk->load->errors, pxi_place_of(parser->context_mark), "%s that begins here", parser->context);
}

/* What YAML can say and a configuration should not: each makes a file mean more than one sees. */
static void refuse_extras(struct pxi_walk *walk)
{
    const yaml_event_t *event = &walk->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        PXI_COMPLAIN(walk, "no aliases here; write the value out");
        break;
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        PXI_COMPLAIN(walk, "no anchors here; take away the '&%.*s'", PXI_SHOWN, (const char *)anchor);
    if (tag)
        PXI_COMPLAIN(walk, "no tags here; take away the '!'");
}

static bool is_start(const struct pxi_walk *walk)
{
    return walk->event.type == YAML_SEQUENCE_START_EVENT || walk->event.type == YAML_MAPPING_START_EVENT;
}

bool pxi_step(struct pxi_walk *walk)
{
    if (walk->stop)
        return false;
    yaml_event_delete(&walk->event);
    if (!yaml_parser_parse(&walk->parser, &walk->event)) {
        stop_at_syntax(walk);
        return false;
    }
    refuse_extras(walk);
    walk->depth += is_start(walk);
    walk->depth -= pxi_at_end(walk);
    if (walk->depth > DEPTH_MAX) {
        PXI_COMPLAIN(walk, "nested deeper than %d levels; this cannot be a configuration", DEPTH_MAX);
        walk->stop = true;
    }
    return !walk->stop;
}

void pxi_skip(struct pxi_walk *walk)
{
    if (!is_start(walk))
        return;
    unsigned outside = walk->depth - 1;
    while (pxi_step(walk) && walk->depth > outside)
        ;
}

bool pxi_expect(struct pxi_walk *walk, yaml_event_type_t type, const char *name, const char *example)
{
    if (walk->event.type == type)
        return true;
    if (walk->event.type != YAML_ALIAS_EVENT)
        PXI_COMPLAIN(walk, "'%s' must be a %s such as %s", name, type == YAML_SEQUENCE_START_EVENT ? "list" : "mapping",
                     example);
    pxi_skip(walk);
    return false;
}

bool pxi_expect_scalar(struct pxi_walk *walk, const char *name)
{
    if (walk->event.type == YAML_SCALAR_EVENT)
        return true;
    if (walk->event.type != YAML_ALIAS_EVENT)
        PXI_COMPLAIN(walk, "'%s' takes one value, not a list or mapping", name);
    pxi_skip(walk);
    return false;
}
