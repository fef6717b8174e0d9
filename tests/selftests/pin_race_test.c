// SPDX-License-Identifier: GPL-2.0
/*
 * Pins that race with what they depend on: mappings that are replaced, seals, unpins,
 * the release of the scope, and page faults that nobody resolves.
 */
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "race_hooks.h"

#define LEN (8 * PAGE)

FIXTURE(race)
{
	struct scope scope;
	struct kscope_completion c;
	unsigned char *mem;
	int fd; /* a file of LEN bytes of 0x11 */
	bool stop;
	long pins;
};

FIXTURE_SETUP(race)
{
	char path[PATH_LEN];
	unsigned char bytes[LEN];

	memset(bytes, 0x11, LEN);
	self->fd = file_make(path, 0, 0);
	ASSERT_LE(0, self->fd);
	unlink(path);
	ASSERT_EQ(LEN, write(self->fd, bytes, LEN));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->pins = pins_now();
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 8));
}

FIXTURE_TEARDOWN(race)
{
	hooks_quiet();
	EXPECT_EQ(0, scope_close(&self->scope));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	munmap(self->mem, LEN);
	close(self->fd);
}

static bool stopped(const bool *stop)
{
	return __atomic_load_n(stop, __ATOMIC_RELAXED);
}

static void *replace_mapping(void *arg)
{
	FIXTURE_DATA(race) *self = arg;
	unsigned int i;

	for (i = 0; !stopped(&self->stop); i++) {
		int flags = i % 3 == 0 ? MAP_PRIVATE | MAP_ANONYMOUS :
			    i % 3 == 1 ? MAP_SHARED :
					 MAP_PRIVATE;

		if (mmap(self->mem + 2 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
			 flags | MAP_FIXED, i % 3 ? self->fd : -1,
			 0) == MAP_FAILED)
			break;
	}
	return NULL;
}

/* Whatever mapping the pin met, the file is never one of the things that it got. */
TEST_F(race, mapping_replaced_during_the_pin_never_lets_a_file_be_written)
{
	unsigned int i, pinned = 0;
	unsigned char seen[LEN];
	pthread_t thread;
	int buf;

	if (!fd_is_on_disk(self->fd))
		SKIP(return, "no disk file system");
	ASSERT_EQ(0, pthread_create(&thread, NULL, replace_mapping, self));
	for (i = 0; i < 1000; i++) {
		buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
		if (buf < 0) {
			EXPECT_TRUE(buf == -EOPNOTSUPP || buf == -EFAULT)
			TH_LOG("got %d", buf);
			sched_yield();
			continue;
		}
		pinned++;
		EXPECT_EQ(0, run_ok(&self->scope, desc_fill(buf, 0, LEN, ~0ULL),
				    &self->c));
		ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(LEN, pread(self->fd, seen, LEN, 0));
	EXPECT_TRUE(bytes_are(seen, LEN, 0x11));
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_LT(0, pinned);
}

struct sealer {
	int fd;
	int go;
	bool sealed;
};

static void *seal(void *arg)
{
	struct sealer *me = arg;

	while (!__atomic_load_n(&me->go, __ATOMIC_ACQUIRE))
		;
	me->sealed = !fcntl(me->fd, F_ADD_SEALS, F_SEAL_WRITE);
	return NULL;
}

/* A memfd is either pinned for writing or sealed against it. */
TEST_F(race, seal_and_write_pin_never_both_succeed)
{
	struct sealer sealer;
	pthread_t thread;
	unsigned char *p;
	int i, buf;

	for (i = 0; i < 20; i++) {
		sealer.go = 0;
		sealer.sealed = false;
		sealer.fd =
			memfd_create("kscope", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ASSERT_LE(0, sealer.fd);
		ASSERT_EQ(0, ftruncate(sealer.fd, PAGE));
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 sealer.fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, pthread_create(&thread, NULL, seal, &sealer));
		__atomic_store_n(&sealer.go, 1, __ATOMIC_RELEASE);
		buf = buf_pin(self->scope.fd, p, PAGE, 0);
		munmap(p, PAGE);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_FALSE(buf > 0 && sealer.sealed);
		if (buf > 0) {
			ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
		}
		close(sealer.fd);
	}
}

struct unpinner {
	int fd;
	const int *buf;
	int *winners;
	pthread_barrier_t *barrier;
};

#define ROUNDS 200

static void *unpin_too(void *arg)
{
	struct unpinner *me = arg;
	int i, ret;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(me->barrier);
		ret = buf_unpin(me->fd, *me->buf);
		if (ret != -ENOENT)
			__atomic_add_fetch(me->winners, ret ? 1000 : 1,
					   __ATOMIC_RELAXED);
		pthread_barrier_wait(me->barrier);
	}
	return NULL;
}

