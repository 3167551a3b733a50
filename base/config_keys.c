/* The one table of configuration keys. Parser, presets, ranges and docs/config.md are made from it. */
#include <stdio.h>

#include "base/config_private.h"

#define FIELD(type, member) offsetof(struct type, member), sizeof(((struct type *)0)->member)
#define NO_FIELD            0, 0

/* The keeper's socket lies in the data directory, and a socket's path has 108 bytes. */
#define DATA_PATH_MAX 90

#define DAYS_MAX 36500

static const struct pxi_key top[] = {
    {"listen", PXI_ADDRESS, FIELD(px_config, listen_host), 1, 65535, "127.0.0.1:8080",
     "Address and port of the one public door: dashboard, REST and WebSocket. `0.0.0.0:8080` serves every interface."},
    {"data", PXI_PATH, FIELD(px_config, data), 1, DATA_PATH_MAX, "/var/lib/pxengine",
     "Directory of the store, the API keys and the internal socket. Created when missing."},
    {"log_level", PXI_LEVEL, FIELD(px_config, log_level), 0, 0, "info", "`debug`, `info`, `warn` or `error`."},
    {"web_workers", PXI_COUNT, FIELD(px_config, web_workers), 1, 16, "1",
     "Processes that serve clients. One core carries some ten thousand connections."},
    {"evaluators", PXI_COUNT, FIELD(px_config, evaluators), 1, 4, "1",
     "Processes that evaluate ticks, each those of a share of the assets. One core carries some hundred thousand ticks a second. Takes a restart."},
    {"limits", PXI_SECTION, FIELD(px_config, limits), 0, 0, "", "What one client may use; see below."},
    {"history", PXI_SECTION, FIELD(px_config, history), 0, 0, "", "How long history is kept; see below."},
    {"notify", PXI_SECTION, FIELD(px_config, notify), 0, 0, "", "How fires are told outside; see below."},
    {"venues", PXI_VENUES, NO_FIELD, 1, PX_VENUES_MAX, NULL, "Where prices come from; see below."},
    {"assets", PXI_ASSETS, NO_FIELD, 1, PX_ASSETS_MAX, NULL, "What is priced; see below."},
};

static const struct pxi_key limits[] = {
    {"alerts_per_owner", PXI_COUNT, FIELD(px_config_limits, alerts_per_owner), 1, 100000000, "100000",
     "Alerts that one API key may hold."},
    {"body_kib", PXI_KIB, FIELD(px_config_limits, body_bytes), 1024, 16 * 1024 * 1024, "1MiB",
     "Largest request body. A batch of 1000 alerts takes 100 to 500 KiB."},
    {"connections", PXI_COUNT, FIELD(px_config_limits, connections), 1, 1000000, "10000",
     "Open client connections of one web worker."},
    {"subscriptions_per_connection", PXI_COUNT, FIELD(px_config_limits, subscriptions_per_connection), 1, PX_ASSETS_MAX,
     "10000", "Symbols that one connection may follow."},
    {"requests_per_second", PXI_COUNT, FIELD(px_config_limits, requests_per_second), 1, 1000000, "100",
     "REST requests of one API key; more are answered with 429."},
    {"silences_per_owner", PXI_COUNT, FIELD(px_config_limits, silences_per_owner), 1, 10000, "100",
     "Silences of one API key that have not ended."},
};

static const struct pxi_key history[] = {
    {"ticks", PXI_DAYS, FIELD(px_config_history, ticks), 1, DAYS_MAX, "30d",
     "Trades. They are let go by whole days, counted from the newest one."},
    {"candles_1s", PXI_DAYS, FIELD(px_config_history, candles_1s), 1, DAYS_MAX, "2d",
     "How far back candles of less than a minute are made; they are made of trades when they are asked for."},
    {"candles_1m", PXI_DAYS, FIELD(px_config_history, candles_1m), 1, DAYS_MAX, "400d",
     "Candles of one minute, let go by 32 days. Those of days are kept for ever."},
    {"candles_5m", PXI_DAYS, FIELD(px_config_history, candles_5m), 1, DAYS_MAX, "36500d",
     "Candles of 5 minutes, and of what is made of them: 15, 30. Let go by days. A hundred years: for ever."},
    {"candles_1h", PXI_DAYS, FIELD(px_config_history, candles_1h), 1, DAYS_MAX, "36500d",
     "Candles of an hour, and of 2, 4, 6, 8 and 12. Let go by weeks."},
};

