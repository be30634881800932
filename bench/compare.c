/* compare.c - runs the same work on several allocators in turns and prints a Markdown report: wall time, CPU time and
 * peak resident memory, and the ratios to the first variant, pair by pair.
 *
 * Standard input names the runs, one a line:   row | variant | [NAME=value ...] program argument ...
 * Lines of the same row follow one another; the first of them is the variant that the others are compared with. The
 * variants of a row run A B C A B C ..., so that a slow minute of the machine meets all of them.
 *
 * A variant whose program (or a file named by a NAME=/path word) is not there is reported as missing and left out; the
 * first of a row must be there. One that exits with an error, is killed, runs longer than the limit or prints something
 * else than the first variant did is reported as FAILED, and the exit status is 1.
 *
 * A line "value NAME NUMBER UNIT" that a program prints is no part of what is compared: its medians are reported, of
 * many values side by side.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* wait4, pipe2 */
#endif
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_RUNS = 101,     /* of one variant */
    MAX_VARIANTS = 128, /* in all rows together */
    MAX_VALUES = 16,    /* that one program prints */
    LISTED_VALUES = 4,  /* the report has more than these as a table */
    MAX_WORDS = 32,     /* of a command */
    MAX_LINE = 1024,    /* bytes */
    USAGE = 2           /* exit status */
};

struct value {
    char name[32], unit[16];
    double v[MAX_RUNS];
    int n;
};

struct variant {
    char row[64], name[64], command[MAX_LINE];
    double wall[MAX_RUNS], cpu[MAX_RUNS]; /* seconds */
    double rss[MAX_RUNS];                 /* peak, millions of bytes */
    int runs;                             /* that ended well */
    uint64_t output;                      /* hash of what the first run printed */
    char trouble[128];                    /* why it is missing or FAILED; empty when all is well */
    int missing;
    struct value values[MAX_VALUES];
    int n_values;
};

struct options {
    int runs, limit; /* limit: seconds for one run */
    const char *title, *made_by, *commit, *peers, *file;
};

static struct variant variants[MAX_VARIANTS];
static int n_variants;
static volatile sig_atomic_t running; /* process id of the program under way, or 0 */
static volatile sig_atomic_t timed_out;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "compare: %s: %s\n", what, strerror(errno));
    exit(USAGE);
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: compare [-n RUNS] [-l LIMIT_SECONDS] [-t TITLE] [-m MADE_BY] [-c COMMIT] [-p PEERS]"
                    " [-o FILE] < LIST\n");
    exit(USAGE);
}

/* ---- the list of runs ---------------------------------------------------------------------------------------- */

