// SPDX-License-Identifier: GPL-2.0
/*
 * Running a program with a few threads.
 *
 * The first thread goes through the program. It makes its own calls, and at another
 * thread's call it lets that thread go and does not wait. So the order in which calls start
 * is that of the program, and how they overlap is left to chance. Each call that can wait
 * is interrupted by a timer of its thread.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define BOUND_NS (20 * MSEC)

static struct ctx contexts[MAX_THREADS];
static timer_t timers[MAX_THREADS];
static pid_t tids[MAX_THREADS];
static __u32 round_nr, position, nr_done;
static const struct program *current;

static void futex_wait(__u32 *word, __u32 seen)
{
	struct timespec limit = { .tv_nsec = 100 * MSEC };

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &limit, NULL, 0);
}

static void futex_wake(__u32 *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static __u32 load(const __u32 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store_wake(__u32 *word, __u32 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	futex_wake(word);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* Interrupt the thread again and again until the call has returned. */
static void bound(struct ctx *ctx, bool on)
{
	struct itimerspec spec = {
		.it_value.tv_nsec = on ? BOUND_NS : 0,
		.it_interval.tv_nsec = on ? BOUND_NS : 0,
	};

	if (!ctx->in_fork)
		timer_settime(timers[ctx->thread], 0, &spec, NULL);
}

void exec_kick(unsigned int thread)
{
	if (tids[thread])
		syscall(SYS_tgkill, getpid(), tids[thread], SIGUSR1);
}

static void count(const struct kind *kind, long ret)
{
	if (kind->flags & KIND_LOCAL)
		return;
	__atomic_add_fetch(&shared->calls, 1, __ATOMIC_RELAXED);
	if (ret < 0)
		__atomic_add_fetch(&shared->refused, 1, __ATOMIC_RELAXED);
	else if (kind->flags & KIND_CHANGES)
		__atomic_add_fetch(&shared->changed, 1, __ATOMIC_RELAXED);
}

/* Errnos that are meant for the kernel itself */
static void check_leak(const struct kind *kind, long ret)
{
	if (ret <= -512 && ret >= -530)
		finding("%s returned %ld", kind->name, ret);
}

long exec_call(struct ctx *ctx, unsigned int index)
{
	const struct call *call = &ctx->program->calls[index];
	const struct kind *kind = &kinds[call->kind];
	long ret;

	ctx->kind = call->kind;
	ctx->index = index;
	if (!ctx->in_fork)
		shared->running[ctx->thread] = index;
	if (kind->flags & KIND_BLOCKS)
		bound(ctx, true);
	ret = kind->run(ctx, call->args);
	if (kind->flags & KIND_BLOCKS)
		bound(ctx, false);
	count(kind, ret);
	check_leak(kind, ret);
	if (ctx->in_fork)
		return ret;
	shared->running[ctx->thread] = -1;
	cover_collect(ctx->thread);
	cover_signal(0x100000 | call->kind << 8 | (ret < 0 ? -ret & 0xff : 0));
	return ret;
}

static struct ctx *context_start(unsigned int thread,
				 const struct program *program)
{
	struct ctx *ctx = &contexts[thread];

	ctx->thread = thread;
	ctx->program = program;
	ctx->nr_descs = 0;
	ctx->depth = 0;
	return ctx;
}

static void thread_timer(unsigned int thread)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = SIGUSR1 };

	tids[thread] = gettid();
	event._sigev_un._tid = tids[thread];
	if (timer_create(CLOCK_MONOTONIC, &event, &timers[thread])) {
		perror("fuzz: timer_create");
		_exit(2);
	}
}

static void helper_run(unsigned int thread, const struct program *program)
{
	struct ctx *ctx = context_start(thread, program);
	__u32 seen;
	unsigned int i;

	for (i = 0; i < program->nr; i++) {
		if (program->calls[i].thread != thread)
			continue;
		while ((seen = load(&position)) <= i)
			futex_wait(&position, seen);
		exec_call(ctx, i);
	}
}

static void *helper(void *arg)
{
	unsigned int thread = (uintptr_t)arg;
	__u32 seen = 0;

	thread_timer(thread);
	cover_thread(thread);
	for (;;) {
		__atomic_add_fetch(&nr_done, 1, __ATOMIC_ACQ_REL);
		futex_wake(&nr_done);
		while (load(&round_nr) == seen)
			futex_wait(&round_nr, seen);
		seen++;
		helper_run(thread, current);
	}
	return NULL;
}

static void helpers_wait(void)
{
	__u32 seen;

	while ((seen = load(&nr_done)) < MAX_THREADS - 1)
		futex_wait(&nr_done, seen);
}

/* Once for each worker */
void exec_start_threads(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;
	uintptr_t i;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	thread_timer(0);
	cover_thread(0);
	for (i = 1; i < MAX_THREADS; i++) {
		if (pthread_create(&thread, NULL, helper, (void *)i))
			_exit(2);
		pthread_detach(thread);
	}
	helpers_wait();
}

static bool needs_helpers(const struct program *program)
{
	unsigned int i;

	for (i = 0; i < program->nr; i++)
		if (program->calls[i].thread)
			return true;
	return false;
}

void exec_program(const struct program *program)
{
	struct ctx *ctx = context_start(0, program);
	bool helpers = needs_helpers(program);
	unsigned int i;

	state_reset();
	__atomic_store_n(&position, 0, __ATOMIC_RELEASE);
	if (helpers) {
		current = program;
		__atomic_store_n(&nr_done, 0, __ATOMIC_RELEASE);
		store_wake(&round_nr, round_nr + 1);
	}
	for (i = 0; i < program->nr; i++) {
		if (program->calls[i].thread)
			store_wake(&position, i + 1);
		else
			exec_call(ctx, i);
	}
	if (helpers) {
		store_wake(&position, program->nr);
		helpers_wait();
	}
	state_clean();
	cover_collect(0);
	cover_collect_remote();
	__atomic_add_fetch(&shared->programs, 1, __ATOMIC_RELAXED);
}