TEST_F(race, of_many_unpins_of_one_buffer_exactly_one_succeeds)
{
	pthread_barrier_t barrier;
	int buf = 0, winners, i;
	struct unpinner unpinner = { self->scope.fd, &buf, &winners, &barrier };
	pthread_t threads[3];

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 4));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, unpin_too,
					    &unpinner));
	}
	for (i = 0; i < ROUNDS; i++) {
		winners = 0;
		buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
		EXPECT_LT(0, buf);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		EXPECT_EQ(1, winners);
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	}
	EXPECT_EQ(self->pins, pins_now());
}

static void *pin_forever(void *arg)
{
	FIXTURE_DATA(race) *self = arg;
	int ret;

	do
		ret = buf_pin(self->scope.fd, self->mem, LEN, 0);
	while (ret > 0 || ret == -ENOSPC);
	return (void *)(long)ret;
}

TEST_F(race, release_under_a_pin_leaves_nothing_pinned)
{
	struct kscope_query q;
	pthread_t thread;
	void *ret;
	int i;

	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, pin_forever, self));
		do {
			ASSERT_EQ(0, query(self->scope.fd, &q));
		} while (q.nr_buffers < 1 + (unsigned int)i % 20);
		ASSERT_EQ(0, release(self->scope.fd));
		ASSERT_EQ(0, pthread_join(thread, &ret));
		EXPECT_EQ(-ESHUTDOWN, (long)ret);
		EXPECT_EQ(self->pins, pins_now());
		EXPECT_EQ(0, vm_pages("VmPin"));
		ASSERT_EQ(0, query(self->scope.fd, &q));
		EXPECT_EQ(0, q.nr_buffers);
		EXPECT_EQ(0, q.pinned_pages);
		ASSERT_EQ(0, scope_close(&self->scope));
		ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 8));
	}
}

/* Pin it, or have an argument struct or descriptors there. */
static int touch_unresolved(int scope, unsigned char *mem, int what)
{
	switch (what) {
	case 0:
		return buf_pin(scope, mem, LEN, 0);
	case 1:
		return xioctl(scope, KSCOPE_IOC_QUERY, mem);
	default:
		return spawn(scope, (struct kscope_desc *)mem, 2);
	}
}

TEST_F(race, fault_that_nobody_resolves_holds_up_nobody_and_can_be_killed)
{
	int ready[2], what;
	__u64 start;
	pid_t pid;

	for (what = 0; what < 3; what++) {
		ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (uffd_over(self->mem, LEN) < 0) {
				close(ready[1]);
				_exit(KSFT_SKIP);
			}
			byte_send(ready[1]);
			/* 6.1 refuses to wait in a long-term pin. */
			_exit(touch_unresolved(self->scope.fd, self->mem,
					       what) != -EFAULT);
		}
		close(ready[1]);
		if (byte_recv(ready[0])) {
			EXPECT_EQ(KSFT_SKIP, child_wait(pid));
			close(ready[0]);
			SKIP(return, "no userfaultfd");
		}
		usleep(50000);
		/* Its scope, which is ours as well, goes on meanwhile. */
		start = now_ns();
		EXPECT_EQ(0, run_ok(&self->scope, desc_nop(1), &self->c));
		EXPECT_GT(start + promptly(), now_ns());
		start = now_ns();
		kill(pid, SIGKILL);
		child_wait(pid);
		EXPECT_GT(start + promptly(), now_ns());
		EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
		close(ready[0]);
	}
}

/* Spawn two children and wait for them. The descriptor of the second is never there. */
static int spawn_into_a_fault(int scope, unsigned char *mem, unsigned int buf)
{
	struct kscope_desc *descs = (struct kscope_desc *)(mem + PAGE) - 1;

	descs[0] = desc_crc32c(buf, 0, LEN, 0);
	if (uffd_over(mem + PAGE, LEN - PAGE) < 0)
		return KSFT_SKIP;
	spawn_arg(scope, descs, NULL, 2, 2, 0);
	return 1;
}

/* With a limit of 1 each child is a batch. The first is too large for the spawner itself. */
TEST_F(race, fault_in_a_descriptor_does_not_hold_up_children_before_it)
{
	__u64 deadline = in_ms(PATIENCE_MS);
	int buf = buf_pin(self->scope.fd, map_anon(LEN), LEN, 0);
	pid_t pid, gone = 0;
	int status;

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	ASSERT_LT(0, buf);
	hooks_limit(1);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(spawn_into_a_fault(self->scope.fd, self->mem, buf));
	while (!gone && !ring_unread(&self->scope) && now_ns() < deadline) {
		usleep(1000);
		gone = waitpid(pid, &status, WNOHANG);
	}
	if (gone && WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "no userfaultfd");
	EXPECT_EQ(0, gone);
	EXPECT_EQ(1, ring_unread(&self->scope));
	kill(pid, SIGKILL);
	child_wait(pid);
}

TEST_HARNESS_MAIN
