// SPDX-License-Identifier: GPL-2.0
/*
 * RELEASE and BUF_UNPIN are refused while a child is outstanding, say who is in the way,
 * and are allowed the moment it is not. QUERY and fdinfo tell the same story.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define LEN (4 * PAGE)

FIXTURE(release)
{
	struct scope scope;
	char *mem;
	unsigned int bufs[2];
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr;
	struct kscope_query q;
	struct kscope_completion c;
};

FIXTURE_VARIANT(release)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(release, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(release, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_SETUP(release)
{
	int i;

	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, 128));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i < 2; i++) {
		self->bufs[i] = buf_pin(self->scope.fd, self->mem, LEN, 0);
		ASSERT_LT(0, (int)self->bufs[i]);
	}
	memset(self->blockers, 0xA5, sizeof(self->blockers));
}

FIXTURE_TEARDOWN(release)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
}

static int do_release(FIXTURE_DATA(release) * self, unsigned int nr)
{
	self->nr = nr;
	return release_blockers(self->scope.fd, self->blockers, &self->nr);
}

static int do_unpin(FIXTURE_DATA(release) * self, unsigned int buf,
		    unsigned int nr)
{
	self->nr = nr;
	return buf_unpin_blockers(self->scope.fd, buf, self->blockers,
				  &self->nr);
}

/* Keep all that could run busy, so that what comes behind stays queued; how many. */
static int occupy(FIXTURE_DATA(release) * self, unsigned int kind)
{
	struct kscope_info info;
	unsigned int nr = 1, i;

	if (dev_info(&info))
		return -1;
	if (kind == KSCOPE_KIND_PARALLEL)
		nr = info.max_blocking;
	for (i = 0; i < nr; i++)
		if (spawn_one(self->scope.fd, desc_sleep(1000, far_future()),
			      NULL) != 1)
			return -1;
	return wait_running(self->scope.fd, nr) ? -1 : (int)nr;
}

TEST_F(release, scope_without_children_is_released_at_once)
{
	EXPECT_EQ(0, do_release(self, 8));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_RELEASED, self->q.state);
	EXPECT_EQ(0, self->q.nr_buffers);
	EXPECT_EQ(0, self->q.pinned_pages);
	EXPECT_EQ(0, vm_pages("VmPin"));
	EXPECT_EQ(-ESHUTDOWN, do_release(self, 8));
	EXPECT_EQ(-ESHUTDOWN, cancel_scope(self->scope.fd));
}

TEST_F(release, running_child_refuses_it_and_is_named)
{
	__u64 handle, before = now_ns(), age;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(4711, far_future()),
			       &handle));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	EXPECT_EQ(-EBUSY, do_release(self, 8));
	ASSERT_EQ(1, self->nr);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(4711, self->blockers[0].user_data);
	EXPECT_EQ(KSCOPE_OP_SLEEP, self->blockers[0].op);
	EXPECT_EQ(KSCOPE_STATE_RUNNING, self->blockers[0].state);
	EXPECT_EQ(0, self->blockers[0].buf);
	EXPECT_EQ(0, self->blockers[0].off);
	EXPECT_EQ(0, self->blockers[0].len);
	age = self->blockers[0].age_ns;
	EXPECT_GE(now_ns() - before, age);
	EXPECT_EQ(0xA5A5A5A5A5A5A5A5ULL, self->blockers[1].child);
	/* Time passes. */
	usleep(2000);
	EXPECT_EQ(-EBUSY, do_release(self, 8));
	EXPECT_LE(age + 2 * MSEC, self->blockers[0].age_ns);
	EXPECT_GE(now_ns() - before, self->blockers[0].age_ns);

	/* Nothing has changed, and the moment the child is gone it is allowed. */
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
	EXPECT_EQ(2, self->q.nr_buffers);
	ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(0, do_release(self, 8));
}

TEST_F(release, queued_child_that_borrows_a_buffer_is_named_with_its_range)
{
	struct kscope_desc desc;
	char path[PATH_LEN];
	__u64 handle;
	int fd = file_make(path, PAGE, 1), nr;

	ASSERT_LE(0, fd);
	unlink(path);
	nr = occupy(self, variant->kind);
	ASSERT_LT(0, nr);
	desc = desc_file(KSCOPE_OP_WRITE, fd, 0, self->bufs[0], 100, 200);
	desc.user_data = 4711;
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &handle));
	EXPECT_EQ(-EBUSY, do_unpin(self, self->bufs[0], 8));
	ASSERT_EQ(1, self->nr);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(4711, self->blockers[0].user_data);
	EXPECT_EQ(KSCOPE_OP_WRITE, self->blockers[0].op);
	EXPECT_EQ(KSCOPE_STATE_QUEUED, self->blockers[0].state);
	EXPECT_EQ(self->bufs[0], self->blockers[0].buf);
	EXPECT_EQ(100, self->blockers[0].off);
	EXPECT_EQ(200, self->blockers[0].len);
	/* The other buffer, of the same pages, is nobody's. */
	EXPECT_EQ(0, do_unpin(self, self->bufs[1], 8));
	EXPECT_EQ(LEN / PAGE, vm_pages("VmPin"));

	ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
	EXPECT_EQ(0, do_unpin(self, self->bufs[0], 8));
	EXPECT_EQ(-ENOENT, do_unpin(self, self->bufs[0], 8));
	EXPECT_EQ(0, vm_pages("VmPin"));
	close(fd);
}

