/* Inside store/alerts*.c and store/event.c. */
#pragma once

#include "store/db_private.h"
#include "store/deliveries.h"
#include "store/silences.h"

enum {
    PXI_ALERTS_DEFAULT,
    PXI_ALERTS_ALERTS,
    PXI_ALERTS_OWNERS,
    PXI_ALERTS_EVENTS,
    PXI_ALERTS_MINE,
    PXI_ALERTS_OUTBOX,
    PXI_ALERTS_META,
    PXI_ALERTS_CHANNELS,
    PXI_ALERTS_DELIVERIES,
    PXI_ALERTS_DUE,
    PXI_ALERTS_TOLD,
    PXI_ALERTS_STORMS,
    PXI_ALERTS_SILENCES,
    PXI_ALERTS_ARMED,
    PXI_ALERTS_EXPIRY,
    PXI_ALERTS_TESTS,
    PXI_ALERTS_ANSWERS,
    PXI_ALERTS_FAMILIES
};

#define PXI_OWNER_KEY 32 /* "count/" and an owner */

struct pxi_owner_count {
    char owner[PX_OWNER_SIZE];
    uint64_t count;
    bool changed; /* by the group under way */
};

struct px_alerts {
    struct pxi_db db;
    const struct px_names *names;
    uint64_t eseq, count;           /* with the group under way */
    uint64_t deliveries;            /* the newest one's number, likewise */
    int64_t due_floor[2];           /* nothing is due, [1]: leased, before; what stood there is gone, and its tombstones are passed over */
    int64_t group_floor[2];         /* likewise of what the group under way has put, which no scan sees yet */
    int64_t soonest;                /* nothing becomes due before; leases do not count */
    int64_t answers_floor;          /* of when they were made; those before have gone */
    struct pxi_silences *silences;
    struct pxi_gathers *gathers;
    px_alerts_render *render;       /* NULL: a message is told as it is */
    void *render_ctx;
    int (*settle)(void *ctx); /* how the group under way is committed when the index wants to be read */
    void *settle_ctx;
    struct pxi_outbox *outbox;      /* fires on their way: fires.c */
    uint64_t told;                  /* newest fire that has been told, likewise */
    uint32_t fires;                 /* judged in the group */
    uint32_t *number;               /* per asset of the configuration: its number in the index */
    uint8_t *unindexed;             /* likewise: enum px_index_state */
    px_asset_id *by_number;         /* back again; PX_ASSET_NONE for what is not configured */
    uint32_t numbers;
    uint32_t *series;               /* per asset: bits of those that may have rows in the index */
    uint32_t *untold;               /* per asset: fires in the outbox, with the group under way */
    bool series_unknown;            /* there are assets of which an older engine has not said */
    bool dirty;
    unsigned changes;
    struct px_alert_id touched[2 * PX_ALERTS_GROUP_MAX]; /* of the group; open addressing, {0, 0} = free */
    uint32_t changed[PX_ALERTS_GROUP_MAX + 1]; /* owners whose count the group has changed */
    unsigned changed_count;
    unsigned owners;                        /* in the table below */
    struct pxi_owner_count owner[4 * PX_ALERTS_GROUP_MAX]; /* counts as the group leaves them; open addressing */
};

/*   0         24        32        40
 *   | owner   | hi BE   | lo BE   |        the owner's text is filled up with zeros */
#define PXI_ALERT_KEY 40
/*   0         24        32
 *   | owner   | eseq BE |  */
#define PXI_MINE_KEY 32
#define PXI_ARMED_KEY 31
/*   0         8         32
 *   | time BE | owner   | id BE |  */
#define PXI_EXPIRY_KEY 48

void pxi_alert_key(uint8_t key[PXI_ALERT_KEY], const char *owner, struct px_alert_id id);
void pxi_mine_key(uint8_t key[PXI_MINE_KEY], const char *owner, uint64_t eseq);
void pxi_id_key(uint8_t key[16], struct px_alert_id id);
struct px_alert_id pxi_id_from_key(const uint8_t key[16]);

/* fires.c */
int pxi_fires_open(struct px_alerts *alerts);
void pxi_fires_close(struct px_alerts *alerts);
void pxi_fires_put(struct px_alerts *alerts); /* what the group has judged so far goes into its batch */

