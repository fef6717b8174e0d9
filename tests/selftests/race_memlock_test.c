// SPDX-License-Identifier: GPL-2.0
/*
 * RLIMIT_MEMLOCK holds for all processes of a user together: for those that pin at the same
 * time, and whatever becomes of the one that pinned, by fork and exec.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "race_loop.h"
#include "race_other.h"

#define MEMLOCK 48 /* pages */
#define PINNERS 3

struct pins {
	unsigned int step;
	int held, most, wrong; /* of all processes together */
	unsigned int pinned, refused;
	char *mem;
};

static int scope_with_buffers(unsigned int max)
{
	struct kscope_scope_create arg = { .capacity = 1, .max_buffers = max };

	return scope_create(&arg);
}

FIXTURE(memlock)
{
	struct pins *shared;
	long pins;
};

FIXTURE_SETUP(memlock)
{
	self->pins = pins_now();
	self->shared = map_shared(PAGE);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->shared->mem = map_anon((MEMLOCK + 1) * PAGE);
	ASSERT_NE(MAP_FAILED, self->shared->mem);
	ASSERT_EQ(0, set_limit(RLIMIT_MEMLOCK, MEMLOCK * PAGE));
}

FIXTURE_TEARDOWN(memlock)
{
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_TRUE(hooks_agree());
}

/* Pin or unpin by turns of chance. The counter is never higher than what is pinned. */
static void pin_or_unpin(struct pins *s, int fd, int *bufs, unsigned int *nr)
{
	int held, buf;

	if (*nr && (now_ns() / 64 % 3 == 0 || *nr == MEMLOCK)) {
		__atomic_sub_fetch(&s->held, 1, __ATOMIC_SEQ_CST);
		s->wrong += buf_unpin(fd, bufs[--*nr]) != 0;
		return;
	}
	buf = buf_pin(fd, s->mem + *nr * PAGE, PAGE, 0);
	if (buf == -ENOMEM) {
		__atomic_add_fetch(&s->refused, 1, __ATOMIC_RELAXED);
		return;
	}
	held = __atomic_add_fetch(&s->held, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&s->pinned, 1, __ATOMIC_RELAXED);
	s->wrong += buf < 0;
	bufs[(*nr)++] = buf;
	if (held > s->most)
		s->most = held;
}

static int pin_for_a_while(void *arg)
{
	struct pins *s = arg;
	__u64 end = in_ms(1000);
	int bufs[MEMLOCK], fd;
	unsigned int nr, i;

	while (now_ns() < end) {
		fd = scope_with_buffers(MEMLOCK + 1);
		if (fd < 0)
			return 1;
		for (i = 0, nr = 0; i < 100; i++)
			pin_or_unpin(s, fd, bufs, &nr);
		__atomic_sub_fetch(&s->held, nr, __ATOMIC_SEQ_CST);
		close(fd);
	}
	return 0;
}

TEST_F(memlock, holds_for_processes_that_pin_at_the_same_time)
{
	struct pins *s = self->shared;
	pid_t pids[PINNERS];
	unsigned int i;

	for (i = 0; i < PINNERS; i++) {
		pids[i] = fork_as(NOBODY, pin_for_a_while, s);
		ASSERT_LE(0, pids[i]);
	}
	for (i = 0; i < PINNERS; i++) {
		EXPECT_EQ(0, child_wait(pids[i]));
	}
	TH_LOG("limit %u pages: %u pins, at most %d at a time, %u refused",
	       MEMLOCK, s->pinned, s->most, s->refused);
	EXPECT_EQ(0, s->wrong);
	EXPECT_GE(MEMLOCK, s->most);
	EXPECT_LT(MEMLOCK / 2, s->most);
	EXPECT_LT(0, s->refused);
}

/* Two threads, two pages of their own, and one page left in the limit. */
struct last_page {
	struct race race;
	struct duel duel;
	struct pins *pins;
	int fd, mine, theirs;
	unsigned int wins;
};

static void pin_mine(void *arg)
{
	struct last_page *last = arg;

	last->mine = buf_pin(last->fd, last->pins->mem, PAGE, 0);
}

static void pin_theirs(void *arg)
{
	struct last_page *last = arg;

	last->theirs = buf_pin(last->fd, last->pins->mem + PAGE, PAGE, 0);
}

static bool last_page_went_once(struct last_page *last)
{
	int won = last->mine > 0 ? last->mine : last->theirs;
	int lost = last->mine > 0 ? last->theirs : last->mine;

	last->wins += last->mine > 0;
	duel_adapt(&last->duel, &last->race, last->theirs > 0);
	return won > 0 && lost == -ENOMEM && !buf_unpin(last->fd, won);
}

