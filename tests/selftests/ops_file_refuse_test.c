// SPDX-License-Identifier: GPL-2.0
/*
 * File operations take regular files and block devices only: a scope never holds a
 * file that could hold the scope, or one whose read could wait for ever.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

FIXTURE(refuse)
{
	struct scope scope;
	void *page;
	unsigned int buf;
	long files;
};

/* Open files of the whole system: what a refusal must not leave behind. */
static long files_open(void)
{
	FILE *file = fopen("/proc/sys/fs/file-nr", "re");
	long nr = -1;

	if (file && fscanf(file, "%ld", &nr) != 1)
		nr = -1;
	if (file)
		fclose(file);
	return nr;
}

FIXTURE_SETUP(refuse)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 4));
	self->page = map_anon(PAGE);
	ASSERT_NE(MAP_FAILED, self->page);
	self->buf = buf_pin(self->scope.fd, self->page, PAGE, 0);
	ASSERT_LT(0, (int)self->buf);
}

FIXTURE_TEARDOWN(refuse)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->page, PAGE);
}

/* Every file operation that @fd's access mode allows says @want. */
static void expect_refused(struct __test_metadata *_metadata,
			   FIXTURE_DATA(refuse) * self, const char *what,
			   int fd, int want)
{
	int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
	int s = self->scope.fd;

	ASSERT_LE(0, fd) TH_LOG("%s", what);
	if (mode != O_WRONLY) {
		EXPECT_EQ(want, spawn_one(s,
					  desc_file(KSCOPE_OP_READ, fd, 0,
						    self->buf, 0, 16),
					  NULL))
		TH_LOG("READ of %s", what);
	}
	if (mode != O_RDONLY) {
		EXPECT_EQ(want, spawn_one(s,
					  desc_file(KSCOPE_OP_WRITE, fd, 0,
						    self->buf, 0, 16),
					  NULL))
		TH_LOG("WRITE of %s", what);
	}
	EXPECT_EQ(want, spawn_one(s, desc_fsync(fd, 0), NULL))
	TH_LOG("FSYNC of %s", what);
}

static void expect_path_refused(struct __test_metadata *_metadata,
				FIXTURE_DATA(refuse) * self, const char *path,
				int flags, int want)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && (errno == ENOENT || errno == EACCES))
		return; /* not on this kernel */
	expect_refused(_metadata, self, path, fd, want);
	close(fd);
}

TEST_F(refuse, fd_that_is_not_open_is_ebadf)
{
	static const int fds[] = { -1, -2, 999, 1 << 20, INT32_MAX, INT32_MIN };
	struct kscope_desc desc;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		EXPECT_EQ(-EBADF, spawn_one(self->scope.fd,
					    desc_fsync(fds[i], 0), NULL));
		desc = desc_file(KSCOPE_OP_READ, fds[i], 0, self->buf, 0, 16);
		EXPECT_EQ(-EBADF, spawn_one(self->scope.fd, desc, NULL));
		desc.op = KSCOPE_OP_WRITE;
		EXPECT_EQ(-EBADF, spawn_one(self->scope.fd, desc, NULL));
	}
}

TEST_F(refuse, o_path_fd_is_ebadf)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	expect_refused(_metadata, self, "O_PATH of /", fd, -EBADF);
	close(fd);
}

TEST_F(refuse, pipes_and_sockets)
{
	int fds[2];

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	expect_refused(_metadata, self, "pipe", fds[0], -EOPNOTSUPP);
	expect_refused(_metadata, self, "pipe", fds[1], -EOPNOTSUPP);
	close(fds[0]);
	close(fds[1]);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	expect_refused(_metadata, self, "socket", fds[0], -EOPNOTSUPP);
	close(fds[0]);
	close(fds[1]);
	fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fds[0] >= 0)
		expect_refused(_metadata, self, "udp", fds[0], -EOPNOTSUPP);
	close(fds[0]);
}

TEST_F(refuse, anonymous_inodes)
{
	sigset_t none;
	int fd;

	sigemptyset(&none);
	fd = eventfd(1, EFD_CLOEXEC);
	expect_refused(_metadata, self, "eventfd", fd, -EOPNOTSUPP);
	close(fd);
	fd = epoll_create1(EPOLL_CLOEXEC);
	expect_refused(_metadata, self, "epoll", fd, -EOPNOTSUPP);
	close(fd);
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	expect_refused(_metadata, self, "timerfd", fd, -EOPNOTSUPP);
	close(fd);
	fd = signalfd(-1, &none, SFD_CLOEXEC);
	expect_refused(_metadata, self, "signalfd", fd, -EOPNOTSUPP);
	close(fd);
	fd = inotify_init1(IN_CLOEXEC);
	if (fd >= 0)
		expect_refused(_metadata, self, "inotify", fd, -EOPNOTSUPP);
	close(fd);
}

