// SPDX-License-Identifier: GPL-2.0
/*
 * Worker processes. Each runs some programs and ends, is killed at some moment, or dies of a
 * program. Then nothing of it may be left.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"
#include "system.h"

#define NOBODY 65534
#define STALL_MS 40000
#define GONE_MS 20000

bool trace_programs;

static void limit(int resource, rlim_t value)
{
	struct rlimit limit = { value, value };

	setrlimit(resource, &limit);
}

/* The files that it works on are those that the manager opened as root. */
static void become_worker(const struct job *job)
{
	setsid();
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 1 << 20);
	limit(RLIMIT_MEMLOCK, 8 << 20);
	limit(RLIMIT_NOFILE, 1024);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGBUS,
	       SIG_IGN); /* of KSCOPE_SCOPE_SIGBUS; others kill all the same */
	if (!job->as_root &&
	    (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	     setresuid(NOBODY, NOBODY, NOBODY)))
		_exit(2);
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void program_make(struct rng *rng, struct program *program)
{
	__u32 nr = shared->nr_corpus;

	if (!nr || rng_chance(rng, 5)) {
		program_generate(rng, program);
		return;
	}
	/* the younger half is more promising */
	*program = shared->corpus[rng_chance(rng, 2) ?
					  rng_below(rng, nr) :
					  nr - 1 - rng_below(rng, nr / 2 + 1)];
	program_mutate(rng, program, &shared->corpus[rng_below(rng, nr)]);
}

static const struct program *program_next(const struct job *job,
					  struct rng *rng, __u32 i)
{
	struct program *program = &shared->history[i];

	if (job->program)
		*program = *job->program;
	else if (i < job->nr_seeds)
		*program = shared->corpus[job->first_seed + i];
	else
		program_make(rng, program);
	shared->nr_history = i + 1;
	if (trace_programs) {
		printf("--- %llu\n", shared->programs);
		program_print(program, stdout);
		fflush(stdout);
	}
	return program;
}

static void run_programs(const struct job *job)
{
	struct rng rng = { .state = job->seed };
	const struct program *program;
	char text[1024];
	__u32 i;

	for (i = 0; i < job->nr; i++) {
		program = program_next(job, &rng, i);
		shared->new_signals = 0;
		exec_program(program);
		if (!log_is_clean(text, sizeof(text)))
			finding("%s", text);
		if (shared->new_signals && !job->program && i >= job->nr_seeds)
			corpus_add(program);
	}
}

static void worker_main(const struct job *job)
{
	become_worker(job);
	areas_map(~0U);
	exec_start_threads();
	if (job->instead)
		job->instead();
	else
		run_programs(job);
	_exit(0);
}

static void show_stacks(pid_t pid)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "cd /proc/%d/task && head -n 30 */comm */wchan */stack", pid);
	fflush(stdout);
	if (system(command))
		printf("(no stacks)\n");
}

static void note_finding(const char *text)
{
	if (!__atomic_exchange_n(&shared->found, 1, __ATOMIC_SEQ_CST))
		snprintf(shared->text, sizeof(shared->text), "%s", text);
}

/* Return: true when all children of the manager are gone */
static bool all_gone(pid_t worker, int *status)
{
	int other;
	pid_t pid;

	while ((pid = waitpid(-1, &other, WNOHANG)) > 0)
		if (pid == worker)
			*status = other;
	return pid < 0;
}

static void kill_all(pid_t worker)
{
	char path[64];
	FILE *list;
	int pid;

	kill(-worker, SIGKILL);
	kill(worker, SIGKILL);
	/* orphans of the worker are the manager's by now */
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	list = fopen(path, "re");
	while (list && fscanf(list, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (list)
		fclose(list);
}

static bool log_tells(void)
{
	char text[1024];

	if (log_is_clean(text, sizeof(text)))
		return false;
	note_finding(text);
	return true;
}

/* At once: after such a line the kernel may not live long enough for a report. */
static void show_early(void)
{
	if (!shared->found || !shared->nr_history ||
	    strncmp(shared->text, "kernel log", 10))
		return;
	printf("== %s; the program under way:\n", shared->text);
	program_print(&shared->history[shared->nr_history - 1], stdout);
	fflush(stdout);
}

/* Let the worker work, until it is gone or has to be killed. Return: was it killed */
static bool watch(const struct job *job, pid_t pid, int *status)
{
	__u64 now = now_ns(), moved = now, seen = shared->programs;
	__u64 end = now + job->kill_after_ms * MSEC;

	while (waitpid(pid, status, WNOHANG) == 0) {
		usleep(2000);
		figures_tick();
		now = now_ns();
		if (shared->programs != seen) {
			seen = shared->programs;
			moved = now;
		}
		if (now - moved > STALL_MS * MSEC) {
			show_stacks(pid);
			note_finding("the worker is stuck in a program");
			return true;
		}
		if (log_tells() || (job->kill_after_ms && now > end))
			return true;
	}
	return false;
}

static void end_all(pid_t pid, int *status)
{
	__u64 deadline = now_ns() + GONE_MS * MSEC;

	do {
		kill_all(pid);
		if (all_gone(pid, status))
			return;
		usleep(1000);
		figures_tick();
	} while (now_ns() < deadline);
	show_stacks(pid);
	note_finding("unkillable: the worker does not go away");
}

static void judge(bool killed, int status)
{
	char text[1024];

	if (WIFSIGNALED(status) && !killed && !shared->dying) {
		snprintf(text, sizeof(text), "the worker died of signal %d",
			 WTERMSIG(status));
		note_finding(text);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) &&
	    WEXITSTATUS(status) != 99)
		note_finding("the worker could not start its work");
	if (!system_check(text, sizeof(text)))
		note_finding(text);
}

/* Return: true unless there is a finding, which is in shared then */
bool worker_run(const struct job *job)
{
	int status = 0;
	bool killed;
	pid_t pid;

	parameter_write("test_seed", job->noise);
	parameter_write("test_limit", job->limit);
	shared->found = 0;
	shared->dying = 0;
	shared->nr_history = 0;
	memset(shared->running, 0xff, sizeof(shared->running));
	cover_drop();
	fflush(stdout);
	pid = fork();
	if (!pid)
		worker_main(job);
	if (pid < 0) {
		perror("fuzz: fork");
		exit(2);
	}
	killed = watch(job, pid, &status);
	show_early();
	end_all(pid, &status);
	judge(killed, status);
	return !shared->found;
}
