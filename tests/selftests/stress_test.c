// SPDX-License-Identifier: GPL-2.0
/*
 * Many threads on one scope, for a bounded number of steps. The oracle: each child that
 * was accepted has exactly one completion, and no other completion is ever seen.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define SPAWNERS 3
#define PER_SPAWNER 2500
#define IDS (SPAWNERS * PER_SPAWNER)
#define BUF_LEN (16 * PAGE)

struct shared {
	struct scope scope;
	unsigned int buf;
	unsigned char seen[IDS];
	__u64 handles[64]; /* some that may be worth cancelling */
	unsigned int accepted, spurious, bad, bad_queries, running_spawners;
};

struct spawner {
	struct shared *shared;
	unsigned int first;
};

static struct kscope_desc some_child(struct shared *s, unsigned int id)
{
	struct kscope_desc desc;

	switch (id % 5) {
	case 0:
		desc = desc_fill(s->buf, id % 100, 3000, id);
		break;
	case 1:
		desc = desc_sleep(0, now_ns() + id % 200 * 1000);
		break;
	case 2:
		desc = desc_crc32c(s->buf, 0, BUF_LEN, 0);
		break;
	default:
		desc = desc_nop(0);
	}
	desc.user_data = id;
	return desc;
}

static void *spawner_run(void *arg)
{
	struct spawner *me = arg;
	struct shared *s = me->shared;
	unsigned int done = 0, nr, i;
	struct kscope_desc descs[40];
	__u64 handles[40];
	int ret;

	while (done < PER_SPAWNER) {
		nr = 1 + done % 40;
		if (nr > PER_SPAWNER - done)
			nr = PER_SPAWNER - done;
		for (i = 0; i < nr; i++)
			descs[i] = some_child(s, me->first + done + i);
		ret = spawn_arg(s->scope.fd, descs, handles, nr, 0, 0);
		if (ret == -EAGAIN || ret == -EBUSY) {
			sched_yield();
			continue;
		}
		if (ret <= 0) {
			__atomic_add_fetch(&s->bad, 1, __ATOMIC_RELAXED);
			break;
		}
		for (i = 0; i < (unsigned int)ret; i++)
			__atomic_store_n(&s->handles[handles[i] % 64],
					 handles[i], __ATOMIC_RELAXED);
		done += ret;
		__atomic_add_fetch(&s->accepted, ret, __ATOMIC_RELAXED);
	}
	__atomic_sub_fetch(&s->running_spawners, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *canceller_run(void *arg)
{
	struct shared *s = arg;
	struct kscope_cancel counts;
	unsigned int i = 0;
	int ret;

	while (__atomic_load_n(&s->running_spawners, __ATOMIC_ACQUIRE)) {
		__u64 handle = __atomic_load_n(&s->handles[i++ % 64],
					       __ATOMIC_RELAXED);

		ret = i % 8 ? cancel_arg(s->scope.fd, KSCOPE_CANCEL_CHILD,
					 handle, &counts) :
			      cancel_arg(s->scope.fd, KSCOPE_CANCEL_USER_DATA,
					 i * 7919 % IDS, &counts);
		if (ret && ret != -ENOENT && ret != -EALREADY)
			__atomic_add_fetch(&s->bad, 1, __ATOMIC_RELAXED);
		sched_yield();
	}
	return NULL;
}

/* Pins, unpins, queries and releases that must be refused, all the time. */
static void *disturber_run(void *arg)
{
	struct shared *s = arg;
	char *page = map_anon(PAGE);
	struct kscope_query q;
	int buf;

	while (__atomic_load_n(&s->running_spawners, __ATOMIC_ACQUIRE)) {
		buf = buf_pin(s->scope.fd, page, PAGE, 0);
		if (buf <= 0 || buf_unpin(s->scope.fd, buf) ||
		    query(s->scope.fd, &q))
			__atomic_add_fetch(&s->bad, 1, __ATOMIC_RELAXED);
		if (q.spawned - q.completed != q.outstanding ||
		    q.queued + q.running != q.outstanding)
			__atomic_add_fetch(&s->bad_queries, 1,
					   __ATOMIC_RELAXED);
		sched_yield();
	}
	munmap(page, PAGE);
	return NULL;
}

static void check_off(struct shared *s, const struct kscope_completion *c)
{
	if (c->user_data >= IDS || s->seen[c->user_data]++)
		s->spurious++;
	switch (c->outcome) {
	case KSCOPE_FINISHED:
		s->bad += c->status || c->cause;
		break;
	case KSCOPE_FINISHED_ANYWAY:
		s->bad += c->status || c->cause != KSCOPE_CAUSE_CALLER;
		break;
	case KSCOPE_NEVER_STARTED:
		s->bad += c->done != 0;
		/* fallthrough */
	case KSCOPE_STOPPED:
		s->bad += c->status != -ECANCELED ||
			  c->cause != KSCOPE_CAUSE_CALLER;
		break;
	default:
		s->bad++;
	}
}

FIXTURE(stress)
{
	struct shared *shared;
	char *mem;
};

FIXTURE_VARIANT(stress)
{
	unsigned int kind;
	unsigned int capacity;
};

FIXTURE_VARIANT_ADD(stress, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
	.capacity = 64,
};

FIXTURE_VARIANT_ADD(stress, parallel_large){
	.kind = KSCOPE_KIND_PARALLEL,
	.capacity = 1024,
};

FIXTURE_VARIANT_ADD(stress, ordered){
	.kind = KSCOPE_KIND_ORDERED,
	.capacity = 128,
};

FIXTURE_SETUP(stress)
{
	self->shared = calloc(1, sizeof(*self->shared));
	ASSERT_NE(NULL, self->shared);
	ASSERT_EQ(0, scope_open(&self->shared->scope, variant->kind,
				variant->capacity));
	self->mem = map_anon(BUF_LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->shared->buf =
		buf_pin(self->shared->scope.fd, self->mem, BUF_LEN, 0);
	ASSERT_LT(0, (int)self->shared->buf);
}

FIXTURE_TEARDOWN(stress)
{
	EXPECT_EQ(0, scope_close(&self->shared->scope));
	munmap(self->mem, BUF_LEN);
	free(self->shared);
}

TEST_F_TIMEOUT(stress, each_accepted_child_completes_exactly_once, 60)
{
	struct shared *s = self->shared;
	struct spawner spawners[SPAWNERS];
	pthread_t threads[SPAWNERS + 2];
	struct kscope_completion c;
	struct kscope_query q;
	unsigned int i;

	s->running_spawners = SPAWNERS;
	for (i = 0; i < SPAWNERS; i++) {
		spawners[i] = (struct spawner){ s, i * PER_SPAWNER };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, spawner_run,
					    &spawners[i]));
	}
	ASSERT_EQ(0, pthread_create(&threads[i++], NULL, canceller_run, s));
	ASSERT_EQ(0, pthread_create(&threads[i++], NULL, disturber_run, s));
	while (__atomic_load_n(&s->running_spawners, __ATOMIC_ACQUIRE)) {
		wait_unread(s->scope.fd, 1, 100);
		while (reap(&s->scope, &c))
			check_off(s, &c);
	}
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	}
	ASSERT_EQ(0, join(s->scope.fd));
	while (reap(&s->scope, &c))
		check_off(s, &c);
	EXPECT_EQ(IDS, s->accepted);
	EXPECT_EQ(0, s->spurious);
	EXPECT_EQ(0, s->bad);
	EXPECT_EQ(0, s->bad_queries);
	for (i = 0; i < IDS; i++) {
		EXPECT_EQ(1, s->seen[i]) TH_LOG("id %u", i);
	}
	ASSERT_EQ(0, query(s->scope.fd, &q));
	EXPECT_EQ(IDS, q.spawned);
	EXPECT_EQ(IDS, q.completed);
	EXPECT_EQ(0, q.failed);
}

