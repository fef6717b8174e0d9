// SPDX-License-Identifier: GPL-2.0
/*
 * The file of a child that never runs is let go, whatever ended the child: its file system,
 * which nobody else uses, can be unmounted.
 */
#include <signal.h>
#include <sys/mount.h>

#include "kselftest_harness.h"
#include "kscope_sys.h"

#define ID 4711
#define NR 4

FIXTURE(drop)
{
	struct scope scope;
	struct kscope_cancel counts;
	char dir[PATH_LEN];
	__u64 handles[NR];
	unsigned int buf;
	char *mem;
	int fd;
};

FIXTURE_VARIANT(drop)
{
	unsigned int op;
};

FIXTURE_VARIANT_ADD(drop, read){
	.op = KSCOPE_OP_READ,
};

FIXTURE_VARIANT_ADD(drop, write){
	.op = KSCOPE_OP_WRITE,
};

FIXTURE_VARIANT_ADD(drop, fsync){
	.op = KSCOPE_OP_FSYNC,
};

/* A file system of its own, a file on it, and a scope in which nothing gets its turn. */
FIXTURE_SETUP(drop)
{
	struct kscope_desc sleeper = desc_sleep(1, far_future());
	char path[PATH_LEN + 8];

	strcpy(self->dir, "/tmp/kscope-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	ASSERT_EQ(0, mount("none", self->dir, "tmpfs", 0, NULL));
	snprintf(path, sizeof(path), "%s/file", self->dir);
	self->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_LE(0, self->fd);
	self->mem = map_anon(PAGE);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_ORDERED, 16));
	self->buf = buf_pin(self->scope.fd, self->mem, PAGE, 0);
	ASSERT_LT(0, (int)self->buf);
	ASSERT_EQ(1, spawn(self->scope.fd, &sleeper, 1));
}

FIXTURE_TEARDOWN(drop)
{
	if (self->scope.fd >= 0)
		close(self->scope.fd);
	scope_unmap(&self->scope);
	munmap(self->mem, PAGE);
	umount2(self->dir,
		MNT_DETACH); /* there is something to do if a test has failed */
	rmdir(self->dir);
}

/* Children with the file, which they alone hold then. */
static int queue(FIXTURE_DATA(drop) * self, unsigned int op, __u64 *handles)
{
	struct kscope_desc descs[NR];
	unsigned int i;
	int ret;

	for (i = 0; i < NR; i++) {
		descs[i] =
			op == KSCOPE_OP_FSYNC ?
				desc_fsync(self->fd, 0) :
				desc_file(op, self->fd, 0, self->buf, 0, PAGE);
		descs[i].user_data = ID;
	}
	ret = spawn_arg(self->scope.fd, descs, handles, NR, 0, 0);
	close(self->fd);
	return ret;
}

/* A file that is put by a task which is about to end goes a moment later. */
static int unmount(FIXTURE_DATA(drop) * self)
{
	__u64 deadline = in_ms(1000);

	while (umount(self->dir)) {
		if (errno != EBUSY || now_ns() > deadline)
			return -errno;
		usleep(1000);
	}
	return 0;
}

TEST_F(drop, cancel_of_each_child)
{
	unsigned int i;

	ASSERT_EQ(NR, queue(self, variant->op, self->handles));
	EXPECT_EQ(-1, umount(self->dir)); /* they do hold it */
	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, cancel_child(self->scope.fd, self->handles[i]));
	}
	EXPECT_EQ(0, unmount(self));
}

TEST_F(drop, cancel_by_user_data)
{
	ASSERT_EQ(NR, queue(self, variant->op, NULL));
	ASSERT_EQ(0, cancel_arg(self->scope.fd, KSCOPE_CANCEL_USER_DATA, ID,
				&self->counts));
	EXPECT_EQ(NR, self->counts.never_started);
	EXPECT_EQ(0, unmount(self));
}

TEST_F(drop, cancel_of_the_scope)
{
	ASSERT_EQ(NR, queue(self, variant->op, NULL));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(0, unmount(self));
}

TEST_F(drop, close)
{
	ASSERT_EQ(NR, queue(self, variant->op, NULL));
	ASSERT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	EXPECT_EQ(0, unmount(self));
}

TEST_F(drop, death_of_the_owner)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		if (queue(self, variant->op, NULL) == NR)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	close(self->fd);
	ASSERT_EQ(0, xclose(self->scope.fd));
	self->scope.fd = -1;
	EXPECT_EQ(128 + SIGKILL, child_wait(pid));
	EXPECT_EQ(0, unmount(self));
}

/* Reserved, and given up because their handles cannot be told. */
TEST_F(drop, spawn_that_comes_to_nothing)
{
	struct kscope_query q;

	EXPECT_EQ(-EFAULT, queue(self, variant->op, (__u64 *)PAGE));
	EXPECT_EQ(0, unmount(self));
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(1, q.outstanding);
}

TEST_HARNESS_MAIN
