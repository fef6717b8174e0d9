// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a scope: close(), with and without other references, fork, exec, exit and
 * SIGKILL, each with children in flight. When it is over every child has left its
 * completion and every page is the owner's again.
 */
#include <pthread.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define PAGES 8
#define LEN (PAGES * PAGE)
#define BIG (8UL << 20)
#define NR 100

FIXTURE(end)
{
	struct scope scope;
	struct kscope_completion c;
	struct kscope_query q;
	char *mem;
	long pins;
};

FIXTURE_VARIANT(end)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(end, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(end, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_SETUP(end)
{
	self->pins = pins_now();
	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, 128));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_LT(0, buf_pin(self->scope.fd, self->mem, LEN, 0));
}

FIXTURE_TEARDOWN(end)
{
	if (self->scope.fd >= 0) {
		EXPECT_EQ(0, scope_close(&self->scope));
	} else
		scope_unmap(&self->scope);
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	munmap(self->mem, LEN);
}

/* Children that run, that wait to run, and that nothing but a cancel will end. */
static int spawn_endless(int fd, unsigned int nr)
{
	struct kscope_desc descs[NR];
	unsigned int i;

	for (i = 0; i < nr; i++)
		descs[i] = desc_sleep(i, far_future());
	return spawn(fd, descs, nr);
}

static void close_it(FIXTURE_DATA(end) * self)
{
	close(self->scope.fd);
	self->scope.fd = -1;
}

/* Each of the @nr children has one completion, and was cancelled by the close. */
static void expect_all_closed(struct __test_metadata *_metadata,
			      FIXTURE_DATA(end) * self, unsigned int nr)
{
	unsigned char seen[NR] = {};
	unsigned int i;

	EXPECT_EQ(nr, ring_unread(&self->scope));
	for (i = 0; i < nr; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		ASSERT_GT(NR, self->c.user_data);
		EXPECT_EQ(0, seen[self->c.user_data]++);
		EXPECT_EQ(-ECANCELED, self->c.status);
		EXPECT_EQ(KSCOPE_CAUSE_CLOSE, self->c.cause);
		EXPECT_TRUE(self->c.outcome == KSCOPE_STOPPED ||
			    self->c.outcome == KSCOPE_NEVER_STARTED);
	}
}

TEST_F(end, close_with_running_and_queued_children_waits_for_their_acks)
{
	ASSERT_EQ(NR, spawn_endless(self->scope.fd, NR));
	close_it(self);
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(0, vm_pages("VmPin"));
	expect_all_closed(_metadata, self, NR);
}

TEST_F(end, close_right_after_the_spawn_loses_nothing)
{
	int i;

	for (i = 0; i < NR; i += 7) {
		struct scope scope;

		ASSERT_EQ(0, scope_open(&scope, variant->kind, 128));
		ASSERT_LT(0, buf_pin(scope.fd, self->mem, LEN, 0));
		ASSERT_EQ(i, spawn_endless(scope.fd, i));
		ASSERT_EQ(0, xclose(scope.fd));
		EXPECT_EQ(PAGES, vm_pages("VmPin"));
		EXPECT_EQ(i, ring_unread(&scope));
		scope_unmap(&scope);
	}
}

TEST_F(end, memory_is_not_touched_after_close_returned)
{
	char *big = map_anon(BIG);
	int i, buf;

	ASSERT_NE(MAP_FAILED, big);
	memset(big, 0, BIG);
	for (i = 1; i <= 5; i++) {
		struct scope scope;

		ASSERT_EQ(0, scope_open(&scope, variant->kind, 8));
		buf = buf_pin(scope.fd, big, BIG, 0);
		ASSERT_LT(0, buf);
		ASSERT_EQ(1, spawn_one(scope.fd,
				       desc_fill(buf, 0, BIG,
						 0x0101010101010101ULL * i),
				       NULL));
		while (*(volatile char *)big != i && !ring_unread(&scope))
			;
		ASSERT_EQ(0, xclose(scope.fd));
		EXPECT_EQ(PAGES, vm_pages("VmPin"));
		memset(big, 0x77, BIG);
		EXPECT_EQ(1, ring_unread(&scope));
		scope_unmap(&scope);
		EXPECT_TRUE(bytes_are(big, BIG, 0x77));
	}
	munmap(big, BIG);
}

