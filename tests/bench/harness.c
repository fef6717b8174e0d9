// SPDX-License-Identifier: GPL-2.0
/*
 * Measures cells. Each is warmed up and asked how long a round takes; then the cells take turns, so that what else
 * happens in the machine meanwhile meets all of them. A figure is the median of the turns.
 */
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define NR_TURNS 7
#define TURN_NS 20000000 /* a turn lasts about that long, or one round */

const char *time_unit = "ns";
const char *only_subject;

bool subject_wanted(const char *name)
{
	return !only_subject || strcmp(only_subject, name) == 0;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

unsigned int nr_cpus(void)
{
	return (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
}

void *alloc_zeroed(size_t nr, size_t size)
{
	void *mem = NULL;

	if (posix_memalign(&mem, 64, nr * size))
		die("no memory");
	memset(mem, 0, nr * size);
	return mem;
}

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fflush(stdout);
	fprintf(stderr, "FAILED: ");
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

void not_offered(const char *bench, const char *subject, const char *why)
{
	printf("#not-offered %s,%s: %s\n", bench, subject, why);
}

static void print_row(const struct cell *cell, const char *unit,
		      const double *sorted, unsigned int nr)
{
	double median = (sorted[(nr - 1) / 2] + sorted[nr / 2]) / 2;

	printf("#row %s,%s,%lu,%s,%.1f,%.1f,%.1f,%u\n", cell->bench,
	       cell->subject, cell->batch, unit, median, sorted[0],
	       sorted[nr - 1], nr);
	fflush(stdout);
}

void report_value(const char *bench, const char *subject, unsigned long batch,
		  const char *unit, double value)
{
	const struct cell cell = { .bench = bench,
				   .subject = subject,
				   .batch = batch };

	print_row(&cell, unit, &value, 1);
}

static uint64_t time_prepared(const struct cell *cell, uint64_t rounds)
{
	uint64_t total = 0;

	while (rounds--) {
		uint64_t start;

		cell->prepare(cell->ctx);
		start = now_ns();
		cell->round(cell->ctx);
		total += now_ns() - start;
	}
	return total;
}

static uint64_t time_rounds(const struct cell *cell, uint64_t rounds)
{
	uint64_t start;

	if (cell->prepare)
		return time_prepared(cell, rounds);
	start = now_ns();
	while (rounds--)
		cell->round(cell->ctx);
	return now_ns() - start;
}

/* Warms up: how many rounds make a turn? */
static uint64_t rounds_of_turn(const struct cell *cell)
{
	uint64_t rounds = 1, ns;

	for (;;) {
		ns = time_rounds(cell, rounds);
		if (ns >= TURN_NS / 4)
			break;
		rounds *= 2;
	}
	rounds = rounds * TURN_NS / ns;
	return rounds ? rounds : 1;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void measure(const struct cell *cells, size_t nr)
{
	double(*figures)[NR_TURNS] = alloc_zeroed(nr, sizeof(*figures));
	uint64_t *rounds = alloc_zeroed(nr, sizeof(*rounds));

	for (size_t i = 0; i < nr; i++)
		rounds[i] = rounds_of_turn(&cells[i]);
	for (unsigned int turn = 0; turn < NR_TURNS; turn++)
		for (size_t i = 0; i < nr; i++)
			figures[i][turn] =
				(double)time_rounds(&cells[i], rounds[i]) /
				((double)rounds[i] * (double)cells[i].ops);
	for (size_t i = 0; i < nr; i++) {
		qsort(figures[i], NR_TURNS, sizeof(double), compare);
		print_row(&cells[i], time_unit, figures[i], NR_TURNS);
	}
	free(rounds);
	free(figures);
}
