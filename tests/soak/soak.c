// SPDX-License-Identifier: GPL-2.0
/*
 * usage: soak MINUTES [SEED]
 *
 * Owners of scopes, of several users, are killed at random moments, while memory is short.
 * Each round ends when all of them are gone; then nothing may be left of them. Everything
 * that is chosen comes from SEED; what the scheduler makes of it does not.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "soak.h"

#define OWNERS 5
#define ROUND_MS 2000
#define LIFE_MS 400
#define FIGURES_MS 8000
#define REAPED_MS 5000

struct soak {
	struct chance chance;
	struct tally *tally;
	struct levels before;
	const char *doing;
	__u64 seed, noise, start, end, slowest;
	unsigned long rounds, kills, failed;
	pid_t owners[OWNERS], anchors[NR_UIDS];
	__u64 dies[OWNERS];
	int bus[2];
};

static unsigned int seconds(const struct soak *soak)
{
	return (now_ns() - soak->start) / SEC;
}

static void figures(const struct soak *soak)
{
	const struct tally *t = soak->tally;

	printf("# %u s, %s: %lu rounds, %lu kills (slowest %llu ms), "
	       "%lu scopes, %lu children; %lu fds passed, %lu received, "
	       "%lu forks, %lu threads\n",
	       seconds(soak), soak->doing, soak->rounds, soak->kills,
	       (unsigned long long)(soak->slowest / MSEC), t->scopes,
	       t->children, t->passed, t->received, t->forks, t->threads);
	fflush(stdout);
}

/* A thread: the others may be stuck, and then it says where. */
static void *figures_run(void *arg)
{
	for (;;) {
		usleep(FIGURES_MS * 1000);
		figures(arg);
	}
	return NULL;
}

static void result(struct soak *soak, bool good, const char *what)
{
	soak->failed += !good;
	printf("%s - %s\n", good ? "ok" : "not ok", what);
	fflush(stdout);
}

static void owner_begin(struct soak *soak, unsigned int i)
{
	__u64 seed = chance_of(&soak->chance, INT32_MAX);
	pid_t pid = fork();

	if (!pid)
		owner_run(seed, soak->tally, soak->bus);
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	soak->owners[i] = pid;
	/* Some die while they begin. */
	soak->dies[i] =
		now_ns() +
		chance_of(&soak->chance, LIFE_MS) *
			(chance_of(&soak->chance, 4) ? MSEC : MSEC / 50);
}

static void owner_kill(struct soak *soak, unsigned int i)
{
	__u64 start = now_ns(), took;

	soak->doing = "killing";
	kill(soak->owners[i], SIGKILL);
	child_wait(soak->owners[i]);
	took = now_ns() - start;
	if (took > soak->slowest)
		soak->slowest = took;
	soak->kills++;
	soak->owners[i] = 0;
}

/* As long as a user has a process, the kernel remembers what was charged to it. */
static int anchors_drop(struct soak *soak)
{
	unsigned int i;
	pid_t pid;

	for (i = 0; i < NR_UIDS; i++) {
		pid = fork();
		if (!pid) {
			if (become(FIRST_UID + i))
				_exit(1);
			setsid(); /* not among those who are to end */
			for (;;)
				pause();
		}
		soak->anchors[i] = pid;
		if (pid < 0)
			return -1;
	}
	return 0;
}

static void anchors_weigh(struct soak *soak)
{
	unsigned int i;

	for (i = 0; i < NR_UIDS; i++) {
		kill(soak->anchors[i], SIGKILL);
		child_wait(soak->anchors[i]);
	}
}

/* Those whom the owners made die with them, and are ours to reap. */
static void reap_orphans(void)
{
	__u64 deadline = in_ms(REAPED_MS);
	pid_t pid;

	do {
		pid = waitpid(-getpgrp(), NULL, WNOHANG);
		if (!pid)
			usleep(2000);
	} while (pid >= 0 && now_ns() < deadline);
}

/* A bus for each round: what nobody received goes with it. */
static int bus_open(struct soak *soak)
{
	int flags = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

	return socketpair(AF_UNIX, flags, 0, soak->bus);
}