TEST_F(end, scope_lives_on_while_a_dup_does)
{
	int other = dup(self->scope.fd);

	ASSERT_LE(0, other);
	ASSERT_EQ(NR, spawn_endless(self->scope.fd, NR));
	ASSERT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = other;
	ASSERT_EQ(0, query(other, &self->q));
	EXPECT_EQ(NR, self->q.outstanding);
	EXPECT_EQ(self->pins + PAGES, pins_now());
	EXPECT_EQ(0, ring_unread(&self->scope));
	ASSERT_EQ(1, spawn_one(other, desc_nop(NR), NULL));
	close_it(self);
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(NR + 1, ring_unread(&self->scope));
}

TEST_F(end, scope_lives_on_while_a_forked_process_has_it)
{
	int go[2];
	pid_t pid;

	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	ASSERT_EQ(NR, spawn_endless(self->scope.fd, NR));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(go[1]);
		byte_recv(go[0]); /* until the parent has closed its end */
		_exit(query(self->scope.fd, &self->q) ||
		      self->q.outstanding != NR ||
		      spawn_one(self->scope.fd, desc_nop(1), NULL) != 1);
	}
	close_it(self);
	EXPECT_EQ(self->pins + PAGES, pins_now());
	EXPECT_EQ(0, ring_unread(&self->scope));
	close(go[1]);
	EXPECT_EQ(0, child_wait(pid));
	/* Its exit was the end, and the pages are those of this process. */
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_EQ(0, vm_pages("VmPin"));
	EXPECT_EQ(NR + 1, ring_unread(&self->scope));
	close(go[0]);
}

TEST_F(end, forked_process_may_close_its_copy_without_effect)
{
	pid_t pid;

	ASSERT_EQ(NR, spawn_endless(self->scope.fd, NR));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(xclose(self->scope.fd) ? 1 : 0);
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(NR, self->q.outstanding);
	EXPECT_EQ(self->pins + PAGES, pins_now());
}

/* A process with a scope of its own over @mem, with children in flight. */
static int own_scope(FIXTURE_DATA(end) * self, unsigned int kind)
{
	struct kscope_scope_create arg = { .kind = kind, .capacity = 128 };
	int fd = scope_create(&arg);

	if (fd < 0 || buf_pin(fd, self->mem, LEN, 0) <= 0 ||
	    spawn_endless(fd, NR) != NR)
		return -1;
	return fd;
}

TEST_F(end, exec_closes_the_scope_and_waits)
{
	char *const argv[] = { "true", NULL };
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		if (own_scope(self, variant->kind) < 0)
			_exit(1);
		execvp("true", argv);
		execvp("/bin/busybox", argv);
		_exit(2);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(self->pins + PAGES, pins_settle(self->pins + PAGES, 1000));
}

static void *exec_from_thread(void *arg)
{
	char *const argv[] = { "true", NULL };

	execvp("true", argv);
	return arg;
}

TEST_F(end, exec_from_another_thread_closes_the_scope)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct kscope_join result;
		pthread_t thread;
		int fd = own_scope(self, variant->kind);

		if (fd < 0)
			_exit(1);
		if (pthread_create(&thread, NULL, exec_from_thread, NULL))
			_exit(2);
		join_arg(fd, 0, &result); /* the main thread is in a wait */
		_exit(3);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(self->pins + PAGES, pins_settle(self->pins + PAGES, 1000));
}

TEST_F(end, exit_with_children_in_flight_gives_all_pages_back)
{
	pid_t pid;
	int i;

	for (i = 0; i < 10; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(own_scope(self, variant->kind) < 0);
		EXPECT_EQ(0, child_wait(pid));
		EXPECT_EQ(self->pins + PAGES,
			  pins_settle(self->pins + PAGES, 1000));
	}
}

