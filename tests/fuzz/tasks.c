// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on processes and threads: forks that go on with the program, limits, signals,
 * death.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "fuzz.h"
#include "run.h"

static bool may_run_again(const struct ctx *ctx, unsigned int index)
{
	static const char *const others[] = { "fork", "replay", "die" };
	const char *name;
	unsigned int i;

	if (index >= ctx->program->nr)
		return false;
	name = kinds[ctx->program->calls[index].kind].name;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (!strcmp(name, others[i]))
			return false;
	return true;
}

static void run_range(struct ctx *ctx, __u64 first, __u64 nr)
{
	__u64 i;

	for (i = first; i < first + nr && i < MAX_CALLS; i++)
		if (may_run_again(ctx, i))
			exec_call(ctx, i);
}

long run_replay(struct ctx *ctx, const struct arg *args)
{
	__u64 first = value_of(&args[0]), nr = value_of(&args[1]);
	__u64 times = value_of(&args[2]);

	if (ctx->depth || first >= MAX_CALLS || nr > MAX_CALLS || times > 16)
		return -EINVAL;
	ctx->depth++;
	while (times--)
		run_range(ctx, first, nr);
	ctx->depth--;
	return 0;
}

/* The fork's memory is a copy: of what it does the oracle sees nothing. */
static void fork_run(const struct ctx *parent, const struct arg *args)
{
	static const struct itimerval tick = { { 0, 20000 }, { 0, 20000 } };
	static char *const argv[] = { "true", NULL };
	static struct ctx ctx;
	__u64 how = value_of(&args[0]);

	ctx = *parent;
	ctx.thread = MAX_THREADS;
	ctx.in_fork = true;
	setitimer(ITIMER_REAL, &tick, NULL);
	run_range(&ctx, value_of(&args[1]), value_of(&args[2]));
	if (how == HOW_EXEC)
		execv("/bin/true", argv);
	while (how == HOW_STAY || how == HOW_KILL)
		pause();
	_exit(0);
}

long run_fork(struct ctx *ctx, const struct arg *args)
{
	__u32 nr = __atomic_fetch_add(&state.nr_forks, 1, __ATOMIC_RELAXED);
	pid_t pid;

	if (nr >= ARRAY_SIZE(state.forks) || ctx->in_fork)
		return -EAGAIN;
	state.forks[nr] = 0;
	mark_unsure();
	__atomic_add_fetch(&shared->forks, 1, __ATOMIC_RELAXED);
	pid = syscall(SYS_fork);
	if (!pid)
		fork_run(ctx, args);
	if (pid < 0)
		return -errno;
	state.forks[nr] = pid;
	mark_unsure(); /* those that were made meanwhile, too */
	if (value_of(&args[0]) == HOW_KILL) {
		usleep(pid % 16 * 100);
		kill(pid, SIGKILL);
	}
	return 0;
}

long run_nap(struct ctx *ctx, const struct arg *args)
{
	(void)ctx;
	usleep(value_of(&args[0]) % 2000);
	return 0;
}

long run_kick(struct ctx *ctx, const struct arg *args)
{
	if (!ctx->in_fork)
		exec_kick(value_of(&args[0]) % MAX_THREADS);
	return 0;
}

long run_limit(struct ctx *ctx, const struct arg *args)
{
	static const int limits[] = { RLIMIT_MEMLOCK, RLIMIT_FSIZE,
				      RLIMIT_NOFILE };
	__u64 which = value_of(&args[0]) % ARRAY_SIZE(limits);
	struct rlimit limit;

	(void)ctx;
	getrlimit(limits[which], &limit);
	limit.rlim_cur = value_of(&args[1]);
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	state.limits_dirty = true;
	return setrlimit(limits[which], &limit) ? -errno : 0;
}

long run_die(struct ctx *ctx, const struct arg *args)
{
	if (ctx->in_fork)
		_exit(0);
	__atomic_store_n(&shared->dying, 1, __ATOMIC_SEQ_CST);
	if (value_of(&args[0]) == HOW_KILL)
		kill(getpid(), SIGKILL);
	_exit(0);
}
