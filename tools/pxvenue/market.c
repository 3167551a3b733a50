#include "tools/pxvenue/market_private.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"

struct asset {
    struct pxi_symbol symbol;
    uint8_t scale, size_scale;
    int64_t tick, lot;    /* mantissas */
    int64_t start, price; /* in ticks */
    uint64_t trades;      /* the number of the latest */
};

struct pxi_market {
    struct pxi_source source; /* first: the source is the market */
    struct pxi_market_setup setup;
    struct pxi_dice walk;
    struct asset *assets;
    uint64_t sent; /* trades of the random walk */
    bool started;
    int64_t began; /* px_mono ns of the first tick */
};

/* Real instruments: a price of theirs, and the smallest steps of price and size. */
static const struct {
    const char *base, *price, *tick, *lot;
} classes[] = {
    {"BTC", "61685.99", "0.01", "0.00001"},    {"ETH", "2682.51", "0.01", "0.0001"},
    {"SOL", "153.27", "0.01", "0.001"},        {"BNB", "512.4", "0.1", "0.001"},
    {"XRP", "0.6103", "0.0001", "1"},          {"DOGE", "0.10472", "0.00001", "1"},
    {"ADA", "0.3391", "0.0001", "0.1"},        {"LTC", "60.11", "0.01", "0.001"},
    {"SHIB", "0.00001388", "0.00000001", "1"}, {"AAPL", "213.31", "0.01", "1"},
    {"MSFT", "402.69", "0.01", "1"},           {"EUR", "1.09213", "0.00001", "1000"},
    {"XAU", "2427.35", "0.01", "0.01"},        {"LINK", "10.254", "0.001", "0.01"},
};

static uint8_t scale_of(const char *text)
{
    int scale = px_decimal_scale(px_text_of(text));

    PX_CHECK(scale >= 0);
    return (uint8_t)scale;
}

static int64_t mantissa(const char *text, unsigned scale)
{
    int64_t value = 0;

    PX_CHECK(px_decimal_parse(px_text_of(text), scale, PX_ROUND_EXACT, &value) == 0);
    return value;
}

/* A known base has its own class and price; the others take the classes in turn, with prices half to one and a half of
 * them. */
static void start_asset(struct asset *asset, uint32_t index, struct pxi_dice *dice)
{
    size_t class = index % PX_COUNT_OF(classes);
    uint64_t per_mille = 500 + pxi_dice_below(dice, 1000);

    for (size_t i = 0; i < PX_COUNT_OF(classes); i++)
        if (strcmp(classes[i].base, asset->symbol.base) == 0) {
            class = i;
            per_mille = 1000;
        }
    asset->scale = scale_of(classes[class].tick);
    asset->size_scale = scale_of(classes[class].lot);
    asset->tick = mantissa(classes[class].tick, asset->scale);
    asset->lot = mantissa(classes[class].lot, asset->size_scale);
    asset->start = mantissa(classes[class].price, asset->scale) / asset->tick * (int64_t)per_mille / 1000;
    asset->price = asset->start;
}

static int add_stream(struct pxi_market *market, const struct asset *asset, enum pxi_frame_kind kind, uint32_t expected)
{
    char text[PXI_MESSAGE_SIZE];
    struct pxi_pen pen = {text, 0, sizeof(text)};
    uint32_t id;
    int error;

    market->setup.dialect->stream(&pen, &asset->symbol, kind);
    error = pxi_streams_add(market->setup.streams, (struct px_text){text, pen.len}, &id);
    if (!error && id != expected)
        error = PX_E_EXISTS; /* the same symbol twice */
    return error;
}

static int add_asset(struct pxi_market *market, uint32_t index, struct px_text symbol, struct pxi_dice *dice)
{
    struct asset *asset = &market->assets[index];
    int error = pxi_symbol_parse(symbol, &asset->symbol);

    if (!error) {
        start_asset(asset, index, dice);
        error = add_stream(market, asset, PXI_FRAME_TRADE, index * 2);
    }
    if (!error)
        error = add_stream(market, asset, PXI_FRAME_QUOTE, index * 2 + 1);
    if (error)
        fprintf(stderr, "pxvenue: symbol %.*s: %s\n", (int)symbol.len, symbol.at, px_error_text(error));
    return error;
}

static int add_named(struct pxi_market *market, struct pxi_dice *dice)
{
    const char *at = market->setup.symbols;
    int error = 0;

    for (uint32_t i = 0; i < market->setup.asset_count && !error; i++) {
        size_t len = strcspn(at, ",");
        error = add_asset(market, i, (struct px_text){at, len}, dice);
        at += len + (at[len] == ',');
    }
    return error;
}

static int add_numbered(struct pxi_market *market, struct pxi_dice *dice)
{
    int error = 0;

    for (uint32_t i = 0; i < market->setup.asset_count && !error; i++) {
        char name[PXI_STREAM_NAME_MAX];
        int len = snprintf(name, sizeof(name), "%.9s%05uUSD", market->setup.prefix, i + 1);
        error = add_asset(market, i, (struct px_text){name, (size_t)len}, dice);
    }
    return error;
}