TEST_F(release, second_buffer_of_a_child_is_borrowed_as_well)
{
	struct kscope_desc desc;
	__u64 handle;

	if (variant->kind != KSCOPE_KIND_ORDERED)
		return; /* only there can a quick child be held in the queue */
	ASSERT_LT(0, occupy(self, variant->kind));
	desc = desc_two(KSCOPE_OP_COPY, self->bufs[0], 0, self->bufs[1], PAGE,
			10);
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &handle));
	EXPECT_EQ(-EBUSY, do_unpin(self, self->bufs[1], 8));
	ASSERT_EQ(1, self->nr);
	EXPECT_EQ(handle, self->blockers[0].child);
	EXPECT_EQ(self->bufs[0], self->blockers[0].buf);
	EXPECT_EQ(-EBUSY, do_unpin(self, self->bufs[0], 8));
	ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
	EXPECT_EQ(0, do_unpin(self, self->bufs[1], 8));
	EXPECT_EQ(0, do_unpin(self, self->bufs[0], 8));
}

TEST_F(release, buffer_is_busy_until_its_last_child_has_ended)
{
	__u64 handles[3];
	int i;

	if (variant->kind != KSCOPE_KIND_ORDERED)
		return;
	ASSERT_LT(0, occupy(self, variant->kind));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_fill(self->bufs[0], 0, 1, 0),
				       &handles[i]));
	}
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EBUSY, do_unpin(self, self->bufs[0], 8));
		EXPECT_EQ(3 - i, self->nr);
		EXPECT_EQ(handles[i], self->blockers[0].child);
		ASSERT_EQ(0, cancel_child(self->scope.fd, handles[i]));
	}
	EXPECT_EQ(0, do_unpin(self, self->bufs[0], 8));
}

TEST_F(release, at_most_as_many_blockers_as_there_is_room_for_are_named)
{
	static const unsigned int rooms[] = { 0, 1, 7, 8 };
	int nr = occupy(self, variant->kind), i;
	size_t r, b;

	ASSERT_LT(0, nr);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(i, far_future()), NULL));
	}
	for (r = 0; r < ARRAY_SIZE(rooms); r++) {
		memset(self->blockers, 0xA5, sizeof(self->blockers));
		EXPECT_EQ(-EBUSY, do_release(self, rooms[r]));
		EXPECT_EQ(rooms[r], self->nr);
		for (b = 0; b < 8; b++) {
			if (b < rooms[r]) {
				EXPECT_NE(0xA5A5A5A5A5A5A5A5ULL,
					  self->blockers[b].child);
			} else {
				EXPECT_EQ(0xA5A5A5A5A5A5A5A5ULL,
					  self->blockers[b].child);
			}
		}
	}
	/* Those that run come first. */
	EXPECT_EQ(KSCOPE_STATE_RUNNING, self->blockers[0].state);
}

TEST_F(release, blockers_at_a_bad_address_are_efault_and_nothing_happened)
{
	struct kscope_release arg = { .size = sizeof(arg),
				      .nr_blockers = 8,
				      .blockers = 8 };
	__u64 handle;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(1, far_future()),
			       &handle));
	EXPECT_EQ(-EFAULT, xioctl(self->scope.fd, KSCOPE_IOC_RELEASE, &arg));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
	EXPECT_EQ(1, self->q.outstanding);
	ASSERT_EQ(0, cancel_child(self->scope.fd, handle));
	ASSERT_EQ(0, join(self->scope.fd));
	/* With nobody to name the address does not matter. */
	EXPECT_EQ(0, xioctl(self->scope.fd, KSCOPE_IOC_RELEASE, &arg));
}

TEST_F(release, unread_completions_can_still_be_read)
{
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_nop(1), NULL));
	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_EQ(0, do_release(self, 8));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(1, self->q.unread);
	ASSERT_TRUE(reap(&self->scope, &self->c));
	EXPECT_EQ(1, self->c.user_data);
}