static char *trim(char *s)
{
    char *end = s + strlen(s);

    while (end > s && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return s + strspn(s, " \t");
}

static void copy_field(char *to, size_t size, char *from)
{
    char *s = from == NULL ? NULL : trim(from);

    if (s == NULL || *s == '\0' || strlen(s) >= size) {
        fprintf(stderr, "compare: a line is not: row | variant | command\n");
        exit(USAGE);
    }
    memcpy(to, s, strlen(s) + 1);
}

static void read_list(FILE *in)
{
    char line[MAX_LINE];

    while (fgets(line, sizeof line, in) != NULL) {
        struct variant *v = &variants[n_variants];
        if (*trim(line) == '\0' || *trim(line) == '#')
            continue;
        if (++n_variants > MAX_VARIANTS) {
            fprintf(stderr, "compare: more than %d lines\n", MAX_VARIANTS);
            exit(USAGE);
        }
        copy_field(v->row, sizeof v->row, strtok(line, "|"));
        copy_field(v->name, sizeof v->name, strtok(NULL, "|"));
        copy_field(v->command, sizeof v->command, strtok(NULL, ""));
    }
    if (n_variants == 0) {
        fprintf(stderr, "compare: nothing to run\n");
        exit(USAGE);
    }
}

/* The index after the last variant of the row that starts at `first`. */
static int row_end(int first)
{
    int i = first;

    while (i < n_variants && strcmp(variants[i].row, variants[first].row) == 0)
        i++;
    return i;
}

/* Cuts `text` into words in place; returns how many. */
static int split(char *text, char **words)
{
    int n = 0;

    for (char *w = strtok(text, " \t"); w != NULL && n < MAX_WORDS; w = strtok(NULL, " \t"))
        words[n++] = w;
    words[n] = NULL;
    return n;
}

/* Whether a word before the program sets an environment variable. */
static int is_setting(const char *word) { return strchr(word, '=') != NULL; }

static void find_missing(struct variant *v)
{
    char text[MAX_LINE], *words[MAX_WORDS + 1];
    int i;

    strcpy(text, v->command);
    split(text, words);
    for (i = 0; words[i] != NULL && is_setting(words[i]); i++) {
        const char *path = strchr(words[i], '=') + 1;
        if (*path == '/' && access(path, R_OK) != 0)
            snprintf(v->trouble, sizeof v->trouble, "%.100s is not there", path);
    }
    if (words[i] == NULL || (strchr(words[i], '/') != NULL && access(words[i], X_OK) != 0))
        snprintf(v->trouble, sizeof v->trouble, "%.100s is not there", words[i] == NULL ? "a program" : words[i]);
    v->missing = v->trouble[0] != '\0';
}

/* ---- one run ------------------------------------------------------------------------------------------------- */

static double seconds_of(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_alarm(int sig)
{
    (void)sig;
    timed_out = 1;
    if (running > 0)
        kill((pid_t)running, SIGKILL);
}

static _Noreturn void become(const char *command, int out)
{
    char text[MAX_LINE], *words[MAX_WORDS + 1];
    int i;

    strcpy(text, command);
    split(text, words);
    for (i = 0; is_setting(words[i]); i++)
        putenv(words[i]);
    if (dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    execvp(words[i], words + i);
    _exit(127);
}

static struct value *find_value(struct variant *v, const char *name)
{
    for (int i = 0; i < v->n_values; i++)
        if (strcmp(v->values[i].name, name) == 0)
            return &v->values[i];
    return NULL;
}

static struct value *value_named(struct variant *v, const char *name, const char *unit)
{
    struct value *value = find_value(v, name);

    if (value != NULL)
        return value;
    if (v->n_values == MAX_VALUES)
        return NULL;
    strcpy(v->values[v->n_values].name, name);
    strcpy(v->values[v->n_values].unit, unit);
    return &v->values[v->n_values++];
}

/* Takes the line when it is "value NAME NUMBER UNIT"; returns whether it was. */
static int take_value(struct variant *v, const char *line)
{
    char name[32], unit[16];
    double number;
    struct value *value;

    if (sscanf(line, "value %31s %lf %15s", name, &number, unit) != 3)
        return 0;
    value = value_named(v, name, unit);
    if (value != NULL && value->n < MAX_RUNS)
        value->v[value->n++] = number;
    return 1;
}

/* Reads all that the program prints; returns an FNV-1a hash of it without the values. */
static uint64_t read_output(struct variant *v, int fd)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    char line[MAX_LINE];
    FILE *in = fdopen(fd, "r");

    if (in == NULL)
        die("fdopen");
    while (fgets(line, sizeof line, in) != NULL)
        for (const char *c = take_value(v, line) ? "" : line; *c != '\0'; c++)
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    fclose(in);
    return hash;
}

static void wait_for(pid_t pid, int *status, struct rusage *use)
{
    while (wait4(pid, status, 0, use) < 0)
        if (errno != EINTR)
            die("wait4");
    running = 0;
    alarm(0);
}

static pid_t start(const char *command, int limit, int *out)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        die("pipe2");
    fflush(NULL);
    timed_out = 0;
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        become(command, ends[1]);
    running = pid;
    alarm((unsigned)limit);
    close(ends[1]);
    *out = ends[0];
    return pid;
}

static void judge(struct variant *v, const struct variant *first, int status, uint64_t output, int limit)
{
    if (timed_out)
        snprintf(v->trouble, sizeof v->trouble, "run %d took longer than %d s", v->runs + 1, limit);
    else if (WIFSIGNALED(status))
        snprintf(v->trouble, sizeof v->trouble, "run %d was killed by signal %d", v->runs + 1, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        snprintf(v->trouble, sizeof v->trouble, "run %d exited with status %d", v->runs + 1, WEXITSTATUS(status));
    else if (v->runs == 0)
        v->output = output;
    else if (output != v->output)
        snprintf(v->trouble, sizeof v->trouble, "run %d printed something else than run 1", v->runs + 1);
    if (v->trouble[0] == '\0' && first->runs > 0 && v->output != first->output)
        snprintf(v->trouble, sizeof v->trouble, "it printed something else than %s", first->name);
}

static void run_once(struct variant *v, const struct variant *first, int limit)
{
    struct rusage use;
    uint64_t output;
    int status, out;
    double from = now();
    pid_t pid = start(v->command, limit, &out);

    output = read_output(v, out);
    wait_for(pid, &status, &use);
    v->wall[v->runs] = now() - from;
    v->cpu[v->runs] = seconds_of(use.ru_utime) + seconds_of(use.ru_stime);
    v->rss[v->runs] = (double)use.ru_maxrss * 1024 / 1e6;
    judge(v, first, status, output, limit);
    if (v->trouble[0] == '\0')
        v->runs++;
    fprintf(stderr, "%s, %s: %.2f s, %.1f MB%s%s\n", v->row, v->name, now() - from, (double)use.ru_maxrss * 1024 / 1e6,
            v->trouble[0] != '\0' ? ", FAILED: " : "", v->trouble);
}

static void run_row(int first, const struct options *o)
{
    for (int run = 0; run < o->runs; run++)
        for (int i = first; i < row_end(first); i++)
            if (variants[i].trouble[0] == '\0')
                run_once(&variants[i], &variants[first], o->limit);
}

/* ---- the report ---------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct spread {
    double low, median, high;
};

static struct spread spread_of(const double *v, int n)
{
    double sorted[MAX_RUNS];

    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return (struct spread){sorted[0], (sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[n - 1]};
}

/* The median of the ratios of run to run. */
static double ratio_of(const double *v, const double *base, int n)
{
    double ratio[MAX_RUNS];

    for (int i = 0; i < n; i++)
        ratio[i] = v[i] / base[i];
    return spread_of(ratio, n).median;
}

static void print_ratios(FILE *f, const struct variant *v, const struct variant *first)
{
    int n = v->runs < first->runs ? v->runs : first->runs;

    if (n == 0)
        fprintf(f, " - | - | - |\n");
    else
        fprintf(f, " %.2f | %.2f | %.2f |\n", ratio_of(v->wall, first->wall, n), ratio_of(v->cpu, first->cpu, n),
                ratio_of(v->rss, first->rss, n));
}

static void print_variant(FILE *f, const struct variant *v, const struct variant *first)
{
    struct spread wall;

    if (v->trouble[0] != '\0') {
        fprintf(f, "| %s | %s: %s | | | | | |\n", v->name, v->missing && v != first ? "missing" : "**FAILED**",
                v->trouble);
        return;
    }
    wall = spread_of(v->wall, v->runs);
    fprintf(f, "| %s | %.2f [%.2f..%.2f] | %.2f | %.1f |", v->name, wall.median, wall.low, wall.high,
            spread_of(v->cpu, v->runs).median, spread_of(v->rss, v->runs).median);
    print_ratios(f, v, first);
}

static void print_values(FILE *f, const struct variant *v)
{
    for (int i = 0; i < v->n_values && v->trouble[0] == '\0'; i++) {
        struct spread s = spread_of(v->values[i].v, v->values[i].n);
        fprintf(f, "- %s, %s: %.2f [%.2f..%.2f] %s\n", v->name, v->values[i].name, s.median, s.low, s.high,
                v->values[i].unit);
    }
}

static void print_value_cell(FILE *f, struct variant *v, const char *name)
{
    const struct value *value = v->trouble[0] == '\0' ? find_value(v, name) : NULL;

    if (value == NULL)
        fprintf(f, " - |");
    else
        fprintf(f, " %.2f |", spread_of(value->v, value->n).median);
}

/* The values that the first variant printed, a line each, beside those of the others. */
static void print_value_table(FILE *f, int first)
{
    const struct variant *base = &variants[first];

    fprintf(f, "| value, median |");
    for (int i = first; i < row_end(first); i++)
        fprintf(f, " %s |", variants[i].name);
    fprintf(f, "\n|---|");
    for (int i = first; i < row_end(first); i++)
        fprintf(f, "---|");
    fprintf(f, "\n");
    for (int k = 0; k < base->n_values; k++) {
        fprintf(f, "| %s, %s |", base->values[k].name, base->values[k].unit);
        for (int i = first; i < row_end(first); i++)
            print_value_cell(f, &variants[i], base->values[k].name);
        fprintf(f, "\n");
    }
    fprintf(f, "\n");
}

static void print_all_values(FILE *f, int first)
{
    if (row_end(first) - first > 1 && variants[first].n_values > LISTED_VALUES) {
        print_value_table(f, first);
        return;
    }
    for (int i = first; i < row_end(first); i++)
        print_values(f, &variants[i]);
}

static void print_row(FILE *f, int first)
{
    const struct variant *base = &variants[first];

    fprintf(f, "\n## %s\n\n", base->row);
    fprintf(f, "| variant | wall s, median [min..max] | CPU s | peak RSS MB | wall / %s | CPU / %s | RSS / %s |\n",
            base->name, base->name, base->name);
    fprintf(f, "|---|---|---|---|---|---|---|\n");
    for (int i = first; i < row_end(first); i++)
        print_variant(f, &variants[i], base);
    fprintf(f, "\n");
    print_all_values(f, first);
    fprintf(f, "- commands:");
    for (int i = first; i < row_end(first); i++)
        fprintf(f, "%s `%s`", i > first ? "," : "", variants[i].command);
    fprintf(f, "\n");
}

/* Copies what follows the colon of the first line of /proc/cpuinfo that starts with `key`. */
static void cpu_model(char *to, size_t size)
{
    char line[256];
    FILE *in = fopen("/proc/cpuinfo", "r");

    snprintf(to, size, "unknown CPU");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
            snprintf(to, size, "%s", trim(strchr(line, ':') + 1));
            break;
        }
    if (in != NULL)
        fclose(in);
}

static void print_head(FILE *f, const struct options *o)
{
    char cpu[128], date[64];
    struct utsname os;
    time_t t = time(NULL);

    cpu_model(cpu, sizeof cpu);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime(&t));
    if (uname(&os) != 0)
        die("uname");
    fprintf(f, "# %s\n\n", o->title);
    fprintf(f, "- made by: `%s`\n- commit: %s\n- date: %s\n", o->made_by, o->commit, date);
    fprintf(f, "- machine: %s, %ld processors, %.1f GB; %s %s %s\n", cpu, sysconf(_SC_NPROCESSORS_ONLN),
            (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e9, os.sysname, os.release, os.machine);
    if (o->peers != NULL)
        fprintf(f, "- peers: %s\n", o->peers);
    fprintf(f,
            "\n%d runs of each, in turns (A B C A B C ...). Ratios are medians of the ratios run by run to the first "
            "variant; above 1 it is ahead. 1 MB is 1000000 bytes.\n",
            o->runs);
}

static void print_report(FILE *f, const struct options *o)
{
    print_head(f, o);
    for (int i = 0; i < n_variants; i = row_end(i))
        print_row(f, i);
}

static void write_file(const struct options *o)
{
    FILE *f = fopen(o->file, "w");

    if (f == NULL)
        die(o->file);
    print_report(f, o);
    if (fclose(f) != 0)
        die(o->file);
}

/* ---- the command line ---------------------------------------------------------------------------------------- */

static int number(const char *text, int lo, int hi)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (*end != '\0' || n < lo || n > hi)
        usage();
    return (int)n;
}

