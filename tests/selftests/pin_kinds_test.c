// SPDX-License-Identifier: GPL-2.0
/*
 * Which kinds of memory can be pinned, for reading and for writing, and that nothing
 * writes to what its owner may only read: files, sealed memory, read-only mappings.
 */
#include <linux/memfd.h>
#include <linux/perf_event.h>
#include <sys/utsname.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define LEN (8 * PAGE)
#define HUGE_LEN (2UL << 20)
#define RO KSCOPE_PIN_READ_ONLY

FIXTURE(kinds)
{
	struct scope scope;
	struct kscope_completion c;
	unsigned char *bytes; /* what files are made of */
	int fd;
	char path[PATH_LEN];
	long pins;
};

FIXTURE_SETUP(kinds)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 8));
	self->bytes = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->bytes);
	bytes_fill(self->bytes, LEN, 5);
	self->fd = file_make(self->path, LEN, 5);
	ASSERT_LE(0, self->fd);
	self->pins = pins_now();
}

FIXTURE_TEARDOWN(kinds)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	EXPECT_EQ(self->pins, pins_now());
	close(self->fd);
	unlink(self->path);
	munmap(self->bytes, LEN);
}

static bool file_is_as_made(FIXTURE_DATA(kinds) * self, int fd)
{
	unsigned char seen[LEN];

	return pread(fd, seen, LEN, 0) == LEN &&
	       !memcmp(seen, self->bytes, LEN);
}

/* Pinned as it is, the memory is read and written by children as it should be. */
static void expect_works(struct __test_metadata *_metadata,
			 FIXTURE_DATA(kinds) * self, unsigned char *mem,
			 size_t len, unsigned int flags)
{
	int buf = buf_pin(self->scope.fd, mem, len, flags);

	ASSERT_LT(0, buf);
	EXPECT_EQ(self->pins + len / PAGE, pins_now());
	ASSERT_EQ(0,
		  run_ok(&self->scope, desc_crc32c(buf, 0, len, 0), &self->c));
	EXPECT_EQ(crc32c_of(mem, len, 0), self->c.value);
	if (flags & RO) {
		EXPECT_EQ(-EACCES, spawn_one(self->scope.fd,
					     desc_fill(buf, 0, len, 1), NULL));
	} else {
		ASSERT_EQ(0, run_ok(&self->scope, desc_fill(buf, 0, len, ~0ULL),
				    &self->c));
		EXPECT_TRUE(bytes_are(mem, len, 0xff));
	}
	ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	EXPECT_EQ(self->pins, pins_now());
}

static void expect_refused(struct __test_metadata *_metadata,
			   FIXTURE_DATA(kinds) * self, void *mem, size_t len,
			   unsigned int flags, int want)
{
	EXPECT_EQ(want, buf_pin(self->scope.fd, mem, len, flags));
	EXPECT_EQ(self->pins, pins_now());
}

TEST_F(kinds, anonymous_private_and_shared)
{
	unsigned char *mem = map_anon(LEN);

	ASSERT_NE(MAP_FAILED, mem);
	expect_works(_metadata, self, mem, LEN, 0);
	expect_works(_metadata, self, mem, LEN, RO);
	munmap(mem, LEN);
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_works(_metadata, self, mem, LEN, 0);
	expect_works(_metadata, self, mem, LEN, RO);
	munmap(mem, LEN);
}

TEST_F(kinds, stack_and_static_memory)
{
	static unsigned char in_bss[3 * PAGE], in_data[3 * PAGE] = { 1 };
	unsigned char on_stack[3 * PAGE];
	unsigned char *mems[] = { in_bss, in_data, on_stack };
	size_t i;

	for (i = 0; i < 3; i++) {
		unsigned char *page =
			(unsigned char *)(((uintptr_t)mems[i] + PAGE - 1) &
					  -PAGE);

		memset(mems[i], i, 3 * PAGE);
		expect_works(_metadata, self, page, 2 * PAGE, 0);
		expect_works(_metadata, self, page, 2 * PAGE, RO);
	}
}

