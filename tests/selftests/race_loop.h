/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loops that race: how long they go on, what noise there is, and a rival.
 *
 * A loop ends with its time, or after KSCOPE_ROUNDS rounds. All that is left to chance
 * comes from one seed, which is printed, so that a failure shows it: KSCOPE_SEED=
 * takes it back. The scheduler keeps its own share of chance; where the module has its
 * test hooks, most rounds run with noise from the same seed, or with small limits.
 */
#ifndef RACE_LOOP_H
#define RACE_LOOP_H

#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include "race_hooks.h"

#define LOOP_MS 1300
#define LOOP_MS_ASKED 20000 /* when a number of rounds was asked for */
#define ROUNDS_OF_A_KIND 16

struct race {
	const char *name;
	__u64 seed, random, end;
	unsigned int round, rounds;
	bool hooks;
};

/* xorshift64*: good enough to pick delays and operations */
static inline unsigned int race_random(struct race *race)
{
	race->random ^= race->random >> 12;
	race->random ^= race->random << 25;
	race->random ^= race->random >> 27;
	return race->random * 0x2545f4914f6cdd1dULL >> 33;
}

static inline __u64 number_asked(const char *name, __u64 otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static inline void race_begin_for(struct race *race, const char *name,
				  unsigned int ms)
{
	bool asked = number_asked("KSCOPE_ROUNDS", 0);

	hooks_quiet();
	*race = (struct race){
		.name = name,
		.seed = number_asked("KSCOPE_SEED", now_ns() % 1000000000),
		.rounds = number_asked("KSCOPE_ROUNDS", UINT_MAX),
		.end = in_ms(asked ? LOOP_MS_ASKED : ms),
		.hooks = hooks_there(),
	};
	race->random = (race->seed + 1) * 0x9e3779b97f4a7c15ULL;
	printf("# %s: KSCOPE_SEED=%llu\n", name,
	       (unsigned long long)race->seed);
	fflush(stdout);
}

static inline void race_begin(struct race *race, const char *name)
{
	race_begin_for(race, name, LOOP_MS);
}

/* Four kinds of rounds take turns: with and without noise, with and without limits of 1. */
static inline void race_set_noise(struct race *race)
{
	unsigned int kind = race->round / ROUNDS_OF_A_KIND;

	hooks_noise(kind & 1 ? (race->seed + kind) % INT_MAX + 1 : 0);
	hooks_limit(kind & 2 ? 1 : 0);
}

/* Begin another round, if there is to be one. */
static inline bool race_next(struct race *race)
{
	if (race->round >= race->rounds || now_ns() > race->end) {
		hooks_quiet();
		return false;
	}
	if (race->hooks && race->round % ROUNDS_OF_A_KIND == 0)
		race_set_noise(race);
	race->round++;
	return true;
}

static inline void spin(unsigned int nr)
{
	volatile unsigned int i;

	for (i = 0; i < nr; i++)
		;
}

/*
 * Two threads that do one thing each, at the same time. Who comes later is told to come a
 * little earlier the next time, so that both orders are seen whatever the machine.
 */
struct duel {
	pthread_t thread;
	pthread_barrier_t start, over;
	void (*ours)(void *arg);
	void (*theirs)(void *arg);
	void *arg;
	unsigned int met;
	int lead; /* how much longer the rival waits; if negative, we do */
	unsigned int streak;
	bool rival_won, ends;
};

static inline void duel_meet(struct duel *duel)
{
	__atomic_add_fetch(&duel->met, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&duel->met, __ATOMIC_ACQUIRE) < 2)
		sched_yield();
}

static inline void *duel_rival(void *arg)
{
	struct duel *duel = arg;

	for (;;) {
		pthread_barrier_wait(&duel->start);
		if (duel->ends)
			return NULL;
		duel_meet(duel);
		spin(duel->lead > 0 ? duel->lead : 0);
		duel->theirs(duel->arg);
		pthread_barrier_wait(&duel->over);
	}
}

static inline int duel_begin(struct duel *duel, void (*ours)(void *arg),
			     void (*theirs)(void *arg), void *arg)
{
	*duel = (struct duel){ .ours = ours, .theirs = theirs, .arg = arg };
	pthread_barrier_init(&duel->start, NULL, 2);
	pthread_barrier_init(&duel->over, NULL, 2);
	return pthread_create(&duel->thread, NULL, duel_rival, duel);
}

static inline void duel_fight(struct duel *duel)
{
	duel->met = 0;
	pthread_barrier_wait(&duel->start);
	duel_meet(duel);
	spin(duel->lead < 0 ? -duel->lead : 0);
	duel->ours(duel->arg);
	pthread_barrier_wait(&duel->over);
}

/*
 * The rival won the round, or lost it: shift the start the other way, with some chance in
 * it, and by more the longer it goes on like that.
 */
static inline void duel_adapt(struct duel *duel, struct race *race,
			      bool rival_won)
{
	int step = 20 + race_random(race) % 400;

	duel->streak = rival_won == duel->rival_won ? duel->streak + 1 : 0;
	duel->rival_won = rival_won;
	step <<= duel->streak < 8 ? duel->streak : 8;
	duel->lead += rival_won ? step : -step;
	if (duel->lead > 400000 || duel->lead < -400000)
		duel->lead = 0;
}

static inline int duel_end(struct duel *duel)
{
	duel->ends = true;
	pthread_barrier_wait(&duel->start);
	return pthread_join(duel->thread, NULL);
}

#endif /* RACE_LOOP_H */
