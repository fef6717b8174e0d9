// SPDX-License-Identifier: GPL-2.0
/*
 * A call that is held inside the module, while the fd under it is closed, and while others
 * release, cancel, spawn and unpin. A call holds the file: the scope ends when the last of
 * both is gone, and then completely. This takes the module's test hooks; the last test,
 * where everything runs into a close, does without.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "race_caller.h"

#define PAGES 8
#define LEN (PAGES * PAGE)
#define CAPACITY 8
#define MANY 9 /* for a spawner without the scope's room for descriptors */
#define ID 4711
#define OURS 0x77

FIXTURE(call)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_desc desc;
	struct kscope_query q;
	struct caller caller;
	struct kscope_buf_pin pin; /* of the same memory once more */
	unsigned int buf;
	char *mem;
	long pins;
};

FIXTURE_SETUP(call)
{
	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	hooks_quiet();
	self->pins = pins_now();
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, CAPACITY));
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, (int)self->buf);
	self->desc = desc_fill(self->buf, 0, LEN, ~0ULL);
	self->desc.user_data = ID;
	self->pin.size = sizeof(self->pin);
	self->pin.addr = to_u64(self->mem);
	self->pin.len = LEN;
}

FIXTURE_TEARDOWN(call)
{
	hooks_quiet();
	if (!self->mem)
		return;
	if (self->scope.fd >= 0)
		close(self->scope.fd);
	scope_unmap(&self->scope);
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
	EXPECT_TRUE(hooks_agree());
	munmap(self->mem, LEN);
}

/* Let a thread make the call, up to where it is held. */
static int hold(FIXTURE_DATA(call) * self, const char *stage, __u64 user_data,
		int (*call)(int fd, void *arg), void *arg)
{
	return stop_at(stage, user_data)				      ?:
		       caller_start(&self->caller, call, self->scope.fd, arg) ?:
		       stop_wait();
}

/* Close the fd under the call. It is not the end of the scope, so it returns at once. */
static void close_under(struct __test_metadata *_metadata,
			FIXTURE_DATA(call) * self)
{
	__u64 start = now_ns();

	ASSERT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	EXPECT_GT(start + promptly(), now_ns());
	EXPECT_EQ(self->pins + PAGES, pins_now());
	EXPECT_FALSE(caller_is_done(&self->caller));
	ASSERT_EQ(0, stop_go());
}

TEST_F(call, spawner_whose_scope_is_closed_does_what_close_would_have_done)
{
	ASSERT_EQ(0, hold(self, "reserved", ID, call_spawn, &self->desc));
	close_under(_metadata, self);
	ASSERT_EQ(1, caller_end(&self->caller));
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
	memset(self->mem, OURS, LEN);
	ASSERT_EQ(1, self->scope.ring->tail);
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(ID, self->c.user_data);
	EXPECT_EQ(!self->c.cause, self->c.outcome == KSCOPE_FINISHED);
	usleep(2000);
	EXPECT_TRUE(bytes_are(self->mem, LEN, OURS));
}

static int call_spawn_many(int fd, void *arg)
{
	return spawn(fd, arg, MANY);
}

/* All that a scope can hold have ended, and their user_data begin with @first. */
static void expect_all_from(struct __test_metadata *_metadata,
			    FIXTURE_DATA(call) * self, __u64 first)
{
	unsigned int i, seen = 0;

	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < CAPACITY; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		ASSERT_LE(first, self->c.user_data);
		ASSERT_GT(first + CAPACITY, self->c.user_data);
		seen |= 1U << (self->c.user_data - first);
	}
	EXPECT_EQ((1U << CAPACITY) - 1, seen);
}

TEST_F(call, spawns_at_the_same_time_do_not_mix_up_their_children)
{
	struct kscope_desc ours[MANY], theirs[MANY];
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		ours[i] = desc_nop(i);
		theirs[i] = desc_nop(ID + i);
	}
	ASSERT_EQ(0, hold(self, "drafted", ID, call_spawn_many, theirs));
	ASSERT_EQ(CAPACITY, spawn(self->scope.fd, ours, MANY));
	expect_all_from(_metadata, self, 0);
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(CAPACITY, caller_end(&self->caller));
	expect_all_from(_metadata, self, ID);
}

