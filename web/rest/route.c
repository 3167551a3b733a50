/* The table of routes, and the search in it: some dozens of comparisons cost less than the cleverness that would avoid them.
 */
#include "web/rest/route.h"

#include <stdio.h>

static const struct px_route routes[] = {
#define ROUTE_ROW(method, path, access, handler) {PX_##method, path, PX_ACCESS_##access, handler},
    PX_ROUTE_TABLE(ROUTE_ROW)
#undef ROUTE_ROW
};

enum px_method px_method_of(const char *name)
{
    static const struct {
        const char *name;
        enum px_method method;
    } names[] = {{"GET", PX_GET}, {"HEAD", PX_GET}, {"POST", PX_POST}, {"PATCH", PX_PATCH}, {"DELETE", PX_DELETE}, {"OPTIONS", PX_OPTIONS}};

    for (size_t i = 0; i < PX_COUNT_OF(names); i++)
        if (strcmp(name, names[i].name) == 0)
            return names[i].method;
    return PX_METHOD_OTHER;
}

/* "*" stands once at most, for a segment that is not empty. */
static bool matches(const char *pattern, struct px_text path, struct px_text *segmentp)
{
    const char *star = strchr(pattern, '*');

    if (!star)
        return px_text_is(path, pattern);
    size_t before = (size_t)(star - pattern), after = strlen(star + 1);
    if (path.len <= before + after || memcmp(path.at, pattern, before) != 0 || memcmp(path.at + path.len - after, star + 1, after) != 0)
        return false;
    *segmentp = (struct px_text){path.at + before, path.len - before - after};
    return memchr(segmentp->at, '/', segmentp->len) == NULL;
}

struct px_route_match px_route_find(enum px_method method, struct px_text path)
{
    struct px_route_match match = {0};

    for (size_t i = 0; i < PX_COUNT_OF(routes); i++) {
        struct px_text segment = {0};
        if (!matches(routes[i].path, path, &segment))
            continue;
        if (match.methods == 0)
            match.access = routes[i].access;
        match.methods |= routes[i].method;
        if (routes[i].method == method) {
            match.route = &routes[i];
            match.segment = segment;
        }
    }
    return match;
}

void px_methods_text(unsigned methods, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%sOPTIONS", methods & PX_GET ? "GET, HEAD, " : "", methods & PX_POST ? "POST, " : "",
             methods & PX_PATCH ? "PATCH, " : "", methods & PX_DELETE ? "DELETE, " : "");
}
