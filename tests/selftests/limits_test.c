// SPDX-License-Identifier: GPL-2.0
/*
 * What an ordinary user may do and how much of it, and that the module stays loaded
 * while anything of it lives.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define PARAMETERS "/sys/module/kscope/parameters/"

/* Set a limit of the module for the length of a test; what it was, or -1. */
static long parameter_set(const char *name, long value)
{
	char path[128];
	long was = -1;
	FILE *file;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	file = fopen(path, "r+e");
	if (!file)
		return -1;
	if (fscanf(file, "%ld", &was) != 1)
		was = -1;
	rewind(file);
	fprintf(file, "%ld", value);
	return fclose(file) ? -1 : was;
}

FIXTURE(limits)
{
	long scopes, children;
};

FIXTURE_SETUP(limits)
{
	self->scopes = parameter_set("max_user_scopes", 10);
	self->children = parameter_set("max_user_children", 1000);
	ASSERT_EQ(4096, self->scopes);
	ASSERT_EQ(1 << 20, self->children);
}

FIXTURE_TEARDOWN(limits)
{
	EXPECT_EQ(10, parameter_set("max_user_scopes", self->scopes));
	EXPECT_EQ(1000, parameter_set("max_user_children", self->children));
}

static int create(unsigned int capacity)
{
	struct kscope_scope_create arg = { .capacity = capacity };

	return scope_create(&arg);
}

/* How many scopes of @capacity there is room for; they are closed again. */
static int room_for(unsigned int capacity)
{
	int fds[100], nr, i, last;

	for (nr = 0; nr < 100; nr++) {
		fds[nr] = create(capacity);
		if (fds[nr] < 0)
			break;
	}
	last = nr < 100 ? fds[nr] : -EDQUOT;
	for (i = 0; i < nr; i++)
		close(fds[i]);
	return last == -EDQUOT ? nr : last;
}

/* Run @check as another user, with its own limits; its exit code is what it returns. */
static int as_user(uid_t uid, int (*check)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(become(uid) ? 99 : check());
	return child_wait(pid);
}

static int scopes_and_children(void)
{
	int i, fd;

	/* More than once: what is closed is given back exactly. */
	for (i = 0; i < 5; i++) {
		if (room_for(1) != 10)
			return 1;
		if (room_for(128) != 7) /* 7 * 128 <= 1000 */
			return 2;
		if (room_for(512) != 1)
			return 3;
		if (room_for(1024) != 0)
			return 4;
	}
	/* A slot count is what the capacity was rounded to. */
	fd = create(300);
	if (fd < 0)
		return 5;
	if (room_for(488) != 0 || room_for(256) != 1)
		return 6;
	close(fd);
	return room_for(1) == 10 ? 0 : 7;
}

TEST_F(limits, ordinary_user_has_so_many_scopes_and_child_slots)
{
	EXPECT_EQ(0, as_user(NOBODY, scopes_and_children));
}

static int create_without_a_free_fd(void)
{
	struct kscope_scope_create arg = { .size = sizeof(arg), .capacity = 1 };
	int dev = dev_open(), ret;

	if (dev < 0 || set_limit(RLIMIT_NOFILE, dev + 10))
		return 1;
	while (dup(dev) >= 0)
		;
	ret = xioctl(dev, KSCOPE_IOC_SCOPE_CREATE, &arg);
	return ret == -EMFILE ? 0 : 2;
}

TEST_F(limits, no_fd_is_free_is_emfile)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(create_without_a_free_fd());
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(limits, info_tells_the_limits)
{
	struct kscope_info info;

	ASSERT_EQ(0, dev_info(&info));
	EXPECT_EQ(10, info.user_scopes);
	EXPECT_EQ(1000, info.user_children);
}

static int ring_that_outlives_its_scope(void)
{
	struct scope scope;

	if (scope_open(&scope, KSCOPE_KIND_PARALLEL, 512) || close(scope.fd))
		return 1;
	if (room_for(512) != 0 || room_for(1) != 9)
		return 2;
	munmap(scope.head, PAGE);
	if (room_for(1) != 9)
		return 3;
	munmap((void *)scope.ring, scope.ring_bytes);
	return room_for(512) == 1 && room_for(1) == 10 ? 0 : 4;
}

TEST_F(limits, mapping_counts_as_its_scope_until_it_is_gone)
{
	EXPECT_EQ(0, as_user(NOBODY, ring_that_outlives_its_scope));
}

static int use_all(void)
{
	return room_for(1) == 10 ? 0 : 1;
}

static int use_all_and_more(void)
{
	return room_for(1) == 100 ? 0 : 1;
}

