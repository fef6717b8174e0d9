/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the soak share.
 */
#ifndef SOAK_H
#define SOAK_H

#include "race_hooks.h"

#define SOAK_DATA \
	"/data/soak" /* a file system of its own while the soak runs */
#define SOAK_GROUP "/sys/fs/cgroup/soak"
#define FIRST_UID 60001
#define NR_UIDS 5
#define MEMLOCK_PAGES 2048UL

/* Counted by owners, in memory that they share with the main process */
struct tally {
	unsigned long scopes, children, reaped, passed, received, forks,
		threads;
};

/* xorshift64*: the same seed makes the same choices */
struct chance {
	__u64 state;
};

static inline void chance_seed(struct chance *chance, __u64 seed)
{
	chance->state = (seed + 1) * 0x9e3779b97f4a7c15ULL;
}

static inline unsigned int chance_of(struct chance *chance, unsigned int nr)
{
	__u64 x = chance->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	chance->state = x;
	return (x * 0x2545f4914f6cdd1dULL >> 33) % nr;
}

/* owner.c: the life of a process that will be killed; does not return */
void owner_run(__u64 seed, struct tally *tally, const int *bus);

/* system.c: what must be as before when nobody is left */
#define NR_LEVELS 8

struct levels {
	const char *name[NR_LEVELS];
	long value[NR_LEVELS];
	long tolerance[NR_LEVELS];
	unsigned int nr;
};

void levels_read(struct levels *levels);
void levels_print(const struct levels *before, const struct levels *now);
unsigned int levels_settle(const struct levels *before, struct levels *now,
			   unsigned int ms);
int shares_are_whole(uid_t uid);
int pressure_start(void);
void pressure_step(struct chance *chance);
int pressure_stop(void);

#endif /* SOAK_H */