/* numbers.c: what the index calls an asset. */
int pxi_numbers_open(struct px_alerts *alerts);
void pxi_numbers_close(struct px_alerts *alerts);
void pxi_numbers_series(struct px_alerts *alerts, px_asset_id asset, unsigned series); /* is about to have rows */
px_asset_id pxi_asset_of_number(const struct px_alerts *alerts, uint32_t number);

/* Decodes a row and finds the asset of today. */
int pxi_alert_row(const struct px_alerts *alerts, const void *value, size_t len, struct px_alert *alertp);

/* Alerts as they are stored, of as many names at once. */
struct pxi_fetched {
    uint8_t value[PXI_MANY][PX_ALERT_ENCODED_MAX];
    size_t len[PXI_MANY]; /* PXI_NONE: there is no such alert */
};
int pxi_alerts_fetch(const struct px_alerts *alerts, const struct px_alert_id *ids, unsigned count, struct pxi_fetched *fetched);

#define PXI_EVENT_MAX 800

int pxi_number_read(const struct px_alerts *alerts, const char *key, uint64_t *valuep);
void pxi_number_put(struct px_alerts *alerts, const char *key, uint64_t value);
void pxi_alert_put(struct px_alerts *alerts, const struct px_alert *alert);

/* A fire with texts in the place of numbers that change with the configuration. */
size_t pxi_event_encode(const struct px_alerts *alerts, const struct px_alert_event *event, const char *symbol,
                        uint8_t bytes[PXI_EVENT_MAX]);
int pxi_event_decode(const struct px_alerts *alerts, const void *bytes, size_t n, struct px_alert_event *eventp);
uint8_t pxi_event_scale(const struct px_alerts *alerts, const struct px_alert_event *event); /* of its prices */
int pxi_event_get(const struct px_alerts *alerts, uint64_t eseq, struct px_alert_event *eventp);

/* Rows are read from the database, which does not know the group yet: so each alert, channel and delivery changes once a group. */
bool pxi_may_touch(struct px_alerts *alerts, struct px_alert_id id);
void pxi_touch(struct px_alerts *alerts, struct px_alert_id id);

int pxi_channel_of(const struct px_alerts *alerts, const char *owner, struct px_alert_id id, struct px_channel *channelp);
void pxi_channel_put(struct px_alerts *alerts, const struct px_channel *channel);

/* One delivery for each channel of the alert that takes notifications; *countp of them are new. */
int pxi_deliveries_make(struct px_alerts *alerts, const struct px_alert *alert, const struct px_alert_event *event,
                        uint16_t *countp);

/* ---- deliveries.c, for deliveries_make.c ---- */

int pxi_delivery_get(const struct px_alerts *alerts, uint64_t number, struct px_delivery *deliveryp);
void pxi_delivery_put(struct px_alerts *alerts, const struct px_delivery *delivery);
/* Puts what has become of `before`. */
void pxi_delivery_change(struct px_alerts *alerts, const struct px_delivery *before, const struct px_delivery *now);
/* A name for the group's table of what it has touched; no ULID of this age of the world looks like it. */
struct px_alert_id pxi_delivery_touch_id(uint64_t number);
/* A new one for the channel, due at once or at due_ns, in the state that it has. */
void pxi_delivery_make(struct px_alerts *alerts, const struct px_channel *channel, struct px_delivery *delivery);

/* ---- deliveries_make.c: what gathers fires, as the group under way has it ---- */

int pxi_gathers_open(struct px_alerts *alerts);
void pxi_gathers_close(struct px_alerts *alerts);

/* ---- answers.c ---- */

/* The alert as it was made under that token within a day; PX_E_NOT_FOUND, for the token {0, 0} too. */
int pxi_answer_find(const struct px_alerts *alerts, const char *owner, struct px_alert_id token, struct px_alert *storedp);
void pxi_answer_put(struct px_alerts *alerts, struct px_alert_id token, const struct px_alert *alert);

/* ---- silences.c ---- */

int pxi_silences_open(struct px_alerts *alerts);
void pxi_silences_close(struct px_alerts *alerts);
/* The silence that keeps this back at that time, or NULL. Main thread; valid until the next put or delete. */
const struct px_silence *pxi_silence_of(const struct px_alerts *alerts, const struct px_alert *alert,
                                        struct px_alert_id channel, int64_t at_ns);