static struct options read_options(int argc, char **argv)
{
    struct options o = {.runs = 5, .limit = 600, .title = "Benchmark", .made_by = "compare", .commit = "unknown"};

    for (int c; (c = getopt(argc, argv, "n:l:t:m:c:p:o:")) != -1;) {
        switch (c) {
        case 'n':
            o.runs = number(optarg, 1, MAX_RUNS);
            break;
        case 'l':
            o.limit = number(optarg, 1, 86400);
            break;
        case 't':
            o.title = optarg;
            break;
        case 'm':
            o.made_by = optarg;
            break;
        case 'c':
            o.commit = optarg;
            break;
        case 'p':
            o.peers = optarg;
            break;
        case 'o':
            o.file = optarg;
            break;
        default:
            usage();
        }
    }
    if (optind != argc)
        usage();
    return o;
}

static int any_failed(void)
{
    int failed = 0;

    for (int first = 0; first < n_variants; first = row_end(first))
        for (int i = first; i < row_end(first); i++)
            failed |= variants[i].trouble[0] != '\0' && (i == first || !variants[i].missing);
    return failed;
}

int main(int argc, char **argv)
{
    struct options o = read_options(argc, argv);

    read_list(stdin);
    signal(SIGALRM, on_alarm);
    for (int i = 0; i < n_variants; i++)
        find_missing(&variants[i]);
    for (int i = 0; i < n_variants; i = row_end(i))
        run_row(i, &o);
    print_report(stdout, &o);
    if (o.file != NULL)
        write_file(&o);
    return any_failed();
}
