/*
 * pxvenue: a venue for demonstrations and tests. One thread:
 *
 *   sockets ──► dialect ──► subscriptions          source (recording, random walk, script)
 *      ▲                          │                   │ frames
 *      └────── batches ◄── clients ◄──── faults ◄─────┘
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "tools/pxvenue/market_private.h"
#include "tools/pxvenue/options_private.h"
#include "tools/pxvenue/replay_private.h"
#include "tools/pxvenue/script_private.h"

#define JOURNAL_FLUSH_NS (100 * PX_NS_PER_MS)

struct venue {
    struct pxi_options options;
    struct pxi_dialog dialog;
    struct pxi_streams *streams;
    struct px_tls *tls;
    struct pxi_clients *clients;
    struct pxi_faults *faults;
    struct pxi_recording recording;
    struct pxi_replay replay;
    struct pxi_market *market;
    struct pxi_script *script;
    struct pxi_source *source;
    FILE *journal;
    px_mono journal_flushed, began;
    bool running, done;
};

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number)
{
    asked_to_stop = 1;
}

static void on_open(void *user, struct pxi_client *client, struct px_text path, struct px_text query)
{
    struct venue *venue = user;

    venue->dialog.dialect->open(&venue->dialog, client, path, query);
}

static void on_message(void *user, struct pxi_client *client, struct px_text message)
{
    struct venue *venue = user;

    px_log(PX_LOG_DEBUG, "client_says bytes=%zu", message.len);
    venue->dialog.dialect->message(&venue->dialog, client, message);
}

static int prepare_replay(struct venue *venue)
{
    const struct pxi_options *options = &venue->options;
    int error = pxi_recording_open(options->files, options->file_count, venue->streams, &venue->recording);

    if (error)
        return error;
    if (venue->recording.count == 0) {
        fprintf(stderr, "pxvenue: no frames in the recordings\n");
        return PX_E_EMPTY;
    }
    /* Only Binance's frames name their stream; other recordings bring the answers to subscriptions along. */
    venue->dialog.dialect = pxi_streams_count(venue->streams) ? &pxi_binance : &pxi_recorded;
    printf("frames=%u skipped_lines=%u streams=%u\n", venue->recording.count, venue->recording.skipped,
           pxi_streams_count(venue->streams));
    return 0;
}

static int prepare_market(struct venue *venue)
{
    struct pxi_options *options = &venue->options;
    int error = 0;

    venue->dialog.dialect = pxi_dialect_find(options->dialect);
    if (!venue->dialog.dialect) {
        fprintf(stderr, "pxvenue: no dialect '%s'; there are binance, coinbase and kraken\n", options->dialect);
        return PX_E_UNKNOWN_VENUE;
    }
    if (options->script)
        error = pxi_script_open(options->script, &venue->script);
    if (!error && options->script && !options->symbols && !options->assets)
        options->symbols = pxi_script_symbols(venue->script, &options->symbol_count);
    if (!error && options->journal && !(venue->journal = fopen(options->journal, "w"))) {
        fprintf(stderr, "pxvenue: %s cannot be written\n", options->journal);
        error = PX_E_IO;
    }
    return error;
}

static int open_market(struct venue *venue)
{
    const struct pxi_options *options = &venue->options;
    struct pxi_market_setup setup = {.dialect = venue->dialog.dialect,
                                     .streams = venue->streams,
                                     .faults = venue->faults,
                                     .journal = venue->journal,
                                     .asset_count = options->symbols ? options->symbol_count : options->assets,
                                     .prefix = options->prefix,
                                     .symbols = options->symbols,
                                     .rate_count = options->rate_count,
                                     .rate_period = options->rate_period,
                                     .ticks = options->ticks,
                                     .seed = options->faults.seed,
                                     .quotes = !options->no_quotes};
    int error = pxi_market_create(&setup, &venue->market);

    if (error)
        return error;
    venue->source = pxi_market_source(venue->market);
    return venue->script ? pxi_script_source(venue->script, venue->market, &venue->source) : 0;
}

static void open_replay(struct venue *venue)
{
    const struct pxi_options *options = &venue->options;
    struct pxi_replay_setup setup = {.recording = &venue->recording,
                                     .faults = venue->faults,
                                     .clients = venue->clients,
                                     .speed_milli = options->speed_milli,
                                     .settle_ms = options->settle_ms,
                                     .loop = options->loop,
                                     .restamp = options->restamp,
                                     .everything = options->everything};

    venue->source = pxi_replay_init(&venue->replay, &setup);
}

static int listen_for_clients(struct venue *venue)
{
    const struct pxi_options *options = &venue->options;
    struct pxi_clients_setup setup = {.host = options->host,
                                      .port = (uint16_t)options->port,
                                      .streams = venue->streams,
                                      .user = venue,
                                      .open = on_open,
                                      .message = on_message};
    int error = options->cert ? px_tls_server_create(options->cert, options->key, &venue->tls) : 0;

    if (error) {
        fprintf(stderr, "pxvenue: certificate or key cannot be used: %s\n", px_error_text(error));
        return error;
    }
    setup.tls = venue->tls;
    error = pxi_clients_create(&setup, &venue->clients);
    if (error)
        fprintf(stderr, "pxvenue: cannot listen on %s:%u: %s\n", options->host, options->port, px_error_text(error));
    return error;
}

static int prepare(struct venue *venue)
{
    const struct pxi_options *options = &venue->options;
    int error = pxi_streams_create(&venue->streams);

    venue->dialog.streams = venue->streams;
    venue->dialog.unit = options->unit;
    if (!error)
        error = options->file_count ? prepare_replay(venue) : prepare_market(venue);
    if (!error && !options->list)
        error = listen_for_clients(venue);
    if (!error)
        error = pxi_faults_create(&options->faults, venue->clients, &venue->faults);
    if (!error && options->file_count)
        open_replay(venue);
    else if (!error)
        error = open_market(venue);
    return error;
}