static const struct pxi_key notify[] = {
    {"allow_private", PXI_CIDRS, FIELD(px_config_notify, allowed), 0, PX_ALLOWED_MAX, "",
     "Private addresses that webhooks may reach all the same, such as `[10.1.0.0/16]`; without it none."},
    {"ca_file", PXI_TEXT, FIELD(px_config_notify, ca_file), 1, 255, "",
     "Certificates to trust of `https://` receivers in place of the system's."},
    {"user", PXI_TEXT, FIELD(px_config_notify, user), 1, 31, "",
     "Whose rights `notify` takes, such as `nobody`, when root starts the engine; without it root's, in a cage all the same."},
    {"per_minute", PXI_COUNT, FIELD(px_config_notify, per_minute), 0, 60000, "0",
     "Notifications a minute to a channel that sets no `per_minute` itself; what is over waits. `0`: no bound."},
    {"smtp", PXI_SECTION, FIELD(px_config_notify, smtp), 0, 0, "", "Where mail goes out; see below."},
    {"vapid", PXI_SECTION, NO_FIELD, 0, 0, "", "How browsers' push services know this engine; see below."},
};

static const struct pxi_key smtp[] = {
    {"url", PXI_SMTP_URL, FIELD(px_config_smtp, url), 1, 255, "",
     "The mail server, such as `smtps://mail.example.com` or `smtp://127.0.0.1:25`; without it no mail goes out."},
    {"from", PXI_MAIL, FIELD(px_config_smtp, from), 3, 127, "", "The sender's address."},
    {"user", PXI_TEXT, FIELD(px_config_smtp, user), 1, 127, "", "Name to log in with."},
    {"password_file", PXI_TEXT, FIELD(px_config_smtp, password_file), 1, 255, "",
     "File whose first line is the password; it is read when the engine starts."},
    {"ca_file", PXI_TEXT, FIELD(px_config_smtp, ca_file), 1, 255, "",
     "Certificates to trust of the mail server in place of the system's."},
};

static const struct pxi_key vapid[] = {
    {"subject", PXI_SUBJECT, FIELD(px_config_notify, vapid_subject), 8, 127, "",
     "Whom a push service may write to: `mailto:you@example.com` or an `https://` page; without it no web push."},
};

static const struct pxi_key venue[] = {
    {"name", PXI_NAME, FIELD(px_config_venue, name), 1, 23, NULL,
     "How `sources` and clients call it: small letters, digits, `_` and `-`."},
    {"dialect", PXI_DIALECT, FIELD(px_config_venue, dialect), 0, 0, NULL,
     "The language it speaks: `binance`, `coinbase` or `kraken`."},
    {"url", PXI_URL, FIELD(px_config_venue, url), 1, 255, NULL, "`ws://` or `wss://`, host, port and path."},
    {"clock", PXI_CLOCK, FIELD(px_config_venue, clock), 0, 0, "venue",
     "Whose time a tick carries: `venue`, or `receipt` for recordings that are replayed at present time."},
    {"stale_after", PXI_DURATION, FIELD(px_config_venue, stale_after_ms), 100, 86400000, "10s",
     "Silence after which a price counts as stale and the connection is made anew."},
    {"ca_file", PXI_TEXT, FIELD(px_config_venue, ca_file), 1, 255, "",
     "Certificates to trust for `wss://` in place of the system's."},
};

static const struct pxi_key asset[] = {
    {"symbol", PXI_SYMBOL, FIELD(px_config_asset, symbol), 3, PX_SYMBOL_SIZE - 1, NULL,
     "`BASE-QUOTE` in capitals and digits, such as `BTC-USD`."},
    {"decimals", PXI_DECIMALS, FIELD(px_config_asset, scale), 0, PX_SCALE_MAX, NULL,
     "Digits after the point of a price. A price with more is refused, never rounded."},
    {"size_decimals", PXI_DECIMALS, FIELD(px_config_asset, size_scale), 0, PX_SCALE_MAX, "8",
     "Digits after the point of a traded size."},
    {"tick", PXI_PRICE, FIELD(px_config_asset, tick), 0, 0, "",
     "The step of the price, such as `\"0.01\"`; prices between steps are dropped as bad. Empty: any price."},
    {"max_jump", PXI_PERCENT, FIELD(px_config_asset, max_jump_bp), 0, UINT16_MAX, "20%",
     "A price further than this from the last one waits until others confirm it. `0%`: no bound."},
    {"aliases", PXI_ALIASES, FIELD(px_config_asset, aliases), 0, PX_ALIASES_MAX, "",
     "Other spellings that clients may use, such as `[BTC/USD, BTCUSD]`."},
    {"sources", PXI_SOURCES, FIELD(px_config_asset, sources), 1, PX_SOURCES_MAX, NULL,
     "Venue and the venue's own symbol, best first: `{coinbase: BTC-USD, kraken: BTC/USD}`."},
};