TEST_F(kinds, text_and_constants_of_the_program_for_reading_only)
{
	static const unsigned char constants[2 * PAGE] = "constant";
	unsigned char *text = (unsigned char *)((uintptr_t)crc32c_of & -PAGE);
	unsigned char *page =
		(unsigned char *)(((uintptr_t)constants + PAGE - 1) & -PAGE);
	__u32 before = crc32c_of(text, PAGE, 0);

	expect_works(_metadata, self, text, PAGE, RO);
	expect_works(_metadata, self, page, PAGE, RO);
	expect_refused(_metadata, self, text, PAGE, 0, -EFAULT);
	expect_refused(_metadata, self, page, PAGE, 0, -EFAULT);
	EXPECT_EQ(before, crc32c_of(text, PAGE, 0));
}

TEST_F(kinds, memory_without_the_needed_permission_is_efault)
{
	unsigned char *mem = map_anon(LEN);

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 3, LEN);
	ASSERT_EQ(0, mprotect(mem + 2 * PAGE, PAGE, PROT_READ));
	expect_refused(_metadata, self, mem, LEN, 0, -EFAULT);
	expect_works(_metadata, self, mem, LEN, RO);
	ASSERT_EQ(0, mprotect(mem + 2 * PAGE, PAGE, PROT_NONE));
	expect_refused(_metadata, self, mem, LEN, 0, -EFAULT);
	expect_refused(_metadata, self, mem, LEN, RO, -EFAULT);
	ASSERT_EQ(0, mprotect(mem + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	expect_works(_metadata, self, mem, LEN, 0);
	munmap(mem, LEN);
}

TEST_F(kinds, transparent_huge_page_whole_and_from_its_middle)
{
	unsigned char *map = map_anon(2 * HUGE_LEN), *mem;

	ASSERT_NE(MAP_FAILED, map);
	mem = (unsigned char *)(((uintptr_t)map + HUGE_LEN - 1) & -HUGE_LEN);
	madvise(mem, HUGE_LEN, MADV_HUGEPAGE); /* best effort: Debian has it */
	bytes_fill(mem, HUGE_LEN, 4);
	expect_works(_metadata, self, mem + 100 * PAGE, 300 * PAGE, RO);
	expect_works(_metadata, self, mem + 511 * PAGE, PAGE, 0);
	expect_works(_metadata, self, mem, HUGE_LEN, 0);
	munmap(map, 2 * HUGE_LEN);
}

TEST_F(kinds, hugetlb_private_and_shared)
{
	static const int types[] = { MAP_PRIVATE, MAP_SHARED };
	unsigned char *mem;
	long was = file_value("/proc/meminfo", "HugePages_Free");
	size_t i;

	if (was < 2)
		SKIP(return, "no huge pages reserved");
	for (i = 0; i < 2; i++) {
		mem = mmap(NULL, 2 * HUGE_LEN, PROT_READ | PROT_WRITE,
			   types[i] | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		ASSERT_NE(MAP_FAILED, mem);
		expect_works(_metadata, self, mem, 2 * HUGE_LEN, 0);
		expect_works(_metadata, self, mem + 300 * PAGE, HUGE_LEN, RO);
		munmap(mem, 2 * HUGE_LEN);
		EXPECT_EQ(was, file_value("/proc/meminfo", "HugePages_Free"));
	}
}

/* Is this kernel older than Linux @major.@minor? */
static bool kernel_is_before(unsigned int major, unsigned int minor)
{
	struct utsname name;
	unsigned int is_major = 0, is_minor = 0;

	if (uname(&name) ||
	    sscanf(name.release, "%u.%u", &is_major, &is_minor) != 2)
		return false;
	return is_major < major || (is_major == major && is_minor < minor);
}

TEST_F(kinds, hugetlb_that_is_not_writable)
{
	unsigned char *mem;

	if (file_value("/proc/meminfo", "HugePages_Free") < 1)
		SKIP(return, "no huge pages reserved");
	mem = mmap(NULL, HUGE_LEN, PROT_READ,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_refused(_metadata, self, mem, HUGE_LEN, 0, -EFAULT);
	/* Before 6.2 no such pin stays coherent with its owner. */
	if (kernel_is_before(6, 2))
		expect_refused(_metadata, self, mem, HUGE_LEN, RO, -EOPNOTSUPP);
	else
		expect_works(_metadata, self, mem, HUGE_LEN, RO);
	munmap(mem, HUGE_LEN);
}

TEST_F(kinds, hugetlb_is_held_by_the_pin_and_by_nothing_after_it)
{
	long was = file_value("/proc/meminfo", "HugePages_Free");
	unsigned char *mem;
	int buf;

	if (was < 1)
		SKIP(return, "no huge pages reserved");
	mem = mmap(NULL, HUGE_LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	buf = buf_pin(self->scope.fd, mem, HUGE_LEN, 0);
	ASSERT_LT(0, buf);
	munmap(mem, HUGE_LEN);
	EXPECT_EQ(was - 1, file_value("/proc/meminfo", "HugePages_Free"));
	ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	EXPECT_EQ(was, file_value("/proc/meminfo", "HugePages_Free"));
	EXPECT_EQ(0, file_value("/proc/meminfo", "HugePages_Rsvd"));
}

TEST_F(kinds, memfd_shared_and_private)
{
	int fd = memfd_create("kscope", MFD_CLOEXEC);
	unsigned char *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, write(fd, self->bytes, LEN));
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_works(_metadata, self, mem, LEN, RO);
	expect_works(_metadata, self, mem, LEN, 0);
	EXPECT_TRUE(file_is_as_made(self, fd));
	munmap(mem, LEN);
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_works(_metadata, self, mem, LEN, RO);
	EXPECT_TRUE(file_is_as_made(self, fd));
	expect_works(_metadata, self, mem, LEN, 0);
	EXPECT_FALSE(file_is_as_made(self, fd));
	munmap(mem, LEN);
	close(fd);
}

TEST_F(kinds, memory_behind_the_end_of_a_file_is_efault)
{
	int fd = memfd_create("kscope", MFD_CLOEXEC);
	unsigned char *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 2 * PAGE + 1));
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_refused(_metadata, self, mem, LEN, 0, -EFAULT);
	expect_refused(_metadata, self, mem, LEN, RO, -EFAULT);
	expect_works(_metadata, self, mem, 3 * PAGE, 0);
	munmap(mem, LEN);
	close(fd);
}

static int reopen_read_only(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Children of every op that writes are refused, and the file is as it was. */
static void expect_never_written(struct __test_metadata *_metadata,
				 FIXTURE_DATA(kinds) * self, int fd,
				 unsigned char *mem)
{
	int s = self->scope.fd;
	unsigned char *other = map_anon(LEN);
	int ro, rw, hash;

	expect_refused(_metadata, self, mem, LEN, 0, -EFAULT);
	ro = buf_pin(s, mem, LEN, RO);
	rw = buf_pin(s, other, LEN, 0);
	hash = hash_open(s, "sha256");
	ASSERT_LT(0, ro);
	ASSERT_LT(0, rw);
	ASSERT_LT(0, hash);
	EXPECT_EQ(-EACCES, spawn_one(s, desc_fill(ro, 0, LEN, 1), NULL));
	EXPECT_EQ(-EACCES, spawn_one(s, desc_fill(ro, 1, 1, 1), NULL));
	EXPECT_EQ(-EACCES,
		  spawn_one(s, desc_two(KSCOPE_OP_COPY, rw, 0, ro, 0, LEN),
			    NULL));
	EXPECT_EQ(-EACCES,
		  spawn_one(s, desc_two(KSCOPE_OP_XOR, rw, 0, ro, 0, LEN),
			    NULL));
	EXPECT_EQ(-EACCES, spawn_one(s,
				     desc_hash(hash, KSCOPE_HASH_ALL, rw, 0,
					       PAGE, ro, 0),
				     NULL));
	EXPECT_EQ(-EACCES,
		  spawn_one(s,
			    desc_file(KSCOPE_OP_READ, self->fd, 0, ro, 0, LEN),
			    NULL));
	ASSERT_EQ(0, run_ok(&self->scope,
			    desc_two(KSCOPE_OP_COPY, ro, 0, rw, 0, LEN),
			    &self->c));
	EXPECT_EQ(0, memcmp(other, self->bytes, LEN));
	ASSERT_EQ(0, buf_unpin(s, ro));
	ASSERT_EQ(0, buf_unpin(s, rw));
	EXPECT_TRUE(file_is_as_made(self, fd));
	munmap(other, LEN);
}

TEST_F(kinds, read_only_shared_memfd_is_never_written)
{
	int fd = memfd_create("kscope", MFD_CLOEXEC), ro;
	unsigned char *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, write(fd, self->bytes, LEN));
	ro = reopen_read_only(fd);
	ASSERT_LE(0, ro);
	mem = mmap(NULL, LEN, PROT_READ, MAP_SHARED, ro, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_never_written(_metadata, self, fd, mem);
	munmap(mem, LEN);
	close(ro);
	close(fd);
}

TEST_F(kinds, sealed_memfd_is_never_written)
{
	int fd = memfd_create("kscope", MFD_CLOEXEC | MFD_ALLOW_SEALING), ro;
	unsigned char *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, write(fd, self->bytes, LEN));
	ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS,
			   F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
	ro = reopen_read_only(fd);
	ASSERT_LE(0, ro);
	mem = mmap(NULL, LEN, PROT_READ, MAP_SHARED, ro, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_never_written(_metadata, self, fd, mem);
	munmap(mem, LEN);

	/* A private mapping of it has pages of its own. */
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_works(_metadata, self, mem, LEN, 0);
	EXPECT_TRUE(file_is_as_made(self, fd));
	munmap(mem, LEN);
	close(ro);
	close(fd);
}

TEST_F(kinds, memfd_cannot_be_sealed_against_writing_while_it_is_pinned_for_it)
{
	int fd = memfd_create("kscope", MFD_CLOEXEC | MFD_ALLOW_SEALING), buf;
	unsigned char *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, write(fd, self->bytes, LEN));
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	buf = buf_pin(self->scope.fd, mem, LEN, 0);
	ASSERT_LT(0, buf);
	munmap(mem, LEN);
	EXPECT_EQ(-1, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_TRUE(file_is_as_made(self, fd));
	close(fd);
}

TEST_F(kinds, private_mapping_of_a_file_is_pinned_and_the_file_never_changes)
{
	static const int prots[] = { PROT_READ, PROT_READ | PROT_WRITE };
	int ro = reopen_read_only(self->fd);
	unsigned char *mem;
	size_t i;

	if (!fd_is_on_disk(self->fd))
		SKIP(return, "no disk file system");
	ASSERT_LE(0, ro);
	for (i = 0; i < 2; i++) {
		mem = mmap(NULL, LEN, prots[i], MAP_PRIVATE, ro, 0);
		ASSERT_NE(MAP_FAILED, mem);
		expect_works(_metadata, self, mem, LEN, RO);
		if (i)
			expect_works(_metadata, self, mem, LEN, 0);
		else
			expect_refused(_metadata, self, mem, LEN, 0, -EFAULT);
		munmap(mem, LEN);
		EXPECT_TRUE(file_is_as_made(self, self->fd));
	}
	mem = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, ro, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_never_written(_metadata, self, self->fd, mem);
	munmap(mem, LEN);
	close(ro);
}

TEST_F(kinds,
       shared_mapping_of_a_disk_file_is_refused_and_the_file_never_changes)
{
	int ro = reopen_read_only(self->fd);
	unsigned char *mem;

	if (!fd_is_on_disk(self->fd))
		SKIP(return, "no disk file system");
	ASSERT_LE(0, ro);
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_refused(_metadata, self, mem, LEN, 0, -EOPNOTSUPP);
	expect_refused(_metadata, self, mem, LEN, RO, -EOPNOTSUPP);
	munmap(mem, LEN);
	mem = mmap(NULL, LEN, PROT_READ, MAP_SHARED, ro, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_refused(_metadata, self, mem, LEN, 0, -EOPNOTSUPP);
	expect_refused(_metadata, self, mem, LEN, RO, -EOPNOTSUPP);
	munmap(mem, LEN);
	mem = mmap(NULL, LEN, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_refused(_metadata, self, mem, LEN, RO, -EOPNOTSUPP);
	munmap(mem, LEN);
	close(ro);
	EXPECT_TRUE(file_is_as_made(self, self->fd));
}

TEST_F(kinds, one_refused_page_refuses_the_whole_buffer)
{
	unsigned char *mem = map_anon(LEN);

	if (!fd_is_on_disk(self->fd))
		SKIP(return, "no disk file system");
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(mem + 3 * PAGE,
		  mmap(mem + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, self->fd, 0));
	expect_refused(_metadata, self, mem, LEN, 0, -EOPNOTSUPP);
	expect_refused(_metadata, self, mem, LEN, RO, -EOPNOTSUPP);
	expect_works(_metadata, self, mem, 3 * PAGE, 0);
	expect_works(_metadata, self, mem + 4 * PAGE, LEN - 4 * PAGE, 0);
	munmap(mem, LEN);
}

/* The kernel grants a pin for reading of both: it is for the module to look at each page. */
TEST_F(kinds, refused_page_behind_others_is_found)
{
	unsigned char *mem = map_anon(LEN);
	int ro = reopen_read_only(self->fd);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_LE(0, ro);
	memset(mem, 1, LEN);
	ASSERT_NE(MAP_FAILED,
		  mmap(mem + 5 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
		       self->scope.fd, KSCOPE_MMAP_RING));
	expect_refused(_metadata, self, mem, LEN, RO, -EOPNOTSUPP);
	ASSERT_NE(MAP_FAILED, mmap(mem + 5 * PAGE, PAGE, PROT_READ,
				   MAP_SHARED | MAP_FIXED, ro, 0));
	if (fd_is_on_disk(ro))
		expect_refused(_metadata, self, mem, LEN, RO, -EOPNOTSUPP);
	expect_works(_metadata, self, mem, 5 * PAGE, RO);
	munmap(mem, LEN);
	close(ro);
}

TEST_F(kinds, ring_of_a_scope_is_refused)
{
	expect_refused(_metadata, self, (void *)self->scope.ring, PAGE, RO,
		       -EOPNOTSUPP);
	expect_refused(_metadata, self, self->scope.head, PAGE, RO,
		       -EOPNOTSUPP);
	expect_refused(_metadata, self, self->scope.head, PAGE, 0, -EOPNOTSUPP);
	expect_refused(_metadata, self, (void *)self->scope.ring, PAGE, 0,
		       -EOPNOTSUPP);
}

TEST_F(kinds, pages_that_a_driver_maps_are_refused)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_DUMMY };
	unsigned char *mem;
	int fd;

	/*
	 * An event of a CPU: one of a task makes the kernel patch its scheduler,
	 * which QEMU's emulation of several CPUs does not always survive.
	 */
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0);
	if (fd < 0)
		SKIP(return, "no perf events: %s", strerror(errno));
	mem = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	expect_refused(_metadata, self, mem, 3 * PAGE, 0, -EOPNOTSUPP);
	expect_refused(_metadata, self, mem, 3 * PAGE, RO, -EOPNOTSUPP);
	munmap(mem, 3 * PAGE);
	close(fd);
}

TEST_F(kinds, mapping_without_pages_is_efault)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start = 0;
	char line[256];

	ASSERT_NE(NULL, maps);
	while (!start && fgets(line, sizeof(line), maps))
		if (strstr(line, "[vvar]"))
			start = strtoul(line, NULL, 16);
	fclose(maps);
	if (!start)
		SKIP(return, "no vvar");
	expect_refused(_metadata, self, (void *)start, PAGE, RO, -EFAULT);
	expect_refused(_metadata, self, (void *)start, PAGE, 0, -EFAULT);
}

