// SPDX-License-Identifier: GPL-2.0
/*
 * READ, WRITE and FSYNC on files of a real file system: contents against what read()
 * and write() say, ends of files, O_DIRECT, O_APPEND, limits and credentials.
 */
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define LEN (40 * PAGE)

FIXTURE(file)
{
	struct scope scope;
	unsigned char *mem;
	unsigned char *bytes; /* what is in the file */
	unsigned int buf;
	int fd;
	char path[PATH_LEN];
	struct kscope_completion c;
};

FIXTURE_SETUP(file)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 32));
	self->mem = map_anon(LEN);
	self->bytes = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_NE(MAP_FAILED, self->bytes);
	bytes_fill(self->bytes, LEN, 7);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, (int)self->buf);
	self->fd = file_make(self->path, LEN, 7);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(file)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
	munmap(self->bytes, LEN);
	close(self->fd);
	unlink(self->path);
}

/* Run one file operation: why it was refused, or how it ended. */
static int do_io(FIXTURE_DATA(file) * self, struct kscope_desc desc)
{
	int ret = run(&self->scope, desc, &self->c);

	return ret ?: self->c.status;
}

static int do_read(FIXTURE_DATA(file) * self, int fd, __u64 file_off, __u64 off,
		   __u64 len)
{
	return do_io(self, desc_file(KSCOPE_OP_READ, fd, file_off, self->buf,
				     off, len));
}

static int do_write(FIXTURE_DATA(file) * self, int fd, __u64 file_off,
		    __u64 off, __u64 len)
{
	return do_io(self, desc_file(KSCOPE_OP_WRITE, fd, file_off, self->buf,
				     off, len));
}

TEST_F(file, read_brings_the_bytes_of_the_file_and_touches_nothing_else)
{
	static const __u64 cases[][3] = {
		/* file_off, off, len */
		{ 0, 0, 1 },
		{ 0, 0, LEN },
		{ 1, 0, PAGE },
		{ 4095, 4095, 2 },
		{ 100, 3, 5 * PAGE },
		{ PAGE, 1, 16 * PAGE + 1 },
		{ LEN - 1, LEN - 1, 1 },
		{ 17, 0, 33 * PAGE },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const __u64 *c = cases[i];

		memset(self->mem, 0x5a, LEN);
		ASSERT_EQ(0, do_read(self, self->fd, c[0], c[1], c[2]));
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
		EXPECT_EQ(c[2], self->c.done);
		EXPECT_EQ(0, memcmp(self->bytes + c[0], self->mem + c[1], c[2]))
		TH_LOG("case %zu", i);
		EXPECT_TRUE(bytes_are(self->mem, c[1], 0x5a));
		EXPECT_TRUE(bytes_are(self->mem + c[1] + c[2],
				      LEN - c[1] - c[2], 0x5a));
	}
}

TEST_F(file, read_is_short_at_the_end_of_the_file)
{
	memset(self->mem, 0x5a, LEN);
	ASSERT_EQ(0, do_read(self, self->fd, LEN - 100, 0, PAGE));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	EXPECT_EQ(100, self->c.done);
	EXPECT_EQ(0, memcmp(self->bytes + LEN - 100, self->mem, 100));
	EXPECT_TRUE(bytes_are(self->mem + 100, LEN - 100, 0x5a));

	ASSERT_EQ(0, ftruncate(self->fd, 20 * PAGE + 5));
	ASSERT_EQ(0, do_read(self, self->fd, PAGE, 0, LEN));
	EXPECT_EQ(19 * PAGE + 5, self->c.done);
	EXPECT_EQ(0, memcmp(self->bytes + PAGE, self->mem, 19 * PAGE + 5));
}