/* A reserved child counts as outstanding, and cannot be seen otherwise. */
TEST_F(call, reserved_child_stands_in_the_way_and_cannot_be_found)
{
	struct kscope_cancel counts;
	unsigned int nr = 1;
	struct kscope_blocker blocker;

	ASSERT_EQ(0, hold(self, "reserved", ID, call_spawn, &self->desc));
	EXPECT_EQ(-EBUSY, release_blockers(self->scope.fd, &blocker, &nr));
	EXPECT_EQ(0, nr);
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, self->buf));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.outstanding);
	EXPECT_EQ(-ENOENT, cancel_arg(self->scope.fd, KSCOPE_CANCEL_USER_DATA,
				      ID, &counts));
	EXPECT_EQ(-ETIMEDOUT,
		  join_arg(self->scope.fd, in_ms(20), &(struct kscope_join){}));
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(1, caller_end(&self->caller));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_F(call, reserved_child_never_existed_if_the_scope_is_cancelled)
{
	struct kscope_cancel counts;

	ASSERT_EQ(0, hold(self, "reserved", ID, call_spawn, &self->desc));
	ASSERT_EQ(0,
		  cancel_arg(self->scope.fd, KSCOPE_CANCEL_SCOPE, 0, &counts));
	EXPECT_EQ(0, counts.never_started + counts.told + counts.already);
	EXPECT_EQ(-EBUSY, release(self->scope.fd));
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(-ECANCELED, caller_end(&self->caller));
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(0, self->scope.ring->tail);
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(0, release(self->scope.fd));
}

/* Waiters are woken by the end of a spawn that came to nothing. */
TEST_F(call, join_does_not_oversleep_a_spawn_that_is_given_up)
{
	struct caller joiner;
	int fd = self->scope.fd;

	ASSERT_EQ(0, hold(self, "reserved", ID, call_spawn, &self->desc));
	ASSERT_EQ(0, caller_start(&joiner, call_join, fd, NULL));
	usleep(20000);
	EXPECT_FALSE(caller_is_done(&joiner));
	ASSERT_EQ(0, cancel_scope(fd));
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(0, caller_end(&joiner));
	EXPECT_EQ(-ECANCELED, caller_end(&self->caller));
}

static int call_cancel(int fd, void *arg)
{
	return cancel_arg(fd, KSCOPE_CANCEL_SCOPE, 0, arg);
}

/* A cancel lets go of the lock between two that run. One of them ends meanwhile, by itself. */
TEST_F(call, cancel_of_many_that_run_goes_on_where_it_was)
{
	struct kscope_quiesce quiesce = { .size = sizeof(quiesce) };
	struct kscope_cancel counts;
	struct kscope_desc descs[4];
	__u64 handles[4];
	int fd = self->scope.fd, i;

	for (i = 0; i < 4; i++)
		descs[i] = desc_sleep(i, far_future());
	ASSERT_EQ(4, spawn_arg(fd, descs, handles, 4, 0, 0));
	ASSERT_EQ(0, wait_running(fd, 4));
	hooks_limit(1);
	ASSERT_EQ(0, hold(self, "doomed", 0, call_cancel, &counts));
	EXPECT_TRUE(hooks_agree());
	for (i = 0; i < 4; i++)
		cancel_child(fd, handles[i]);
	ASSERT_EQ(0, join(fd));
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(0, caller_end(&self->caller));
	EXPECT_EQ(1, counts.told);
	for (i = 0; i < 4; i++)
		ASSERT_TRUE(reap(&self->scope, &self->c));
	/* and nobody is left out */
	ASSERT_EQ(0, xioctl(fd, KSCOPE_IOC_QUIESCE, &quiesce));
	ASSERT_EQ(4, spawn_arg(fd, descs, handles, 4, 0, 0));
	ASSERT_EQ(0, wait_running(fd, 4));
	ASSERT_EQ(0, call_cancel(fd, &counts));
	EXPECT_EQ(4, counts.told);
	ASSERT_EQ(0, join(fd));
}

