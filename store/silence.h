/*
 * A silence keeps notifications back while it lasts: those of fires that have everything it names. The fires themselves are recorded
 * and streamed as ever. Web fills the record; the keeper owns it.
 */
#pragma once

#include "store/alert.h"

#define PX_SILENCE_COMMENT_SIZE 128
#define PX_SILENCES_MAX         10000 /* of all owners; they are kept in memory, 2.5 MB */

struct px_silence {
    struct px_alert_id id; /* a ULID as alerts have them; "si_" in text */
    char owner[PX_OWNER_SIZE];
    char symbol[PX_SYMBOL_SIZE];       /* "" = any */
    char tag[PX_ALERT_TAG_SIZE];       /* "" = any */
    struct px_alert_id alert, channel; /* {0, 0} = any */
    int64_t starts_ns, ends_ns;        /* wall: [starts, ends) */
    int64_t created_ns;
    char comment[PX_SILENCE_COMMENT_SIZE];
};

void px_silence_id_format(struct px_alert_id id, char text[PX_ALERT_ID_SIZE]); /* "si_…" */
int px_silence_id_parse(struct px_text text, struct px_alert_id *idp);         /* PX_E_FORMAT */

/* What a put must fulfil whoever asks. PX_E_INVALID. */
int px_silence_check(const struct px_silence *silence);

/* Would it keep back what this alert of the same owner tells this channel at that time? */
bool px_silence_matches(const struct px_silence *silence, const struct px_alert *alert, struct px_alert_id channel,
                        int64_t at_ns);

#define PX_SILENCE_ENCODED_MAX 320

size_t px_silence_encode(const struct px_silence *silence, uint8_t bytes[PX_SILENCE_ENCODED_MAX]);
int px_silence_decode(const void *bytes, size_t n, struct px_silence *silencep); /* PX_E_FORMAT */
