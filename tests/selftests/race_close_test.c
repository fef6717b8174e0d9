// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a scope while a child is held at one stage of its life. Pages stay pinned as
 * long as the child is there, close() does not return before all have left, and nothing
 * is touched afterwards. This takes the module's test hooks.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "race_caller.h"

#define PAGES 8
#define LEN (PAGES * PAGE)
#define ID 4711
#define OURS 0x77

FIXTURE(held)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_desc desc;
	struct kscope_query q;
	struct caller closer, caller;
	unsigned int buf;
	char *mem;
	long pins;
};

FIXTURE_VARIANT(held)
{
	const char *stage;
	bool has_ended;
};

FIXTURE_VARIANT_ADD(held, claimed){
	.stage = "claimed",
};

FIXTURE_VARIANT_ADD(held, returned){
	.stage = "returned",
};

FIXTURE_VARIANT_ADD(held, ended){
	.stage = "ended",
	.has_ended = true,
};

FIXTURE_VARIANT_ADD(held, idle){
	.stage = "idle",
	.has_ended = true,
};

/* A scope over the memory, and what a child would do with it. */
static int held_open(FIXTURE_DATA(held) * self)
{
	int ret = scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 8);

	if (ret)
		return ret;
	ret = buf_pin(self->scope.fd, self->mem, LEN, 0);
	if (ret <= 0)
		return ret;
	self->buf = ret;
	self->desc = desc_fill(self->buf, 0, LEN, ~0ULL);
	self->desc.user_data = ID;
	return 0;
}

FIXTURE_SETUP(held)
{
	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	hooks_quiet();
	hooks_limit(1); /* a lane goes idle after each child */
	self->pins = pins_now();
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->scope.fd = -1;
}

FIXTURE_TEARDOWN(held)
{
	hooks_quiet();
	if (!self->mem)
		return;
	if (self->scope.fd >= 0)
		close(self->scope.fd);
	if (self->scope.ring)
		scope_unmap(&self->scope);
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
	EXPECT_TRUE(hooks_agree());
}

/* Start to close the scope by another thread; the number is not ours any more. */
static int close_by_thread(FIXTURE_DATA(held) * self)
{
	int fd = self->scope.fd;

	self->scope.fd = -1;
	return caller_start(&self->closer, call_close, fd, NULL);
}

/* After the end: one completion, nothing pinned, and the memory is left alone. */
static void expect_over(struct __test_metadata *_metadata,
			FIXTURE_DATA(held) * self, bool finished)
{
	memset(self->mem, OURS, LEN);
	EXPECT_EQ(self->pins, pins_now());
	ASSERT_EQ(1, self->scope.ring->tail);
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(ID, self->c.user_data);
	EXPECT_EQ(finished ? 0 : KSCOPE_CAUSE_CLOSE, self->c.cause);
	usleep(2000);
	EXPECT_TRUE(bytes_are(self->mem, LEN, OURS));
	EXPECT_EQ(1, self->scope.ring->tail);
}

TEST_F(held, close_waits_for_a_child_at_each_stage)
{
	ASSERT_EQ(0, stop_at(variant->stage, ID));
	ASSERT_EQ(0, held_open(self));
	ASSERT_EQ(1, spawn(self->scope.fd, &self->desc, 1));
	ASSERT_EQ(0, stop_wait());
	ASSERT_EQ(0, close_by_thread(self));
	usleep(30000);
	EXPECT_FALSE(caller_is_done(&self->closer));
	if (!variant->has_ended) {
		EXPECT_EQ(self->pins + PAGES, pins_now());
	}
	ASSERT_EQ(0, stop_go());
	ASSERT_EQ(0, caller_end(&self->closer));
	expect_over(_metadata, self, variant->has_ended);
}