static int race_for_last_page(void *arg)
{
	struct last_page last = { .pins = arg };

	last.fd = scope_with_buffers(MEMLOCK + 1);
	if (last.fd < 0 ||
	    buf_pin(last.fd, last.pins->mem, (MEMLOCK - 1) * PAGE, 0) <= 0)
		return 1;
	race_begin_for(&last.race, "last_page", 2 * LOOP_MS);
	if (duel_begin(&last.duel, pin_mine, pin_theirs, &last))
		return 2;
	while (race_next(&last.race)) {
		duel_fight(&last.duel);
		if (!last_page_went_once(&last))
			return 3;
	}
	printf("# %u rounds, %u won by the first\n", last.race.round,
	       last.wins);
	fflush(stdout);
	return duel_end(&last.duel) ? 4 : 0;
}

TEST_F(memlock, last_page_goes_to_one_of_two)
{
	EXPECT_EQ(0, run_as(NOBODY, race_for_last_page, self->shared));
}

/* So many pages can be pinned, and not one byte more. */
static int pin_exactly(struct pins *s, int fd, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (buf_pin(fd, s->mem + i * PAGE, PAGE, 0) <= 0)
			return 1;
	return buf_pin(fd, s->mem, 1, 0) == -ENOMEM ? 0 : 2;
}

static int pin_in_new_scope(void *arg, unsigned int nr)
{
	int fd = scope_with_buffers(MEMLOCK + 1);

	return fd < 0 ? 3 : pin_exactly(arg, fd, nr);
}

static int pin_all(void *arg)
{
	return pin_in_new_scope(arg, MEMLOCK);
}

static int pin_none(void *arg)
{
	return pin_in_new_scope(arg, 0);
}

static int pin_one(void *arg)
{
	return pin_in_new_scope(arg, 1);
}

/* What a forked process pins for its parent's scope stays, and its own goes with it. */
static int fork_and_pin(void *arg)
{
	int fd = scope_with_buffers(MEMLOCK + 1), tries, ret;
	struct pins *s = arg;
	pid_t pid;

	if (fd < 0 || buf_pin(fd, s->mem, (MEMLOCK - 2) * PAGE, 0) <= 0)
		return 10;
	pid = fork();
	if (!pid)
		_exit(buf_pin(fd, s->mem, PAGE, 0) <= 0 ? 11 : pin_one(arg));
	ret = child_wait(pid);
	if (ret)
		return ret;
	for (tries = 0; tries < 1000; tries++) {
		if (buf_pin(fd, s->mem, PAGE, 0) > 0)
			break;
		usleep(1000);
	}
	return buf_pin(fd, s->mem, PAGE, 0) == -ENOMEM ? 0 : 12;
}

TEST_F(memlock, holds_across_fork)
{
	EXPECT_EQ(0, run_as(NOBODY, fork_and_pin, self->shared));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_EQ(0, run_as(NOBODY, pin_all, self->shared));
}

/* Becomes a program that knows nothing of the scope which it has, or has no longer. */
struct execer {
	struct pins *pins;
	int in[2], out[2];
	bool keep;
};

static int pin_and_exec(void *arg)
{
	struct execer *e = arg;
	int fd = scope_with_buffers(MEMLOCK + 1);

	if (fd < 0 || pin_exactly(e->pins, fd, MEMLOCK))
		return 1;
	if (e->keep && fcntl(fd, F_SETFD, 0))
		return 2;
	dup2(e->in[0], 0);
	dup2(e->out[1], 1);
	execlp("sh", "sh", "-c", "echo; read x", NULL);
	return 3;
}

TEST_F(memlock, holds_across_exec)
{
	struct execer e = { .pins = self->shared };
	unsigned int keep;
	pid_t pid;

	for (keep = 0; keep < 2; keep++) {
		e.keep = keep;
		ASSERT_EQ(0, pipe2(e.in, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(e.out, O_CLOEXEC));
		pid = fork_as(NOBODY, pin_and_exec, &e);
		ASSERT_LE(0, pid);
		close(e.in[0]);
		close(e.out[1]);
		ASSERT_EQ(0, byte_recv(e.out[0]));
		EXPECT_EQ(self->pins + (keep ? MEMLOCK : 0), pins_now());
		EXPECT_EQ(0, run_as(NOBODY, keep ? pin_none : pin_all,
				    self->shared));
		EXPECT_EQ(0, run_as(OTHER, pin_all, self->shared));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(128 + SIGKILL, child_wait(pid));
		EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
		EXPECT_EQ(0, run_as(NOBODY, pin_all, self->shared));
		EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
		close(e.in[1]);
		close(e.out[0]);
	}
}

TEST_HARNESS_MAIN