TEST_F(file, read_at_and_behind_the_end_of_the_file_brings_nothing)
{
	static const __u64 offs[] = { LEN, LEN + 1, 1ULL << 32, 1ULL << 40 };
	size_t i;

	memset(self->mem, 0x5a, LEN);
	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		ASSERT_EQ(0, do_read(self, self->fd, offs[i], 0, PAGE));
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
		EXPECT_EQ(0, self->c.done);
	}
	EXPECT_TRUE(bytes_are(self->mem, LEN, 0x5a));
}

TEST_F(file, empty_read_and_write_do_nothing)
{
	struct stat st;

	ASSERT_EQ(0, do_read(self, self->fd, 0, 0, 0));
	EXPECT_EQ(0, self->c.done);
	ASSERT_EQ(0, do_write(self, self->fd, 2 * LEN, 0, 0));
	EXPECT_EQ(0, self->c.done);
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(LEN, st.st_size);
}

TEST_F(file, write_puts_the_bytes_of_the_buffer_there_and_nowhere_else)
{
	static const __u64 cases[][3] = {
		/* file_off, off, len */
		{ 0, 0, 1 },	    { 1, 3, PAGE },
		{ 4095, 4090, 12 }, { 100, PAGE - 1, 17 * PAGE },
		{ LEN - 1, 0, 1 },  { 0, 0, LEN },
	};
	unsigned char *seen = malloc(LEN);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const __u64 *c = cases[i];

		bytes_fill(self->mem, LEN, 100 + i);
		memcpy(self->bytes + c[0], self->mem + c[1], c[2]);
		ASSERT_EQ(0, do_write(self, self->fd, c[0], c[1], c[2]));
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
		EXPECT_EQ(c[2], self->c.done);
		ASSERT_EQ(LEN, pread(self->fd, seen, LEN, 0));
		EXPECT_EQ(0, memcmp(self->bytes, seen, LEN))
		TH_LOG("case %zu", i);
	}
	free(seen);
}

TEST_F(file, write_behind_the_end_leaves_a_hole_of_zeros)
{
	unsigned char seen[PAGE];
	struct stat st;

	memset(self->mem, 0xee, PAGE);
	ASSERT_EQ(0, do_write(self, self->fd, LEN + 2 * PAGE, 0, 10));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(LEN + 2 * PAGE + 10, st.st_size);
	ASSERT_EQ(PAGE, pread(self->fd, seen, PAGE, LEN));
	EXPECT_TRUE(bytes_are(seen, PAGE, 0));
}

TEST_F(file, file_position_is_neither_used_nor_moved)
{
	ASSERT_EQ(1234, lseek(self->fd, 1234, SEEK_SET));
	ASSERT_EQ(0, do_read(self, self->fd, 0, 0, 100));
	EXPECT_EQ(0, memcmp(self->bytes, self->mem, 100));
	ASSERT_EQ(0, do_write(self, self->fd, 0, 0, 100));
	EXPECT_EQ(1234, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(file, many_reads_at_once_each_bring_their_own_part)
{
	struct kscope_desc descs[20];
	unsigned int i;

	for (i = 0; i < 20; i++) {
		descs[i] = desc_file(KSCOPE_OP_READ, self->fd,
				     (19 - i) * 2 * PAGE, self->buf,
				     i * 2 * PAGE, 2 * PAGE);
		descs[i].user_data = i;
	}
	ASSERT_EQ(20, spawn(self->scope.fd, descs, 20));
	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, memcmp(self->bytes + (19 - i) * 2 * PAGE,
				    self->mem + i * 2 * PAGE, 2 * PAGE));
	}
}

TEST_F(file, fd_may_be_closed_once_the_child_is_accepted)
{
	struct kscope_desc descs[2];
	int fd = dup(self->fd), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, scope_close(&self->scope));
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_ORDERED, 4));
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	descs[0] = desc_sleep(1, in_ms(30));
	descs[1] = desc_file(KSCOPE_OP_READ, fd, 0, self->buf, 0, LEN);
	ASSERT_EQ(2, spawn(self->scope.fd, descs, 2));
	ASSERT_LE(0, null);
	ASSERT_EQ(fd, dup2(null, fd));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(0, memcmp(self->bytes, self->mem, LEN));
	close(null);
	close(fd);
}

