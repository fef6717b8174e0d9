// SPDX-License-Identifier: GPL-2.0
/*
 * A pinned page is the owner's page: both see what the other writes, also after a
 * fork. And it is a page, not an address: what the owner does to its mappings
 * afterwards never lets a child touch memory that was not pinned.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define PAGES 4
#define LEN (PAGES * PAGE)
#define RO KSCOPE_PIN_READ_ONLY
#define ONES 0x1111111111111111ULL

FIXTURE(coherence)
{
	struct scope scope;
	struct kscope_completion c;
	unsigned char *mem;
	long pins;
};

FIXTURE_SETUP(coherence)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 8));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->pins = pins_now();
}

FIXTURE_TEARDOWN(coherence)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	EXPECT_EQ(self->pins, pins_now());
}

/* The CRC that a child computes of the buffer, or -errno. */
static __s64 crc_seen(FIXTURE_DATA(coherence) * self, int buf)
{
	int ret = run_ok(&self->scope, desc_crc32c(buf, 0, LEN, 0), &self->c);

	return ret ? ret : (__s64)self->c.value;
}

static __s64 crc_of(const void *mem)
{
	return crc32c_of(mem, LEN, 0);
}

static __s64 crc_of_byte(unsigned char byte)
{
	unsigned char bytes[LEN];

	memset(bytes, byte, LEN);
	return crc_of(bytes);
}

static int do_fill(FIXTURE_DATA(coherence) * self, int buf, __u64 pattern)
{
	return run_ok(&self->scope, desc_fill(buf, 0, LEN, pattern), &self->c);
}

static void expect_children_see_writes(struct __test_metadata *_metadata,
				       FIXTURE_DATA(coherence) * self, int buf)
{
	int i;

	ASSERT_LT(0, buf);
	for (i = 0; i < 3; i++) {
		bytes_fill(self->mem, LEN, i);
		EXPECT_EQ(crc_of(self->mem), crc_seen(self, buf));
	}
}

TEST_F(coherence, children_see_later_writes_to_memory_never_touched_before)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, 0);

	ASSERT_LT(0, buf);
	EXPECT_EQ(crc_of_byte(0), crc_seen(self, buf));
	expect_children_see_writes(_metadata, self, buf);
}

TEST_F(coherence, read_pin_of_memory_never_touched_sees_later_writes)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, RO);

	ASSERT_LT(0, buf);
	EXPECT_EQ(crc_of_byte(0), crc_seen(self, buf));
	expect_children_see_writes(_metadata, self, buf);
}

TEST_F(coherence, read_pin_of_the_zero_page_sees_later_writes)
{
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0)); /* maps the zero page */
	expect_children_see_writes(_metadata, self,
				   buf_pin(self->scope.fd, self->mem, LEN, RO));
}

TEST_F(coherence, read_pin_of_a_read_only_mapping_sees_writes_once_allowed)
{
	int buf;

	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0));
	buf = buf_pin(self->scope.fd, self->mem, LEN, RO);
	ASSERT_LT(0, buf);
	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ | PROT_WRITE));
	expect_children_see_writes(_metadata, self, buf);
}

TEST_F(coherence, read_pin_of_a_private_file_mapping_sees_later_writes)
{
	char path[PATH_LEN];
	int fd = file_make(path, LEN, 3), buf;
	unsigned char seen[LEN], want[LEN];

	ASSERT_LE(0, fd);
	unlink(path);
	bytes_fill(want, LEN, 3);
	munmap(self->mem, LEN);
	self->mem = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	buf = buf_pin(self->scope.fd, self->mem, LEN, RO);
	ASSERT_LT(0, buf);
	EXPECT_EQ(crc_of(want), crc_seen(self, buf));
	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ | PROT_WRITE));
	expect_children_see_writes(_metadata, self, buf);
	ASSERT_EQ(LEN, pread(fd, seen, LEN, 0));
	EXPECT_EQ(0, memcmp(want, seen, LEN));
	close(fd);
}