/* The scopes of a process end soon after it: wait for all of this user's; 0, or 1. */
static int others_have_ended(void)
{
	__u64 deadline = in_ms(PATIENCE_MS);
	int ret;

	do {
		ret = as_user(NOBODY, use_all);
		if (ret)
			usleep(1000);
	} while (ret && now_ns() < deadline);
	return ret;
}

TEST_F(limits, one_user_does_not_take_from_another)
{
	int ready[2], go[2], i;
	pid_t pid;

	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		become(NOBODY);
		for (i = 0; i < 10; i++)
			if (create(1) < 0)
				_exit(1);
		byte_send(ready[1]);
		_exit(byte_recv(go[0]) || create(1) != -EDQUOT);
	}
	ASSERT_EQ(0, byte_recv(ready[0]));
	EXPECT_EQ(1, as_user(NOBODY, use_all));
	EXPECT_EQ(0, as_user(NOBODY - 1, use_all));
	EXPECT_EQ(0, as_user(0, use_all_and_more));
	ASSERT_EQ(0, byte_send(go[1]));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, others_have_ended());
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
}

/* Everything that a program may want, without any privilege. */
static int use_everything(void)
{
	struct kscope_completion c;
	struct scope scope;
	char *mem = map_anon(4 * PAGE);
	int fd, buf, hash;

	if (scope_open(&scope, KSCOPE_KIND_ORDERED, 64))
		return 1;
	buf = buf_pin(scope.fd, mem, 4 * PAGE, 0);
	hash = hash_open(scope.fd, "sha256");
	if (buf <= 0 || hash <= 0)
		return 2;
	if (run_ok(&scope, desc_nop(1), &c) ||
	    run_ok(&scope, desc_sleep(1, in_ms(1)), &c) ||
	    run_ok(&scope, desc_fill(buf, 0, 100, 1), &c) ||
	    run_ok(&scope, desc_two(KSCOPE_OP_COPY, buf, 0, buf, 100, 100),
		   &c) ||
	    run_ok(&scope, desc_crc32c(buf, 0, 100, 0), &c) ||
	    run_ok(&scope,
		   desc_hash(hash, KSCOPE_HASH_ALL, buf, 0, 100, buf, PAGE),
		   &c))
		return 3;
	fd = memfd_create("kscope", MFD_CLOEXEC);
	if (run_ok(&scope, desc_file(KSCOPE_OP_WRITE, fd, 0, buf, 0, 100),
		   &c) ||
	    run_ok(&scope, desc_file(KSCOPE_OP_READ, fd, 0, buf, 0, 100), &c) ||
	    run_ok(&scope, desc_fsync(fd, 0), &c))
		return 4;
	if (cancel_scope(scope.fd) || join(scope.fd) || release(scope.fd))
		return 5;
	return scope_close(&scope) ? 6 : 0;
}

TEST_F(limits, ordinary_user_can_use_everything)
{
	EXPECT_EQ(0, as_user(NOBODY, use_everything));
}

#define SLEEPERS 34

/* All that run of these scopes, or -1. */
static int running_in(const int *fds)
{
	struct kscope_query q;
	int i, nr = 0;

	for (i = 0; i < SLEEPERS; i++) {
		if (query(fds[i], &q))
			return -1;
		nr += q.running;
	}
	return nr;
}

/*
 * More sleepers than any workqueue lets run at a time. They are left running, when as
 * many have started as will.
 */
static int sleep_a_lot(void)
{
	__u64 deadline = in_ms(PATIENCE_MS);
	struct kscope_desc descs[64];
	int fds[SLEEPERS], i, was, is = 0;

	for (i = 0; i < 64; i++)
		descs[i] = desc_sleep(i, far_future());
	for (i = 0; i < SLEEPERS; i++) {
		fds[i] = create(64);
		if (fds[i] < 0 || spawn(fds[i], descs, 64) != 64)
			return 1;
	}
	do {
		was = is;
		usleep(100000);
		is = running_in(fds);
	} while (is >= 0 && is != was && now_ns() < deadline);
	return is < 0;
}

TEST_F(limits, sleepers_of_one_user_do_not_hold_up_another)
{
	int ready[2], go[2], kind;
	struct kscope_completion c;
	struct scope scope;
	__u64 start;
	pid_t pid;

	parameter_set("max_user_scopes", 100);
	parameter_set("max_user_children", 10000);
	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(go[1]);
		if (become(NOBODY) || sleep_a_lot() || byte_send(ready[1]))
			_exit(1);
		byte_recv(go[0]);
		_exit(0);
	}
	EXPECT_EQ(0, byte_recv(ready[0]));
	for (kind = 0; kind <= KSCOPE_KIND_ORDERED; kind++) {
		ASSERT_EQ(0, scope_open(&scope, kind, 4));
		start = now_ns();
		EXPECT_EQ(0, run_ok(&scope, desc_nop(1), &c));
		EXPECT_EQ(0, run_ok(&scope, desc_sleep(1, 0), &c));
		EXPECT_GT(start + promptly(), now_ns()) TH_LOG("kind %d", kind);
		ASSERT_EQ(0, scope_close(&scope));
	}
	close(go[1]);
	EXPECT_EQ(0, child_wait(pid));
	parameter_set("max_user_scopes", 10);
	parameter_set("max_user_children", 1000);
	EXPECT_EQ(0, others_have_ended());
}