TEST_F(call, pin_whose_scope_is_closed_leaves_nothing_pinned)
{
	int fd = self->scope.fd;

	ASSERT_EQ(0, hold(self, "pinned", 0, call_pin, &self->pin));
	EXPECT_EQ(self->pins + 2 * PAGES, pins_now());
	ASSERT_EQ(0, buf_unpin(fd, self->buf));
	close_under(_metadata, self);
	EXPECT_LT(0, caller_end(&self->caller));
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
}

TEST_F(call, pin_whose_scope_is_released_is_undone)
{
	ASSERT_EQ(0, hold(self, "pinned", 0, call_pin, &self->pin));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.nr_buffers);
	EXPECT_EQ(PAGES, self->q.pinned_pages);
	EXPECT_EQ(0, release(self->scope.fd));
	EXPECT_EQ(self->pins + PAGES, pins_now());
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(-ESHUTDOWN, caller_end(&self->caller));
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(0, vm_pages("VmPin"));
}

/* The buffer is out of the table before its pages are given back. */
TEST_F(call, unpin_under_way_is_seen_by_nobody)
{
	ASSERT_EQ(0, hold(self, "dropped", 0, call_unpin, &self->buf));
	EXPECT_EQ(-ENOENT, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(-ENOENT, spawn(self->scope.fd, &self->desc, 1));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.nr_buffers);
	close_under(_metadata, self);
	EXPECT_EQ(0, caller_end(&self->caller));
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
}

TEST_F(call, release_under_way_lets_nobody_in)
{
	int fd = self->scope.fd;

	ASSERT_EQ(0, hold(self, "released", 0, call_release, NULL));
	EXPECT_EQ(-ESHUTDOWN, release(fd));
	EXPECT_EQ(-ESHUTDOWN, cancel_scope(fd));
	EXPECT_EQ(-ESHUTDOWN, spawn(fd, &self->desc, 1));
	EXPECT_EQ(-ESHUTDOWN, buf_pin(fd, self->mem, LEN, 0));
	EXPECT_EQ(-ESHUTDOWN, hash_open(fd, "sha256"));
	EXPECT_EQ(0, join(fd));
	close_under(_metadata, self);
	EXPECT_EQ(0, caller_end(&self->caller));
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
}

/* The last child ends between the closer's cancel and its look at who is left. */
TEST_F(call, closer_that_is_held_does_not_miss_the_last_child)
{
	struct kscope_desc sleeper = desc_sleep(ID, far_future());
	int fd = self->scope.fd;
	unsigned int tries;

	ASSERT_EQ(1, spawn(fd, &sleeper, 1));
	ASSERT_EQ(0, wait_running(fd, 1));
	ASSERT_EQ(0, hold(self, "closing", 0, call_close, NULL));
	self->scope.fd = -1;
	for (tries = 0; tries < 1000 && !ring_unread(&self->scope); tries++)
		usleep(1000);
	EXPECT_EQ(1, ring_unread(&self->scope));
	EXPECT_EQ(self->pins + PAGES, pins_now());
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(0, caller_end(&self->caller));
	EXPECT_EQ(self->pins, pins_now());
}

