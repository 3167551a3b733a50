/* How long requests took, as Prometheus reads histograms: each bucket counts what the ones before it do. */
#include "web/rest/request_private.h"

static const char *const class_names[] = {
#define CLASS_NAME(NAME, name) name,
    PX_TIME_CLASS_TABLE(CLASS_NAME)
#undef CLASS_NAME
};

static struct px_times sum_of(const struct px_request *request, unsigned stage, unsigned class)
{
    const struct px_shm *shm = request->rest->heritage->shm;
    struct px_times sum = {0};

    for (unsigned slot = 0; slot < PX_ROLE_SLOTS; slot++) {
        const struct px_times *times = &shm->stats[slot].times[stage][class];

        for (unsigned i = 0; i <= PX_TIME_BOUNDS; i++)
            sum.count[i] += px_load_relaxed(&times->count[i]);
        sum.sum_ns += px_load_relaxed(&times->sum_ns);
    }
    return sum;
}

static void say_class(struct px_request *request, const char *name, const char *class, const struct px_times *times)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < PX_TIME_BOUNDS; i++) {
        count += times->count[i];
        pxi_say(request, "pxengine_%s_bucket{class=\"%s\",le=\"%g\"} %llu\n", name, class, px_time_bounds_us[i] / 1e6,
                (unsigned long long)count);
    }
    count += times->count[PX_TIME_BOUNDS];
    pxi_say(request,
            "pxengine_%s_bucket{class=\"%s\",le=\"+Inf\"} %llu\npxengine_%s_sum{class=\"%s\"} %.9f\n"
            "pxengine_%s_count{class=\"%s\"} %llu\n",
            name, class, (unsigned long long)count, name, class, (double)times->sum_ns / 1e9, name, class,
            (unsigned long long)count);
}

void pxi_say_times(struct px_request *request)
{
    static const struct {
        const char *name, *help;
    } stages[] = {
#define STAGE_ROW(NAME, name, help) {name, help},
        PX_TIME_STAGE_TABLE(STAGE_ROW)
#undef STAGE_ROW
    };

    for (unsigned stage = 0; stage < PX_TIME_STAGES; stage++) {
        pxi_say_family(request, stages[stage].name, "histogram", stages[stage].help);
        for (unsigned class = 0; class < PX_TIME_CLASSES; class++) {
            struct px_times times = sum_of(request, stage, class);

            say_class(request, stages[stage].name, class_names[class], &times);
        }
    }
}
