/* pxctl: what the API does, from a shell. */
#include <curl/curl.h>
#include <stdarg.h>
#include <stdlib.h>

#include "tools/pxctl/pxctl_private.h"

#define DEFAULT_URL "http://127.0.0.1:8080"

static const struct pxi_option watch_options[] = {{"--count", "N", "end after N lines"},
                                                  {"--every", "MS", "look so often, instead of being told of each move"},
                                                  {NULL, NULL, NULL}};
#define RANGE_OPTIONS                                                                                                  \
    {"--start", "TIME", "from this time on, oldest first"}, {"--end", "TIME", "before this time"},                     \
        {"--limit", "N", "rows at most (default 500, at most 5000)"}
static const struct pxi_option candle_options[] = {
    RANGE_OPTIONS,
    {"--interval", "I", "1s 5s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 1w (default 1m)"},
    {"--fill", "HOW", "gaps: none, previous or null"},
    {"--partial", NULL, "the open candle too"},
    {NULL, NULL, NULL}};
static const struct pxi_option tick_options[] = {
    RANGE_OPTIONS, {"--quarantined", NULL, "outliers too, which were held back"}, {NULL, NULL, NULL}};
static const struct pxi_option export_options[] = {
    {"--start", "TIME", "from this time on (default: from the beginning)"},
    {"--end", "TIME", "before this time"},
    {"--interval", "I", "of candles and averages (default 1m)"},
    {"--file", "FILE", "write there (default: standard output)"},
    {NULL, NULL, NULL}};
static const struct pxi_option import_options[] = {{"--symbol", "SYMBOL", "whose history it is; must be given"},
                                                   {"--interval", "I", "of candles: 1m 5m 1h 1d (default 1m)"},
                                                   {NULL, NULL, NULL}};
static const struct pxi_option alert_options[] = {
    {"--source", "S", "create: last bid ask mid twap_1m twap_5m twap_15m (default last)"},
    {"--frequency", "F", "create: once every_time once_per_minute (default once)"},
    {"--cooldown", "TIME", "create: silence after a fire, like 60s"},
    {"--channel", "ID", "create: where fires are told besides the stream"},
    {"--name", "TEXT", "create"},
    {"--message", "TEXT", "create: what a fire says; {{ticker}} {{price}} {{level}} are filled in"},
    {"--expires", "TIME", "create: RFC 3339"},
    {"--tag", "TAG", "create, or list those that have it"},
    {"--state", "STATE", "list: armed waiting cooling paused fired expired"},
    {"--limit", "N", "list: at most so many"},
    {NULL, NULL, NULL}};
static const struct pxi_option dlq_options[] = {{"--state", "STATE", "list: dead failed pending delivered (default dead)"},
                                                {"--limit", "N", "list: at most so many"},
                                                {NULL, NULL, NULL}};
static const struct pxi_option top_options[] = {{"--count", "N", "end after N lines"},
                                                {"--every", "MS", "a line so often (default 1000)"},
                                                {NULL, NULL, NULL}};
static const struct pxi_option no_options[] = {{NULL, NULL, NULL}};

