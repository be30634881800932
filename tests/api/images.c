/* images.c - objects held by the variables of an image alone: data, bss and thread-local ones of the program, of a
 * library that it was linked with, and of libraries opened with dlopen, by any thread, whatever else is opened and
 * closed meanwhile. Cleared or unloaded, they hold nothing. Holds rootjobs.all, os_tls.bounds, cycle.still. */
#include "places.h"
#include "place_lib.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

enum { LATE = 50 }; /* places in the library whose thread-local variables lie in the static block */

/* ---- places of the program ---- */

static void *data[PLACES] = {(void *)1};
static void *bss[PLACES];
static _Thread_local void *tls_data[PLACES] = {(void *)1};
static _Thread_local void *tls_bss[PLACES];

static void **place_of_program(enum place_kind kind)
{
    void **const places[] = {data, bss, tls_data, tls_bss};
    return places[kind];
}

/* ---- libraries that are opened: a copy of the file is another library to the loader ---- */

struct library {
    int fd;
    void *handle;
    place_fn place;
};

static int open_built(const char *name)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    ck_assert_int_gt(n, 0);
    path[n] = 0;
    char *dir_end = strrchr(path, '/') + 1;
    snprintf(dir_end, (size_t)(path + sizeof path - dir_end), ".libs/%s.so", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        ck_abort_msg("%s: %s", path, strerror(errno));
    return fd;
}

static int copy_of(const char *name)
{
    int from = open_built(name), to = memfd_create(name, MFD_CLOEXEC);
    ck_assert_int_ge(to, 0);
    while (sendfile(to, from, NULL, 1 << 20) > 0)
        ;
    close(from);
    return to;
}

static void library_open(struct library *l)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", l->fd);
    l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle)
        ck_abort_msg("dlopen: %s", dlerror());
    *(void **)&l->place = dlsym(l->handle, "place_of");
    if (!l->place)
        ck_abort_msg("dlsym: %s", dlerror());
}

static void library_close(struct library *l)
{
    if (dlclose(l->handle) != 0)
        ck_abort_msg("dlclose: %s", dlerror());
}

static struct library library_new(const char *name)
{
    struct library l = {copy_of(name), NULL, NULL};
    library_open(&l);
    return l;
}

/* ---- each kind of each image ---- */

START_TEST(of_the_program) { holds_then_not(place_of_program((enum place_kind)_i), PLACES, 0); }
END_TEST
START_TEST(of_a_linked_library) { holds_then_not(place_of_linked((enum place_kind)_i), PLACES, 0); }
END_TEST
START_TEST(of_an_opened_library) { holds_then_not(library_new("place").place((enum place_kind)_i), PLACES, 0); }
END_TEST

/* Its thread-local variables take the last of the static block, in this thread and in all that are there already. */
START_TEST(of_a_late_initial_exec_library)
{
    holds_then_not(library_new("place_ie").place((enum place_kind)_i), LATE, 0);
}
END_TEST

/* ---- in a thread that is not the one that collects, nor the one that opened ---- */

static place_fn place;
static enum place_kind kind;
static size_t places;
static sem_t filled, cleared, clear, leave;

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static void *fill_and_clear(void *unused)
{
    sem_post(&leave); /* there before the library is, where that matters */
    wait_for(&clear);
    held_put(place(kind), 0, places);
    sem_post(&filled);
    wait_for(&clear);
    held_clear(place(kind), places);
    sem_post(&cleared);
    wait_for(&clear);
    return unused;
}

static pthread_t start_filler(enum place_kind k, size_t n)
{
    pthread_t t;
    kind = k;
    places = n;
    sem_init(&filled, 0, 0);
    sem_init(&cleared, 0, 0);
    sem_init(&clear, 0, 0);
    sem_init(&leave, 0, 0);
    ck_assert_int_eq(pthread_create(&t, NULL, fill_and_clear, NULL), 0);
    wait_for(&leave);
    return t;
}

