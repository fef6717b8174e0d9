// SPDX-License-Identifier: GPL-2.0
/*
 * A buffer of a million pages (fewer on instrumented kernels): it is pinned and given back to
 * the page, others run meanwhile, and it can be killed. And pages that only children wrote to
 * are not thrown away as if nobody had.
 */
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

/* The pages of a memfd, mapped again and again */
#define FILE_PAGES 1024UL
#define MANY (sizeof(void *) == 8 ? 1UL << 20 : 1UL << 18)
#define MANY_INSTRUMENTED (1UL << 17)
#define RO KSCOPE_PIN_READ_ONLY

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

FIXTURE(large)
{
	struct scope scope;
	struct kscope_completion c;
	unsigned char *mem;
	unsigned long pages;
	size_t len;
	int memfd;
	long pins;
};

/* Each page begins with its number in the file. */
static int map_many(FIXTURE_DATA(large) * self)
{
	const size_t step = FILE_PAGES * PAGE;
	__u64 i;

	self->memfd = memfd_create("kscope", MFD_CLOEXEC);
	if (self->memfd < 0 || ftruncate(self->memfd, step))
		return -errno;
	for (i = 0; i < FILE_PAGES; i++)
		if (pwrite(self->memfd, &i, sizeof(i), i * PAGE) != sizeof(i))
			return -errno;
	self->mem = mmap(NULL, self->len, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < self->len; i += step)
		if (mmap(self->mem + i, step, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, self->memfd,
			 0) == MAP_FAILED)
			return -errno;
	return 0;
}

FIXTURE_SETUP(large)
{
	self->pages = kernel_is_instrumented() ? MANY_INSTRUMENTED : MANY;
	self->len = self->pages * PAGE;
	TH_LOG("%lu pages", self->pages);
	ASSERT_EQ(0, map_many(self));
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 4));
	self->pins = pins_now();
}

FIXTURE_TEARDOWN(large)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS));
	munmap(self->mem, self->len);
	close(self->memfd);
}

static void expect_right_pages(struct __test_metadata *_metadata,
			       FIXTURE_DATA(large) * self, int buf)
{
	int small = buf_pin(self->scope.fd, &self->c, sizeof(self->c), 0);
	__u64 *number = (__u64 *)&self->c, i, page;
	struct kscope_completion done;

	ASSERT_LT(0, small);
	for (i = 0; i < 200; i++) {
		page = i * 2654435761U % self->pages;
		ASSERT_EQ(0, run_ok(&self->scope,
				    desc_two(KSCOPE_OP_COPY, buf, page * PAGE,
					     small, 0, sizeof(*number)),
				    &done));
		EXPECT_EQ(page % FILE_PAGES, *number);
	}
	ASSERT_EQ(0, buf_unpin(self->scope.fd, small));
}

TEST_F(large, million_pages_are_pinned_and_given_back_to_the_page)
{
	unsigned int flags;
	int buf;

	for (flags = 0; flags <= RO; flags++) {
		buf = buf_pin(self->scope.fd, self->mem, self->len, flags);
		ASSERT_LT(0, buf);
		EXPECT_EQ(self->pins + self->pages, pins_now());
		EXPECT_EQ(self->pages, vm_pages("VmPin"));
		expect_right_pages(_metadata, self, buf);
		ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
		EXPECT_EQ(self->pins, pins_now());
		EXPECT_EQ(0, vm_pages("VmPin"));
	}
}

TEST_F(large, one_that_fails_at_its_last_page_gives_all_back)
{
	ASSERT_EQ(0, munmap(self->mem + self->len - PAGE, PAGE));
	EXPECT_EQ(-EFAULT, buf_pin(self->scope.fd, self->mem, self->len, 0));
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(0, vm_pages("VmPin"));
}

struct ticker {
	bool stop;
	unsigned int ticks;
};

