// SPDX-License-Identifier: GPL-2.0
/*
 * SPAWN of many: the partial-accept rule, the array of handles, pointers that lead
 * nowhere; and handles of children and buffers that have become stale.
 */
#include "kselftest_harness.h"
#include "race_hooks.h"

#define CAPACITY 256
#define NR 100

FIXTURE(spawn)
{
	struct scope scope;
	struct kscope_desc descs[NR];
	__u64 handles[NR + 1];
	struct kscope_completion c;
};

FIXTURE_SETUP(spawn)
{
	unsigned int i;

	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, CAPACITY));
	for (i = 0; i < NR; i++)
		self->descs[i] = desc_nop(i);
	memset(self->handles, 0xA5, sizeof(self->handles));
}

FIXTURE_TEARDOWN(spawn)
{
	EXPECT_EQ(0, scope_close(&self->scope));
}

static int spawn_nr(FIXTURE_DATA(spawn) * self, unsigned int nr)
{
	return spawn_arg(self->scope.fd, self->descs, self->handles, nr, 0, 0);
}

/*
 * Exactly the first @nr children exist and end, each once, with the handle that the
 * array says, and the rest of the array is as it was.
 */
static void expect_accepted(struct __test_metadata *_metadata,
			    FIXTURE_DATA(spawn) * self, unsigned int nr)
{
	unsigned char seen[NR] = {};
	struct kscope_query q;
	unsigned int i;

	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(nr, ring_unread(&self->scope));
	EXPECT_EQ(0, q.outstanding);
	EXPECT_EQ(q.spawned, q.completed);
	for (i = 0; i < nr; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		ASSERT_GT(nr, self->c.user_data);
		EXPECT_EQ(0, seen[self->c.user_data]++);
		EXPECT_EQ(self->handles[self->c.user_data], self->c.child);
	}
	for (i = nr; i <= NR; i++) {
		EXPECT_EQ(0xA5A5A5A5A5A5A5A5ULL, self->handles[i])
		TH_LOG("handle %u", i);
	}
}

TEST_F(spawn, all_are_accepted_and_have_different_handles)
{
	unsigned int i, j;

	ASSERT_EQ(NR, spawn_nr(self, NR));
	for (i = 0; i < NR; i++) {
		EXPECT_NE(0, self->handles[i]);
		for (j = 0; j < i; j++) {
			EXPECT_NE(self->handles[j], self->handles[i]);
		}
	}
	expect_accepted(_metadata, self, NR);
}

TEST_F(spawn, none_is_not_an_error)
{
	EXPECT_EQ(0, spawn_nr(self, 0));
	EXPECT_EQ(0, spawn_arg(self->scope.fd, NULL, NULL, 0, 0, 0));
	EXPECT_EQ(0, spawn_arg(self->scope.fd, (void *)8, (void *)8, 0, 0, 0));
	expect_accepted(_metadata, self, 0);
}

TEST_F(spawn, stops_at_the_first_that_is_refused)
{
	unsigned int k;

	for (k = 1; k < NR; k++) {
		self->descs[k].flags = 1U << 15;
		EXPECT_EQ(k, spawn_nr(self, NR));
		expect_accepted(_metadata, self, k);
		self->descs[k].flags = 0;
		memset(self->handles, 0xA5, sizeof(self->handles));
	}
}

TEST_F(spawn, first_that_is_refused_gives_its_errno_and_nothing_happens)
{
	self->descs[0].op = 77;
	self->descs[1].flags = 1U << 15;
	EXPECT_EQ(-EINVAL, spawn_nr(self, NR));
	self->descs[0] = desc_fill(12345, 0, 1, 0);
	EXPECT_EQ(-ENOENT, spawn_nr(self, NR));
	self->descs[0] = desc_fill(12345, ~0ULL, 1, 0);
	EXPECT_EQ(-EOVERFLOW, spawn_nr(self, NR));
	self->descs[0] = desc_fsync(-1, 0);
	EXPECT_EQ(-EBADF, spawn_nr(self, NR));
	expect_accepted(_metadata, self, 0);
}

TEST_F(spawn, first_that_is_refused_does_not_wait)
{
	__u64 before;

	ASSERT_EQ(1,
		  spawn_one(self->scope.fd, desc_sleep(0, in_ms(3000)), NULL));
	before = now_ns();
	EXPECT_EQ(-ENOENT, spawn_arg(self->scope.fd,
				     (struct kscope_desc[]){
					     desc_crc32c(12345, 0, 1, 0) },
				     NULL, 1, 1, 0));
	EXPECT_GT(2000 * MSEC, now_ns() - before);
	EXPECT_EQ(0, ring_unread(&self->scope));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
}

