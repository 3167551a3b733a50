/* Inside web/rest: a request on its way through routing, admission, handler and answer. */
#pragma once

#include <zlib.h>

#include "base/json_out.h"
#include "base/keys.h"
#include "engine/heritage.h"
#include "shm/region.h"
#include "store/reader.h"
#include "web/rest/problem.h"
#include "web/rest/query.h"
#include "web/rest/rate.h"
#include "web/rest/rest.h"
#include "web/rest/route.h"

#define PXI_HEAD_ROOM       4096              /* before the body, so that both leave by one write */
#define PXI_BUFFER_SIZE     (64 * 1024)       /* what a thread keeps */
#define PXI_BUFFER_MAX      (8 * 1024 * 1024) /* what one answer may take */
#define PXI_PAGE            500               /* rows unless the client says otherwise */
#define PXI_ALERTS_PAGE_MAX 1000              /* alerts are large: fewer a page than rows of history */

struct px_static_file;

struct px_rest {
    const struct px_heritage *heritage;
    const struct px_snapshots *snapshots;
    struct px_watchers *watchers;
    struct px_rates *rates;
    unsigned streams; /* under way, of all threads */
    char epoch[24];   /* "k3" */
};

struct pxi_answer {
    int status;        /* 0 until the handler says; 200 then */
    const char *type;  /* NULL: application/json */
    const char *cache; /* Cache-Control; NULL: no-store */
    char etag[72], location[96], link[640];
    bool empty;     /* 204 and 304: no body at all */
    bool by_accept; /* another Accept may bring another answer */
    bool streamed;  /* it has gone out already */
    const struct px_static_file *file;
    struct px_json json; /* the body, in the thread's buffer behind PXI_HEAD_ROOM */
};

/* Lives in its thread: it is too large for civetweb's 100 KB stacks. */
struct px_request {
    struct px_rest *rest;
    struct px_rest_thread *thread;
    const struct px_exchange *exchange;
    struct px_route_match match;
    bool head_only;
    struct px_config_limits limits; /* as they were when it came in */
    px_mono began;
    char id[32];                    /* X-Request-Id */
    char segment[128];              /* the "*" of the path, decoded */
    struct px_query query;
    struct px_text body;
    bool admitted; /* `key` is whose request this is */
    struct px_key key;
    bool rated, closing; /* closing: nothing more is read on this connection */
    struct px_rate_state rate;
    struct pxi_answer answer;
    struct px_problem problem;
};

struct px_rest_thread {
    struct px_rest *rest;
    struct px_reader *reader;
    char *buffer; /* an answer: PXI_HEAD_ROOM, then the body */
    size_t buffer_size;
    char *body; /* of the request; body_size + 1, made when first needed */
    uint32_t body_size;
    z_stream zip; /* one per thread, because making one costs 256 KB and clears them */
    bool zip_made;
    struct px_request request;
};

/* ---- what handlers use ---- */

/* Makes room for a body of that many bytes, before anything is written. A problem is stated and false returned beyond
 * PXI_BUFFER_MAX. */
bool pxi_reserve(struct px_request *request, size_t bytes);

/*
 * The asset that `text` names, as the directory has it now; *symbolp is a copy, so that nobody holds the directory
 * while waiting for the keeper. PX_ASSET_NONE if there is none.
 */
px_asset_id pxi_asset_find(const struct px_request *request, struct px_text text, struct px_symbol *symbolp);

/* The same for the path's segment; states unknown_symbol. */
px_asset_id pxi_asset_of_path(struct px_request *request, struct px_symbol *symbolp);

/* Parameters; each states its problem and returns false. */
bool pxi_param_int(struct px_request *request, const char *name, int64_t least, int64_t most, int64_t *valuep);
bool pxi_param_bool(struct px_request *request, const char *name, bool *valuep);
bool pxi_param_time(struct px_request *request, const char *name, int64_t *nsp);
bool pxi_param_range(struct px_request *request, struct px_range *rangep); /* start, end, limit, order, cursor */
#define PXI_KEY_LEN_MAX 255

/* The header Idempotency-Key, `at` NULL without one; false with the problem stated when it is none. */
bool pxi_idempotency_key(struct px_request *request, struct px_text *keyp);
/* A new id, or with that header the one that it makes of every repetition; kinds have ids apart. False with the problem stated. */
bool pxi_name_by_key(struct px_request *request, const char *kind, const char *owner, struct px_alert_id *idp, bool *keyedp);

bool pxi_param_order(struct px_request *request, bool *descendingp);       /* asc, desc; left alone without */

/* True, with 304, when the client has this version already. The ETag is sent either way. */
bool pxi_not_modified(struct px_request *request, const char *etag);

