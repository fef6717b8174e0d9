// SPDX-License-Identifier: GPL-2.0
/*
 * Waits that race with what they wait for, and with their deadline. Several threads begin
 * to wait at about the moment when the last completion comes, while an observer watches
 * the ring and notes when that was. A wait that returns 0 saw it; one that timed out did
 * so before it came; and none oversleeps it.
 */
#include "kselftest_harness.h"
#include "race_loop.h"

#define NR 3
#define WAITERS 6
#define LOOSE_MS (4000 * slowness()) /* longer than promptly() by far */

struct waiter {
	pthread_t thread;
	struct race_of_waiters *all;
	__u64 begin, deadline, returned;
	unsigned int tail;
	int ret;
};

struct race_of_waiters {
	struct race race;
	struct scope scope;
	void (*wait)(struct waiter *waiter);
	pthread_barrier_t start, over;
	struct waiter waiters[WAITERS];
	unsigned int nr, spawned;
	__u64 came;
	bool ends;
};

static unsigned int tail_now(const struct race_of_waiters *all)
{
	return __atomic_load_n(&all->scope.ring->tail, __ATOMIC_ACQUIRE);
}

static void wait_by_join(struct waiter *waiter)
{
	waiter->ret = join_arg(waiter->all->scope.fd, waiter->deadline,
			       &(struct kscope_join){});
}

static void wait_by_spawn(struct waiter *waiter)
{
	waiter->ret = spawn_arg(waiter->all->scope.fd, NULL, NULL, 0,
				waiter->all->nr, waiter->deadline);
}

/* It is told of each completion, and its timeout is relative: only a loose one. */
static void wait_by_poll(struct waiter *waiter)
{
	struct pollfd p = { .fd = waiter->all->scope.fd, .events = POLLIN };

	waiter->deadline = in_ms(LOOSE_MS);
	waiter->ret = poll(&p, 1, LOOSE_MS) == 1 ? 0 : -ETIMEDOUT;
}

static void *waiter_run(void *arg)
{
	struct waiter *waiter = arg;
	struct timespec begin;

	for (;;) {
		pthread_barrier_wait(&waiter->all->start);
		if (waiter->all->ends)
			return NULL;
		begin.tv_sec = waiter->begin / SEC;
		begin.tv_nsec = waiter->begin % SEC;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &begin, NULL);
		waiter->all->wait(waiter);
		waiter->returned = now_ns();
		waiter->tail = tail_now(waiter->all);
		pthread_barrier_wait(&waiter->all->over);
	}
}

FIXTURE(waits)
{
	struct race_of_waiters all;
};

static void (*const waits[])(struct waiter *waiter) = {
	wait_by_join,
	wait_by_spawn,
	wait_by_poll,
};

FIXTURE_VARIANT(waits)
{
	unsigned int how; /* in waits[] */
	unsigned int nr; /* children at most */
};

FIXTURE_VARIANT_ADD(waits, by_join){
	.how = 0,
	.nr = NR,
};

FIXTURE_VARIANT_ADD(waits, by_spawn){
	.how = 1,
	.nr = NR,
};

FIXTURE_VARIANT_ADD(waits, by_poll){
	.how = 2,
	.nr = 1,
};

FIXTURE_SETUP(waits)
{
	struct race_of_waiters *all = &self->all;
	unsigned int i;

	ASSERT_EQ(0, scope_open(&all->scope, KSCOPE_KIND_PARALLEL, 8));
	all->wait = waits[variant->how];
	pthread_barrier_init(&all->start, NULL, WAITERS + 1);
	pthread_barrier_init(&all->over, NULL, WAITERS + 1);
	for (i = 0; i < WAITERS; i++) {
		all->waiters[i].all = all;
		ASSERT_EQ(0, pthread_create(&all->waiters[i].thread, NULL,
					    waiter_run, &all->waiters[i]));
	}
}

FIXTURE_TEARDOWN(waits)
{
	hooks_quiet();
	EXPECT_EQ(0, scope_close(&self->all.scope));
	EXPECT_TRUE(hooks_agree());
}

/* Look until all completions are there; false if they never come. */
static bool observe(struct race_of_waiters *all)
{
	__u64 end = in_ms(2 * LOOSE_MS);

	while (tail_now(all) != all->spawned) {
		if (now_ns() > end)
			return false;
		usleep(20);
	}
	all->came = now_ns();
	return true;
}

/* What is wrong with the wait; NULL for nothing */
static const char *judge(const struct waiter *waiter)
{
	const struct race_of_waiters *all = waiter->all;

	switch (waiter->ret) {
	case 0:
		if (waiter->tail != all->spawned)
			return "returned before the last completion was there";
		if (waiter->returned > all->came + promptly())
			return "overslept the last completion";
		return NULL;
	case -ETIMEDOUT:
		if (waiter->returned < waiter->deadline)
			return "timed out before its deadline";
		if (all->came < waiter->deadline)
			return "timed out after the last completion came";
		return NULL;
	default:
		return "an errno that it should not have";
	}
}

/* Half of the deadlines are at about the time when the last child ends. */
static int round_begin(struct race_of_waiters *all, unsigned int max)
{
	__u64 until = now_ns() + 1000000 + race_random(&all->race) % 500000;
	struct kscope_desc descs[NR];
	struct waiter *waiter;
	unsigned int i;

	all->nr = 1 + race_random(&all->race) % max;
	for (i = 0; i < all->nr; i++)
		descs[i] = i ? desc_nop(i) : desc_sleep(i, until);
	all->spawned += all->nr;
	for (i = 0; i < WAITERS; i++) {
		waiter = &all->waiters[i];
		waiter->begin =
			until - 150000 + race_random(&all->race) % 300000;
		waiter->deadline =
			i % 2 ? in_ms(LOOSE_MS) :
				until + race_random(&all->race) % 400000;
	}
	return spawn(all->scope.fd, descs, all->nr);
}

TEST_F(waits, race_with_the_last_completion_and_their_deadlines)
{
	struct race_of_waiters *all = &self->all;
	unsigned int i, late = 0;
	const char *wrong;

	race_begin_for(&all->race, "race_with_the_last_completion",
		       2 * LOOP_MS);
	while (race_next(&all->race)) {
		ASSERT_LT(0, round_begin(all, variant->nr));
		pthread_barrier_wait(&all->start);
		ASSERT_TRUE(observe(all));
		pthread_barrier_wait(&all->over);
		for (i = 0; i < WAITERS; i++) {
			wrong = judge(&all->waiters[i]);
			late += all->waiters[i].ret == -ETIMEDOUT;
			ASSERT_EQ(NULL, wrong)
			TH_LOG("round %u: %s: %d", all->race.round, wrong,
			       all->waiters[i].ret);
		}
		ASSERT_EQ(0, join(all->scope.fd));
		all->scope.head->head = all->spawned;
	}
	all->ends = true;
	pthread_barrier_wait(&all->start);
	TH_LOG("%u rounds, %u waits timed out", all->race.round, late);
}

TEST_HARNESS_MAIN