static void noise_change(struct soak *soak)
{
	if (!hooks_there())
		return;
	soak->noise = chance_of(&soak->chance, INT32_MAX);
	hooks_noise(soak->rounds % 3 ? soak->noise : 0);
	hooks_limit(soak->rounds % 4 == 1);
}

static void round_run(struct soak *soak)
{
	__u64 end = in_ms(ROUND_MS);
	unsigned int i;

	for (i = 0; i < OWNERS; i++)
		owner_begin(soak, i);
	while (now_ns() < end) {
		for (i = 0; i < OWNERS; i++) {
			if (now_ns() < soak->dies[i])
				continue;
			owner_kill(soak, i);
			owner_begin(soak, i);
		}
		soak->doing = "making memory short";
		pressure_step(&soak->chance);
		usleep(2000);
	}
	for (i = 0; i < OWNERS; i++)
		owner_kill(soak, i);
}

/*
 * Some children only end when the gate is open. That comes first: scopes in the queue of the
 * bus end with it, and so this close waits for their children.
 */
static bool round_end(struct soak *soak)
{
	struct levels now;

	soak->doing = "looking for what is left";
	gate_set(true);
	hooks_quiet();
	close(soak->bus[0]);
	close(soak->bus[1]);
	reap_orphans();
	close(socket(AF_UNIX, SOCK_STREAM, 0)); /* sets the collector going */
	if (!levels_settle(&soak->before, &now, REAPED_MS))
		return true;
	printf("# after round %lu:\n", soak->rounds);
	levels_print(&soak->before, &now);
	return false;
}

static bool one_round(struct soak *soak)
{
	if (bus_open(soak))
		return false;
	noise_change(soak);
	gate_set(false);
	round_run(soak);
	soak->rounds++;
	return round_end(soak);
}

static void soak_finish(struct soak *soak, bool clean)
{
	struct levels now;
	char what[64];
	unsigned int i;
	int ret;

	soak->doing = "at the end";
	figures(soak);
	levels_read(&now);
	levels_print(&soak->before, &now);
	result(soak, clean, "nothing is left after each round");
	result(soak, soak->slowest < REAPED_MS * MSEC,
	       "who is killed is gone soon");
	for (i = 0; i < NR_UIDS; i++) {
		ret = shares_are_whole(FIRST_UID + i);
		snprintf(what, sizeof(what), "shares of user %u are whole%s",
			 FIRST_UID + i, ret ? ": no" : "");
		if (ret)
			printf("# step %d\n", ret);
		result(soak, !ret, what);
	}
	anchors_weigh(soak);
	result(soak, soak->tally->children > soak->rounds,
	       "there was something to do");
	result(soak, !pressure_stop(), "no file is held");
}

/* The first round fills what the kernel keeps for later; the levels are those after it. */
static int soak_run(struct soak *soak)
{
	pthread_t thread;
	bool clean;

	setpgid(0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (pressure_start() || anchors_drop(soak)) {
		printf("not ok - cannot make memory short, or processes\n");
		return 1;
	}
	levels_read(&soak->before);
	if (pthread_create(&thread, NULL, figures_run, soak))
		return 1;
	clean = one_round(soak);
	levels_read(&soak->before);
	while (clean && now_ns() < soak->end)
		clean = one_round(soak);
	soak_finish(soak, clean);
	return soak->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct soak soak = { .start = now_ns(), .doing = "beginning" };

	if (argc < 2) {
		fprintf(stderr, "usage: soak MINUTES [SEED]\n");
		return 2;
	}
	soak.end = soak.start + strtod(argv[1], NULL) * 60 * SEC;
	soak.seed = argc > 2 ? strtoull(argv[2], NULL, 0) :
			       soak.start % 1000000000;
	soak.tally = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (soak.tally == MAP_FAILED)
		return 2;
	chance_seed(&soak.chance, soak.seed);
	printf("# seed %llu\n", (unsigned long long)soak.seed);
	fflush(stdout);
	return soak_run(&soak);
}