const struct pxi_keys pxi_keys_top = {"the file", top, PX_COUNT_OF(top)};
const struct pxi_keys pxi_keys_limits = {"limits", limits, PX_COUNT_OF(limits)};
const struct pxi_keys pxi_keys_history = {"history", history, PX_COUNT_OF(history)};
const struct pxi_keys pxi_keys_notify = {"notify", notify, PX_COUNT_OF(notify)};
const struct pxi_keys pxi_keys_smtp = {"smtp", smtp, PX_COUNT_OF(smtp)};
const struct pxi_keys pxi_keys_vapid = {"vapid", vapid, PX_COUNT_OF(vapid)};
const struct pxi_keys pxi_keys_venue = {"a venue", venue, PX_COUNT_OF(venue)};
const struct pxi_keys pxi_keys_asset = {"an asset", asset, PX_COUNT_OF(asset)};

/* base/ stands below feed/, where the dialects themselves are; the unit test of config holds the two lists together. */
const char *const pxi_dialects[] = {"binance", "coinbase", "kraken", NULL};

const struct pxi_keys *pxi_section(const struct pxi_key *key)
{
    static const struct pxi_keys *const sections[] = {&pxi_keys_limits, &pxi_keys_history, &pxi_keys_notify, &pxi_keys_smtp,
                                                    &pxi_keys_vapid};
    size_t i = 0;
    while (strcmp(sections[i]->title, key->name) != 0)
        PX_CHECK(++i < PX_COUNT_OF(sections));
    return sections[i];
}

const struct pxi_key *pxi_key_find(const struct pxi_keys *keys, struct px_text name)
{
    for (size_t i = 0; i < keys->count; i++)
        if (px_text_is(name, keys->list[i].name))
            return &keys->list[i];
    return NULL;
}

void pxi_presets(const struct pxi_keys *keys, void *base)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct pxi_key *key = &keys->list[i];
        char why[PXI_WHY_SIZE];
        if (key->type == PXI_SECTION)
            pxi_presets(pxi_section(key), (char *)base + key->offset);
        else if (key->preset && key->preset[0])
            PX_CHECK(pxi_value_read(key, px_text_of(key->preset), base, why));
    }
}

/* How many letters must be changed, added or left out; names are short, so longer ones count as far away. */
static size_t edit_distance(struct px_text a, struct px_text b)
{
    size_t row[33];
    if (a.len >= PX_COUNT_OF(row) || b.len >= PX_COUNT_OF(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replace = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            row[j] = PX_MIN(replace, PX_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}

void pxi_guess_add(struct pxi_guess *guess, const char *name)
{
    size_t distance = edit_distance(guess->wanted, px_text_of(name));
    bool close = distance <= 1 + strlen(name) / 4;
    if (close && (!guess->best || distance < guess->distance)) {
        guess->best = name;
        guess->distance = distance;
    }
}

static void reference_section(FILE *to, const struct pxi_keys *keys, const char *heading)
{
    fprintf(to, "\n## %s\n\n| key | default | meaning |\n| --- | --- | --- |\n", heading);
    for (size_t i = 0; i < keys->count; i++) {
        const struct pxi_key *key = &keys->list[i];
        if (!key->preset)
            fprintf(to, "| `%s` | must be given |", key->name);
        else if (key->preset[0])
            fprintf(to, "| `%s` | `%s` |", key->name, key->preset);
        else
            fprintf(to, "| `%s` | none |", key->name);
        fprintf(to, " %s |\n", key->help);
    }
}

void px_config_reference(FILE *to)
{
    reference_section(to, &pxi_keys_top, "At the top");
    reference_section(to, &pxi_keys_limits, "limits");
    reference_section(to, &pxi_keys_history, "history");
    reference_section(to, &pxi_keys_notify, "notify");
    reference_section(to, &pxi_keys_smtp, "notify: smtp");
    reference_section(to, &pxi_keys_vapid, "notify: vapid");
    reference_section(to, &pxi_keys_venue, "venues, a list");
    reference_section(to, &pxi_keys_asset, "assets, a list");
}