/* The file is let go before the completion comes, not some time after it. */
TEST_F(file, file_system_can_be_unmounted_once_the_child_has_ended)
{
	char dir[PATH_LEN + 8], path[PATH_LEN + 16];
	int fd, i;

	snprintf(dir, sizeof(dir), "%s.mnt", self->path);
	ASSERT_EQ(0, mkdir(dir, 0700));
	snprintf(path, sizeof(path), "%s/file", dir);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mount("none", dir, "tmpfs", 0, NULL));
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ASSERT_LE(0, fd);
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_file(KSCOPE_OP_WRITE, fd, 0,
						 self->buf, 0, LEN),
				       NULL));
		ASSERT_EQ(0, xclose(fd));
		ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
		EXPECT_EQ(0, umount(dir))
		{
			TH_LOG("round %d: %s", i, strerror(errno));
			umount2(dir, MNT_DETACH);
		}
	}
	rmdir(dir);
}

TEST_F(file, fsync_and_fdatasync_of_a_file)
{
	struct kscope_completion *c = &self->c;
	int fd;

	ASSERT_EQ(0, do_write(self, self->fd, 0, 0, LEN));
	ASSERT_EQ(0, run_ok(&self->scope, desc_fsync(self->fd, 0), c));
	EXPECT_EQ(0, c->done);
	ASSERT_EQ(0, run_ok(&self->scope,
			    desc_fsync(self->fd, KSCOPE_FSYNC_DATA), c));
	fd = open(self->path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, run_ok(&self->scope, desc_fsync(fd, 0), c));
	close(fd);
}

TEST_F(file, wrong_access_mode_is_ebadf)
{
	int rd = open(self->path, O_RDONLY | O_CLOEXEC);
	int wr = open(self->path, O_WRONLY | O_CLOEXEC);

	ASSERT_LE(0, rd);
	ASSERT_LE(0, wr);
	EXPECT_EQ(-EBADF, do_write(self, rd, 0, 0, 10));
	EXPECT_EQ(-EBADF, do_read(self, wr, 0, 0, 10));
	EXPECT_EQ(0, do_read(self, rd, 0, 0, 10));
	EXPECT_EQ(0, do_write(self, wr, 0, 0, 10));
	close(rd);
	close(wr);
}

TEST_F(file, offset_beyond_what_a_file_can_have_is_eoverflow)
{
	static const __u64 cases[][2] = {
		{ 1ULL << 63, 1 },
		{ ~0ULL, 1 },
		{ ~0ULL, 0 },
		{ INT64_MAX, 1 },
		{ INT64_MAX - PAGE + 1, PAGE },
	};
	struct kscope_desc desc;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		desc = desc_file(KSCOPE_OP_READ, self->fd, cases[i][0],
				 self->buf, 0, cases[i][1]);
		EXPECT_EQ(-EOVERFLOW, spawn_one(self->scope.fd, desc, NULL))
		TH_LOG("case %zu", i);
		desc.op = KSCOPE_OP_WRITE;
		EXPECT_EQ(-EOVERFLOW, spawn_one(self->scope.fd, desc, NULL))
		TH_LOG("case %zu", i);
	}
	ASSERT_EQ(0, do_read(self, self->fd, INT64_MAX - PAGE, 0, PAGE));
	EXPECT_EQ(0, self->c.done);
}

/* The bytes of @self->fd are those that were put there. */
static bool file_is_as_made(FIXTURE_DATA(file) * self)
{
	unsigned char *seen = malloc(LEN + 1);
	bool same = pread(self->fd, seen, LEN + 1, 0) == LEN &&
		    !memcmp(self->bytes, seen, LEN);

	free(seen);
	return same;
}