/* A cancel races with the end of its child: told or not, one completion. */
TEST_F_TIMEOUT(stress, cancel_races_with_the_end_of_the_child, 60)
{
	struct shared *s = self->shared;
	unsigned int i, told = 0, gone = 0, never = 0;
	struct kscope_completion c;
	struct kscope_cancel counts;
	__u64 handle;
	int ret;

	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(1, spawn_one(s->scope.fd,
				       i % 2 ? desc_nop(i) :
					       desc_sleep(i, now_ns() + 20000),
				       &handle));
		if (i % 3)
			sched_yield();
		ret = cancel_arg(s->scope.fd, KSCOPE_CANCEL_CHILD, handle,
				 &counts);
		ASSERT_EQ(0, reap_wait(&s->scope, &c));
		ASSERT_EQ(handle, c.child);
		ASSERT_EQ(i, c.user_data);
		ASSERT_EQ(0, ring_unread(&s->scope));
		if (ret == -ENOENT) {
			gone++;
			EXPECT_EQ(KSCOPE_FINISHED, c.outcome);
			continue;
		}
		ASSERT_EQ(0, ret);
		EXPECT_EQ(KSCOPE_CAUSE_CALLER, c.cause);
		told += counts.told;
		never += counts.never_started;
		EXPECT_EQ(1, counts.told + counts.never_started);
		EXPECT_EQ(counts.never_started,
			  c.outcome == KSCOPE_NEVER_STARTED);
	}
	EXPECT_EQ(2000, told + gone + never);
}

