#include "shm/levels.h"

#include "base/decimal.h"
#include "shm/series.h"

static const char *const names[] = {
#define ROW(NAME, name) #name,
    PX_SERIES_TABLE(ROW)
#undef ROW
};

const char *px_series_name(unsigned series)
{
    return series < PX_SERIES ? names[series] : "unknown";
}

unsigned px_series_scale(enum px_series series, unsigned asset_scale)
{
    if (series == PX_SERIES_MID)
        return PX_MIN(asset_scale + 1, PX_SCALE_MAX);
    if (series >= PX_SERIES_TWAP_1M && series <= PX_SERIES_TWAP_15M)
        return px_average_scale(asset_scale);
    if (series >= PX_SERIES_RISE_PCT_1M && series <= PX_SERIES_FALL_PCT_1H)
        return PX_PERCENT_SCALE;
    return series == PX_SERIES_AGE ? 3 : asset_scale;
}