TEST_F(refuse, scopes_and_the_device_itself)
{
	struct scope other;
	int dev = dev_open();

	expect_refused(_metadata, self, "own scope", self->scope.fd,
		       -EOPNOTSUPP);
	ASSERT_EQ(0, scope_open(&other, KSCOPE_KIND_ORDERED, 1));
	expect_refused(_metadata, self, "other scope", other.fd, -EOPNOTSUPP);
	ASSERT_EQ(0, scope_close(&other));
	expect_refused(_metadata, self, KSCOPE_DEVICE, dev, -EOPNOTSUPP);
	close(dev);
}

TEST_F(refuse, directories)
{
	expect_path_refused(_metadata, self, "/", O_RDONLY | O_DIRECTORY,
			    -EOPNOTSUPP);
	expect_path_refused(_metadata, self, data_dir(), O_RDONLY | O_DIRECTORY,
			    -EOPNOTSUPP);
	expect_path_refused(_metadata, self, "/proc/self", O_RDONLY,
			    -EOPNOTSUPP);
}

TEST_F(refuse, character_devices)
{
	expect_path_refused(_metadata, self, "/dev/null", O_RDWR, -EOPNOTSUPP);
	expect_path_refused(_metadata, self, "/dev/zero", O_RDWR, -EOPNOTSUPP);
	expect_path_refused(_metadata, self, "/dev/urandom", O_RDONLY,
			    -EOPNOTSUPP);
	expect_path_refused(_metadata, self, "/dev/kmsg", O_RDONLY | O_NONBLOCK,
			    -EOPNOTSUPP);
	expect_path_refused(_metadata, self, "/dev/ptmx", O_RDWR, -EOPNOTSUPP);
}

TEST_F(refuse, files_of_pseudo_file_systems)
{
	static const char *const paths[] = {
		"/proc/self/status",
		"/proc/self/mem",
		"/proc/self/maps",
		"/proc/version",
		"/proc/sys/kernel/hostname",
		"/proc/self/ns/mnt",
		"/sys/kernel/mm/transparent_hugepage/enabled",
		"/sys/kernel/uevent_seqnum",
		"/sys/module/kscope/parameters/max_user_scopes",
		"/sys/kernel/debug/sleep_time",
		"/sys/kernel/tracing/trace_pipe",
		"/sys/fs/cgroup/cgroup.procs",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(paths); i++)
		expect_path_refused(_metadata, self, paths[i],
				    O_RDONLY | O_NONBLOCK, -EOPNOTSUPP);
}

TEST_F(refuse, files_of_a_mounted_cgroup_or_tracing_file_system)
{
	static const char *const types[] = { "cgroup2", "tracefs",
					     "debugfs", "securityfs",
					     "bpf",	"configfs",
					     "mqueue",	"binfmt_misc" };
	static const char *const files[] = {
		"cgroup.procs", "trace_pipe", "sleep_time", "lsm", "", "", "",
		"status"
	};
	char dir[] = "/tmp/kscope-XXXXXX", path[64];
	size_t i;

	if (!mkdtemp(dir))
		SKIP(return, "no directory to mount at");
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (mount("none", dir, types[i], 0, NULL))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		expect_path_refused(_metadata, self, path,
				    O_RDONLY | O_NONBLOCK, -EOPNOTSUPP);
		EXPECT_EQ(0, umount(dir)) TH_LOG("%s", types[i]);
	}
	rmdir(dir);
}

TEST_F(refuse, refusals_leave_no_file_reference_behind)
{
	int fds[2], i;

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	self->files = files_open();
	ASSERT_LE(0, self->files);
	for (i = 0; i < 1000; i++) {
		spawn_one(self->scope.fd, desc_fsync(fds[0], 0), NULL);
		spawn_one(self->scope.fd,
			  desc_file(KSCOPE_OP_READ, fds[0], 0, self->buf, 0,
				    PAGE + 1),
			  NULL);
	}
	/* The end of the reader is seen: nobody else holds it. */
	close(fds[0]);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_EQ(-1, write(fds[1], "x", 1));
	EXPECT_EQ(EPIPE, errno);
	close(fds[1]);
	EXPECT_GT(self->files + 100, files_open());
}

TEST_F(refuse, failed_spawn_after_the_file_was_found_drops_it)
{
	char path[PATH_LEN];
	int fd = file_make(path, PAGE, 1);
	struct kscope_desc nops[4] = {};
	unsigned int i;

	ASSERT_LE(0, fd);
	unlink(path);
	ASSERT_EQ(4, spawn(self->scope.fd, nops, 4));
	ASSERT_EQ(0, join(self->scope.fd));
	self->files = files_open();
	for (i = 0; i < 500; i++) {
		int other = dup(fd);
		int again = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

		EXPECT_EQ(-EAGAIN, spawn_one(self->scope.fd,
					     desc_fsync(again, 0), NULL));
		EXPECT_EQ(-ERANGE, spawn_one(self->scope.fd,
					     desc_file(KSCOPE_OP_READ, again, 0,
						       self->buf, 0, PAGE + 1),
					     NULL));
		close(other);
		close(again);
	}
	EXPECT_GT(self->files + 100, files_open());
	close(fd);
}

TEST_HARNESS_MAIN