/* As many decimals as the dialect writes, or as the asset has. */
static struct px_text write_decimal(const struct pxi_market *market, int64_t value, unsigned scale,
                                    char text[PX_DECIMAL_SIZE])
{
    unsigned wanted = PX_MAX(market->setup.dialect->decimals, scale);

    return (struct px_text){text, px_decimal_format(value * px_pow10(wanted - scale), wanted, text)};
}

static void send_texts(struct pxi_market *market, uint32_t stream, enum pxi_frame_kind kind,
                       struct pxi_pen pens[PXI_UNITS], enum pxi_fate *fatep)
{
    struct pxi_frame frame = {.stream = stream, .kind = kind};

    for (unsigned unit = 0; unit < PXI_UNITS; unit++)
        frame.text[unit] = (struct px_text){pens[unit].at, pens[unit].len};
    *fatep = pxi_faults_send(market->setup.faults, &frame);
}

static enum pxi_fate send_trade(struct pxi_market *market, uint32_t index, const struct pxi_trade *trade)
{
    char text[PXI_UNITS][PXI_MESSAGE_SIZE];
    struct pxi_pen pens[PXI_UNITS] = {{text[0], 0, sizeof(text[0])}, {text[1], 0, sizeof(text[1])}};
    enum pxi_fate fate;

    market->setup.dialect->trade(&pens[PXI_UNIT_MS], trade, PXI_UNIT_MS);
    if (market->setup.dialect->units)
        market->setup.dialect->trade(&pens[PXI_UNIT_US], trade, PXI_UNIT_US);
    send_texts(market, index * 2, PXI_FRAME_TRADE, pens, &fate);
    return fate;
}

static void write_quote(struct pxi_market *market, uint32_t index, const struct pxi_quote *quote)
{
    char text[PXI_UNITS][PXI_MESSAGE_SIZE];
    struct pxi_pen pens[PXI_UNITS] = {{text[0], 0, sizeof(text[0])}, {text[1], 0, sizeof(text[1])}};
    enum pxi_fate fate;

    market->setup.dialect->quote(&pens[PXI_UNIT_MS], quote, PXI_UNIT_MS);
    send_texts(market, index * 2 + 1, PXI_FRAME_QUOTE, pens, &fate);
}

void pxi_market_quote(struct pxi_market *market, uint32_t index, struct px_text bid, struct px_text ask, struct px_text size)
{
    struct asset *asset = &market->assets[index];
    struct pxi_quote quote = {.symbol = &asset->symbol, .id = ++asset->trades, .time = px_wall_now(), .last = bid, .last_size = size,
                              .bid = bid, .ask = ask, .bid_size = size, .ask_size = size};

    write_quote(market, index, &quote);
}

static void send_quote(struct pxi_market *market, uint32_t index, const struct pxi_trade *trade, uint64_t lots)
{
    const struct asset *asset = &market->assets[index];
    char numbers[4][PX_DECIMAL_SIZE];
    int64_t bid = asset->price - (trade->seller_took ? 0 : 1); /* who sells hits the bid, who buys lifts the ask */
    struct pxi_quote quote = {
        .symbol = &asset->symbol, .id = trade->id, .time = trade->time, .last = trade->price, .last_size = trade->size};

    bid = PX_MAX(bid, 1);
    quote.bid = write_decimal(market, bid * asset->tick, asset->scale, numbers[0]);
    quote.ask = write_decimal(market, (bid + 1) * asset->tick, asset->scale, numbers[1]);
    quote.bid_size = write_decimal(market, (int64_t)(lots % 977 + 1) * asset->lot, asset->size_scale, numbers[2]);
    quote.ask_size = write_decimal(market, (int64_t)(lots / 977 % 991 + 1) * asset->lot, asset->size_scale, numbers[3]);
    write_quote(market, index, &quote);
}

static void write_journal(struct pxi_market *market, const struct pxi_trade *trade, enum pxi_fate fate)
{
    char name[PXI_STREAM_NAME_MAX];
    struct pxi_pen pen = {name, 0, sizeof(name)};

    if (!market->setup.journal)
        return;
    market->setup.dialect->symbol(&pen, trade->symbol);
    fprintf(market->setup.journal, "%.*s %llu %.*s %.*s %lld %s\n", (int)pen.len, name, (unsigned long long)trade->id,
            (int)trade->price.len, trade->price.at, (int)trade->size.len, trade->size.at,
            (long long)(trade->time / PX_NS_PER_US), pxi_fate_word(fate));
}

void pxi_market_trade(struct pxi_market *market, uint32_t index, struct px_text price, struct px_text size, bool quote)
{
    struct asset *asset = &market->assets[index];
    uint64_t chance = pxi_dice_roll(&market->walk);
    struct pxi_trade trade = {.symbol = &asset->symbol,
                              .id = ++asset->trades,
                              .time = px_wall_now(),
                              .price = price,
                              .size = size,
                              .seller_took = chance >> 63};

    write_journal(market, &trade, send_trade(market, index, &trade));
    if (quote)
        send_quote(market, index, &trade, chance & UINT32_MAX);
}

