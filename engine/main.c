/* The one command of the engine: pxengine run | config check | key add. */
#include <stdio.h>
#include <stdlib.h>

#include "base/config.h"
#include "base/error.h"
#include "base/keys.h"
#include "engine/supervisor/supervisor.h"

#define OVERRIDES_MAX 16

static const char help_text[] =
    "pxengine: real-time prices, averages, history and alerts in one process tree\n"
    "\n"
    "  pxengine run --config FILE [--set KEY=VALUE ...]   run the engine until SIGTERM\n"
    "  pxengine config check FILE                         read the configuration, say what is wrong with it\n"
    "  pxengine key add --data DIR [--scopes LIST] [--id ID]   make an API key and print it, this once\n"
    "  pxengine --version | --help\n"
    "\n"
    "  --set replaces a top-level setting of the file: listen, data, log_level, web_workers,\n  evaluators.\n"
    "  --id names an owner (8 of a-z 0-9) whose key gets a new secret; without it the key is a new owner's.\n"
    "  Scopes are prices:read, alerts:write and admin; a key gets the first two unless told otherwise.\n"
    "\n"
    "  Try it:   pxengine run --config etc/pxengine.yaml --set data=/tmp/px --set listen=127.0.0.1:8080\n"
    "            curl http://127.0.0.1:8080/api/v1/status\n";

struct arguments {
    const char *config, *data, *scopes, *id;
    const char *overrides[OVERRIDES_MAX + 1];
    unsigned override_count;
};

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "pxengine: %s%s%s\n\n%s", problem, what == NULL ? "" : " ", what == NULL ? "" : what, help_text);
    return 64; /* EX_USAGE */
}

static int parse(int argc, char **argv, int first, struct arguments *arguments)
{
    memset(arguments, 0, sizeof(*arguments));
    for (int i = first; i < argc; i++) {
        if (i + 1 >= argc)
            return usage("this needs a value:", argv[i]);
        if (strcmp(argv[i], "--config") == 0)
            arguments->config = argv[++i];
        else if (strcmp(argv[i], "--data") == 0)
            arguments->data = argv[++i];
        else if (strcmp(argv[i], "--scopes") == 0)
            arguments->scopes = argv[++i];
        else if (strcmp(argv[i], "--id") == 0)
            arguments->id = argv[++i];
        else if (strcmp(argv[i], "--set") == 0 && arguments->override_count < OVERRIDES_MAX)
            arguments->overrides[arguments->override_count++] = argv[++i];
        else
            return usage("unknown argument", argv[i]);
    }
    return 0;
}

static int load(const char *path, const char *const *overrides, struct px_config **configp)
{
    struct px_config_errors errors = {.count = 0};
    int result = px_config_load(path, overrides, configp, &errors);
    char line[512];

    for (uint32_t i = 0; i < PX_MIN(errors.count, PX_CONFIG_ERRORS_MAX); i++) {
        px_config_error_format(path, &errors.list[i], line, sizeof(line));
        fprintf(stderr, "%s\n", line);
    }
    if (errors.count > PX_CONFIG_ERRORS_MAX)
        fprintf(stderr, "… and %u more\n", errors.count - PX_CONFIG_ERRORS_MAX);
    return result;
}

/* The memory of argv and the environment behind it, which ps(1) shows as the title of a process. */
static size_t title_room(int argc, char **argv)
{
    char *end = argv[argc - 1] + strlen(argv[argc - 1]);

    return (size_t)(end - argv[0]);
}

static int run(int argc, char **argv)
{
    struct arguments arguments;
    struct px_config *config = NULL;
    int code = parse(argc, argv, 2, &arguments);

    if (code != 0)
        return code;
    if (arguments.config == NULL)
        return usage("run needs --config FILE", NULL);
    if (load(arguments.config, arguments.overrides, &config) < 0)
        return 78;
    code = px_supervisor_run(config, argv[0], title_room(argc, argv));
    px_config_destroy(&config);
    return code;
}

static int check(const char *path)
{
    struct px_config *config = NULL;

    if (load(path, NULL, &config) < 0)
        return 1;
    printf("%s: good: %u venues, %u assets, listens on %s:%u\n", path, config->venue_count, config->asset_count,
           config->listen_host, config->listen_port);
    px_config_destroy(&config);
    return 0;
}

static int key_add(int argc, char **argv)
{
    struct arguments arguments;
    char text[PX_KEY_TEXT_SIZE];
    int code = parse(argc, argv, 3, &arguments), result;

    if (code != 0)
        return code;
    if (arguments.data == NULL)
        return usage("key add needs --data DIR", NULL);
    result = px_key_create(arguments.data, arguments.id,
                           arguments.scopes == NULL ? "prices:read,alerts:write" : arguments.scopes, text);
    if (result == PX_E_INVALID)
        return usage("--scopes takes prices:read, alerts:write and admin, separated by commas; --id 8 of a-z 0-9", NULL);
    if (result < 0) {
        fprintf(stderr, "pxengine: the key could not be stored in %s: %s\n", arguments.data, px_error_text(result));
        return 1;
    }
    printf("%s\n", text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "--version") == 0)
        return printf("pxengine %s\n", PX_VERSION) < 0;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return fputs(help_text, argc < 2 ? stderr : stdout) < 0 || argc < 2;
    if (strcmp(argv[1], "run") == 0)
        return run(argc, argv);
    if (argc == 4 && strcmp(argv[1], "config") == 0 && strcmp(argv[2], "check") == 0)
        return check(argv[3]);
    if (argc >= 3 && strcmp(argv[1], "key") == 0 && strcmp(argv[2], "add") == 0)
        return key_add(argc, argv);
    return usage("unknown command", argv[1]);
}