TEST_F(end, sigkill_with_children_in_flight_gives_all_pages_back)
{
	int ready[2], i;
	__u64 start;
	pid_t pid;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			int fd = own_scope(self, variant->kind);
			struct kscope_join result;

			byte_send(ready[1]);
			if (i % 2)
				join_arg(fd, 0, &result);
			pause();
			_exit(0);
		}
		close(ready[1]);
		ASSERT_EQ(0, byte_recv(ready[0]));
		EXPECT_EQ(self->pins + 2 * PAGES, pins_now());
		start = now_ns();
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(128 + SIGKILL, child_wait(pid));
		EXPECT_EQ(self->pins + PAGES,
			  pins_settle(self->pins + PAGES, 1000));
		EXPECT_GT(start + promptly(), now_ns());
		close(ready[0]);
	}
}

TEST_F(end, sigkill_in_the_middle_of_work_gives_all_pages_back)
{
	int ready[2], i, buf;
	char *big;
	pid_t pid;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct kscope_scope_create arg = {
				.kind = variant->kind, .capacity = 64
			};
			int fd = scope_create(&arg), j;

			big = map_anon(BIG);
			buf = buf_pin(fd, big, BIG, 0);
			for (j = 0; j < 64; j++)
				spawn_one(fd, desc_fill(buf, 0, BIG, j), NULL);
			byte_send(ready[1]);
			pause();
			_exit(0);
		}
		close(ready[1]);
		ASSERT_EQ(0, byte_recv(ready[0]));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(128 + SIGKILL, child_wait(pid));
		EXPECT_EQ(self->pins + PAGES,
			  pins_settle(self->pins + PAGES, 1000));
		close(ready[0]);
	}
}

TEST_F(end, crash_with_children_in_flight_gives_all_pages_back)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		set_limit(RLIMIT_CORE, 0);
		if (own_scope(self, variant->kind) < 0)
			_exit(1);
		kill(getpid(), SIGSEGV);
		_exit(2);
	}
	EXPECT_EQ(128 + SIGSEGV, child_wait(pid));
	EXPECT_EQ(self->pins + PAGES, pins_settle(self->pins + PAGES, 1000));
}

struct joiner {
	int fd;
	pid_t tid;
};

static void *join_in_thread(void *arg)
{
	struct kscope_join result;
	struct joiner *me = arg;
	int fd = me->fd;

	__atomic_store_n(&me->tid, gettid(), __ATOMIC_RELEASE);
	return (void *)(long)join_arg(fd, 0, &result);
}

/* Once it has said who it is, there is nothing but the join that it could sleep in. */
static bool joiner_sleeps(struct joiner *joiner)
{
	__u64 deadline = in_ms(PATIENCE_MS);
	pid_t tid;

	do {
		tid = __atomic_load_n(&joiner->tid, __ATOMIC_ACQUIRE);
		if (tid && task_state(tid) == 'S')
			return true;
		usleep(1000);
	} while (now_ns() < deadline);
	return false;
}

/* A system call holds the file: the scope ends when the last of both is gone. */
TEST_F(end, close_under_a_thread_that_joins)
{
	__u64 until = in_ms(300 * slowness());
	struct joiner joiner = { .fd = self->scope.fd };
	pthread_t thread;
	void *ret;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, until), NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, join_in_thread, &joiner));
	EXPECT_TRUE(joiner_sleeps(&joiner));
	/* The joiner got the fd before; now the number is taken away from it. */
	self->scope.fd = -1;
	ASSERT_EQ(0, xclose(joiner.fd));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(0, (long)ret);
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	EXPECT_EQ(1, ring_unread(&self->scope));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
}

static void *spawn_in_thread(void *arg)
{
	int *fd = arg;

	return (void *)(long)spawn_endless(*fd, NR / 2);
}

TEST_F(end, children_outlive_the_thread_that_spawned_them)
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, spawn_in_thread,
				    &self->scope.fd));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NR / 2, (long)ret);
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(NR / 2, self->q.outstanding);
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(NR / 2, ring_unread(&self->scope));
}

TEST_HARNESS_MAIN
