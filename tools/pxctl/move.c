/* Long ranges, out and in: page after page, piece after piece, with bounded memory. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/pxctl/pxctl_private.h"

#define PIECE_ROWS  20000 /* the engine takes 25000 */
#define PIECE_BYTES (2500 * 1024)
#define LINE_SIZE   4096

struct progress {
    px_mono began, told;
    uint64_t rows;
    bool terminal;
};

static void begin_progress(struct progress *progress)
{
    *progress = (struct progress){.began = px_mono_now(), .terminal = isatty(STDERR_FILENO)};
}

/* `percent` < 0: not known. */
static void tell(struct progress *progress, uint64_t rows, int percent)
{
    px_mono now = px_mono_now();
    double seconds = (double)px_mono_since(now, progress->began) / 1e9;

    progress->rows += rows;
    if (!progress->terminal || px_mono_since(now, progress->told) < PX_NS_PER_S / 5)
        return;
    progress->told = now;
    fprintf(stderr, "\r%llu rows, %.0f a second", (unsigned long long)progress->rows,
            seconds > 0 ? (double)progress->rows / seconds : 0);
    if (percent >= 0)
        fprintf(stderr, ", %d %%", percent);
    fputs("   ", stderr);
}

static void end_progress(const struct progress *progress)
{
    if (progress->terminal)
        fputs("\r\033[K", stderr);
}

/* ---- export ---- */

static uint64_t count_lines(const char *text)
{
    uint64_t lines = 0;

    for (; (text = strchr(text, '\n')); text++)
        lines++;
    return lines;
}

/* The first page with its head, the others without. */
static int export_pages(struct pxi_call *call, const char *first, FILE *to, struct progress *progress)
{
    char path[2048];
    struct pxi_reply reply = {0};

    snprintf(path, sizeof path, "%s", first);
    for (bool head = true; path[0]; head = false) {
        if (pxi_ask(call, "GET", path, "text/csv", NULL, 0, &reply) != PXI_OK)
            return PXI_FAILED;
        if (reply.status != 200) {
            pxi_refused(call, &reply);
            pxi_reply_free(&reply);
            return PXI_FAILED;
        }
        const char *body = reply.body ? reply.body : "", *rows = strchr(body, '\n');
        rows = rows ? rows + 1 : body;
        if (fputs(head ? body : rows, to) < 0)
            return pxi_complain("cannot write: %s", strerror(errno));
        tell(progress, count_lines(rows), -1);
        snprintf(path, sizeof path, "%s", reply.next);
        pxi_reply_free(&reply);
    }
    return PXI_OK;
}

int pxi_export(struct pxi_call *call)
{
    const char *name = pxi_option(call, "--file"), *start = pxi_option(call, "--start"), *what = call->word[0];
    bool ticks = strcmp(what, "ticks") == 0;
    const char *interval = pxi_option(call, "--interval");
    char base[64], path[2048];
    struct progress progress;

    if (!ticks && strcmp(what, "candles") != 0 && strcmp(what, "averages") != 0) {
        pxi_complain("'%s' cannot be exported; ticks, candles and averages can", what);
        return PXI_USAGE;
    }
    snprintf(base, sizeof base, "/api/v1/%s/", what);
    pxi_path(path, sizeof path, base, call->word[1], "start", start ? start : "0", "end", pxi_option(call, "--end"), "limit",
             "5000", "interval", ticks ? NULL : interval ? interval : "1m", NULL);
    FILE *to = name ? fopen(name, "w") : stdout;
    if (!to)
        return pxi_complain("%s cannot be written: %s", name, strerror(errno));
    begin_progress(&progress);
    int error = export_pages(call, path, to, &progress);
    end_progress(&progress);
    if ((name ? fclose(to) : fflush(to)) != 0 && !error)
        error = pxi_complain("%s could not be written whole: %s", name ? name : "standard output", strerror(errno));
    if (!error)
        fprintf(stderr, "%llu rows\n", (unsigned long long)progress.rows);
    return error;
}

/* ---- import ---- */

struct piece {
    struct pxi_call *call;
    const char *file;
    char path[512];
    char head[LINE_SIZE];
    unsigned time_column;
    char *bytes; /* the head, then lines */
    size_t head_len, len, cut;
    unsigned rows, cut_rows;     /* `cut`: where the newest minute begins */
    unsigned long line, first_line; /* of the file; of the piece's first row */
    int64_t minute;
    uint64_t taken, candles, present, too_old, too_new, unwanted, sent;
    struct progress progress;
};