TEST_F(spawn, refused_child_leaves_no_lease_and_no_slot)
{
	char *page = map_anon(PAGE);
	unsigned int i;
	int buf;

	ASSERT_NE(MAP_FAILED, page);
	buf = buf_pin(self->scope.fd, page, PAGE, 0);
	ASSERT_LT(0, buf);
	/* Far more often than there are slots. */
	for (i = 0; i < 2 * CAPACITY; i++) {
		self->descs[0] = desc_two(KSCOPE_OP_COPY, buf, 0, buf, 1, 2);
		EXPECT_EQ(-EINVAL, spawn_nr(self, NR));
		self->descs[0] = desc_two(KSCOPE_OP_COPY, buf, 0, 9999, 1, 2);
		EXPECT_EQ(-ENOENT, spawn_nr(self, NR));
	}
	EXPECT_EQ(0, buf_unpin(self->scope.fd, buf));
	self->descs[0] = desc_nop(0);
	EXPECT_EQ(NR, spawn_nr(self, NR));
	expect_accepted(_metadata, self, NR);
	munmap(page, PAGE);
}

TEST_F(spawn, number_that_no_scope_can_hold_is_einval)
{
	struct kscope_info info;

	ASSERT_EQ(0, dev_info(&info));
	EXPECT_EQ(-EINVAL, spawn_nr(self, info.max_capacity + 1));
	EXPECT_EQ(-EINVAL, spawn_nr(self, 0x80000000));
	EXPECT_EQ(-EINVAL, spawn_nr(self, 0xffffffff));
	expect_accepted(_metadata, self, 0);
}

TEST_F(spawn, more_than_fit_are_accepted_up_to_the_last_slot)
{
	struct kscope_desc *descs = calloc(4 * CAPACITY, sizeof(*descs));

	ASSERT_NE(NULL, descs);
	EXPECT_EQ(CAPACITY, spawn(self->scope.fd, descs, 4 * CAPACITY));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_EQ(CAPACITY, ring_unread(&self->scope));
	free(descs);
}

TEST_F(spawn, children_that_block_all_do_so_at_a_time)
{
	struct kscope_info info;
	unsigned int i;

	ASSERT_EQ(0, dev_info(&info));
	ASSERT_GE(NR, info.max_blocking);
	for (i = 0; i < info.max_blocking; i++)
		self->descs[i] = desc_sleep(i, far_future());
	ASSERT_EQ(info.max_blocking, spawn_nr(self, info.max_blocking));
	EXPECT_EQ(0, wait_running(self->scope.fd, info.max_blocking));
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
}

TEST_F(spawn, descriptors_at_a_bad_address_are_efault)
{
	static const __u64 addrs[] = { 0,     8,	  0xffff888000000000,
				       ~0ULL, 1ULL << 63, ~0ULL - 63 };
	struct kscope_spawn arg = { .size = sizeof(arg), .nr = 3 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		arg.descs = addrs[i];
		EXPECT_EQ(-EFAULT,
			  xioctl(self->scope.fd, KSCOPE_IOC_SPAWN, &arg))
		TH_LOG("%#llx", addrs[i]);
	}
	expect_accepted(_metadata, self, 0);
}

TEST_F(spawn, descriptors_that_run_into_a_hole_are_accepted_up_to_it)
{
	struct kscope_desc *end = map_guarded(PAGE);
	unsigned int there;
	int ret;

	ASSERT_NE(MAP_FAILED, end);
	end = (void *)((char *)end + PAGE);
	for (there = 0; there <= 40; there++) {
		memcpy(end - there, self->descs, there * sizeof(*end));
		ret = spawn_arg(self->scope.fd, end - there, self->handles,
				there + 1, 0, 0);
		EXPECT_EQ(there ? (int)there : -EFAULT, ret);
		expect_accepted(_metadata, self, there);
		memset(self->handles, 0xA5, sizeof(self->handles));
	}
	EXPECT_EQ(40, spawn(self->scope.fd, end - 40, 40));
}

TEST_F(spawn, handles_at_a_bad_address_are_efault_and_no_child_exists)
{
	__u64 *read_only = map_anon(PAGE);
	__u64 *const wild[] = { (void *)8, (void *)-PAGE, (void *)-8L,
				read_only };
	size_t i;

	ASSERT_NE(MAP_FAILED, read_only);
	ASSERT_EQ(0, mprotect(read_only, PAGE, PROT_READ));
	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		EXPECT_EQ(-EFAULT, spawn_arg(self->scope.fd, self->descs,
					     wild[i], 3, 0, 0))
		TH_LOG("%p", wild[i]);
		EXPECT_EQ(-EFAULT, spawn_arg(self->scope.fd, self->descs,
					     wild[i], NR, 0, 0));
	}
	expect_accepted(_metadata, self, 0);
	/* The slots are free again, all of them. */
	ASSERT_EQ(NR, spawn_nr(self, NR));
	expect_accepted(_metadata, self, NR);
	munmap(read_only, PAGE);
}

TEST_F(spawn, handles_that_run_into_a_hole_belong_to_children_that_exist)
{
	__u64 *end = map_guarded(PAGE);
	unsigned int there;
	int ret;

	ASSERT_NE(MAP_FAILED, end);
	end += PAGE / sizeof(*end);
	for (there = 1; there < 40; there++) {
		ret = spawn_arg(self->scope.fd, self->descs, end - there, 40, 0,
				0);
		if (ret < 0) {
			EXPECT_EQ(-EFAULT, ret);
		} else {
			EXPECT_GE(there, ret);
		}
		if (ret > 0)
			memcpy(self->handles, end - there, ret * sizeof(*end));
		expect_accepted(_metadata, self, ret < 0 ? 0 : ret);
		memset(self->handles, 0xA5, sizeof(self->handles));
	}
}