TEST_F(kinds, one_buffer_over_every_kind_of_memory)
{
	size_t len = 4 * HUGE_LEN;
	unsigned char *map = map_anon(len + HUGE_LEN), *mem, *want;
	int fd = memfd_create("kscope", MFD_CLOEXEC), buf, i;
	struct kscope_desc desc;

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	if (file_value("/proc/meminfo", "HugePages_Free") < 1)
		SKIP(return, "no huge pages reserved");
	mem = (unsigned char *)(((uintptr_t)map + HUGE_LEN - 1) & -HUGE_LEN);
	madvise(mem, HUGE_LEN, MADV_NOHUGEPAGE);
	ASSERT_EQ(mem + HUGE_LEN,
		  mmap(mem + HUGE_LEN, HUGE_LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB,
		       -1, 0));
	/* The same page of a memfd eight times, then a private file, then a huge page. */
	for (i = 0; i < 8; i++) {
		ASSERT_NE(MAP_FAILED, mmap(mem + 2 * HUGE_LEN + i * PAGE, PAGE,
					   PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_FIXED, fd, 0));
	}
	ASSERT_NE(MAP_FAILED, mmap(mem + 2 * HUGE_LEN + 8 * PAGE, LEN,
				   PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_FIXED, self->fd, 0));
	madvise(mem + 3 * HUGE_LEN, HUGE_LEN, MADV_HUGEPAGE);
	bytes_fill(mem, len, 6);

	buf = buf_pin(self->scope.fd, mem + 1, len - 2, 0);
	ASSERT_LT(0, buf);
	EXPECT_EQ(self->pins + len / PAGE, pins_now());
	ASSERT_EQ(0, run_ok(&self->scope, desc_crc32c(buf, 0, len - 2, 0),
			    &self->c));
	EXPECT_EQ(crc32c_of(mem + 1, len - 2, 0), self->c.value);
	want = map_anon(len);
	ASSERT_NE(MAP_FAILED, want);
	memcpy(want, mem, len);
	for (i = 0; i < (int)HUGE_LEN; i++)
		want[3 * HUGE_LEN - 9 + i] ^= want[HUGE_LEN - 9 + i];
	desc = desc_two(KSCOPE_OP_XOR, buf, HUGE_LEN - 10, buf,
			3 * HUGE_LEN - 10, HUGE_LEN);
	ASSERT_EQ(0, run_ok(&self->scope, desc, &self->c));
	EXPECT_EQ(0, memcmp(want, mem, len));
	ASSERT_EQ(0, run_ok(&self->scope,
			    desc_fill(buf, 2 * HUGE_LEN - 101, 12 * PAGE,
				      0x1111111111111111ULL),
			    &self->c));
	memset(want + 2 * HUGE_LEN - 100, 0x11, 12 * PAGE);
	/* The last bytes of the fill end in the private file's part. */
	EXPECT_EQ(0, memcmp(want, mem, len));
	ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	EXPECT_TRUE(file_is_as_made(self, self->fd));
	munmap(want, len);
	munmap(map, len + HUGE_LEN);
	close(fd);
}

TEST_HARNESS_MAIN