TEST_F(coherence, owner_sees_what_children_write)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, 0);

	ASSERT_LT(0, buf);
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0));
	ASSERT_EQ(0, do_fill(self, buf, ONES));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0x11));
	memset(self->mem, 5, LEN);
	ASSERT_EQ(0, do_fill(self, buf, 2 * ONES));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0x22));
}

/* Fork a process that waits, then tells whether all of @mem is @want. */
static pid_t fork_looker(const void *mem, unsigned char want, int go)
{
	pid_t pid = fork();

	if (!pid)
		_exit(byte_recv(go) ? 2 : !bytes_are(mem, LEN, want));
	return pid;
}

TEST_F(coherence, fork_after_the_pin_leaves_the_pages_with_the_parent)
{
	unsigned int flags;
	int go[2], buf;
	pid_t pid;

	for (flags = 0; flags <= RO; flags++) {
		ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
		memset(self->mem, 7, LEN);
		buf = buf_pin(self->scope.fd, self->mem, LEN, flags);
		ASSERT_LT(0, buf);
		pid = fork_looker(self->mem, 7, go[0]);
		ASSERT_LE(0, pid);
		/* Both ways still work, and the other process has its copy. */
		expect_children_see_writes(_metadata, self, buf);
		if (!flags) {
			ASSERT_EQ(0, do_fill(self, buf, ONES));
			EXPECT_TRUE(bytes_are(self->mem, LEN, 0x11));
		}
		ASSERT_EQ(0, byte_send(go[1]));
		EXPECT_EQ(0, child_wait(pid));
		expect_children_see_writes(_metadata, self, buf);
		ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
		close(go[0]);
		close(go[1]);
	}
}

TEST_F(coherence, pin_after_a_fork_takes_pages_that_are_not_shared)
{
	unsigned int flags;
	int go[2], buf;
	pid_t pid;

	for (flags = 0; flags <= RO; flags++) {
		ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
		memset(self->mem, 7, LEN);
		pid = fork_looker(self->mem, 7, go[0]);
		ASSERT_LE(0, pid);
		buf = buf_pin(self->scope.fd, self->mem, LEN, flags);
		ASSERT_LT(0, buf);
		EXPECT_EQ(crc_of_byte(7), crc_seen(self, buf));
		expect_children_see_writes(_metadata, self, buf);
		if (!flags) {
			ASSERT_EQ(0, do_fill(self, buf, ONES));
		}
		ASSERT_EQ(0, byte_send(go[1]));
		EXPECT_EQ(0, child_wait(pid));
		ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
		close(go[0]);
		close(go[1]);
	}
}

/* What vmsplice() once allowed: keep a read pin of a page that the parent writes to. */
static int spy(FIXTURE_DATA(coherence) * self, bool protect, int ready, int go)
{
	struct scope scope;
	int buf;

	if (scope_open(&scope, KSCOPE_KIND_PARALLEL, 2))
		return 10;
	self->scope = scope;
	if (protect && mprotect(self->mem, LEN, PROT_READ))
		return 11;
	buf = buf_pin(scope.fd, self->mem, LEN, RO);
	if (buf <= 0)
		return 12;
	munmap(self->mem, LEN);
	if (byte_send(ready) || byte_recv(go))
		return 13;
	return crc_seen(self, buf) == crc_of_byte(7) ? 0 : 14;
}

TEST_F(coherence,
       read_pin_of_a_forked_process_never_sees_the_parents_later_writes)
{
	int ready[2], go[2], protect;
	pid_t pid;

	for (protect = 0; protect < 2; protect++) {
		ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
		memset(self->mem, 7, LEN);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(spy(self, protect, ready[1], go[0]));
		close(ready[1]);
		ASSERT_EQ(0, byte_recv(ready[0]));
		memset(self->mem, 0x99, LEN);
		ASSERT_EQ(0, byte_send(go[1]));
		EXPECT_EQ(0, child_wait(pid));
		close(ready[0]);
		close(go[0]);
		close(go[1]);
	}
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
}