static long long number(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

static void add_report(struct piece *piece, const struct pxi_reply *reply)
{
    json_t *root = json_loadb(reply->body ? reply->body : "", reply->len, 0, NULL);
    const json_t *skipped = json_object_get(root, "skipped");

    piece->sent += (uint64_t)number(root, "rows");
    piece->taken += (uint64_t)number(root, "taken");
    piece->candles += (uint64_t)number(root, "candles");
    piece->present += (uint64_t)number(skipped, "present");
    piece->too_old += (uint64_t)number(skipped, "too_old");
    piece->too_new += (uint64_t)number(skipped, "too_new");
    piece->unwanted += (uint64_t)number(skipped, "unwanted");
    json_decref(root);
}

/* The engine counts a piece's lines; people count the file's. */
static int refused(struct piece *piece, const struct pxi_reply *reply)
{
    json_t *root = json_loadb(reply->body ? reply->body : "", reply->len, 0, NULL), *error;
    const json_t *errors = json_object_get(root, "errors");
    size_t i;

    if (json_array_size(errors) == 0) {
        pxi_refused(piece->call, reply);
        fprintf(stderr, "pxctl: %s: lines before %lu have been taken; repeat the import to go on\n", piece->file,
                piece->first_line);
    }
    json_array_foreach(errors, i, error) {
        const char *pointer = json_string_value(json_object_get(error, "pointer"));
        const char *detail = json_string_value(json_object_get(error, "detail"));
        unsigned line = 0;
        char column[48] = "";

        if (pointer && sscanf(pointer, "line %u, %47[^\n]", &line, column) == 2)
            fprintf(stderr, "%s:%lu: %s %s\n", piece->file, line <= 1 ? 1 : piece->first_line + line - 2, column, detail);
        else
            pxi_complain("%s %s", pointer ? pointer : "", detail ? detail : "");
    }
    json_decref(root);
    return PXI_FAILED;
}

/* Sends the rows up to `len`; what is behind stays. */
static int send_rows(struct piece *piece, size_t len, unsigned rows, int percent)
{
    struct pxi_reply reply = {0};

    if (rows == 0)
        return PXI_OK;
    int error = pxi_ask(piece->call, "POST", piece->path, "application/json", piece->bytes, len, &reply);
    if (!error && reply.status == 200)
        add_report(piece, &reply);
    else if (!error)
        error = refused(piece, &reply);
    pxi_reply_free(&reply);
    memmove(piece->bytes + piece->head_len, piece->bytes + len, piece->len - len);
    piece->len -= len - piece->head_len;
    piece->rows -= rows;
    piece->first_line += rows;
    piece->cut = piece->head_len;
    piece->cut_rows = 0;
    tell(&piece->progress, rows, percent);
    return error;
}

static struct px_text cell_at(const char *line, unsigned column)
{
    for (; column > 0 && line; column--)
        line = strchr(line, ',') ? strchr(line, ',') + 1 : NULL;
    if (!line)
        return (struct px_text){"", 0};
    while (*line == ' ' || *line == '"')
        line++;
    return (struct px_text){line, strcspn(line, "\", \r\n")};
}

/* Where in the head the time is; -1: nowhere. */
static int find_time(const char *head, const char *name)
{
    for (unsigned column = 0;; column++) {
        struct px_text cell = cell_at(head, column);

        if (px_text_is(cell, name))
            return (int)column;
        if (cell.len == 0)
            return -1;
    }
}

static int take_head(struct piece *piece, const char *line, bool ticks)
{
    int column = find_time(line, ticks ? "time" : "t");

    if (column < 0) {
        fprintf(stderr, "%s:1: must name the columns, %s at least; `pxctl import --help` tells which\n", piece->file,
                ticks ? "time,price,size" : "t,o,h,l,c,v");
        return PXI_FAILED;
    }
    piece->time_column = (unsigned)column;
    piece->head_len = piece->len = piece->cut = strlen(line);
    memcpy(piece->bytes, line, piece->len);
    piece->first_line = 2;
    return PXI_OK;
}

/* All trades of a minute go in one piece: cut where the last one begins. */
static int take_line(struct piece *piece, const char *line, int percent)
{
    int64_t time_ns, minute = piece->minute;
    size_t len = strlen(line);

    if (px_time_parse(cell_at(line, piece->time_column), &time_ns) == 0)
        minute = time_ns / (60 * PX_NS_PER_S);
    if (minute != piece->minute) {
        piece->cut = piece->len;
        piece->cut_rows = piece->rows;
        piece->minute = minute;
    }
    if (piece->rows >= PIECE_ROWS || piece->len + len > PIECE_BYTES) {
        if (piece->cut_rows == 0) {
            fprintf(stderr, "%s:%lu: a minute of more than %d lines; it cannot be taken in one piece\n", piece->file, piece->line,
                    PIECE_ROWS);
            return PXI_FAILED;
        }
        if (send_rows(piece, piece->cut, piece->cut_rows, percent) != PXI_OK)
            return PXI_FAILED;
    }
    memcpy(piece->bytes + piece->len, line, len);
    piece->len += len;
    piece->rows++;
    return PXI_OK;
}

static int percent_of(FILE *file, long size)
{
    long at = size > 0 ? ftell(file) : -1;

    return at < 0 ? -1 : (int)((double)at * 100 / (double)size);
}

static int send_file(struct piece *piece, FILE *file, bool ticks)
{
    char line[LINE_SIZE];
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    int error = PXI_OK;

    rewind(file);
    piece->minute = INT64_MIN;
    while (!error && fgets(line, sizeof line - 1, file)) {
        size_t len = strlen(line);

        piece->line++;
        if (len > 0 && line[len - 1] != '\n' && !feof(file)) {
            fprintf(stderr, "%s:%lu: longer than %d characters; is it a CSV file?\n", piece->file, piece->line, LINE_SIZE - 2);
            return PXI_FAILED;
        }
        if (len > 0 && line[len - 1] != '\n')
            memcpy(line + len, "\n", 2);
        error = piece->head_len == 0 ? take_head(piece, line, ticks) : take_line(piece, line, percent_of(file, size));
    }
    if (!error && piece->head_len == 0)
        return pxi_complain("%s is empty", piece->file);
    return error ? error : send_rows(piece, piece->len, piece->rows, 100);
}

static void print_report(const struct piece *piece, bool ticks)
{
    if (piece->call->format == PXI_JSON) {
        printf("{\"rows\":%llu,\"taken\":%llu,\"candles\":%llu,\"skipped\":{\"present\":%llu,\"too_old\":%llu,\"too_new\":%llu,"
               "\"unwanted\":%llu}}\n",
               (unsigned long long)piece->sent, (unsigned long long)piece->taken, (unsigned long long)piece->candles,
               (unsigned long long)piece->present, (unsigned long long)piece->too_old, (unsigned long long)piece->too_new,
               (unsigned long long)piece->unwanted);
        return;
    }
    printf("%llu rows, %llu taken", (unsigned long long)piece->sent, (unsigned long long)piece->taken);
    if (ticks)
        printf(" into %llu minutes", (unsigned long long)piece->candles);
    if (piece->present)
        printf(", %llu were there already", (unsigned long long)piece->present);
    if (piece->too_old)
        printf(", %llu are older than history is kept (history.candles_1m)", (unsigned long long)piece->too_old);
    if (piece->too_new)
        printf(", %llu are of a time that the feed %s", (unsigned long long)piece->too_new,
               ticks ? "is at" : "has recorded, or is at");
    if (piece->unwanted)
        printf(", %llu quarantined, late, filled or not final", (unsigned long long)piece->unwanted);
    putchar('\n');
}

int pxi_import(struct pxi_call *call)
{
    static struct piece piece;
    const char *symbol = pxi_option(call, "--symbol");
    bool ticks = strcmp(call->word[0], "ticks") == 0;

    if (!symbol || (!ticks && strcmp(call->word[0], "candles") != 0)) {
        pxi_complain("call it as: pxctl import ticks|candles FILE.csv --symbol SYMBOL");
        return PXI_USAGE;
    }
    piece.call = call;
    piece.file = call->word[1];
    FILE *file = fopen(piece.file, "r");
    if (!file)
        return pxi_complain("%s cannot be read: %s", piece.file, strerror(errno));
    piece.bytes = malloc(PIECE_BYTES + 2 * LINE_SIZE);
    PX_CHECK(piece.bytes);
    pxi_path(piece.path, sizeof piece.path, ticks ? "/api/v1/import/ticks/" : "/api/v1/import/candles/", symbol, "interval",
             ticks ? NULL : pxi_option(call, "--interval"), NULL);
    begin_progress(&piece.progress);
    int error = send_file(&piece, file, ticks);
    end_progress(&piece.progress);
    fclose(file);
    free(piece.bytes);
    if (!error || piece.sent > 0)
        print_report(&piece, ticks);
    return error;
}