static void *tick(void *arg)
{
	struct ticker *me = arg;

	while (!__atomic_load_n(&me->stop, __ATOMIC_RELAXED)) {
		usleep(1000);
		__atomic_fetch_add(&me->ticks, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static unsigned int ticks_of(struct ticker *ticker)
{
	return __atomic_load_n(&ticker->ticks, __ATOMIC_RELAXED);
}

static int stay_on_one_processor(void)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	return sched_setaffinity(0, sizeof(cpu), &cpu);
}

TEST_F(large, others_run_on_its_processor_meanwhile)
{
	struct ticker ticker = {};
	unsigned int before;
	pthread_t thread;
	int buf;

	ASSERT_EQ(0, stay_on_one_processor());
	ASSERT_EQ(0, pthread_create(&thread, NULL, tick, &ticker));
	usleep(10000);
	before = ticks_of(&ticker);
	buf = buf_pin(self->scope.fd, self->mem, self->len, 0);
	EXPECT_LE(before + 5, ticks_of(&ticker));
	ASSERT_LT(0, buf);
	before = ticks_of(&ticker);
	ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	EXPECT_LE(before + 5, ticks_of(&ticker));
	__atomic_store_n(&ticker.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

static long pins_ever(void)
{
	pins_now(); /* refreshes the counters */
	return file_value("/proc/vmstat", "nr_foll_pin_acquired");
}

/* Kill one that pins, when it has begun. Return: pages that it pinned until it died */
static long kill_in_the_middle(FIXTURE_DATA(large) * self)
{
	long before = pins_ever();
	pid_t pid = fork();

	if (!pid) {
		/* A pin that has to fault pages in is killed by the kernel itself. */
		madvise(self->mem, self->len, MADV_POPULATE_READ);
		_exit(buf_pin(self->scope.fd, self->mem, self->len, 0) <= 0);
	}
	while (pins_ever() < before + 100 && kill(pid, 0) == 0)
		;
	kill(pid, SIGKILL);
	if (child_wait(pid) != 128 + SIGKILL)
		return -1;
	return pins_ever() - before;
}

/* Nothing says that it comes in the middle, but of ten kills one does. */
TEST_F_TIMEOUT(large, pin_of_a_million_pages_is_killed_in_its_middle, 90)
{
	long done = self->pages;
	int i;

	for (i = 0; i < 10 && (done < 0 || done >= (long)self->pages); i++) {
		done = kill_in_the_middle(self);
		EXPECT_EQ(self->pins, pins_settle(self->pins, PATIENCE_MS));
	}
	EXPECT_LT(0, done);
	EXPECT_GT(self->pages, done);
}

FIXTURE(dirty)
{
	struct scope scope;
	struct kscope_completion c;
};

FIXTURE_SETUP(dirty)
{
	/* A processor does not reclaim what another one has just begun to use. */
	ASSERT_EQ(0, stay_on_one_processor());
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 4));
}

FIXTURE_TEARDOWN(dirty)
{
	EXPECT_EQ(0, scope_close(&self->scope));
}

#define FEW (8 * PAGE)

/* Pin memory that the kernel may take away until somebody writes to it, and do so. */
static void write_and_reclaim(struct __test_metadata *_metadata,
			      FIXTURE_DATA(dirty) * self, unsigned char *mem,
			      size_t len, unsigned int flags)
{
	int buf = buf_pin(self->scope.fd, mem, len, flags);

	ASSERT_LT(0, buf);
	if (!(flags & RO)) {
		ASSERT_EQ(0, run_ok(&self->scope, desc_fill(buf, 0, len, ~0ULL),
				    &self->c));
	}
	ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	ASSERT_EQ(0, madvise(mem, len, MADV_PAGEOUT));
}

TEST_F(dirty, freed_memory_that_a_child_wrote_to_stays)
{
	unsigned char *mem = map_anon(FEW);

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 0x11, FEW);
	ASSERT_EQ(0, madvise(mem, FEW, MADV_FREE));
	write_and_reclaim(_metadata, self, mem, FEW, 0);
	EXPECT_TRUE(bytes_are(mem, FEW, 0xff));

	/* What nobody wrote to goes: so the kernel would have taken it. */
	memset(mem, 0x11, FEW);
	ASSERT_EQ(0, madvise(mem, FEW, MADV_FREE));
	write_and_reclaim(_metadata, self, mem, FEW, RO);
	EXPECT_TRUE(bytes_are(mem, FEW, 0));
	munmap(mem, FEW);
}

TEST_F(dirty, freed_huge_page_that_a_child_wrote_to_stays)
{
	const size_t huge = 2UL << 20;
	unsigned char *map = map_anon(2 * huge);
	unsigned char *mem =
		(unsigned char *)(((uintptr_t)map + huge - 1) & -huge);

	ASSERT_NE(MAP_FAILED, map);
	madvise(mem, huge, MADV_HUGEPAGE);
	memset(mem, 0x11, huge);
	ASSERT_EQ(0, madvise(mem, huge, MADV_FREE));
	write_and_reclaim(_metadata, self, mem, huge, 0);
	EXPECT_TRUE(bytes_are(mem, huge, 0xff));
	munmap(map, 2 * huge);
}

TEST_F(dirty, memory_of_a_file_that_only_a_child_wrote_to_stays)
{
	int fd = memfd_create("kscope", MFD_CLOEXEC);
	unsigned char *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, FEW));
	mem = mmap(NULL, FEW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_TRUE(bytes_are(mem, FEW, 0));
	write_and_reclaim(_metadata, self, mem, FEW, 0);
	EXPECT_TRUE(bytes_are(mem, FEW, 0xff));
	munmap(mem, FEW);
	close(fd);
}

TEST_HARNESS_MAIN
