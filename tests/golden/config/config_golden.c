/*
 * config_golden check      compares what the loader says of each tests/golden/config/NAME.in with NAME.err; etc/ must
 * load config_golden update     writes the .err files anew, to be read before they are committed config_golden
 * reference  compares docs/config.md with the table of keys config_golden document   writes the tables of
 * docs/config.md anew
 *
 * Runs from the top of the source tree.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/config.h"

#define DOCUMENT "docs/config.md"
#define MARK     "<!-- the tables below are written by `config_golden document` -->\n"

/* The whole file, terminated; an empty text when there is none. The caller frees it. */
static char *slurp(const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    FILE *from = fopen(path, "r");
    for (int c; from && (c = getc(from)) != EOF;)
        putc(c, to);
    if (from)
        fclose(from);
    fclose(to);
    return text;
}

static void spill(const char *path, const char *text)
{
    FILE *to = fopen(path, "w");
    PX_CHECK(to != NULL);
    fputs(text, to);
    fclose(to);
}

/* One line per mistake, as the command line shows them. */
static char *mistakes_of(const char *path)
{
    struct px_config *config;
    struct px_config_errors errors;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (px_config_load(path, NULL, &config, &errors) == 0)
        fprintf(to, "no mistake found\n");
    for (uint32_t i = 0; i < PX_MIN(errors.count, PX_CONFIG_ERRORS_MAX); i++) {
        char line[512];
        const char *name = strrchr(path, '/');
        px_config_error_format(name ? name + 1 : path, &errors.list[i], line, sizeof line);
        fprintf(to, "%s\n", line);
    }
    if (errors.count > PX_CONFIG_ERRORS_MAX)
        fprintf(to, "and %u more\n", errors.count - PX_CONFIG_ERRORS_MAX);
    fclose(to);
    px_config_destroy(&config);
    return text;
}

/* 1 when the case fails. */
static int run_case(const char *in, bool update)
{
    char err[512];
    snprintf(err, sizeof err, "%.*s.err", (int)(strlen(in) - 3), in);
    char *said = mistakes_of(in), *wanted = slurp(err);
    int failed = 0;
    if (update) {
        spill(err, said);
    } else if (strcmp(said, wanted) != 0) {
        printf("%s:\n--- wanted\n%s--- said\n%s", in, wanted, said);
        failed = 1;
    }
    free(said);
    free(wanted);
    return failed;
}

static int run_cases(bool update)
{
    glob_t found;
    if (glob("tests/golden/config/*.in", 0, NULL, &found) != 0) {
        printf("no tests/golden/config/*.in; run from the top of the source tree\n");
        return 1;
    }
    int failed = 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        failed += run_case(found.gl_pathv[i], update);
    printf("%zu files, %d failed\n", found.gl_pathc, failed);
    globfree(&found);
    return failed != 0;
}

/* What is shipped must load. */
static int run_shipped(void)
{
    static const char *const shipped[] = {"etc/pxengine.yaml", "etc/demo.yaml"};
    int failed = 0;
    for (size_t i = 0; i < PX_COUNT_OF(shipped); i++) {
        char *said = mistakes_of(shipped[i]);
        if (strcmp(said, "no mistake found\n") != 0) {
            printf("%s:\n%s", shipped[i], said);
            failed = 1;
        }
        free(said);
    }
    return failed;
}

/* The document: what stands before the mark is written by hand, what stands after it by the table. */
static int run_reference(bool update)
{
    char *now = slurp(DOCUMENT), *wanted = NULL;
    size_t len = 0;
    char *mark = strstr(now, MARK);
    FILE *to = open_memstream(&wanted, &len);
    fprintf(to, "%.*s" MARK, (int)(mark ? mark - now : (long)strlen(now)), now);
    px_config_reference(to);
    fclose(to);
    bool same = strcmp(now, wanted) == 0;
    if (update)
        spill(DOCUMENT, wanted);
    else if (!same)
        printf(DOCUMENT " is not what the table says; run config_golden document\n");
    free(now);
    free(wanted);
    return !update && !same;
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "check") == 0)
        return run_cases(false) + run_shipped();
    if (strcmp(what, "update") == 0)
        return run_cases(true);
    if (strcmp(what, "reference") == 0)
        return run_reference(false);
    if (strcmp(what, "document") == 0)
        return run_reference(true);
    printf("config_golden check|update|reference|document\n");
    return 2;
}
