/* fork.h - registering what is done around fork. */
#ifndef API_FORK_H
#define API_FORK_H

void fork_init(void);

#endif
