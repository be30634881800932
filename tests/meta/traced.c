/* traced.c - two threads make garbage ROUNDS times over; a child of fork does too, then memory goes back. With no ROUNDS it
 * goes on until it is killed. */
#include <pthread.h>
#include <spangc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct node {
    struct node *left, *right;
    char text[48];
};

static struct node *tree(int depth)
{
    struct node *n = gc_malloc(sizeof *n);
    if (depth > 0) {
        n->left = tree(depth - 1);
        n->right = tree(depth - 1);
    }
    return n;
}

static void *work(void *rounds)
{
    for (int i = 0; rounds == NULL || i < *(int *)rounds; i++)
        tree(15);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t other;
    int rounds = argc > 1 ? atoi(argv[1]) : 0, *limit = argc > 1 ? &rounds : NULL;
    struct node *kept = tree(17);
    if (pthread_create(&other, NULL, work, limit) != 0)
        return 1;
    work(limit);
    pthread_join(other, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        work(limit);
        gc_collect();
        _exit(0);
    }
    if (waitpid(pid, NULL, 0) != pid)
        return 1;
    memset(kept, 0, sizeof *kept);
    gc_release_memory();
    return 0;
}
