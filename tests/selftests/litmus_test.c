// SPDX-License-Identifier: GPL-2.0
/*
 * Where the idea comes from: programs that were right in every line, and with which
 * runtimes lost their promise that borrowed memory outlives the work on it. Each test does
 * to a scope what such a program did to its runtime.
 *
 * In Rust a task that borrows from its caller was to be joined by a destructor: of the
 * handle in std::thread::scoped (2015), of the future in glommio's scoped tasks (2021).
 * But a value can be forgotten, or be kept alive by a cycle of reference counts, and then
 * no destructor runs: the borrow ends, the memory has its next owner, and the task writes
 * to it. Both interfaces were withdrawn.
 *
 * Here the promise does not hang on code of the program. What "sound" means in each test:
 *	lent	while the work goes on the buffer does not come back: BUF_UNPIN and
 *		RELEASE say -EBUSY, and the pages stay pinned even if their owner unmaps
 *		them, so that they are nobody else's;
 *	back	when unpin, release, join or close() have let go, nobody writes any more.
 * A program that uses its memory without having asked for it back writes to memory that
 * it has lent. Which pages those are is known, and they are its own.
 *
 * The work is a child that writes, in an ordered scope, behind one that sleeps: it begins when
 * the test cancels the sleeper, and not by a clock.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define PAGES 4
#define LEN (PAGES * PAGE)
#define BIG (8UL << 20)

#define OLD 0x55
#define WORK 0x77
#define NEW 0xaa
#define PATTERN 0x7777777777777777ULL

/* The memory is what a frame of the stack or a box would be: about to go to its next owner. */
FIXTURE(litmus)
{
	struct scope scope;
	struct kscope_completion c;
	__u64 sleeper;
	char *mem;
	long pins;
	int buf;
};

FIXTURE_SETUP(litmus)
{
	self->pins = pins_now();
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	memset(self->mem, OLD, LEN);
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_ORDERED, 4));
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, self->buf);
}

FIXTURE_TEARDOWN(litmus)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	munmap(self->mem, LEN);
}

/* A task that borrows the memory, and will write to it. Its handle is lost here. */
static int task_start(FIXTURE_DATA(litmus) * self)
{
	int ret = spawn_one(self->scope.fd, desc_sleep(1, far_future()),
			    &self->sleeper);
	struct kscope_desc fill = desc_fill(self->buf, 0, LEN, PATTERN);

	fill.user_data = 2;
	return ret < 0 ? ret : spawn_one(self->scope.fd, fill, NULL);
}

static int task_let_go(FIXTURE_DATA(litmus) * self)
{
	return cancel_child(self->scope.fd, self->sleeper);
}

/* The memory goes back to the allocator, and its address to the next who asks. */
static bool memory_drop(FIXTURE_DATA(litmus) * self)
{
	munmap(self->mem, LEN);
	if (mmap(self->mem, LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		 0) != self->mem)
		return false;
	memset(self->mem, NEW, LEN);
	return true;
}

/* Both children have ended, each with its one completion; the one that writes with @status. */
static void expect_ended(struct __test_metadata *_metadata,
			 FIXTURE_DATA(litmus) * self, int status)
{
	unsigned int i, seen = 0;

	ASSERT_LE(2, ring_unread(&self->scope));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(self->c.user_data == 2 ? status : -ECANCELED,
			  self->c.status);
		seen |= 1U << self->c.user_data;
	}
	EXPECT_EQ(1U << 1 | 1U << 2, seen);
}

/* mem::forget(future): the destructor that would have joined never runs. */
TEST_F(litmus, forgotten_future_writes_only_to_what_it_was_lent)
{
	struct kscope_blocker blockers[2];
	unsigned int nr = 2;

	ASSERT_EQ(1, task_start(self));
	EXPECT_EQ(-EBUSY,
		  buf_unpin_blockers(self->scope.fd, self->buf, blockers, &nr));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(2, blockers[0].user_data);
	ASSERT_TRUE(memory_drop(self));
	EXPECT_EQ(self->pins + PAGES, pins_now());
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, self->buf));
	ASSERT_EQ(0, task_let_go(self));
	ASSERT_EQ(0, join(self->scope.fd));
	expect_ended(_metadata, self, 0);
	EXPECT_EQ(LEN, self->c.done);
	EXPECT_TRUE(bytes_are(self->mem, LEN, NEW));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(self->pins, pins_now());
}

/* thread::scoped(): who has no handle cannot join, so the handle had to be kept. */
TEST_F(litmus, forgotten_join_handle_is_joined_by_the_scope)
{
	ASSERT_EQ(1, task_start(self));
	EXPECT_EQ(-EBUSY, release(self->scope.fd));
	EXPECT_TRUE(bytes_are(self->mem, LEN, OLD));
	ASSERT_EQ(0, task_let_go(self));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_TRUE(bytes_are(self->mem, LEN, WORK));
	expect_ended(_metadata, self, 0);
	EXPECT_EQ(0, release(self->scope.fd));
	EXPECT_EQ(self->pins, pins_now());
}

/* The same, and the scope is closed by somebody who knows of no child. */
TEST_F(litmus, forgotten_join_handle_is_waited_for_by_close)
{
	struct scope scope = self->scope;

	ASSERT_EQ(1, task_start(self));
	ASSERT_EQ(0, xclose(scope.fd));
	EXPECT_EQ(self->pins, pins_now());
	expect_ended(_metadata, self, -ECANCELED);
	EXPECT_TRUE(bytes_are(self->mem, LEN, OLD));
	scope_unmap(&scope);
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_ORDERED, 4));
}

/* Rc: two owners who own each other, and one of them the handle. */
struct rc {
	unsigned int count;
	struct rc *other;
	int fd;
};