const struct pxi_command pxi_commands[] = {
    {"price", "SYMBOL...", "the latest price, with its age and averages",
     "  pxctl price BTC-USD ETH-USD\n  pxctl -o json price BTC-USD | jq -r .prices[0].price\n", 1, 500, no_options, pxi_price},
    {"watch", "SYMBOL...", "a line whenever a price moves, until Ctrl-C",
     "Moves are pushed, over the engine's WebSocket. With --every it is asked for the prices instead.\n\n"
     "  pxctl watch BTC-USD\n  pxctl -o json watch BTC-USD ETH-USD | jq -r .last\n  pxctl watch BTC-USD --every 5000\n", 1, 500, watch_options, pxi_watch},
    {"candles", "SYMBOL", "open, high, low, close, volume of intervals",
     "The newest ones, or those of a range. TIME is RFC 3339 or an integer since the epoch.\n\n"
     "  pxctl candles BTC-USD --interval 1h --limit 24\n"
     "  pxctl candles BTC-USD --interval 1m --start 2026-01-01T00:00:00Z --end 2026-01-02T00:00:00Z\n",
     1, 1, candle_options, pxi_candles},
    {"ticks", "SYMBOL", "single trades", "  pxctl ticks BTC-USD --limit 20\n", 1, 1, tick_options, pxi_ticks},
    {"status", "", "whether the engine is well: feeds, workers, lag", "  pxctl status\n", 0, 0, no_options, pxi_status},
    {"export", "ticks|candles|averages SYMBOL", "a range as CSV, however long it is",
     "What it writes can be imported again.\n\n"
     "  pxctl export ticks BTC-USD --start 2026-01-01T00:00:00Z --file btc.csv\n"
     "  pxctl export candles BTC-USD --interval 1d > days.csv\n",
     2, 2, export_options, pxi_export},
    {"import", "ticks|candles FILE.csv", "history from a file, where there is none yet",
     "The file's first line names the columns: time,price,size for ticks (recv_time and trade_id may be there), t,o,h,l,c,v for candles\n"
     "(n, twap and vwap may be there); others are passed over. It is sorted by time. Minutes that have a candle already are left as\n"
     "they are, so an import may be repeated, and goes on where it broke off. Needs a key with the scope admin.\n\n"
     "  pxctl import ticks btc.csv --symbol BTC-USD\n"
     "  pxctl import candles days.csv --symbol BTC-USD --interval 1d\n",
     2, 2, import_options, pxi_import},
    {"alert", "create|list|show|cancel|... ...", "alerts of the key's owner",
     "What follows an operator is what it wants: LEVEL, LOWER UPPER, AMOUNT WINDOW, or WINDOW. docs/alerts.md draws each of them.\n"
     "create list show cancel pause resume rearm test: cancel deletes the alert for good; pause and resume keep it; test sends a fire that is marked as one.\n\n"
     "  pxctl alert create BTC-USD crossing_up 70000 --name breakout --frequency every_time\n"
     "  pxctl alert create BTC-USD exiting_channel 60000 70000\n"
     "  pxctl alert create BTC-USD moving_down_pct 5 15m\n"
     "  pxctl alert list BTC-USD --state armed\n"
     "  pxctl alert show al_... ; pxctl alert pause al_... ; pxctl alert cancel al_...\n",
     1, 5, alert_options, pxi_alert},
    {"dlq", "list|replay [DELIVERY]", "notifications that were given up",
     "replay without an id sends all dead ones again, under the ids that they had: a receiver that knows them takes none twice.\n\n"
     "  pxctl dlq list\n  pxctl dlq replay\n  pxctl dlq replay 184\n",
     1, 2, dlq_options, pxi_dlq},
    {"feed", "", "connections to venues: live or stale, how many assets are fresh",
     "Ends with 1 if one of them is not live, so that a script can watch it.\n\n  pxctl feed || echo stale\n", 0, 0, no_options, pxi_feed},
    {"top", "", "ticks, requests and processor time, once a second",
     "Cores are the processor time of each process in the last line's second.\n\n  pxctl top\n  pxctl -o json top --count 5 --every 2000\n", 0, 0,
     top_options, pxi_top},
    {"config", "check FILE", "what is wrong with a configuration, before it is used",
     "Asks no engine: pxengine itself reads the file.\n\n  pxctl config check /etc/pxengine/pxengine.yaml\n", 2, 2, no_options, pxi_config},
    {NULL, NULL, NULL, NULL, 0, 0, NULL, NULL},
};

int pxi_complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("pxctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return PXI_FAILED;
}

static void usage(FILE *to)
{
    fputs("pxctl: a running pxengine, from a shell\n\n"
          "  pxctl [--url URL] [--key KEY] [-o text|json|csv] COMMAND ...\n\n",
          to);
    for (const struct pxi_command *command = pxi_commands; command->name; command++)
        fprintf(to, "  %-8s %-31s %s\n", command->name, command->words, command->summary);
    fputs("\n  pxctl COMMAND --help tells more of one.\n\n"
          "  --url URL    the engine (default $PXCTL_URL, else " DEFAULT_URL ")\n"
          "  --key KEY    an API key (default $PXCTL_KEY); `pxengine key add --data DIR --scopes admin` makes one\n"
          "  -o FORMAT    text for people, json or csv for programs (default text)\n\n"
          "Ends with 0 if all went well, 1 if the engine refused or could not be reached, 2 if it was called wrongly.\n",
          to);
}

