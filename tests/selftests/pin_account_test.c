// SPDX-License-Identifier: GPL-2.0
/*
 * Pinned pages are counted to the page: by the kernel's own counters, by VmPin, by
 * QUERY and by RLIMIT_MEMLOCK, and every way to give them back gives back all.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define PAGES 16

FIXTURE(account)
{
	struct scope scope;
	char *mem;
	long pins;
};

FIXTURE_SETUP(account)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 8));
	self->mem = map_anon(PAGES * PAGE);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->pins = pins_now();
	ASSERT_LE(0, self->pins);
	ASSERT_EQ(0, vm_pages("VmPin"));
}

FIXTURE_TEARDOWN(account)
{
	if (self->scope.fd >= 0) {
		EXPECT_EQ(0, scope_close(&self->scope));
	}
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(0, vm_pages("VmPin"));
	munmap(self->mem, PAGES * PAGE);
}

static long query_pages(int fd)
{
	struct kscope_query q;

	return query(fd, &q) ? -1 : (long)q.pinned_pages;
}

/* All counters say that @pages are pinned. */
static void expect_pages(struct __test_metadata *_metadata,
			 FIXTURE_DATA(account) * self, long pages)
{
	EXPECT_EQ(self->pins + pages, pins_now());
	EXPECT_EQ(pages, vm_pages("VmPin"));
	EXPECT_EQ(pages, query_pages(self->scope.fd));
}

TEST_F(account, every_page_that_a_range_touches_is_pinned_once)
{
	static const struct {
		unsigned int off, len;
		long pages;
	} cases[] = {
		{ 0, 1, 1 },
		{ 0, PAGE, 1 },
		{ 0, PAGE + 1, 2 },
		{ 1, PAGE, 2 },
		{ PAGE - 1, 1, 1 },
		{ PAGE - 1, 2, 2 },
		{ PAGE - 1, PAGE + 2, 3 },
		{ 100, 3 * PAGE, 4 },
		{ 0, PAGES * PAGE, PAGES },
		{ 4095, PAGES * PAGE - 4095, PAGES },
	};
	unsigned int flags;
	size_t i;
	int buf;

	for (flags = 0; flags <= KSCOPE_PIN_READ_ONLY; flags++) {
		for (i = 0; i < ARRAY_SIZE(cases); i++) {
			buf = buf_pin(self->scope.fd, self->mem + cases[i].off,
				      cases[i].len, flags);
			ASSERT_LT(0, buf);
			expect_pages(_metadata, self, cases[i].pages);
			ASSERT_EQ(0, buf_unpin(self->scope.fd, buf));
			expect_pages(_metadata, self, 0);
		}
	}
}

TEST_F(account, buffers_that_share_pages_are_each_counted_for_themselves)
{
	int a, b, c;

	a = buf_pin(self->scope.fd, self->mem, 4 * PAGE, 0);
	b = buf_pin(self->scope.fd, self->mem + 10, 4 * PAGE, 0);
	c = buf_pin(self->scope.fd, self->mem, 4 * PAGE, KSCOPE_PIN_READ_ONLY);
	ASSERT_LT(0, a);
	ASSERT_LT(0, b);
	ASSERT_LT(0, c);
	expect_pages(_metadata, self, 13);
	ASSERT_EQ(0, buf_unpin(self->scope.fd, b));
	expect_pages(_metadata, self, 8);
	ASSERT_EQ(0, buf_unpin(self->scope.fd, a));
	expect_pages(_metadata, self, 4);
	ASSERT_EQ(0, buf_unpin(self->scope.fd, c));
}

TEST_F(account, release_gives_all_back)
{
	ASSERT_LT(0, buf_pin(self->scope.fd, self->mem, 5 * PAGE, 0));
	ASSERT_LT(0, buf_pin(self->scope.fd, self->mem + 7, PAGE, 0));
	expect_pages(_metadata, self, 7);
	ASSERT_EQ(0, release(self->scope.fd));
	expect_pages(_metadata, self, 0);
}