TEST_F(coherence, new_mapping_at_the_same_address_is_never_touched)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	int i;

	ASSERT_LT(0, buf);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, munmap(self->mem, LEN));
		ASSERT_EQ(self->mem,
			  mmap(self->mem, LEN, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		memset(self->mem, 0x40 + i, LEN);
		ASSERT_EQ(0, do_fill(self, buf, ONES * i));
		EXPECT_TRUE(bytes_are(self->mem, LEN, 0x40 + i));
		EXPECT_EQ(crc_of_byte(0x11 * i), crc_seen(self, buf));
	}
	EXPECT_EQ(self->pins + PAGES, pins_now());
	ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0x40 + 9));
}

TEST_F(coherence, unmapped_buffer_can_be_used_and_given_back)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, 0);

	ASSERT_LT(0, buf);
	ASSERT_EQ(0, munmap(self->mem, LEN));
	ASSERT_EQ(0, do_fill(self, buf, 5 * ONES));
	EXPECT_EQ(crc_of_byte(0x55), crc_seen(self, buf));
	EXPECT_EQ(PAGES, vm_pages("VmPin"));
	ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
	EXPECT_EQ(0, vm_pages("VmPin"));
}

TEST_F(coherence, thrown_away_pages_stay_with_the_buffer)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, 0);

	ASSERT_LT(0, buf);
	memset(self->mem, 7, LEN);
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_DONTNEED));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0));
	EXPECT_EQ(crc_of_byte(7), crc_seen(self, buf));
	ASSERT_EQ(0, do_fill(self, buf, ONES));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0));
}

TEST_F(coherence, moved_mapping_stays_coherent)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	void *moved;

	ASSERT_LT(0, buf);
	moved = mremap(self->mem, LEN, 2 * LEN, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, moved);
	self->mem = moved;
	expect_children_see_writes(_metadata, self, buf);
	ASSERT_EQ(0, do_fill(self, buf, ONES));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0x11));
}

TEST_F(coherence, protection_that_comes_after_the_pin_does_not_undo_it)
{
	int buf = buf_pin(self->scope.fd, self->mem, LEN, 0);

	ASSERT_LT(0, buf);
	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ));
	ASSERT_EQ(0, do_fill(self, buf, ONES));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0x11));
	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_NONE));
	ASSERT_EQ(0, do_fill(self, buf, 2 * ONES));
	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ | PROT_WRITE));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0x22));
}

TEST_F(coherence, truncated_and_punched_memfd_leaves_old_pages_with_the_buffer)
{
	int fd = memfd_create("kscope", MFD_CLOEXEC), buf;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	munmap(self->mem, LEN);
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	memset(self->mem, 7, LEN);
	buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, buf);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       0, PAGE));
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	ASSERT_EQ(0, ftruncate(fd, LEN));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0));
	ASSERT_EQ(0, do_fill(self, buf, ONES));
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0));
	EXPECT_EQ(crc_of_byte(0x11), crc_seen(self, buf));
	close(fd);
}

TEST_F(coherence, memory_of_a_process_that_ended_is_not_reused_while_pinned)
{
	int socks[2], fd, buf = 0;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct kscope_scope_create arg = { .capacity = 2 };

		fd = scope_create(&arg);
		memset(self->mem, 0x66, LEN);
		buf = buf_pin(fd, self->mem, LEN, 0);
		if (buf <= 0 || write(socks[1], &buf, sizeof(buf)) < 0)
			_exit(1);
		_exit(fd_send(socks[1], fd) ? 2 : 0);
	}
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(sizeof(buf), read(socks[0], &buf, sizeof(buf)));
	fd = fd_recv(socks[0]);
	ASSERT_LE(0, fd);
	/* Take a good deal of fresh memory: none of it is the dead process's. */
	munmap(self->mem, LEN);
	self->mem = map_anon(64 * LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	memset(self->mem, 0x77, 64 * LEN);
	ASSERT_EQ(1, spawn_one(fd, desc_fill(buf, 0, LEN, ONES), NULL));
	ASSERT_EQ(0, join(fd));
	EXPECT_TRUE(bytes_are(self->mem, 64 * LEN, 0x77));
	EXPECT_EQ(self->pins + PAGES, pins_now());
	ASSERT_EQ(0, xclose(fd));
	close(socks[0]);
	close(socks[1]);
}

TEST_HARNESS_MAIN
