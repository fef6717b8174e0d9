// SPDX-License-Identifier: GPL-2.0
/*
 * The mappings of a scope: which offsets, lengths, protections and kinds there are, what
 * a program may do to them afterwards, and that they outlive the scope.
 */
#include <signal.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define ENTRIES 256

FIXTURE(map)
{
	struct scope scope;
	size_t bytes;
};

FIXTURE_SETUP(map)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, ENTRIES));
	self->bytes = self->scope.ring_bytes;
	ASSERT_LE(4 * PAGE, self->bytes);
}

FIXTURE_TEARDOWN(map)
{
	if (self->scope.fd >= 0) {
		EXPECT_EQ(0, scope_close(&self->scope));
	}
}

/* Try to map; 0 or -errno. What was mapped is unmapped again. */
static int try_map(int fd, size_t len, int prot, int flags, off_t offset)
{
	void *p = mmap(NULL, len, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

TEST_F(map, matrix_of_offset_length_and_protection)
{
	const struct {
		off_t offset;
		size_t len;
		int prot;
		int want;
	} cases[] = {
		/* records: to be read, in whole or from the start */
		{ KSCOPE_MMAP_RING, self->bytes, PROT_READ, 0 },
		{ KSCOPE_MMAP_RING, self->bytes - 1, PROT_READ, 0 },
		{ KSCOPE_MMAP_RING, PAGE, PROT_READ, 0 },
		{ KSCOPE_MMAP_RING, 1, PROT_READ, 0 },
		{ KSCOPE_MMAP_RING, PAGE, PROT_NONE, 0 },
		{ KSCOPE_MMAP_RING, self->bytes + 1, PROT_READ, -EINVAL },
		{ KSCOPE_MMAP_RING, 2 * self->bytes, PROT_READ, -EINVAL },
		{ KSCOPE_MMAP_RING, 1UL << 30, PROT_READ, -EINVAL },
		{ KSCOPE_MMAP_RING, self->bytes, PROT_READ | PROT_WRITE,
		  -EACCES },
		{ KSCOPE_MMAP_RING, PAGE, PROT_WRITE, -EACCES },
		{ KSCOPE_MMAP_RING, PAGE, PROT_READ | PROT_EXEC, -EINVAL },
		/* head: one page */
		{ KSCOPE_MMAP_HEAD, PAGE, PROT_READ | PROT_WRITE, 0 },
		{ KSCOPE_MMAP_HEAD, 4, PROT_READ | PROT_WRITE, 0 },
		{ KSCOPE_MMAP_HEAD, PAGE, PROT_READ, 0 },
		{ KSCOPE_MMAP_HEAD, PAGE + 1, PROT_READ | PROT_WRITE, -EINVAL },
		{ KSCOPE_MMAP_HEAD, self->bytes, PROT_READ, -EINVAL },
		{ KSCOPE_MMAP_HEAD, PAGE, PROT_READ | PROT_EXEC, -EINVAL },
		/* nothing else is there */
		{ PAGE, PAGE, PROT_READ, -EINVAL },
		{ KSCOPE_MMAP_HEAD - PAGE, PAGE, PROT_READ, -EINVAL },
		{ KSCOPE_MMAP_HEAD - PAGE, 2 * PAGE, PROT_READ, -EINVAL },
		{ KSCOPE_MMAP_HEAD + PAGE, PAGE, PROT_READ, -EINVAL },
		{ 2 * KSCOPE_MMAP_HEAD, PAGE, PROT_READ, -EINVAL },
		{ 1LL << 32, PAGE, PROT_READ, -EINVAL },
		{ 1LL << 40, PAGE, PROT_READ, -EINVAL },
		{ (1LL << 32) + KSCOPE_MMAP_HEAD, PAGE, PROT_READ, -EINVAL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(cases[i].want,
			  try_map(self->scope.fd, cases[i].len, cases[i].prot,
				  MAP_SHARED, cases[i].offset))
		TH_LOG("case %zu", i);
	}
}

TEST_F(map, private_mappings_are_einval)
{
	EXPECT_EQ(-EINVAL, try_map(self->scope.fd, PAGE, PROT_READ, MAP_PRIVATE,
				   KSCOPE_MMAP_RING));
	EXPECT_EQ(-EINVAL, try_map(self->scope.fd, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, KSCOPE_MMAP_HEAD));
}

TEST_F(map, device_has_nothing_to_map)
{
	int dev = dev_open();

	ASSERT_LE(0, dev);
	EXPECT_EQ(-ENODEV, try_map(dev, PAGE, PROT_READ, MAP_SHARED, 0));
	close(dev);
}

TEST_F(map, records_cannot_be_made_writable_later)
{
	void *ring = (void *)self->scope.ring;

	EXPECT_EQ(-1, mprotect(ring, self->bytes, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(ring, PAGE, PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(ring, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(self->scope.head, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, mprotect(self->scope.head, PAGE, PROT_READ));
	EXPECT_EQ(0, mprotect(self->scope.head, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mprotect(ring, PAGE, PROT_NONE));
	EXPECT_EQ(0, mprotect(ring, PAGE, PROT_READ));
}

/* The kernel copies out for us with its own rights: /proc/self/mem must not help. */
TEST_F(map, records_cannot_be_written_through_proc_mem)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	off_t at = (off_t)(uintptr_t)self->scope.ring;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, "x", 1, at + 4));
	EXPECT_EQ(ENTRIES, self->scope.ring->entries);
	close(fd);
}

TEST_F(map, mappings_cannot_grow)
{
	void *p;

	p = mremap((void *)self->scope.ring, self->bytes, self->bytes + PAGE,
		   MREMAP_MAYMOVE);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EFAULT, errno);
	p = mremap(self->scope.head, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(map, mappings_can_move_and_shrink)
{
	void *p;

	p = mremap((void *)self->scope.ring, self->bytes, 2 * PAGE,
		   MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, p);
	self->scope.ring = p;
	self->scope.ring_bytes = 2 * PAGE;
	p = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(p, mremap(self->scope.head, PAGE, PAGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED, p));
	self->scope.head = p;
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(5), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(1, self->scope.ring->tail);
	EXPECT_EQ(5, self->scope.ring->records[0].user_data);
	EXPECT_EQ(1, ring_unread(&self->scope));
}

TEST_F(map, all_mappings_of_a_scope_show_the_same_pages)
{
	struct kscope_scope_create arg = { .ring_entries = ENTRIES,
					   .ring_bytes = self->bytes };
	struct kscope_completion c;
	struct scope other;

	ASSERT_EQ(0, scope_map(&other, self->scope.fd, &arg));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(5), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(1, ring_unread(&other));
	ASSERT_TRUE(reap(&other, &c));
	EXPECT_EQ(5, c.user_data);
	EXPECT_EQ(0, ring_unread(&self->scope));
	scope_unmap(&other);
}

TEST_F(map, part_of_a_mapping_can_be_unmapped)
{
	char *ring = (char *)self->scope.ring;

	ASSERT_EQ(0, munmap(ring + PAGE, PAGE));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(5), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(1, self->scope.ring->tail);
	EXPECT_EQ(5, self->scope.ring->records[0].user_data);
	EXPECT_EQ(0, ((struct kscope_ring *)ring)->records[200].user_data);
}

TEST_F(map, ring_is_readable_after_the_scope_is_closed)
{
	struct kscope_completion c;
	struct kscope_desc descs[2] = { desc_nop(5),
					desc_sleep(6, far_future()) };
	int i;

	ASSERT_EQ(2, spawn(self->scope.fd, descs, 2));
	ASSERT_EQ(0, wait_unread(self->scope.fd, 1, PATIENCE_MS));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	ASSERT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	EXPECT_EQ(2, ring_unread(&self->scope));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(reap(&self->scope, &c));
		EXPECT_EQ(5 + i, c.user_data);
		EXPECT_EQ(i ? KSCOPE_STOPPED : KSCOPE_FINISHED, c.outcome);
		EXPECT_EQ(i ? KSCOPE_CAUSE_CLOSE : KSCOPE_CAUSE_NONE, c.cause);
	}
	/* Scopes that come later have rings of their own. */
	for (i = 0; i < 20; i++) {
		struct scope other;

		ASSERT_EQ(0, scope_open(&other, KSCOPE_KIND_PARALLEL, ENTRIES));
		ASSERT_EQ(1, spawn_one(other.fd, desc_nop(99), NULL));
		ASSERT_EQ(0, join(other.fd));
		ASSERT_EQ(0, scope_close(&other));
	}
	EXPECT_EQ(2, self->scope.ring->tail);
	EXPECT_EQ(5, self->scope.ring->records[0].user_data);
	EXPECT_EQ(0, self->scope.ring->records[2].user_data);
	scope_unmap(&self->scope);
}

TEST_F(map, mapping_does_not_keep_the_scope_alive)
{
	char *mem = map_anon(PAGE);
	long pins = pins_now();

	ASSERT_LT(0, buf_pin(self->scope.fd, mem, PAGE, 0));
	EXPECT_EQ(pins + 1, pins_now());
	ASSERT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	EXPECT_EQ(pins, pins_now());
	EXPECT_EQ(ENTRIES, self->scope.ring->entries);
	scope_unmap(&self->scope);
	munmap(mem, PAGE);
}

TEST_F(map, mappings_are_inherited_by_a_fork)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct kscope_completion c;

		if (spawn_one(self->scope.fd, desc_nop(5), NULL) != 1 ||
		    reap_wait(&self->scope, &c) || c.user_data != 5)
			_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(1, self->scope.ring->tail);
	EXPECT_EQ(1, self->scope.head->head);
}

/* Pages that were thrown away are gone for the thrower, and for nobody else. */
TEST_F(map, madvise_harms_only_its_caller)
{
	static const int advices[] = { MADV_DONTNEED,  MADV_FREE,
				       MADV_REMOVE,    MADV_COLD,
				       MADV_PAGEOUT,   MADV_HUGEPAGE,
				       MADV_MERGEABLE, MADV_POPULATE_READ };
	size_t i;
	pid_t pid;
	int code;

	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			madvise((void *)self->scope.ring, self->bytes,
				advices[i]);
			madvise(self->scope.head, PAGE, advices[i]);
			code = self->scope.ring->entries != ENTRIES;
			self->scope.head->head = 0;
			_exit(code);
		}
		code = child_wait(pid);
		EXPECT_TRUE(code == 0 || code == 128 + SIGBUS ||
			    code == 128 + SIGSEGV)
		TH_LOG("advice %d: %d", advices[i], code);
		EXPECT_EQ(ENTRIES, self->scope.ring->entries);
	}
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(5), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(1, ring_unread(&self->scope));
}

TEST_F(map, locked_memory_and_ring_go_together)
{
	EXPECT_EQ(0, mlock(self->scope.head, PAGE));
	EXPECT_EQ(0, mlock((void *)self->scope.ring, self->bytes));
	EXPECT_EQ(0, munlockall());
	EXPECT_EQ(ENTRIES, self->scope.ring->entries);
}

TEST_HARNESS_MAIN