TEST_F(file, write_in_append_mode_is_refused_and_the_rest_works)
{
	int fd = open(self->path, O_RDWR | O_APPEND | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, spawn_one(self->scope.fd,
					 desc_file(KSCOPE_OP_WRITE, fd, LEN,
						   self->buf, 0, 100),
					 NULL));
	EXPECT_EQ(0, do_read(self, fd, 0, 0, 100));
	EXPECT_EQ(0, memcmp(self->bytes, self->mem, 100));
	EXPECT_EQ(0, run_ok(&self->scope, desc_fsync(fd, 0), &self->c));
	EXPECT_TRUE(file_is_as_made(self));
	close(fd);
}

TEST_F(file, append_mode_set_after_the_spawn_does_not_move_the_write)
{
	int fd = open(self->path, O_WRONLY | O_CLOEXEC);
	struct kscope_desc descs[2];
	__u64 handles[2];
	char bytes[100];
	struct stat st;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, scope_close(&self->scope));
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_ORDERED, 4));
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	memset(self->mem, 0x5a, LEN);
	descs[0] = desc_sleep(1, far_future());
	descs[1] = desc_file(KSCOPE_OP_WRITE, fd, 0, self->buf, 0, 100);
	ASSERT_EQ(2, spawn_arg(self->scope.fd, descs, handles, 2, 0, 0));
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_APPEND));
	ASSERT_EQ(0, cancel_child(self->scope.fd, handles[0]));
	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(handles[1], self->c.child);
	EXPECT_EQ(0, self->c.status);
	EXPECT_EQ(100, self->c.done);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(LEN, st.st_size);
	ASSERT_EQ(100, pread(self->fd, bytes, 100, 0));
	EXPECT_EQ(0, memcmp(bytes, self->mem, 100));
	close(fd);
}

TEST_F(file, direct_read_lands_in_the_pinned_pages)
{
	int fd = open(self->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0 || !fd_is_on_disk(fd)) {
		close(fd);
		SKIP(return, "no file system with O_DIRECT");
	}
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, do_read(self, fd, 0, 0, LEN));
	EXPECT_EQ(LEN, self->c.done);
	EXPECT_EQ(0, memcmp(self->bytes, self->mem, LEN));
	memset(self->mem, 0x5a, LEN);
	ASSERT_EQ(0, do_read(self, fd, 3 * PAGE, 5 * PAGE, 20 * PAGE));
	EXPECT_EQ(20 * PAGE, self->c.done);
	EXPECT_EQ(0, memcmp(self->bytes + 3 * PAGE, self->mem + 5 * PAGE,
			    20 * PAGE));
	EXPECT_TRUE(bytes_are(self->mem, 5 * PAGE, 0x5a));
	EXPECT_TRUE(bytes_are(self->mem + 25 * PAGE, 15 * PAGE, 0x5a));
	/* An end of file that is not a block: the pages behind it stay as they are. */
	ASSERT_EQ(0, ftruncate(self->fd, 2 * PAGE + 100));
	ASSERT_EQ(0, do_read(self, fd, 0, 0, LEN));
	EXPECT_EQ(2 * PAGE + 100, self->c.done);
	EXPECT_EQ(0, memcmp(self->bytes, self->mem, 2 * PAGE + 100));
	EXPECT_EQ(-EINVAL, do_read(self, fd, 0, 1, 512));
	EXPECT_EQ(KSCOPE_FAILED, self->c.outcome);
	EXPECT_EQ(0, self->c.done);
	EXPECT_EQ(-EINVAL, do_read(self, fd, 1, 0, 512));
	close(fd);
}