#define FREE_FILES 16384

/* FSYNCs of one file that queue up behind a sleeper: how many, or -1 */
static int children_of_a_file(struct scope *scope)
{
	struct kscope_desc descs[256];
	int fd = memfd_create("limits", MFD_CLOEXEC);
	int i, ret, nr = 0;

	descs[0] = desc_sleep(1, far_future());
	if (fd < 0 || spawn(scope->fd, descs, 1) != 1)
		return -1;
	for (i = 0; i < 256; i++)
		descs[i] = desc_fsync(fd, 0);
	do {
		ret = spawn(scope->fd, descs, 256);
		if (ret > 0)
			nr += ret;
	} while (ret > 0 && nr <= FREE_FILES);
	close(fd);
	return ret == -EDQUOT ? nr : -1;
}

static int files(void)
{
	struct rlimit few = { 100, 100 };
	struct scope scope;
	int i;

	if (setrlimit(RLIMIT_NOFILE, &few))
		return 1;
	/* Twice: what is dropped is given back exactly. */
	for (i = 0; i < 2; i++) {
		if (scope_open(&scope, KSCOPE_KIND_ORDERED, 2 * FREE_FILES))
			return 2;
		if (children_of_a_file(&scope) != FREE_FILES)
			return 3;
		if (scope_close(&scope))
			return 4;
	}
	return 0;
}

TEST_F(limits, ordinary_user_has_so_many_children_with_a_file)
{
	parameter_set("max_user_children", 10 * FREE_FILES);
	EXPECT_EQ(0, as_user(NOBODY, files));
	parameter_set("max_user_children", 1000);
}

static int open_device(void)
{
	int fd = open(KSCOPE_DEVICE, O_RDONLY | O_CLOEXEC);
	struct kscope_info info = { .size = sizeof(info) };

	return fd < 0 || xioctl(fd, KSCOPE_IOC_INFO, &info);
}

TEST_F(limits, device_may_be_opened_by_anybody_even_for_reading_only)
{
	EXPECT_EQ(0, as_user(NOBODY, open_device));
	EXPECT_EQ(0, as_user(0, open_device));
}

/* References to the module, or what the attempt to unload it said if that was wrong. */
static long references(void)
{
	long nr = -1;
	FILE *file;

	if (!syscall(SYS_delete_module, "kscope", O_NONBLOCK) ||
	    errno != EWOULDBLOCK)
		return -1000;
	file = fopen("/sys/module/kscope/refcnt", "re");
	if (file && fscanf(file, "%ld", &nr) != 1)
		nr = -1;
	if (file)
		fclose(file);
	return nr;
}

TEST_F(limits, module_stays_while_a_scope_lives)
{
	int dev = dev_open(), fd;
	long others;

	ASSERT_LE(0, dev);
	others = references(); /* with the device open it is safe to try */
	EXPECT_LT(0, others);
	fd = create(8);
	ASSERT_LE(0, fd);
	close(dev);
	EXPECT_LE(others, references());
	ASSERT_EQ(1, spawn_one(fd, desc_sleep(1, far_future()), NULL));
	EXPECT_LE(others, references());
	ASSERT_EQ(0, cancel_scope(fd));
	ASSERT_EQ(0, join(fd));
	ASSERT_EQ(0, release(fd));
	EXPECT_LE(others, references());
	dev = dev_open();
	ASSERT_EQ(0, xclose(fd));
	EXPECT_EQ(others, references());
	close(dev);
}

TEST_F(limits, module_stays_while_a_ring_is_mapped)
{
	int dev = dev_open();
	struct scope scope;
	long others;

	ASSERT_LE(0, dev);
	others = references();
	EXPECT_LT(0, others);
	ASSERT_EQ(0, scope_open(&scope, KSCOPE_KIND_PARALLEL, 8));
	ASSERT_EQ(0, xclose(scope.fd));
	munmap(scope.head, PAGE);
	EXPECT_LT(others, references());
	close(dev);
	EXPECT_LE(others, references());
	EXPECT_EQ(8, scope.ring->entries);
	dev = dev_open();
	munmap((void *)scope.ring, scope.ring_bytes);
	EXPECT_EQ(others, references());
	close(dev);
}

TEST_HARNESS_MAIN