TEST_F(account, close_gives_all_back_before_it_returns)
{
	ASSERT_LT(0, buf_pin(self->scope.fd, self->mem, 5 * PAGE, 0));
	ASSERT_LT(0, buf_pin(self->scope.fd, self->mem + 7, PAGE, 0));
	expect_pages(_metadata, self, 7);
	ASSERT_EQ(0, xclose(self->scope.fd));
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(0, vm_pages("VmPin"));
	scope_unmap(&self->scope);
	self->scope.fd = -1;
}

TEST_F(account, exit_gives_all_back)
{
	pid_t pid = fork();
	int fd;

	ASSERT_LE(0, pid);
	if (!pid) {
		struct kscope_scope_create arg = { .capacity = 4 };

		fd = scope_create(&arg);
		_exit(fd < 0 || buf_pin(fd, self->mem, 9 * PAGE, 0) <= 0);
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
}

TEST_F(account, pin_that_fails_half_way_gives_all_back)
{
	unsigned int hole;

	for (hole = 0; hole < PAGES; hole++) {
		ASSERT_EQ(0, munmap(self->mem + hole * PAGE, PAGE));
		EXPECT_EQ(-EFAULT,
			  buf_pin(self->scope.fd, self->mem, PAGES * PAGE, 0));
		EXPECT_EQ(-EFAULT,
			  buf_pin(self->scope.fd, self->mem + 1,
				  PAGES * PAGE - 1, KSCOPE_PIN_READ_ONLY));
		expect_pages(_metadata, self, 0);
		ASSERT_EQ(self->mem + hole * PAGE,
			  mmap(self->mem + hole * PAGE, PAGE,
			       PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	}
	ASSERT_LT(0, buf_pin(self->scope.fd, self->mem, PAGES * PAGE, 0));
}

TEST_F(account, large_pin_that_fails_at_its_end_gives_all_back)
{
	size_t len = 3000 * PAGE;
	char *big = map_guarded(len);

	ASSERT_NE(MAP_FAILED, big);
	EXPECT_EQ(-EFAULT, buf_pin(self->scope.fd, big, len + 1, 0));
	expect_pages(_metadata, self, 0);
	ASSERT_LT(0, buf_pin(self->scope.fd, big, len, 0));
	expect_pages(_metadata, self, 3000);
	ASSERT_EQ(0, release(self->scope.fd));
	expect_pages(_metadata, self, 0);
	munmap(big, len);
}

TEST_F(account, no_entry_for_a_buffer_is_enospc_and_a_freed_one_is_reused)
{
	struct kscope_scope_create arg = { .capacity = 1, .max_buffers = 3 };
	int fd = scope_create(&arg);
	int bufs[3], i;

	ASSERT_LE(0, fd);
	for (i = 0; i < 3; i++) {
		bufs[i] = buf_pin(fd, self->mem, PAGE, 0);
		ASSERT_LT(0, bufs[i]);
	}
	EXPECT_EQ(-ENOSPC, buf_pin(fd, self->mem, PAGE, 0));
	EXPECT_EQ(self->pins + 3, pins_now());
	ASSERT_EQ(0, buf_unpin(fd, bufs[1]));
	EXPECT_LT(0, buf_pin(fd, self->mem, PAGE, 0));
	EXPECT_EQ(-ENOSPC, buf_pin(fd, self->mem, PAGE, 0));
	EXPECT_EQ(-ENOENT, buf_unpin(fd, bufs[1]));
	EXPECT_EQ(3, query_pages(fd));
	ASSERT_EQ(0, xclose(fd));
}

TEST_F(account, max_buffers_of_0_means_64)
{
	int i;

	for (i = 0; i < 64; i++) {
		ASSERT_LT(0, buf_pin(self->scope.fd, self->mem, 1, 0));
	}
	EXPECT_EQ(-ENOSPC, buf_pin(self->scope.fd, self->mem, 1, 0));
	expect_pages(_metadata, self, 64);
}

TEST_F(account, values_that_cannot_be_a_buffer)
{
	struct kscope_info info;
	int fd = self->scope.fd;

	ASSERT_EQ(0, dev_info(&info));
	EXPECT_EQ(-EINVAL, buf_pin(fd, self->mem, 0, 0));
	EXPECT_EQ(-EINVAL, buf_pin(fd, NULL, 0, 0));
	EXPECT_EQ(-EINVAL,
		  buf_pin(fd, self->mem, info.max_buffer_bytes + 1, 0));
	EXPECT_EQ(-EINVAL, buf_pin(fd, self->mem, 1ULL << 62, 0));
	EXPECT_EQ(-EINVAL, buf_pin(fd, self->mem, ~0ULL, 0));
	EXPECT_EQ(-EOVERFLOW, buf_pin_at(fd, ~0ULL, 1, 0));
	EXPECT_EQ(-EOVERFLOW, buf_pin_at(fd, ~0ULL - PAGE + 1, PAGE, 0));
	EXPECT_EQ(-EOVERFLOW, buf_pin_at(fd, ~0ULL - 100, 1 << 20, 0));
	EXPECT_EQ(-EINVAL, buf_pin_at(fd, ~0ULL, ~0ULL, 0));
	EXPECT_EQ(-EFAULT, buf_pin(fd, NULL, 1, 0));
	EXPECT_EQ(-EFAULT, buf_pin(fd, NULL, PAGE, KSCOPE_PIN_READ_ONLY));
	expect_pages(_metadata, self, 0);
}

TEST_F(account, addresses_of_the_kernel_are_efault)
{
	static const __u64 addrs[] = { 1ULL << 63,	   0xffff888000000000,
				       0xffffffff81000000, 0xffffffffff600000,
				       0x00007ffffffff000, 0x0000800000000000,
				       0xfffffffffffff000 };
	unsigned int flags;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		for (flags = 0; flags <= KSCOPE_PIN_READ_ONLY; flags++) {
			EXPECT_EQ(-EFAULT, buf_pin_at(self->scope.fd, addrs[i],
						      100, flags))
			TH_LOG("%#llx", addrs[i]);
		}
	}
	expect_pages(_metadata, self, 0);
}

/* As an ordinary user with room for @limit bytes, pin one page after the other. */
static int pages_that_fit(char *mem, rlim_t limit)
{
	struct kscope_scope_create arg = { .capacity = 1 };
	int fd, i;

	fd = set_limit(RLIMIT_MEMLOCK, limit) ?:
		     become(NOBODY)	      ?:
						scope_create(&arg);
	if (fd < 0)
		return 100;
	for (i = 0; i < PAGES; i++) {
		int ret = buf_pin(fd, mem + i * PAGE, PAGE, 0);

		if (ret == -ENOMEM)
			break;
		if (ret <= 0)
			return 101;
	}
	return query_pages(fd) == i && vm_pages("VmPin") == i ? i : 102;
}

TEST_F(account, memlock_limit_counts_whole_pages)
{
	static const struct {
		rlim_t limit;
		int pages;
	} cases[] = { { 0, 0 },
		      { PAGE - 1, 0 },
		      { PAGE, 1 },
		      { PAGE + 1, 1 },
		      { 7 * PAGE - 1, 6 },
		      { 7 * PAGE, 7 },
		      { RLIM_INFINITY, PAGES } };
	size_t i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(pages_that_fit(self->mem, cases[i].limit));
		EXPECT_EQ(cases[i].pages, child_wait(pid))
		TH_LOG("limit %llu", (unsigned long long)cases[i].limit);
		EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	}
}

static int buffer_at_the_limit(char *mem)
{
	struct kscope_scope_create arg = { .capacity = 1 };
	int fd, i, buf;

	fd = set_limit(RLIMIT_MEMLOCK, 8 * PAGE) ?:
		     become(NOBODY)		 ?:
						   scope_create(&arg);
	if (fd < 0)
		return 100;
	for (i = 0; i < 100; i++) {
		if (buf_pin(fd, mem, 9 * PAGE, 0) != -ENOMEM ||
		    buf_pin(fd, mem + 1, 8 * PAGE, 0) != -ENOMEM)
			return 101;
		buf = buf_pin(fd, mem, 8 * PAGE, 0);
		if (buf <= 0)
			return 102;
		if (buf_pin(fd, mem, 1, 0) != -ENOMEM)
			return 103;
		if (buf_unpin(fd, buf))
			return 104;
	}
	/* A failed pin takes nothing from the limit. */
	munmap(mem + 4 * PAGE, PAGE);
	for (i = 0; i < 100; i++)
		if (buf_pin(fd, mem, 8 * PAGE, 0) != -EFAULT)
			return 105;
	return buf_pin(fd, mem + 5 * PAGE, 8 * PAGE, 0) > 0 ? 0 : 106;
}

TEST_F(account, memlock_limit_is_exact_and_given_back_exactly)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(buffer_at_the_limit(self->mem));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
}