static void rc_put(struct rc *rc)
{
	if (--rc->count)
		return;
	if (rc->fd >= 0)
		close(rc->fd);
	if (rc->other)
		rc_put(rc->other);
}

/* What is left when both variables have gone out of sight. */
static unsigned int rc_cycle(int fd)
{
	static struct rc a, b;

	a = (struct rc){ .count = 2, .other = &b, .fd = fd };
	b = (struct rc){ .count = 2, .other = &a, .fd = -1 };
	rc_put(&a);
	rc_put(&b);
	return a.count + b.count;
}

TEST_F(litmus, handle_in_a_cycle_of_references_ends_with_its_process)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->scope.fd);
		if (scope_open(&self->scope, KSCOPE_KIND_ORDERED, 4))
			_exit(1);
		self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
		if (task_start(self) != 1)
			_exit(2);
		if (rc_cycle(self->scope.fd) != 2)
			_exit(3);
		/* No destructor has run, and the memory is gone. */
		if (!memory_drop(self) || pins_now() != self->pins + 2 * PAGES)
			_exit(4);
		_exit(buf_unpin(self->scope.fd, self->buf) == -EBUSY ? 0 : 5);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(self->pins + PAGES, pins_settle(self->pins + PAGES, 1000));
}

/* The kernel counts references too: a queue that holds the scope and its own socket. */
TEST_F(litmus, handle_in_a_cycle_of_sockets_is_collected)
{
	int socks[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	ASSERT_EQ(1, task_start(self));
	ASSERT_EQ(0, fd_send(socks[0], self->scope.fd));
	ASSERT_EQ(0, fd_send(socks[0], socks[0]));
	ASSERT_EQ(0, fd_send(socks[0], socks[1]));
	/* A child that held the socket would close the circle where nobody collects. */
	EXPECT_EQ(-EOPNOTSUPP, spawn_one(self->scope.fd,
					 desc_file(KSCOPE_OP_READ, socks[0], 0,
						   self->buf, 0, PAGE),
					 NULL));
	close(self->scope.fd);
	EXPECT_EQ(self->pins + PAGES, pins_now());
	close(socks[0]);
	close(socks[1]);
	close(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 5000));
	expect_ended(_metadata, self, -ECANCELED);
	EXPECT_TRUE(bytes_are(self->mem, LEN, OLD));
	scope_unmap(&self->scope);
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_ORDERED, 4));
}

/* A first poll starts the task; that it is pending is the last that its future is told. */
TEST_F(litmus, future_polled_once_and_forgotten_keeps_what_it_borrows)
{
	ASSERT_EQ(1, task_start(self));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	EXPECT_EQ(-ETIMEDOUT, wait_unread(self->scope.fd, 1, 1));
	ASSERT_TRUE(memory_drop(self));
	/* The next future of the same runtime gets what is its own, and after it. */
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(3), NULL));
	EXPECT_EQ(-EBUSY, buf_unpin(self->scope.fd, self->buf));
	ASSERT_EQ(0, task_let_go(self));
	ASSERT_EQ(0, wait_unread(self->scope.fd, 3, PATIENCE_MS));
	expect_ended(_metadata, self, 0);
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(3, self->c.user_data);
	EXPECT_TRUE(bytes_are(self->mem, LEN, NEW));
	EXPECT_EQ(0, buf_unpin(self->scope.fd, self->buf));
}

/* select! drops the loser while it is at work: a drop can ask, and not wait. */
TEST_F(litmus, future_dropped_in_the_middle_lends_until_it_has_acknowledged)
{
	char *big = map_anon(BIG);
	__u64 deadline = in_ms(PATIENCE_MS);
	int buf, ret;

	ASSERT_NE(MAP_FAILED, big);
	memset(big, OLD, BIG);
	buf = buf_pin(self->scope.fd, big, BIG, 0);
	ASSERT_LT(0, buf);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_fill(buf, 0, BIG, PATTERN),
			       NULL));
	while (*(volatile char *)big != WORK && now_ns() < deadline)
		;
	/* Until it has acknowledged, there is no other answer. */
	EXPECT_EQ(0, cancel_scope(self->scope.fd));
	while ((ret = buf_unpin(self->scope.fd, buf)) == -EBUSY)
		usleep(10);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(1, ring_unread(&self->scope));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	/* What it wrote is a prefix, and the memory is ours. */
	EXPECT_TRUE(bytes_are(big, self->c.done, WORK));
	EXPECT_TRUE(bytes_are(big + self->c.done, BIG - self->c.done, OLD));
	EXPECT_LT(0, self->c.done);
	EXPECT_EQ(self->c.done == BIG ? 0 : -ECANCELED, self->c.status);
	memset(big, NEW, BIG);
	usleep(5000);
	EXPECT_TRUE(bytes_are(big, BIG, NEW));
	munmap(big, BIG);
}

/* A slab hands out the index of a task that has ended, and a waker of that one is left. */
TEST_F(litmus, reused_waker_index_wakes_nobody_else)
{
	const __u64 index = 7;
	__u64 first, second;

	/* With room for one the slot is the same again, too. */
	ASSERT_EQ(0, scope_close(&self->scope));
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_ORDERED, 1));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(index, 1), &first));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(first, self->c.child);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(index, far_future()),
			       &second));
	EXPECT_NE(first, second);
	EXPECT_EQ(-ENOENT, cancel_child(self->scope.fd, first));
	EXPECT_EQ(-ETIMEDOUT, wait_unread(self->scope.fd, 1, 5));
	EXPECT_EQ(0, cancel_child(self->scope.fd, second));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(index, self->c.user_data);
	EXPECT_EQ(second, self->c.child);
}

TEST_HARNESS_MAIN