TEST_F(spawn, descriptors_may_change_once_they_are_accepted)
{
	struct kscope_desc desc = desc_sleep(7, far_future());
	__u64 handle;

	ASSERT_EQ(1, spawn_arg(self->scope.fd, &desc, &handle, 1, 0, 0));
	memset(&desc, 0xff, sizeof(desc));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(7, self->c.user_data);
}

TEST_F(spawn, handle_of_a_child_is_stale_for_good_once_it_has_ended)
{
	struct scope one;
	__u64 handles[300], h;
	unsigned int i, j;

	/* One slot: each child comes into the same place. */
	ASSERT_EQ(0, scope_open(&one, KSCOPE_KIND_PARALLEL, 1));
	for (i = 0; i < ARRAY_SIZE(handles); i++) {
		ASSERT_EQ(1, spawn_one(one.fd, desc_nop(i), &handles[i]));
		ASSERT_EQ(0, reap_wait(&one, &self->c));
		for (j = 0; j < i; j++) {
			ASSERT_NE(handles[j], handles[i]);
		}
	}
	ASSERT_EQ(1, spawn_one(one.fd, desc_sleep(1, far_future()), &h));
	for (i = 0; i < ARRAY_SIZE(handles); i++) {
		EXPECT_EQ(-ENOENT, cancel_child(one.fd, handles[i]));
	}
	EXPECT_EQ(0, ring_unread(&one));
	EXPECT_EQ(0, cancel_child(one.fd, h));
	EXPECT_EQ(0, scope_close(&one));
}

TEST_F(spawn, handle_of_a_buffer_is_stale_for_good_once_it_is_unpinned)
{
	struct kscope_scope_create arg = { .capacity = 2, .max_buffers = 1 };
	char *page = map_anon(PAGE);
	int bufs[300], fd;
	unsigned int i, j;

	ASSERT_NE(MAP_FAILED, page);
	fd = scope_create(&arg);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(bufs); i++) {
		bufs[i] = buf_pin(fd, page, PAGE, 0);
		ASSERT_LT(0, bufs[i]);
		for (j = 0; j < i; j++) {
			ASSERT_NE(bufs[j], bufs[i]);
		}
		if (i < ARRAY_SIZE(bufs) - 1) {
			ASSERT_EQ(0, buf_unpin(fd, bufs[i]));
		}
	}
	for (i = 0; i < ARRAY_SIZE(bufs) - 1; i++) {
		EXPECT_EQ(-ENOENT, buf_unpin(fd, bufs[i]));
		EXPECT_EQ(-ENOENT,
			  spawn_one(fd, desc_fill(bufs[i], 0, 1, 0), NULL));
	}
	EXPECT_EQ(1, spawn_one(fd, desc_fill(bufs[i], 0, 1, 0), NULL));
	ASSERT_EQ(0, join(fd));
	ASSERT_EQ(0, xclose(fd));
	munmap(page, PAGE);
}

TEST_F(spawn, handles_of_another_scope_mean_nothing_here)
{
	struct scope other;
	char *page = map_anon(PAGE);
	__u64 theirs;
	int buf;

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, scope_open(&other, KSCOPE_KIND_PARALLEL, 4));
	buf = buf_pin(other.fd, page, PAGE, 0);
	ASSERT_LT(0, buf);
	ASSERT_EQ(1, spawn_one(other.fd, desc_sleep(1, far_future()), &theirs));
	EXPECT_EQ(-ENOENT,
		  spawn_one(self->scope.fd, desc_fill(buf, 0, 1, 0), NULL));
	EXPECT_EQ(-ENOENT, buf_unpin(self->scope.fd, buf));
	EXPECT_EQ(-ENOENT, cancel_child(self->scope.fd, theirs));
	EXPECT_EQ(0, scope_close(&other));
	munmap(page, PAGE);
}

/* Who has an errno of leases for reasons of its own is in nobody's way. */
TEST_F(spawn, busy_op_names_no_blockers)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	struct kscope_desc desc;
	unsigned int nr = KSCOPE_MAX_BLOCKERS, i;
	char *mem = map_anon(PAGE);
	int op = gate_op(), buf;

	if (op < 0)
		SKIP(return, "kscope_gate is not loaded");
	buf = buf_pin(self->scope.fd, mem, PAGE, 0);
	ASSERT_LT(0, buf);
	memset(blockers, 0x5a, sizeof(blockers));
	desc = desc_gate(op, GATE_REFUSES, buf);
	EXPECT_EQ(-EBUSY, spawn_blockers(self->scope.fd, desc, blockers, &nr));
	EXPECT_EQ(0, nr);
	for (i = 0; i < sizeof(blockers); i++)
		ASSERT_EQ(0x5a, ((unsigned char *)blockers)[i]);
	munmap(mem, PAGE);
}

TEST_HARNESS_MAIN