/* Another process: a scope with a child that @stage will hold, and no end of its own. */
static pid_t fork_owner(FIXTURE_DATA(held) * self)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (held_open(self) || spawn(self->scope.fd, &self->desc, 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

/* The reaper does the rest, and not before the child has left. */
TEST_F(held, owner_can_be_killed_with_a_child_at_each_stage)
{
	__u64 start;
	pid_t pid;

	ASSERT_EQ(0, stop_at(variant->stage, ID));
	pid = fork_owner(self);
	ASSERT_LE(0, pid);
	ASSERT_EQ(0, stop_wait());
	start = now_ns();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	EXPECT_GT(start + promptly(), now_ns());
	usleep(20000);
	if (!variant->has_ended) {
		EXPECT_EQ(self->pins + PAGES, pins_now());
	}
	ASSERT_EQ(0, stop_go());
	ASSERT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
	memset(self->mem, OURS, LEN);
	usleep(2000);
	EXPECT_TRUE(bytes_are(self->mem, LEN, OURS));
}

/*
 * A living closer gives up its wait for a child when it is killed: it can be reaped, and the
 * pages wait. Lanes that have left their last child are waited for, as that is short.
 */
TEST_F(held, closer_can_be_killed_with_a_child_at_each_stage)
{
	__u64 start;
	pid_t pid;

	ASSERT_EQ(0, stop_at(variant->stage, ID));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (held_open(self) ||
		    spawn(self->scope.fd, &self->desc, 1) != 1 || stop_wait())
			_exit(1);
		close(self->scope.fd);
		_exit(0);
	}
	ASSERT_EQ(0, stop_wait());
	usleep(20000); /* let it get to where it waits */
	start = now_ns();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(self->pins + PAGES, pins_now());
	if (variant->has_ended) {
		ASSERT_EQ(0, stop_go());
	}
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	EXPECT_GT(start + promptly(), now_ns());
	ASSERT_EQ(0, stop_go());
	ASSERT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS / 2));
}

/* Scopes of the same user whose lanes fill its workqueue, and take their time. */
#define BUSY_SCOPES 4
#define BUSY_LEN (512 * PAGE)

static int busy_open(struct scope *scopes, char *mem)
{
	struct kscope_desc descs[8];
	unsigned int i, j;
	int buf;

	for (i = 0; i < BUSY_SCOPES; i++) {
		if (scope_open(&scopes[i], KSCOPE_KIND_PARALLEL, 8))
			return -1;
		buf = buf_pin(scopes[i].fd, mem, BUSY_LEN, 0);
		for (j = 0; j < 8; j++)
			descs[j] = desc_crc32c(buf, 0, BUSY_LEN, 0);
		if (buf <= 0 || spawn(scopes[i].fd, descs, 8) != 8)
			return -1;
	}
	return 0;
}

/* Scopes of the same size, which get the memory of the one that was just freed. */
static int churn(unsigned int nr)
{
	struct kscope_completion c;
	struct scope scope;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++) {
		ret = scope_open(&scope, KSCOPE_KIND_PARALLEL, 8);
		if (ret)
			break;
		ret = run_ok(&scope, desc_nop(i), &c) ?: scope_close(&scope);
	}
	return ret;
}

/*
 * The lane has left its last child, or is about to. The user's workqueue is full, so that if it
 * came once more that would be long after close() has freed the scope, when others have got its
 * memory.
 */
TEST_F(held, lane_does_not_come_back_after_close)
{
	struct scope scopes[BUSY_SCOPES];
	char *mem = map_anon(BUSY_LEN);
	unsigned int i;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, stop_at(variant->stage, ID));
	ASSERT_EQ(0, held_open(self));
	ASSERT_EQ(1, spawn(self->scope.fd, &self->desc, 1));
	ASSERT_EQ(0, stop_wait());
	ASSERT_EQ(0, busy_open(scopes, mem));
	ASSERT_EQ(0, close_by_thread(self));
	usleep(10000);
	ASSERT_EQ(0, stop_go());
	ASSERT_EQ(0, caller_end(&self->closer));
	EXPECT_EQ(0, churn(8));
	for (i = 0; i < BUSY_SCOPES; i++) {
		ASSERT_EQ(0, join(scopes[i].fd));
		EXPECT_EQ(8, ring_unread(&scopes[i]));
		EXPECT_EQ(0, scope_close(&scopes[i]));
	}
	EXPECT_EQ(0, churn(8));
	expect_over(_metadata, self, variant->has_ended);
	munmap(mem, BUSY_LEN);
}

TEST_HARNESS_MAIN