TEST_F(release, query_counts_what_there_is)
{
	struct kscope_desc desc = desc_nop(1);
	int nr, i;

	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(sizeof(self->q), self->q.size);
	EXPECT_EQ(variant->kind, self->q.kind);
	EXPECT_EQ(KSCOPE_POLICY_COLLECT, self->q.policy);
	EXPECT_EQ(KSCOPE_SCOPE_OPEN, self->q.state);
	EXPECT_EQ(128, self->q.capacity);
	EXPECT_EQ(0, self->q.outstanding);
	EXPECT_EQ(2, self->q.nr_buffers);
	EXPECT_EQ(2 * LEN / PAGE, self->q.pinned_pages);
	EXPECT_EQ(0, self->q.nr_hashes);
	EXPECT_EQ(0, self->q.spawned);

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd, desc, NULL));
	}
	ASSERT_EQ(0, join(self->scope.fd));
	nr = occupy(self, variant->kind);
	ASSERT_LT(0, nr);
	for (i = 0; i < 7; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd,
				       desc_sleep(2, far_future()), NULL));
	}
	ASSERT_TRUE(reap(&self->scope, &self->c));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(nr + 7, self->q.outstanding);
	EXPECT_EQ(nr, self->q.running);
	EXPECT_EQ(7, self->q.queued);
	EXPECT_EQ(4, self->q.unread);
	EXPECT_EQ(nr + 12, self->q.spawned);
	EXPECT_EQ(5, self->q.completed);
	EXPECT_EQ(0, self->q.failed);
	EXPECT_EQ(0, self->q.cancelled);
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	ASSERT_EQ(0, join(self->scope.fd));
	ASSERT_EQ(0, query(self->scope.fd, &self->q));
	EXPECT_EQ(0, self->q.outstanding);
	EXPECT_EQ(nr + 12, self->q.completed);
	EXPECT_EQ(nr + 7, self->q.cancelled);
}

TEST_F(release, fdinfo_can_be_read_and_agrees_with_query)
{
	char path[64], text[4096] = {};
	ssize_t len;
	size_t i;
	int fd;

	ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(0xbeef, far_future()),
			       NULL));
	ASSERT_EQ(0, wait_running(self->scope.fd, 1));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->scope.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	ASSERT_LT(0, len);
	for (i = 0; i < (size_t)len; i++) {
		EXPECT_TRUE(text[i] == '\n' || text[i] == '\t' ||
			    (text[i] >= ' ' && text[i] <= '~'));
	}
	EXPECT_EQ(128, file_value(path, "capacity"));
	EXPECT_EQ(1, file_value(path, "outstanding"));
	EXPECT_EQ(1, file_value(path, "running"));
	EXPECT_EQ(0, file_value(path, "unread"));
	EXPECT_EQ(1, file_value(path, "spawned"));
	EXPECT_EQ(2 * LEN / PAGE, file_value(path, "pinned_pages"));
	EXPECT_NE(NULL, strstr(text, "0xbeef"));
	/* No address of the kernel is in there. */
	EXPECT_EQ(NULL, strstr(text, "ffff8"));
	EXPECT_EQ(NULL, strstr(text, "ffffff"));
}

FIXTURE(ordered)
{
	struct scope scope;
	unsigned char *mem;
	unsigned int buf;
	struct kscope_completion c;
};

FIXTURE_SETUP(ordered)
{
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_ORDERED, 512));
	self->mem = map_anon(256 * PAGE);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->buf = buf_pin(self->scope.fd, self->mem, 256 * PAGE, 0);
	ASSERT_LT(0, (int)self->buf);
}

FIXTURE_TEARDOWN(ordered)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, 256 * PAGE);
}

TEST_F(ordered, completions_come_in_the_order_of_spawning)
{
	struct kscope_desc descs[500];
	unsigned int i;

	for (i = 0; i < 500; i++) {
		descs[i] =
			i % 3 == 0 ? desc_nop(0) :
			i % 3 == 1 ? desc_sleep(0, now_ns() + i % 7 * 100000) :
				     desc_fill(self->buf, 0, i * 100, i);
		descs[i].user_data = i;
	}
	ASSERT_EQ(500, spawn(self->scope.fd, descs, 500));
	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < 500; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		EXPECT_EQ(i, self->c.user_data);
		EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	}
}

/* Each XOR sees what the FILL before it wrote: any overlap in time would show. */
TEST_F(ordered, each_child_sees_what_those_before_it_did)
{
	struct kscope_desc descs[300];
	unsigned int i;

	for (i = 0; i < 300; i++)
		descs[i] = i % 2 ? desc_two(KSCOPE_OP_XOR, self->buf, 0,
					    self->buf, 128 * PAGE, 128 * PAGE) :
				   desc_fill(self->buf, 0, 128 * PAGE,
					     0x0101010101010101ULL * (i / 2));
	for (i = 0; i < 300; i += 50) {
		ASSERT_EQ(50, spawn(self->scope.fd, descs + i, 50));
		ASSERT_EQ(0, join(self->scope.fd));
	}
	/* 0 ^ 1 ^ 2 ^ ... ^ 149 */
	EXPECT_TRUE(bytes_are(self->mem + 128 * PAGE, 128 * PAGE, 1));
}

TEST_F(ordered, one_child_runs_at_a_time)
{
	struct kscope_query q;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, spawn_one(self->scope.fd, desc_sleep(i, in_ms(5)),
				       NULL));
	}
	do {
		ASSERT_EQ(0, query(self->scope.fd, &q));
		EXPECT_GE(1, q.running);
	} while (q.outstanding);
}

TEST_HARNESS_MAIN