/* Milliseconds until `due`, at least one: what falls due in between leaves together. */
static int wait_ms(int64_t due, px_mono now)
{
    if (due == PXI_DONE)
        return 100;
    if (due <= now.ns)
        return 0;
    return (int)PX_MIN((due - now.ns) / PX_NS_PER_MS + 1, 100);
}

static void keep_journal(struct venue *venue, px_mono now)
{
    if (!venue->journal || px_mono_since(now, venue->journal_flushed) < JOURNAL_FLUSH_NS)
        return;
    venue->journal_flushed = now;
    fflush(venue->journal);
}

/* After the last frame has left. */
static void finish(struct venue *venue)
{
    if (!venue->done)
        printf("done\n");
    venue->done = true;
    fflush(stdout);
    if (venue->options.close_when_done || venue->options.exit_when_done)
        pxi_clients_close(venue->clients);
    if (venue->options.exit_when_done)
        asked_to_stop = 1;
}

static void turn(struct venue *venue)
{
    px_mono now = px_mono_now();
    int64_t source_due = now.ns + 10 * PX_NS_PER_MS, faults_due = PXI_DONE;

    if (!venue->running && pxi_clients_ready(venue->clients, venue->options.clients, venue->options.settle_ms)) {
        venue->running = true;
        venue->began = now;
        px_log(PX_LOG_INFO, "begin");
    }
    if (venue->running) {
        faults_due = pxi_faults_pump(venue->faults, now);
        source_due = pxi_faults_stalled(venue->faults) ? PXI_DONE : venue->source->pump(venue->source, now);
    }
    pxi_clients_flush(venue->clients);
    keep_journal(venue, now);
    if (venue->running && !pxi_faults_stalled(venue->faults) && source_due == PXI_DONE &&
        pxi_faults_idle(venue->faults) && pxi_clients_idle(venue->clients) && !venue->done)
        finish(venue);
    pxi_clients_poll(venue->clients, asked_to_stop ? 0 : wait_ms(PX_MIN(source_due, faults_due), now));
}

static uint64_t sum(const uint64_t counts[8])
{
    uint64_t total = 0;

    for (unsigned i = 0; i < PXI_FATES; i++)
        total += counts[i];
    return total;
}

/* One line for people and scripts: what was sent, and what became of it. */
static void print_summary(const struct venue *venue)
{
    const struct pxi_faults_stats *faults = pxi_faults_stats(venue->faults);
    const struct pxi_clients_stats *clients = pxi_clients_stats(venue->clients);

    printf("summary frames=%llu trades=%llu quotes=%llu", (unsigned long long)sum(faults->fates),
           (unsigned long long)sum(faults->trades), (unsigned long long)sum(faults->quotes));
    for (unsigned i = 0; i < PXI_FATES; i++)
        printf(" %s=%llu", pxi_fate_word(i), (unsigned long long)faults->fates[i]);
    printf(" trades_unheard=%llu trades_dropped=%llu stalls=%llu disconnects=%llu",
           (unsigned long long)faults->trades[PXI_FATE_UNHEARD], (unsigned long long)faults->trades[PXI_FATE_DROPPED],
           (unsigned long long)faults->stalls, (unsigned long long)faults->disconnects);
    printf(" connections=%llu delivered=%llu sends=%llu bytes=%llu slow=%llu seconds=%lld\n",
           (unsigned long long)clients->connections, (unsigned long long)clients->frames,
           (unsigned long long)clients->sends, (unsigned long long)clients->bytes, (unsigned long long)clients->slow,
           venue->running ? (long long)(px_mono_since(px_mono_now(), venue->began) / PX_NS_PER_S) : 0);
}

static void serve(struct venue *venue)
{
    struct sigaction action = {.sa_handler = on_signal};
    int farewell = 20; /* turns of the loop for close frames to leave */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    printf("listening %s://%s:%u\nport=%u\nseed=%llu\n", venue->tls ? "wss" : "ws", venue->options.host,
           pxi_clients_port(venue->clients), pxi_clients_port(venue->clients),
           (unsigned long long)venue->options.faults.seed);
    fflush(stdout);
    while (!asked_to_stop)
        turn(venue);
    while (venue->options.exit_when_done && farewell-- > 0 && pxi_clients_any(venue->clients))
        pxi_clients_poll(venue->clients, 50);
    print_summary(venue);
}

static void clear(struct venue *venue)
{
    pxi_replay_fini(&venue->replay);
    pxi_recording_close(&venue->recording);
    pxi_market_destroy(&venue->market);
    pxi_script_close(&venue->script);
    pxi_faults_destroy(&venue->faults);
    pxi_clients_destroy(&venue->clients);
    px_tls_destroy(&venue->tls);
    pxi_streams_destroy(&venue->streams);
    if (venue->journal)
        fclose(venue->journal);
}

int main(int argc, char **argv)
{
    static struct venue venue; /* zeroed; too large for comfort on the stack */
    int error = pxi_options_read(argc, argv, &venue.options);

    if (error)
        return 2;
    if (venue.options.help) {
        pxi_options_help();
        return 0;
    }
    px_log_init("venue", venue.options.quiet ? PX_LOG_WARN : PX_LOG_INFO);
    error = prepare(&venue);
    if (!error && venue.options.list && venue.market)
        pxi_market_list(venue.market, stdout);
    else if (!error)
        serve(&venue);
    clear(&venue);
    return error ? 1 : 0;
}
