/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benches share. A bench makes cells, one for each subject that it compares, and hands them to measure(),
 * which warms up, takes turns between them, and prints a row for each.
 */
#ifndef KSCOPE_BENCH_H
#define KSCOPE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/*
 * struct cell - one figure to be measured
 * @bench: what is measured
 * @subject: who does it
 * @batch: column of that name: children in one call, bytes, or whatever the bench varies
 * @ops: how many things one round does; the figure is for one of them
 * @prepare: before each round, and not timed; may be NULL
 * @round: what is timed; ends the program if a result is wrong
 * @ctx: theirs
 */
struct cell {
	const char *bench;
	const char *subject;
	unsigned long batch;
	unsigned long ops;
	void (*prepare)(void *ctx);
	void (*round)(void *ctx);
	void *ctx;
};

extern const char *time_unit;
extern const char *only_subject;

bool subject_wanted(const char *name);
void measure(const struct cell *cells, size_t nr);

/* A figure that is not a time. */
void report_value(const char *bench, const char *subject, unsigned long batch,
		  const char *unit, double value);

/* Something that this guest does not offer: told, and left out. */
void not_offered(const char *bench, const char *subject, const char *why);

/* Ends the program: a result is wrong, or something failed that must not. */
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...);

#define CHECK(condition)                                               \
	do {                                                           \
		if (!(condition))                                      \
			die("%s:%d: not true: %s", __FILE__, __LINE__, \
			    #condition);                               \
	} while (0)

uint64_t now_ns(void);
unsigned int nr_cpus(void);
void *alloc_zeroed(size_t nr, size_t size);

/*
 * struct runner - a way to have a batch of children that do nothing run
 * @open: for batches of that size; NULL if this kernel does not offer it
 * @round: spawns, runs and reaps one batch, and looks at every completion
 */
struct runner {
	const char *name;
	void *(*open)(unsigned int batch);
	void (*round)(void *ctx);
	void (*close)(void *ctx);
};

extern const struct runner kscope_runners[];
extern const struct runner uring_runners[];
extern const struct runner thread_runners[];

void bench_spawn(void);
void bench_latency(void);

#endif