static NOINLINE void held_by_the_other(place_fn fn)
{
    place = fn;
    held_make(places, 0);
    sem_post(&clear);
    wait_for(&filled);
    held_shake();
    held_check();
    sem_post(&clear);
    wait_for(&cleared);
    held_must_go();
    sem_post(&clear);
}

/* Not even of what the caller vouches for are thread-local variables a part. */
static NOINLINE void held_without_stacks(place_fn fn)
{
    place = fn;
    held_make(places, 0);
    sem_post(&clear);
    wait_for(&filled);
    held_collections(true);
    for (int i = 0; i < 2; i++) {
        gc_collect_without_stacks();
        churn(HELD_SIZE, 3 * places);
    }
    held_check();
    sem_post(&clear);
    wait_for(&cleared);
    held_must_go();
    sem_post(&clear);
}

static const char *const image_names[] = {"program", "linked", "place", "place_ie"};

static place_fn place_fn_of(int image)
{
    if (image == 0)
        return place_of_program;
    if (image == 1)
        return place_of_linked;
    return library_new(image_names[image]).place;
}

static size_t places_of(int image) { return image == 3 ? LATE : PLACES; }

/* The thread is older than the library. */
START_TEST(of_an_older_thread)
{
    int image = _i / PLACE_KINDS;
    pthread_t t = start_filler((enum place_kind)(_i % PLACE_KINDS), places_of(image));
    held_by_the_other(place_fn_of(image));
    pthread_join(t, NULL);
}
END_TEST

START_TEST(of_a_newer_thread)
{
    int image = _i / PLACE_KINDS;
    place_fn fn = place_fn_of(image);
    pthread_t t = start_filler((enum place_kind)(_i % PLACE_KINDS), places_of(image));
    held_by_the_other(fn);
    pthread_join(t, NULL);
}
END_TEST

START_TEST(of_a_thread_without_stacks)
{
    int image = _i / PLACE_KINDS;
    pthread_t t = start_filler((enum place_kind)(_i % PLACE_KINDS), places_of(image));
    held_without_stacks(place_fn_of(image));
    pthread_join(t, NULL);
}
END_TEST

/* Opened by a thread that has ended since. */
static void *open_library(void *l)
{
    library_open(l);
    return NULL;
}

START_TEST(opened_by_another_thread)
{
    pthread_t t;
    struct library l = {copy_of("place"), NULL, NULL};
    ck_assert_int_eq(pthread_create(&t, NULL, open_library, &l), 0);
    pthread_join(t, NULL);
    holds_then_not(l.place((enum place_kind)_i), PLACES, 0);
}
END_TEST

/* ---- libraries come and go ---- */

/* The loader gives the number of a library that was closed to the next one with thread-local variables. Others have
 * touched the old one's, and not yet the new one's. */
static void close_and_open(enum place_kind k)
{
    struct library a = library_new("place"), b = library_new("place"), c = library_new("place");
    held_make(PLACES, 0);
    launder(a.place(k));
    held_put(b.place(k), 0, PLACES / 2);
    held_put(c.place(k), PLACES / 2, PLACES / 2);
    library_close(&a);
    held_shake();
    held_check();
    struct library d = library_new("place");
    held_shake();
    held_check();
    held_put(d.place(k), 0, PLACES / 2);
    held_clear(b.place(k), PLACES / 2);
    library_close(&b);
    held_shake();
    held_check();
    held_clear(c.place(k), PLACES / 2);
    held_clear(d.place(k), PLACES / 2);
    held_must_go();
}

START_TEST(after_another_was_closed) { close_and_open((enum place_kind)_i); }
END_TEST

static void *close_and_open_in_thread(void *k)
{
    close_and_open(*(enum place_kind *)k);
    return NULL;
}

START_TEST(after_another_was_closed_in_a_thread)
{
    pthread_t t;
    enum place_kind k = (enum place_kind)_i;
    struct library first = library_new("place"), second = library_new("place");
    launder(second.place(k));
    library_close(&first);
    ck_assert_int_eq(pthread_create(&t, NULL, close_and_open_in_thread, &k), 0);
    pthread_join(t, NULL);
}
END_TEST

