// SPDX-License-Identifier: GPL-2.0
/*
 * Inline scopes: SPAWN itself runs the children, one after the other, and returns when they
 * have ended.
 */
#include <pthread.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define CAPACITY 512
#define LEN (256 * 1024UL)

FIXTURE(inline)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_desc descs[CAPACITY + 1];
	__u64 handles[CAPACITY];
	unsigned int buf;
	char *mem;
};

FIXTURE_SETUP(inline)
{
	unsigned int i;

	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_INLINE, CAPACITY));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, (int)self->buf);
	for (i = 0; i <= CAPACITY; i++)
		self->descs[i] = desc_nop(i);
}

FIXTURE_TEARDOWN(inline)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
}

TEST_F(inline, children_have_ended_in_order_when_spawn_returns)
{
	unsigned int i;

	ASSERT_EQ(300, spawn(self->scope.fd, self->descs, 300));
	ASSERT_EQ(300, ring_unread(&self->scope));
	for (i = 0; i < 300; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(i, self->c.user_data);
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	}
	EXPECT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_F(inline, handles_are_told_and_name_nobody_any_more)
{
	unsigned int i;

	ASSERT_EQ(100, spawn_arg(self->scope.fd, self->descs, self->handles,
				 100, 0, 0));
	for (i = 0; i < 100; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(self->handles[i], self->c.child);
		EXPECT_EQ(-ENOENT,
			  cancel_child(self->scope.fd, self->handles[i]));
	}
}

TEST_F(inline, children_work_on_buffers)
{
	struct kscope_desc descs[2] = {
		desc_fill(self->buf, 0, LEN, ~0ULL),
		desc_crc32c(self->buf, 0, LEN, 0),
	};

	ASSERT_EQ(2, spawn(self->scope.fd, descs, 2));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0xff));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(LEN, self->c.done);
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(crc32c_of(self->mem, LEN, 0), self->c.value);
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

TEST_F(inline, operations_that_may_block_are_refused)
{
	self->descs[2] = desc_sleep(2, 0);
	EXPECT_EQ(2, spawn(self->scope.fd, self->descs, 4));
	EXPECT_EQ(2, ring_unread(&self->scope));
	EXPECT_EQ(-EINVAL, spawn(self->scope.fd, &self->descs[2], 1));
	self->descs[2] = desc_fsync(0, 0);
	EXPECT_EQ(-EINVAL, spawn(self->scope.fd, &self->descs[2], 1));
	self->descs[2] = desc_file(KSCOPE_OP_READ, 0, 0, self->buf, 0, PAGE);
	EXPECT_EQ(-EINVAL, spawn(self->scope.fd, &self->descs[2], 1));
	EXPECT_EQ(2, ring_unread(&self->scope));
}

TEST_F(inline, full_ring_takes_no_more_and_loses_nothing)
{
	EXPECT_EQ(CAPACITY, spawn(self->scope.fd, self->descs, CAPACITY + 1));
	EXPECT_EQ(-EAGAIN, spawn(self->scope.fd, self->descs, 1));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(1, spawn(self->scope.fd, self->descs, 2));
	EXPECT_EQ(CAPACITY, ring_unread(&self->scope));
}

TEST_F(inline, cancelled_scope_takes_no_children)
{
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(-ECANCELED, spawn(self->scope.fd, self->descs, 1));
	EXPECT_EQ(0, ring_unread(&self->scope));
}

static void *spawn_some(void *arg)
{
	FIXTURE_DATA(inline) *self = arg;
	long i, nr = 0;

	for (i = 0; i < 60; i++)
		nr += spawn(self->scope.fd, self->descs, 4);
	return (void *)nr;
}

TEST_F(inline, threads_spawn_side_by_side)
{
	pthread_t threads[2];
	void *nr;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0,
			  pthread_create(&threads[i], NULL, spawn_some, self));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &nr));
		EXPECT_EQ(240, (long)nr);
	}
	EXPECT_EQ(480, ring_unread(&self->scope));
	EXPECT_EQ(0, release(self->scope.fd));
}

static bool runs_something(int fd)
{
	__u64 deadline = in_ms(PATIENCE_MS);
	struct kscope_query q = {};

	while (!q.running && !query(fd, &q) && now_ns() < deadline)
		usleep(100);
	return q.running;
}

/* A process that spawns for ever is killed while its children run. */
static int spawner_kill(FIXTURE_DATA(inline) * self)
{
	pid_t pid = fork();
	int ret;

	if (!pid) {
		for (;;) {
			spawn(self->scope.fd, self->descs, CAPACITY);
			self->scope.head->head = self->scope.ring->tail;
		}
	}
	ret = pid < 0 || !runs_something(self->scope.fd) ? -1 : 0;
	kill(pid, SIGKILL);
	return waitpid(pid, NULL, 0) == pid ? ret : -1;
}

/*
 * Another process sees what became of the children. Now and then there are none when the signal
 * comes.
 */
TEST_F(inline, children_of_a_spawner_that_is_killed_are_cancelled)
{
	unsigned int i, stopped = 0;
	struct kscope_query q;
	__u64 start;

	for (i = 0; i < CAPACITY; i++)
		self->descs[i] = desc_crc32c(self->buf, 0, LEN, 0);
	for (i = 0; i < 10 && !stopped; i++) {
		start = now_ns();
		ASSERT_EQ(0, spawner_kill(self));
		EXPECT_GT(start + 5 * SEC, now_ns());
		EXPECT_EQ(0, join(self->scope.fd));
		ASSERT_EQ(0, query(self->scope.fd, &q));
		EXPECT_EQ(q.spawned, q.completed);
		EXPECT_EQ(0, q.failed);
		while (reap(&self->scope, &self->c)) {
			stopped += self->c.outcome == KSCOPE_STOPPED;
			EXPECT_EQ(self->c.outcome == KSCOPE_STOPPED,
				  self->c.cause == KSCOPE_CAUSE_CLOSE);
		}
		EXPECT_EQ(q.cancelled, stopped);
	}
	EXPECT_LT(0, stopped);
	EXPECT_EQ(0, release(self->scope.fd));
}

TEST_HARNESS_MAIN
