#include "tests/bench/processes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool read_stat(int pid, int *parentp, uint64_t *ticksp)
{
    char path[64], text[1024];
    unsigned long user, system;
    FILE *file;
    size_t len;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (!file)
        return false;
    len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = 0;
    const char *rest = strrchr(text, ')'); /* the name before it may hold anything */
    if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", parentp, &user, &system) != 3)
        return false;
    *ticksp = user + system;
    return true;
}

static void read_title(int pid, char *title, size_t size)
{
    char path[64];
    FILE *file;
    size_t len = 0;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    file = fopen(path, "r");
    if (file) {
        len = fread(title, 1, size - 1, file);
        fclose(file);
    }
    title[len] = 0; /* the first argument is the title */
}

static struct process *find(struct processes *processes, int pid, int parent)
{
    for (size_t i = 0; i < processes->count; i++)
        if (processes->list[i].pid == pid)
            return &processes->list[i];
    if (processes->count == PROCESSES_MAX)
        return NULL;
    struct process *process = &processes->list[processes->count++];
    *process = (struct process){.pid = pid};
    if (pid == parent)
        snprintf(process->title, sizeof(process->title), "pxengine: supervisor");
    else
        read_title(pid, process->title, sizeof(process->title));
    return process;
}

static void scan(struct processes *processes, int parent, bool begin)
{
    DIR *all = opendir("/proc");
    struct dirent *entry;

    while (all && (entry = readdir(all))) {
        int pid = atoi(entry->d_name), its_parent;
        uint64_t ticks;
        if (pid <= 0 || !read_stat(pid, &its_parent, &ticks) || (pid != parent && its_parent != parent))
            continue;
        struct process *process = find(processes, pid, parent);
        if (process && begin)
            process->before_ticks = process->after_ticks = ticks;
        else if (process)
            process->after_ticks = ticks;
    }
    if (all)
        closedir(all);
}

void processes_begin(struct processes *processes, int parent)
{
    processes->count = 0;
    scan(processes, parent, true);
}

void processes_end(struct processes *processes, int parent)
{
    scan(processes, parent, false);
}

double process_cores(const struct process *process, double seconds)
{
    return (double)(process->after_ticks - process->before_ticks) / (double)sysconf(_SC_CLK_TCK) / seconds;
}