TEST_F(file, direct_write_takes_the_pinned_pages)
{
	int fd = open(self->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	unsigned char *seen = malloc(LEN);

	if (fd < 0 || !fd_is_on_disk(fd)) {
		close(fd);
		SKIP(return, "no file system with O_DIRECT");
	}
	bytes_fill(self->mem, LEN, 99);
	memcpy(self->bytes + 2 * PAGE, self->mem + 7 * PAGE, 18 * PAGE);
	ASSERT_EQ(0, do_write(self, fd, 2 * PAGE, 7 * PAGE, 18 * PAGE));
	EXPECT_EQ(18 * PAGE, self->c.done);
	ASSERT_EQ(LEN, pread(self->fd, seen, LEN, 0));
	EXPECT_EQ(0, memcmp(self->bytes, seen, LEN));
	free(seen);
	close(fd);
}

TEST_F(file, write_beyond_the_file_size_limit_is_efbig_without_a_signal)
{
	struct stat st;

	ASSERT_EQ(0, set_limit(RLIMIT_FSIZE, LEN + PAGE));
	EXPECT_EQ(0, do_write(self, self->fd, LEN, 0, PAGE));
	EXPECT_EQ(-EFBIG, do_write(self, self->fd, LEN + PAGE, 0, 1));
	EXPECT_EQ(-EFBIG, do_write(self, self->fd, LEN, 0, PAGE + 1));
	EXPECT_EQ(-EFBIG, do_write(self, self->fd, 2 * LEN, 0, PAGE));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(LEN + PAGE, st.st_size);
}

/* A worker with the kernel's credentials would leave the bit, as root does. */
TEST_F(file, write_by_an_ordinary_user_takes_the_setuid_bit_away)
{
	struct stat st;
	pid_t pid;

	if (!fd_is_on_disk(self->fd))
		SKIP(return, "no disk file system");
	ASSERT_EQ(0, fchmod(self->fd, 04777));
	ASSERT_EQ(0, do_write(self, self->fd, 0, 0, 10));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(04777, st.st_mode & 07777);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (become(NOBODY))
			_exit(1);
		_exit(do_write(self, self->fd, 0, 0, 10) ? 2 : 0);
	}
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(0777, st.st_mode & 07777);
}

TEST_F(file, block_device_can_be_read)
{
	unsigned char want[2 * PAGE];
	char path[PATH_LEN + 4];
	struct stat st;
	int fd;

	fd = open("/dev/vdb",
		  O_RDONLY | O_CLOEXEC); /* nobody's, in the guest */
	if (fd >= 0)
		goto opened;
	ASSERT_EQ(0, fstat(self->fd, &st));
	snprintf(path, sizeof(path), "%s.dev", self->path);
	if (!major(st.st_dev) || mknod(path, S_IFBLK | 0600, st.st_dev))
		SKIP(return, "no block device under the test directory");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
opened:
	if (fd < 0 || pread(fd, want, sizeof(want), PAGE) != sizeof(want)) {
		close(fd);
		SKIP(return, "block device cannot be opened");
	}
	ASSERT_EQ(0, do_read(self, fd, PAGE, 3, sizeof(want)));
	EXPECT_EQ(sizeof(want), self->c.done);
	EXPECT_EQ(0, memcmp(want, self->mem + 3, sizeof(want)));
	EXPECT_EQ(-EBADF, do_write(self, fd, 0, 0, 1));
	close(fd);
}

TEST_F(file, memfd_is_a_regular_file)
{
	int fd = memfd_create("kscope", MFD_CLOEXEC);

	ASSERT_LE(0, fd);
	bytes_fill(self->mem, PAGE, 3);
	ASSERT_EQ(0, do_write(self, fd, 5, 0, PAGE));
	ASSERT_EQ(0, do_read(self, fd, 5, 2 * PAGE, PAGE));
	EXPECT_EQ(0, memcmp(self->mem, self->mem + 2 * PAGE, PAGE));
	EXPECT_EQ(0, do_read(self, fd, 0, 0, 5));
	EXPECT_TRUE(bytes_are(self->mem, 5, 0));
	close(fd);
}

TEST_HARNESS_MAIN
