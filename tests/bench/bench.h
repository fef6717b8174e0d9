/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benches share. A bench compares subjects at something; each subject
 * is measured in a process of its own, so that none is slowed down by what
 * another one keeps: threads, rings, a big address space.
 */
#ifndef KSCOPE_BENCH_H
#define KSCOPE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/types.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct cell;

/*
 * struct subject - one of those that are compared
 * @name: in the column of that name
 * @open: once, in the process that measures; returns the ctx of the others, or
 *	NULL if this kernel or module does not offer it
 * @prepare: before each round, and not timed; may be NULL
 * @round: what is timed. It ends the program if a result is wrong
 * @check: after each round, and not timed: looks at the rest of the results; may be NULL
 * @close: at the end
 * @arg: for @open
 */
struct subject {
	const char *name;
	void *(*open)(const struct cell *cell);
	void (*prepare)(void *ctx);
	void (*round)(void *ctx);
	void (*check)(void *ctx);
	void (*close)(void *ctx);
	const void *arg;
};

/*
 * struct cell - one figure to be measured
 * @bench: what is measured
 * @subject: who does it
 * @batch: children in one call, bytes of one child, or whatever the bench varies
 * @ops: how many things one round does; the figure is for one of them
 */
struct cell {
	const char *bench;
	const struct subject *subject;
	unsigned long batch;
	unsigned long ops;
};

/*
 * Measures subjects, an array that ends with one that has no name, and prints a
 * row for each.
 */
void compare(const char *bench, unsigned long batch, unsigned long ops,
	     const struct subject *subjects);

/* A figure that is not a time, or not taken by compare(). */
void report_value(const char *bench, const char *subject, unsigned long batch,
		  const char *unit, double value);

/* How and what to measure. */
extern struct settings {
	const char *unit; /* of time */
	const char *subject; /* only this one */
	unsigned long batch; /* of the bench of spawning, only this one; or 0 */
	unsigned int turns;
	__u64 turn_ns;
} settings;

/* Ends the program: a result is wrong, or something failed that must not. */
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...);

#define CHECK(condition)                                               \
	do {                                                           \
		if (!(condition))                                      \
			die("%s:%d: not true: %s", __FILE__, __LINE__, \
			    #condition);                               \
	} while (0)

__u64 now_ns(void);
unsigned int nr_cpus(void);

/* Memory that is zero; ends the program if there is none. */
void *alloc_zeroed(size_t nr, size_t size);

/* Lets this process have so many files open. */
void raise_file_limit(unsigned long nr);

/*
 * Notes that an op of the round number @user_data - @first below @nr has come
 * back; tally_check() ends the program unless each of them has, once.
 */
struct tally {
	__u64 first;
	__u64 nr;
	__u64 seen;
	__u64 sum;
};

static inline void tally_add(struct tally *tally, __u64 user_data)
{
	__u64 index = user_data - tally->first;

	CHECK(index < tally->nr);
	tally->sum += index;
	tally->seen++;
}

static inline void tally_check(const struct tally *tally)
{
	CHECK(tally->seen == tally->nr);
	CHECK(tally->sum == tally->nr * (tally->nr - 1) / 2);
}

void bench_clock(void);
void bench_spawn(void);
void bench_latency(void);
void bench_lease(void);
void bench_scope(void);
void bench_cancel(void);
void bench_growth_children(void);
void bench_growth_scopes(void);
void bench_pin(void);
void bench_memory(void);
void bench_copy(void);
void bench_copy8(void);
void bench_crc32c(void);
void bench_sha256(void);
void bench_file_read_buffered(void);
void bench_file_read_direct(void);

#endif