static void *closer_run(void *arg)
{
	sched_yield();
	return (void *)(long)xclose(*(int *)arg);
}

/* fd numbers go away under the system calls that use them. */
TEST_F_TIMEOUT(stress, close_races_with_spawn_wait_and_pin, 60)
{
	long pins = pins_now();
	pthread_t thread;
	int i, ret, fd;

	for (i = 0; i < 150; i++) {
		struct scope scope;
		struct kscope_desc descs[16] = {};

		ASSERT_EQ(0, scope_open(&scope, variant->kind, 64));
		fd = scope.fd;
		ASSERT_EQ(0, pthread_create(&thread, NULL, closer_run, &fd));
		do {
			ret = i % 3 == 0 ? buf_pin(fd, self->mem, PAGE, 0) :
			      i % 3 == 1 ? spawn(fd, descs, 16) :
					   wait_unread(fd, 1, 10);
		} while (ret != -EBADF && ret != -EAGAIN && ret != -ENOSPC);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		scope_unmap(&scope);
	}
	EXPECT_EQ(pins, pins_settle(pins, 1000));
}

/* SIGKILL at any moment of a busy life: nothing is left of it. */
TEST_F_TIMEOUT(stress, killed_at_random_leaves_nothing, 60)
{
	long pins = pins_now();
	unsigned int i;
	pid_t pid;

	for (i = 0; i < 25; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		while (!pid) {
			struct kscope_desc descs[16];
			struct scope scope;
			int j, buf;

			if (scope_open(&scope, variant->kind, 64))
				_exit(1);
			buf = buf_pin(scope.fd, self->mem, BUF_LEN, 0);
			for (j = 0; j < 16; j++)
				descs[j] =
					j % 2 ? desc_fill(buf, 0, BUF_LEN, j) :
						desc_sleep(j, in_ms(1));
			spawn_arg(scope.fd, descs, NULL, 16, 8, in_ms(100));
			scope_close(&scope);
		}
		usleep(i * 500);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(128 + SIGKILL, child_wait(pid));
		EXPECT_EQ(pins, pins_settle(pins, 1000));
	}
}

TEST_HARNESS_MAIN