/* Up to two hundredths of a percent a step, at least one tick; pulled back beyond a fifth from where it began. */
static void step(struct asset *asset, struct pxi_dice *dice)
{
    int64_t reach = PX_MAX(asset->price / 5000, 1);
    int64_t move = (int64_t)pxi_dice_below(dice, (uint64_t)(2 * reach + 1)) - reach;

    if (asset->price + move > asset->start + asset->start / 5)
        move = -reach;
    if (asset->price + move < asset->start - asset->start / 5)
        move = reach;
    asset->price = PX_MAX(asset->price + move, 1);
}

static void walk_one(struct pxi_market *market, uint32_t index)
{
    struct asset *asset = &market->assets[index];
    char price[PX_DECIMAL_SIZE], size[PX_DECIMAL_SIZE];
    int64_t lots;

    step(asset, &market->walk);
    lots = 1 + (int64_t)pxi_dice_below(&market->walk, 1000);
    pxi_market_trade(market, index, write_decimal(market, asset->price * asset->tick, asset->scale, price),
                     write_decimal(market, lots * asset->lot, asset->size_scale, size), market->setup.quotes);
}

/* Trade number n is due n / (assets * rate) after the beginning; exact, so that no rate drifts. */
static int64_t due(const struct pxi_market *market, uint64_t n)
{
    unsigned __int128 period = (unsigned __int128)n * market->setup.rate_period * (uint64_t)PX_NS_PER_S;
    uint64_t rate = (uint64_t)market->setup.rate_count * market->setup.asset_count;

    return market->began + (int64_t)(period / rate);
}

static int64_t pump(struct pxi_source *source, px_mono now)
{
    struct pxi_market *market = (struct pxi_market *)source;
    unsigned slice = PXI_SLICE;

    if (!market->started) {
        market->started = true;
        market->began = now.ns;
    }
    for (; slice > 0 && due(market, market->sent) <= now.ns; slice--) {
        if (market->setup.ticks && market->sent == market->setup.ticks)
            break;
        walk_one(market, (uint32_t)(market->sent++ % market->setup.asset_count));
    }
    if (market->setup.ticks && market->sent == market->setup.ticks)
        return PXI_DONE;
    return due(market, market->sent);
}

int pxi_market_create(const struct pxi_market_setup *setup, struct pxi_market **marketp)
{
    struct pxi_market *market = calloc(1, sizeof(*market));
    struct pxi_dice start = pxi_dice_for(setup->seed, 1);
    int error = PX_E_MEMORY;

    if (!market)
        return error;
    market->source.pump = pump;
    market->setup = *setup;
    market->walk = pxi_dice_for(setup->seed, 2);
    market->assets = calloc(setup->asset_count, sizeof(*market->assets));
    if (market->assets)
        error = setup->symbols ? add_named(market, &start) : add_numbered(market, &start);
    if (error)
        pxi_market_destroy(&market);
    else
        *marketp = market;
    return error;
}

void pxi_market_destroy(struct pxi_market **marketp)
{
    if (!*marketp)
        return;
    free((*marketp)->assets);
    free(*marketp);
    *marketp = NULL;
}

struct pxi_source *pxi_market_source(struct pxi_market *market)
{
    return &market->source;
}

void pxi_market_list(const struct pxi_market *market, FILE *to)
{
    for (uint32_t i = 0; i < market->setup.asset_count; i++) {
        const struct asset *asset = &market->assets[i];
        char tick[PX_DECIMAL_SIZE], price[PX_DECIMAL_SIZE], name[PXI_STREAM_NAME_MAX];
        struct pxi_pen pen = {name, 0, sizeof(name)};

        market->setup.dialect->symbol(&pen, &asset->symbol);
        px_decimal_format(asset->tick, asset->scale, tick);
        px_decimal_format(asset->price * asset->tick, asset->scale, price);
        fprintf(to, "%.*s %s-%s %u %u %s %s\n", (int)pen.len, name, asset->symbol.base, asset->symbol.quote,
                asset->scale, asset->size_scale, tick, price);
    }
}

int pxi_market_find(const struct pxi_market *market, struct px_text text, uint32_t *assetp)
{
    struct pxi_symbol symbol;
    char name[PXI_MESSAGE_SIZE];
    struct pxi_pen pen = {name, 0, sizeof(name)};
    uint32_t stream;

    if (pxi_symbol_parse(text, &symbol) != 0)
        return PX_E_NOT_FOUND;
    market->setup.dialect->stream(&pen, &symbol, PXI_FRAME_TRADE);
    stream = pxi_streams_find(market->setup.streams, (struct px_text){name, pen.len});
    if (stream == PXI_STREAM_NONE)
        return PX_E_NOT_FOUND;
    *assetp = stream / 2;
    return 0;
}