/* More than the vector of the thread's blocks has room for: it is replaced by a longer one. */
START_TEST(of_many_libraries)
{
    enum { LIBRARIES = 50, EACH = HELD_MAX / LIBRARIES };
    static struct library l[LIBRARIES];
    enum place_kind k = (enum place_kind)_i;
    held_make(HELD_MAX, 0);
    for (size_t i = 0; i < LIBRARIES; i++) {
        l[i] = library_new("place");
        held_put(l[i].place(k), i * EACH, EACH);
    }
    held_shake();
    held_check();
    for (size_t i = 0; i < LIBRARIES; i++)
        held_clear(l[i].place(k), EACH);
    held_must_go();
}
END_TEST

/* What was unloaded holds nothing, and is not read. */
START_TEST(closed_holds_nothing)
{
    struct library l = library_new("place"), other = library_new("place");
    held_make(PLACES, 0);
    held_put(l.place((enum place_kind)_i), 0, PLACES);
    library_close(&l);
    held_must_go();
    holds_then_not(other.place((enum place_kind)_i), PLACES, 0);
}
END_TEST

static _Atomic bool enough;
static _Atomic int rounds;

static void *open_and_close(void *unused)
{
    struct library l[3];
    for (int i = 0; i < 3; i++)
        l[i].fd = copy_of("place");
    while (!enough) {
        for (int i = 0; i < 3; i++) {
            library_open(&l[i]);
            for (int k = 0; k < PLACE_KINDS; k++)
                l[i].place((enum place_kind)k)[0] = gc_malloc(HELD_SIZE);
            if (i == 1)
                library_close(&l[0]);
        }
        library_close(&l[1]);
        library_close(&l[2]);
        rounds++;
    }
    return unused;
}

/* A thread takes part that is older than all, and one that the collections find with a vector of any state. */
START_TEST(while_others_open_and_close)
{
    enum { COLLECTIONS = 150 };
    pthread_t t[2];
    enum place_kind k = (enum place_kind)_i;
    pthread_t filler = start_filler(k, PLACES / 2);
    struct library a = library_new("place"), b = library_new("place");
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, open_and_close, NULL), 0);
    held_make(PLACES, 0);
    place = a.place;
    sem_post(&clear);
    wait_for(&filled);
    held_put(b.place(k), PLACES / 2, PLACES / 2);
    for (int i = 0; i < COLLECTIONS || rounds < 20; i++) {
        gc_collect();
        if (i % 25 == 0) {
            churn(HELD_SIZE, PLACES);
            held_check();
        }
    }
    held_shake();
    held_check();
    enough = true;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    sem_post(&clear);
    wait_for(&cleared);
    sem_post(&clear);
    pthread_join(filler, NULL);
    held_clear(b.place(k), PLACES / 2);
    held_must_go();
}
END_TEST

static void tests(TCase *tc)
{
    enum { IMAGES = sizeof image_names / sizeof *image_names };
    tcase_add_loop_test(tc, of_the_program, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, of_a_linked_library, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, of_an_opened_library, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, of_a_late_initial_exec_library, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, of_an_older_thread, 0, PLACE_KINDS * IMAGES);
    tcase_add_loop_test(tc, of_a_newer_thread, 0, PLACE_KINDS * IMAGES);
    tcase_add_loop_test(tc, of_a_thread_without_stacks, 0, PLACE_KINDS * IMAGES);
    tcase_add_loop_test(tc, opened_by_another_thread, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, after_another_was_closed, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, after_another_was_closed_in_a_thread, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, of_many_libraries, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, closed_holds_nothing, 0, PLACE_KINDS);
    tcase_add_loop_test(tc, while_others_open_and_close, 0, PLACE_KINDS);
}
CHECK_MAIN("api/images", tests)