static int help(const struct pxi_command *command)
{
    printf("pxctl %s %s%s\n    %s.\n", command->name, command->words, command->options->name ? " [options]" : "",
           command->summary);
    for (const struct pxi_option *option = command->options; option->name; option++)
        printf("\n  %s %-*s %s", option->name, (int)(20 - strlen(option->name)), option->value ? option->value : "",
               option->help);
    printf("%s\n%s", command->options->name ? "\n" : "", command->text);
    return PXI_OK;
}

const char *pxi_option(const struct pxi_call *call, const char *name)
{
    for (unsigned i = 0; call->command->options[i].name; i++)
        if (strcmp(call->command->options[i].name, name) == 0)
            return call->option[i];
    PX_CHECK(!"an option that is in no list");
    return NULL;
}

/* ---- the command line ---- */

static int wrong(const char *what, const char *word)
{
    pxi_complain("%s '%s'; `pxctl --help` tells what there is", what, word);
    return PXI_USAGE;
}

static bool take_format(struct pxi_call *call, const char *text)
{
    static const char *const names[] = {[PXI_TEXT] = "text", [PXI_JSON] = "json", [PXI_CSV] = "csv"};

    for (unsigned i = 0; text && i < PX_COUNT_OF(names); i++)
        if (strcmp(text, names[i]) == 0) {
            call->format = (enum pxi_format)i;
            return true;
        }
    return false;
}

/* An option of all commands at *ip; 1: it was one, 0: not, < 0: wrong. */
static int take_common(struct pxi_call *call, char **argv, int argc, int *ip)
{
    const char *value = *ip + 1 < argc ? argv[*ip + 1] : NULL;

    if (strcmp(argv[*ip], "--url") == 0 && value)
        call->url = value;
    else if (strcmp(argv[*ip], "--key") == 0 && value)
        call->key = value;
    else if (strcmp(argv[*ip], "-o") == 0 && take_format(call, value))
        ;
    else if (strcmp(argv[*ip], "--url") == 0 || strcmp(argv[*ip], "--key") == 0 || strcmp(argv[*ip], "-o") == 0)
        return -1;
    else
        return 0;
    (*ip)++;
    return 1;
}

static int take_option(struct pxi_call *call, char **argv, int argc, int *ip)
{
    for (unsigned i = 0; call->command->options[i].name; i++) {
        const struct pxi_option *option = &call->command->options[i];

        if (strcmp(argv[*ip], option->name) != 0)
            continue;
        if (option->value && *ip + 1 >= argc)
            return -1;
        call->option[i] = option->value ? argv[++*ip] : "";
        return 1;
    }
    return 0;
}

static int find_command(struct pxi_call *call, const char *name)
{
    for (const struct pxi_command *command = pxi_commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            call->command = command;
    return call->command ? 0 : wrong("no command", name);
}

static int parse(struct pxi_call *call, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int taken = take_common(call, argv, argc, &i);

        if (taken == 0 && call->command)
            taken = take_option(call, argv, argc, &i);
        if (taken < 0)
            return wrong("this needs a value, or another one:", argv[i]);
        if (taken > 0)
            continue;
        if (argv[i][0] == '-' && argv[i][1])
            return wrong("unknown option", argv[i]);
        if (!call->command) {
            int error = find_command(call, argv[i]);
            if (error)
                return error;
        } else if (call->words < PX_COUNT_OF(call->word)) {
            call->word[call->words++] = argv[i];
        }
    }
    if (!call->command) {
        usage(stderr);
        return PXI_USAGE;
    }
    if (call->words < call->command->least || call->words > call->command->most) {
        pxi_complain("call it as: pxctl %s %s; `pxctl %s --help` has examples", call->command->name, call->command->words,
                     call->command->name);
        return PXI_USAGE;
    }
    return 0;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "help") == 0)
            return true;
    return false;
}

static int teach(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        for (const struct pxi_command *command = pxi_commands; command->name; command++)
            if (strcmp(argv[i], command->name) == 0)
                return help(command);
    usage(stdout);
    return PXI_OK;
}

int main(int argc, char **argv)
{
    static struct pxi_call call;
    const char *url = getenv("PXCTL_URL");

    call.url = url ? url : DEFAULT_URL;
    call.key = getenv("PXCTL_KEY");
    if (wants_help(argc, argv))
        return teach(argc, argv);
    int error = parse(&call, argc, argv);
    if (error)
        return error;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    error = call.command->run(&call);
    curl_global_cleanup();
    return error;
}
