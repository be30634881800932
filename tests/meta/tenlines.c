/* tenlines.c - a user's first program, C and C++ alike: a list that nobody frees, made on a second thread. */
#include <pthread.h>
#include <spangc.h>
#include <stdio.h>

struct node {
    struct node *next;
    long value;
};

static void *make_list(void *arg)
{
    struct node *list = NULL;
    for (long i = 0; i < *(long *)arg; i++) {
        struct node *n = (struct node *)gc_malloc(sizeof *n);
        n->next = list;
        n->value = i;
        list = n;
    }
    gc_collect();
    return list;
}

int main(void)
{
    long n = 100000, sum = 0;
    pthread_t thread;
    void *list;
    make_list(&n);
    if (pthread_create(&thread, NULL, make_list, &n) != 0 || pthread_join(thread, &list) != 0)
        return 1;
    gc_collect();
    for (struct node *p = (struct node *)list; p; p = p->next)
        sum += p->value;
    printf("spangc %s: %ld\n", gc_version(), sum);
    return sum != n * (n - 1) / 2;
}