TEST_F(account, root_is_not_bound_by_the_memlock_limit)
{
	ASSERT_EQ(0, set_limit(RLIMIT_MEMLOCK, 0));
	EXPECT_LT(0, buf_pin(self->scope.fd, self->mem, PAGES * PAGE, 0));
	expect_pages(_metadata, self, PAGES);
}

/* Pin all that the limit allows as an ordinary user, and send the scope away. */
static int pin_and_send(char *mem, int sock)
{
	struct kscope_scope_create arg = { .capacity = 1 };
	int fd;

	fd = set_limit(RLIMIT_MEMLOCK, 4 * PAGE) ?:
		     become(NOBODY)		 ?:
						   scope_create(&arg);
	if (fd < 0)
		return 100;
	if (buf_pin(fd, mem, 4 * PAGE, 0) <= 0)
		return 101;
	return fd_send(sock, fd) ? 102 : 0;
}

TEST_F(account, charge_stays_with_the_user_who_pinned_whoever_closes)
{
	int socks[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(pin_and_send(self->mem, socks[1]));
	EXPECT_EQ(0, child_wait(pid));
	fd = fd_recv(socks[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(self->pins + 4, pins_now());
	EXPECT_EQ(0, vm_pages("VmPin"));

	/* Its limit is used up although the process is gone. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(pages_that_fit(self->mem, 4 * PAGE));
	EXPECT_EQ(0, child_wait(pid));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(pages_that_fit(self->mem, 5 * PAGE));
	EXPECT_EQ(1, child_wait(pid));
	EXPECT_EQ(self->pins + 4, pins_settle(self->pins + 4, 1000));

	/* Root closes it: the user has its limit back, and root lost nothing. */
	ASSERT_EQ(0, xclose(fd));
	EXPECT_EQ(self->pins, pins_now());
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(pages_that_fit(self->mem, 4 * PAGE));
	EXPECT_EQ(4, child_wait(pid));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
	close(socks[0]);
	close(socks[1]);
}

/* Pin as one user, become another, give back. The first one's limit is whole again. */
static int pin_become_unpin(char *mem)
{
	struct kscope_scope_create arg = { .capacity = 1 };
	int fd, buf;

	fd = set_limit(RLIMIT_MEMLOCK, 4 * PAGE)		 ?:
		     (setresuid(NOBODY, NOBODY, 0) ? -errno : 0) ?:
		     scope_create(&arg);
	if (fd < 0)
		return 100;
	buf = buf_pin(fd, mem, 4 * PAGE, 0);
	if (buf <= 0)
		return 101;
	if (setresuid(0, 0, 0) || setresuid(NOBODY - 1, NOBODY - 1, 0))
		return 102;
	if (buf_unpin(fd, buf))
		return 103;
	if (setresuid(0, 0, 0) || setresuid(NOBODY, NOBODY, 0))
		return 104;
	if (buf_pin(fd, mem, 4 * PAGE, 0) <= 0)
		return 105;
	return vm_pages("VmPin") == 4 ? 0 : 106;
}

TEST_F(account, unpin_after_a_change_of_user_credits_the_one_who_pinned)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(pin_become_unpin(self->mem));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(self->pins, pins_settle(self->pins, 1000));
}

TEST_HARNESS_MAIN