/* The same with a closer that dies: the reaper must still be told. */
TEST_F(call, dying_closer_that_is_held_hands_over_to_the_reaper)
{
	struct kscope_desc sleeper = desc_sleep(ID, far_future());
	pid_t pid;

	ASSERT_EQ(1, spawn(self->scope.fd, &sleeper, 1));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	ASSERT_EQ(0, stop_at("closing", 0));
	pid = fork(); /* the child has the last fd */
	ASSERT_LE(0, pid);
	if (!pid) {
		usleep(50000);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	ASSERT_EQ(0, stop_wait());
	usleep(20000);
	EXPECT_EQ(1, ring_unread(&self->scope));
	EXPECT_EQ(self->pins + PAGES, pins_now());
	ASSERT_EQ(0, stop_go());
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
}

#define THREADS 3

FIXTURE(anything)
{
	struct race race;
	struct scope scope;
	unsigned int buf, accepted, bad;
	bool closed;
	char *mem;
	long pins;
};

FIXTURE_SETUP(anything)
{
	self->pins = pins_now();
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
}

FIXTURE_TEARDOWN(anything)
{
	hooks_quiet();
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
	EXPECT_TRUE(hooks_agree());
	munmap(self->mem, LEN);
}

/* One call of some kind; what it returned */
static int any_call(FIXTURE_DATA(anything) * self, unsigned int which)
{
	struct kscope_desc descs[2] = { desc_sleep(0, now_ns() + 100000) };
	int fd = self->scope.fd, ret;

	switch (which % 8) {
	case 0:
		ret = buf_pin(fd, self->mem, PAGE, 0);
		return ret > 0 ? buf_unpin(fd, ret) : ret;
	case 1:
		return join_arg(fd, in_ms(1), &(struct kscope_join){});
	case 2:
		return cancel_arg(fd, KSCOPE_CANCEL_USER_DATA, 0,
				  &(struct kscope_cancel){});
	case 3:
		return wait_unread(fd, 1, 1);
	case 4:
		return hash_open(fd, "crc32c");
	default:
		descs[1] = desc_fill(self->buf, 0, LEN, ~0ULL);
		ret = spawn(fd, descs, 2);
		if (ret > 0)
			__atomic_add_fetch(&self->accepted, ret,
					   __ATOMIC_RELAXED);
		return ret;
	}
}

static void *call_until_closed(void *arg)
{
	FIXTURE_DATA(anything) *self = arg;
	unsigned int which = now_ns() / 1000;
	int ret;

	do {
		ret = any_call(self, which++);
		if (ret == -EFAULT || ret == -EINVAL || ret == -ENOTTY)
			__atomic_add_fetch(&self->bad, 1, __ATOMIC_RELAXED);
	} while (ret != -EBADF);
	return NULL;
}

/* Each child that any of the threads got accepted has its completion, and none is late. */
static const char *judge(FIXTURE_DATA(anything) * self)
{
	unsigned int tail = self->scope.ring->tail;

	memset(self->mem, OURS, LEN);
	if (pins_now() != self->pins)
		return "pages are pinned";
	if (self->bad)
		return "an errno that makes no sense";
	if (tail != self->accepted)
		return "not one completion for each accepted child";
	if (!bytes_are(self->mem, LEN, OURS))
		return "a child wrote to memory that was given back";
	return NULL;
}

/* The last of the threads that leaves its call ends the scope, whichever that is. */
TEST_F(anything, close_under_threads_that_are_inside)
{
	pthread_t threads[THREADS];
	const char *wrong;
	unsigned int i;

	race_begin_for(&self->race, "close_under_threads", 2 * LOOP_MS);
	while (race_next(&self->race)) {
		self->accepted = 0;
		ASSERT_EQ(0,
			  scope_open(&self->scope, self->race.round % 2, 1024));
		self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
		ASSERT_LT(0, (int)self->buf);
		for (i = 0; i < THREADS; i++) {
			ASSERT_EQ(0, pthread_create(&threads[i], NULL,
						    call_until_closed, self));
		}
		usleep(race_random(&self->race) % 3000);
		ASSERT_EQ(0, xclose(self->scope.fd));
		for (i = 0; i < THREADS; i++) {
			ASSERT_EQ(0, pthread_join(threads[i], NULL));
		}
		wrong = judge(self);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u: %s", self->race.round, wrong);
		scope_unmap(&self->scope);
	}
	TH_LOG("%u rounds", self->race.round);
}

TEST_HARNESS_MAIN
