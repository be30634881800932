/* replay.c - plays the saved inputs of tests/fuzz/corpus, a test each, without a fuzzer; or the files it is given. */
#include "../check_main.h"
#include "api_fuzz.h"

#include <dirent.h>
#include <string.h>

enum { FILES_MAX = 512, INPUT_MAX = 1 << 16, PATH_BYTES = 1024 };

static char *names[FILES_MAX];
static int nnames;
static char folder[PATH_BYTES];

static void play_file(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    if (!f)
        ck_abort_msg("%s cannot be opened", path);
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    api_fuzz_play(data, n);
}

START_TEST(plays)
{
    char path[2 * PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, names[_i]);
    fprintf(stderr, "%s\n", path);
    play_file(path);
}
END_TEST

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list_corpus(void)
{
    const char *top = getenv("top_srcdir");
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus", top ? top : ".");
    DIR *d = opendir(folder);
    const struct dirent *e;
    while (d && nnames < FILES_MAX && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            names[nnames++] = strdup(e->d_name);
    if (d)
        closedir(d);
    qsort(names, (size_t)nnames, sizeof *names, by_name);
}

START_TEST(corpus_is_there) { ck_assert_int_gt(nnames, 0); }
END_TEST

static void tests(TCase *tc)
{
    tcase_add_test(tc, corpus_is_there);
    tcase_add_loop_test(tc, plays, 0, nnames);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        play_file(argv[i]);
    list_corpus();
    return argc > 1 ? EXIT_SUCCESS : check_main("fuzz/replay", tests);
}
