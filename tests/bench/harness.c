// SPDX-License-Identifier: GPL-2.0
/*
 * Measures cells. The processes of a bench are started one after the other;
 * each warms up, and finds out how many rounds make a turn. Then they take
 * turns, so that what else happens in the machine meanwhile meets all of them. A
 * figure is the median of the turns.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define TURN 't'
#define END 'e'
#define MAX_CELLS 16
#define MAX_TURNS 32
#define SLOW_TURNS \
	3U /* if a single round takes ten times as long as a turn should */

struct settings settings = {
	.unit = "ns",
	.turns = 7,
	.turn_ns = 20000000,
};

/*
 * struct runner - the process that measures a cell
 * @pid: its
 * @command: TURN written there asks for one, END to end. (Its end would not: the
 *	runners that are started later inherit it)
 * @figures: where it answers: first how many turns it wants, then a figure for each
 */
struct runner {
	pid_t pid;
	int command;
	int figures;
	unsigned int turns;
	double results[MAX_TURNS];
};

__u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000 + (__u64)ts.tv_nsec;
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

void raise_file_limit(unsigned long nr)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_cur < nr)
		limit.rlim_cur = nr;
	if (limit.rlim_max < nr)
		limit.rlim_max = nr;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
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

static __u64 time_round(const struct subject *subject, void *ctx)
{
	__u64 start, end;

	if (subject->prepare)
		subject->prepare(ctx);
	start = now_ns();
	subject->round(ctx);
	end = now_ns();
	if (subject->check)
		subject->check(ctx);
	return end - start;
}

static __u64 time_rounds(const struct subject *subject, void *ctx, __u64 rounds)
{
	__u64 total = 0;
	__u64 start;

	if (subject->prepare || subject->check) {
		while (rounds--)
			total += time_round(subject, ctx);
		return total;
	}
	start = now_ns();
	while (rounds--)
		subject->round(ctx);
	return now_ns() - start;
}

/* Returns how many rounds make a turn, and sets how many turns it should be. */
static __u64 warm_up(const struct subject *subject, void *ctx,
		     unsigned int *turns)
{
	__u64 rounds = 1, ns;

	for (;;) {
		ns = time_rounds(subject, ctx, rounds);
		if (ns >= settings.turn_ns / 4)
			break;
		rounds *= 2;
	}
	*turns = settings.turns;
	if (rounds == 1 && ns > 10 * settings.turn_ns && *turns > SLOW_TURNS)
		*turns = SLOW_TURNS;
	rounds = rounds * settings.turn_ns / ns;
	return rounds ? rounds : 1;
}

static void answer(int figures, const void *what, size_t size)
{
	if (write(figures, what, size) != (ssize_t)size)
		die("the one who asks has gone");
}

static void serve(const struct cell *cell, int command, int figures)
{
	const struct subject *subject = cell->subject;
	void *ctx = subject->open(cell);
	unsigned int turns = 0;
	__u64 rounds;
	char byte;

	if (!ctx) {
		answer(figures, &turns, sizeof(turns));
		return;
	}
	rounds = warm_up(subject, ctx, &turns);
	answer(figures, &turns, sizeof(turns));
	while (read(command, &byte, 1) == 1 && byte == TURN) {
		double figure = (double)time_rounds(subject, ctx, rounds);

		figure /= (double)rounds * (double)cell->ops;
		answer(figures, &figure, sizeof(figure));
	}
	subject->close(ctx);
}

static void ask(const struct runner *runner, void *what, size_t size)
{
	if (read(runner->figures, what, size) != (ssize_t)size)
		exit(1); /* it has said why */
}

static void runner_start(struct runner *runner, const struct cell *cell)
{
	int command[2], figures[2];

	CHECK(!pipe2(command, O_CLOEXEC) && !pipe2(figures, O_CLOEXEC));
	fflush(stdout);
	runner->pid = fork();
	CHECK(runner->pid >= 0);
	if (runner->pid == 0) {
		CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		close(command[1]);
		close(figures[0]);
		serve(cell, command[0], figures[1]);
		exit(0);
	}
	close(command[0]);
	close(figures[1]);
	runner->command = command[1];
	runner->figures = figures[0];
	ask(runner, &runner->turns, sizeof(runner->turns));
}

static void command_runner(const struct runner *runner, char byte)
{
	if (write(runner->command, &byte, 1) != 1)
		exit(1); /* it has said why */
}

static void runner_turn(struct runner *runner, unsigned int turn)
{
	command_runner(runner, TURN);
	ask(runner, &runner->results[turn], sizeof(double));
}

static void runner_end(struct runner *runner)
{
	int status;

	if (runner->turns)
		command_runner(runner, END);
	close(runner->command);
	close(runner->figures);
	CHECK(waitpid(runner->pid, &status, 0) == runner->pid);
	if (status)
		exit(1);
}

static int compare_figures(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_row(const struct cell *cell, const char *unit,
		      double *figures, unsigned int nr)
{
	qsort(figures, nr, sizeof(*figures), compare_figures);
	printf("#row %s,%s,%lu,%s,%.1f,%.1f,%.1f,%u\n", cell->bench,
	       cell->subject->name, cell->batch, unit,
	       (figures[(nr - 1) / 2] + figures[nr / 2]) / 2, figures[0],
	       figures[nr - 1], nr);
}

void report_value(const char *bench, const char *subject, unsigned long batch,
		  const char *unit, double value)
{
	const struct subject who = { .name = subject };
	const struct cell cell = { .bench = bench,
				   .subject = &who,
				   .batch = batch };

	print_row(&cell, unit, &value, 1);
}

static void report(const struct cell *cell, struct runner *runner)
{
	if (runner->turns)
		print_row(cell, settings.unit, runner->results, runner->turns);
	else
		printf("#not-offered %s %lu: %s\n", cell->bench, cell->batch,
		       cell->subject->name);
}

static void measure(const struct cell *cells, unsigned int nr)
{
	struct runner *runners = alloc_zeroed(nr, sizeof(*runners));

	for (unsigned int i = 0; i < nr; i++)
		runner_start(&runners[i], &cells[i]);
	for (unsigned int turn = 0; turn < settings.turns; turn++)
		for (unsigned int i = 0; i < nr; i++)
			if (turn < runners[i].turns)
				runner_turn(&runners[i], turn);
	for (unsigned int i = 0; i < nr; i++) {
		runner_end(&runners[i]);
		report(&cells[i], &runners[i]);
	}
	free(runners);
}

void compare(const char *bench, unsigned long batch, unsigned long ops,
	     const struct subject *subjects)
{
	struct cell cells[MAX_CELLS];
	unsigned int nr = 0;

	for (; subjects->name; subjects++) {
		if (settings.subject &&
		    strcmp(settings.subject, subjects->name))
			continue;
		CHECK(nr < MAX_CELLS);
		cells[nr++] = (struct cell){
			.bench = bench,
			.subject = subjects,
			.batch = batch,
			.ops = ops,
		};
	}
	measure(cells, nr);
}