/* Does a comma-separated If-Match or If-None-Match header name the tag? "*" names all; W/ is looked through. */
bool pxi_etag_listed(const char *header, const char *etag);

/* "next_cursor" and Link; `cursor` NULL at the end. */
void pxi_write_next(struct px_request *request, const char *cursor);
void pxi_link_next(struct px_request *request, const char *cursor); /* Link alone */

/* One word more of what an ETag is made of. */
static inline uint64_t pxi_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* Whose alerts the caller may see: its own, or everybody's (NULL) with the admin scope. */
const char *pxi_owner_of(const struct px_request *request);

/* States what a failed call of the keeper means. */
void pxi_keeper_failed(struct px_request *request, int error);

/* Ends the connection after this answer. */
void pxi_hang_up(struct px_request *request);
/* The request is worth so many more than one: RateLimit-Remaining says so, and what comes after it waits. */
void pxi_charge(struct px_request *request, uint32_t count);

struct px_json *pxi_json(struct px_request *request);

/* ---- opaque cursors: base64url of a few words ---- */

#define PXI_CURSOR_WORDS 5
#define PXI_CURSOR_SIZE  64
void pxi_cursor_write(const uint64_t *words, unsigned count, char text[PXI_CURSOR_SIZE]);
int pxi_cursor_read(struct px_text text, uint64_t *words, unsigned count); /* PX_E_FORMAT */

/* Of lists that are in order of owner and id: ?cursor, and what pxi_write_next says of it; `next` NULL at the end. */
bool pxi_param_owner_cursor(struct px_request *request, struct px_alert_cursor *cursorp);
void pxi_write_owner_next(struct px_request *request, const struct px_alert_cursor *next);

/* ---- csv.c ---- */

enum pxi_form { PXI_FORM_JSON, PXI_FORM_CSV, PXI_FORM_LINES };

/* What the client asks for; the answer then says that it is that. */
enum pxi_form pxi_form_wanted(struct px_request *request);
void pxi_csv_name(struct px_json *json, const char *name, bool last); /* of a column, in the first line */
/* Around what writes one JSON value; `from` is the length before. */
struct px_json *pxi_csv_begin(struct px_json *json);
void pxi_csv_end(struct px_json *json, size_t from, bool last);
void pxi_line_end(struct px_request *request);
/* The line that a broken stream lacks. */
void pxi_line_last(struct px_request *request, uint64_t rows, const char *cursor);

/* ---- stream.c: answers beyond a page ---- */

#define PXI_STREAM_ROWS_MAX    1000000000
#define PXI_STREAM_CHUNK       (64 * 1024)
#define PXI_STREAMS_MAX        8     /* at a time: a quarter of the threads */
#define PXI_STREAM_PATIENCE_MS 15000 /* with the keeper */

struct pxi_stream;

/* NULL: a problem is stated. Ended by pxi_stream_end. */
struct pxi_stream *pxi_stream_begin(struct px_request *request);

/* Sends the head, unless it is out; from then on no problem can be stated. False: no rows are wanted, or no more. */
bool pxi_stream_tell(struct pxi_stream *stream);

/* Between two rows, each of up to a kilobyte: sends what has been written if it is much. False: nobody takes it. */
bool pxi_stream_goes_on(struct pxi_stream *stream);

/* The rest can not be had: a problem if nothing was told, else the stream breaks off without its end. */
void pxi_stream_lost(struct pxi_stream *stream, int error);

void pxi_stream_end(struct pxi_stream **streamp);

/* answer.c: the head of a stream into `to`, of PXI_HEAD_ROOM; its length. Whether it is to be packed, with the thread's zip ready. */
size_t pxi_stream_head(struct px_request *request, bool packed, char *to);
bool pxi_stream_packs(struct px_request *request);

/* ---- /metrics: status.c, times.c ---- */

void pxi_say(struct px_request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pxi_say_family(struct px_request *request, const char *name, const char *kind, const char *help);
void pxi_say_times(struct px_request *request);

/* ---- the way out ---- */

bool pxi_weight_is_zero(struct px_text parameters); /* "q=0", "q=0.", "q=0.000": not welcome */

int pxi_answer_send(struct px_request *request);
void pxi_answer_file(struct px_request *request, const struct px_static_file *file);

/* ---- what handlers of one file lend to another's ---- */

void pxi_averages_live(struct px_request *request, px_asset_id asset, const struct px_symbol *symbol);
const char *pxi_venue_name(const struct px_request *request, uint32_t venue); /* "unknown" */
bool pxi_asset_at(const struct px_request *request, px_asset_id asset, struct px_symbol *symbolp);
void pxi_json_coverage(struct px_json *json, uint32_t ppm); /* a number in 0..1 */
