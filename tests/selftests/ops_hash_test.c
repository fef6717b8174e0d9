// SPDX-License-Identifier: GPL-2.0
/*
 * HASH against the vectors of FIPS 180, RFC 1321 and RFC 3720, in one shot and as a
 * running digest over several children, and what breaks the latter.
 */
#include "kselftest_harness.h"
#include "race_hooks.h"

#define LEN (256 * 1024)
#define OUT (LEN - 64) /* where the digests go */

struct algorithm {
	const char *name;
	unsigned int digest_size;
	unsigned int block_size;
	/* of nothing, of "abc", of a million times "a" */
	const char *empty, *abc, *million;
};

static const struct algorithm algorithms[] = {
	{ "md5", 16, 64, "d41d8cd98f00b204e9800998ecf8427e",
	  "900150983cd24fb0d6963f7d28e17f72",
	  "7707d6ae4e027c70eea2a935c2296f21" },
	{ "sha1", 20, 64, "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	  "a9993e364706816aba3e25717850c26c9cd0d89d",
	  "34aa973cd4c4daa4f61eeb2bdbad27316534016f" },
	{ "sha256", 32, 64,
	  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
	{ "sha512", 64, 128,
	  "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
	  "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
	  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	  "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
	  "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b" },
};

#define LONG_MESSAGE "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
#define LONG_SHA256 \
	"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"

FIXTURE(hash)
{
	struct scope scope;
	unsigned char *mem;
	unsigned int buf;
	unsigned int hash; /* sha256 */
	struct kscope_completion c;
};

FIXTURE_VARIANT(hash)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(hash, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(hash, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_SETUP(hash)
{
	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, 64));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, (int)self->buf);
	self->hash = hash_open(self->scope.fd, "sha256");
	ASSERT_LT(0, (int)self->hash);
}

FIXTURE_TEARDOWN(hash)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
}

static const char *hex(const unsigned char *bytes, unsigned int len)
{
	static char text[129];
	unsigned int i;

	for (i = 0; i < len && i < 64; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	return text;
}

TEST_F(hash, open_tells_digest_and_block_size)
{
	struct kscope_hash_open arg;
	int handles[ARRAY_SIZE(algorithms)];
	struct kscope_query q;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(algorithms); i++) {
		handles[i] =
			hash_open_arg(self->scope.fd, algorithms[i].name, &arg);
		ASSERT_LT(0, handles[i]) TH_LOG("%s", algorithms[i].name);
		EXPECT_EQ(algorithms[i].digest_size, arg.digest_size);
		EXPECT_EQ(algorithms[i].block_size, arg.block_size);
		EXPECT_NE(self->hash, handles[i]);
		for (j = 0; j < i; j++) {
			EXPECT_NE(handles[j], handles[i]);
		}
	}
	ASSERT_EQ(0, query(self->scope.fd, &q));
	EXPECT_EQ(1 + ARRAY_SIZE(algorithms), q.nr_hashes);
}

TEST_F(hash, too_many_hashes_are_enospc)
{
	struct kscope_info info;
	unsigned int i;

	ASSERT_EQ(0, dev_info(&info));
	for (i = 1; i < info.max_hashes; i++) {
		ASSERT_LT(0, hash_open(self->scope.fd, "sha256"));
	}
	EXPECT_EQ(-ENOSPC, hash_open(self->scope.fd, "sha256"));
}

TEST_F(hash, refused_open_writes_nothing)
{
	struct kscope_hash_open arg;
	struct kscope_info info;
	unsigned int i;

	ASSERT_EQ(0, dev_info(&info));
	for (i = 1; i < info.max_hashes; i++) {
		ASSERT_LT(0, hash_open(self->scope.fd, "sha256"));
	}
	EXPECT_EQ(-ENOSPC, hash_open_arg(self->scope.fd, "sha256", &arg));
	EXPECT_EQ(0, arg.digest_size);
	EXPECT_EQ(0, arg.block_size);
	ASSERT_EQ(0, cancel_scope(self->scope.fd));
	EXPECT_EQ(-ECANCELED, hash_open_arg(self->scope.fd, "sha256", &arg));
	EXPECT_EQ(0, arg.digest_size);
	EXPECT_EQ(0, arg.block_size);
}

TEST_F(hash, without_a_name_is_enoent)
{
	EXPECT_EQ(-ENOENT, hash_open(self->scope.fd, ""));
}

TEST_F(hash, keyed_hash_is_refused)
{
	EXPECT_EQ(-EOPNOTSUPP, hash_open(self->scope.fd, "hmac(sha256)"));
}

TEST_F(hash, one_shot_digests_are_the_published_ones)
{
	size_t i, v;
	int handle;

	for (i = 0; i < ARRAY_SIZE(algorithms); i++) {
		const struct algorithm *a = &algorithms[i];
		const char *messages[] = { "", "abc" };
		const char *digests[] = { a->empty, a->abc };

		handle = hash_open(self->scope.fd, a->name);
		ASSERT_LT(0, handle);
		for (v = 0; v < 2; v++) {
			memcpy(self->mem + 4095, messages[v],
			       strlen(messages[v]));
			memset(self->mem + OUT - 1, 0x77, 65);
			ASSERT_EQ(0, run_ok(&self->scope,
					    desc_hash(handle, KSCOPE_HASH_ALL,
						      self->buf, 4095,
						      strlen(messages[v]),
						      self->buf, OUT),
					    &self->c));
			EXPECT_STREQ(digests[v],
				     hex(self->mem + OUT, a->digest_size))
			TH_LOG("%s of '%s'", a->name, messages[v]);
			EXPECT_EQ(strlen(messages[v]), self->c.done);
			EXPECT_EQ(0, self->c.value);
			EXPECT_EQ(0x77, self->mem[OUT - 1]);
			EXPECT_TRUE(bytes_are(self->mem + OUT + a->digest_size,
					      64 - a->digest_size, 0x77));
		}
	}
}

TEST_F(hash, digest_does_not_depend_on_where_input_and_output_lie)
{
	static const unsigned int offs[] = { 0, 1, 7, 64, 4040, 4050, 4095 };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		for (j = 0; j < ARRAY_SIZE(offs); j++) {
			unsigned char *in = self->mem + offs[i];
			unsigned int out = 4 * PAGE + offs[j];

			memcpy(in, LONG_MESSAGE, strlen(LONG_MESSAGE));
			ASSERT_EQ(0,
				  run_ok(&self->scope,
					 desc_hash(self->hash, KSCOPE_HASH_ALL,
						   self->buf, offs[i],
						   strlen(LONG_MESSAGE),
						   self->buf, out),
					 &self->c));
			EXPECT_STREQ(LONG_SHA256, hex(self->mem + out, 32))
			TH_LOG("in %u out %u", offs[i], offs[j]);
		}
	}
}

TEST_F(hash, many_one_shot_digests_with_one_hash_do_not_disturb_each_other)
{
	struct kscope_desc descs[32];
	unsigned int i;

	memcpy(self->mem, "abc", 3);
	memcpy(self->mem + 64, LONG_MESSAGE, strlen(LONG_MESSAGE));
	for (i = 0; i < 32; i++)
		descs[i] = desc_hash(self->hash, KSCOPE_HASH_ALL, self->buf,
				     i % 2 ? 0 : 64,
				     i % 2 ? 3 : strlen(LONG_MESSAGE),
				     self->buf, PAGE + 32 * i);
	ASSERT_EQ(32, spawn(self->scope.fd, descs, 32));
	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < 32; i++) {
		EXPECT_STREQ(i % 2 ? algorithms[2].abc : LONG_SHA256,
			     hex(self->mem + PAGE + 32 * i, 32));
	}
}

FIXTURE(running)
{
	struct scope scope;
	unsigned char *mem;
	unsigned int buf;
	unsigned int hash; /* sha256 */
	struct kscope_completion c;
};

FIXTURE_VARIANT(running)
{
	unsigned int kind;
};

FIXTURE_VARIANT_ADD(running, ordered){
	.kind = KSCOPE_KIND_ORDERED,
};

FIXTURE_VARIANT_ADD(running, parallel){
	.kind = KSCOPE_KIND_PARALLEL,
};

FIXTURE_VARIANT_ADD(running, in_line){
	.kind = KSCOPE_KIND_INLINE,
};

FIXTURE_SETUP(running)
{
	hooks_quiet();
	ASSERT_EQ(0, scope_open(&self->scope, variant->kind, 64));
	self->mem = map_anon(LEN);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	ASSERT_LT(0, (int)self->buf);
	self->hash = hash_open(self->scope.fd, "sha256");
	ASSERT_LT(0, (int)self->hash);
}

FIXTURE_TEARDOWN(running)
{
	EXPECT_EQ(0, scope_close(&self->scope));
	munmap(self->mem, LEN);
}

static struct kscope_desc piece(FIXTURE_DATA(running) * self, unsigned int hash,
				unsigned int op_flags, __u64 off, __u64 len)
{
	bool last = op_flags & KSCOPE_HASH_LAST;

	return desc_hash(hash, op_flags, self->buf, off, len,
			 last ? self->buf : 0, last ? OUT : 0);
}

/* All in one call: one after the other, whatever the scope is. */
static int spawn_in_turn(FIXTURE_DATA(running) * self, unsigned int kind,
			 struct kscope_desc *descs, unsigned int nr)
{
	unsigned int i;

	if (kind != KSCOPE_KIND_PARALLEL)
		return spawn(self->scope.fd, descs, nr);
	for (i = 1; i < nr; i++)
		descs[i].after = 1;
	return spawn_linked(self->scope.fd, descs, NULL, nr);
}

TEST_F(running, million_a_in_uneven_pieces)
{
	static const unsigned int cuts[] = { 1, 63, 64, 65, 4095, 4097, 65537 };
	unsigned int left, len, flags, n;
	struct kscope_desc desc;
	size_t i;
	int handle;

	memset(self->mem, 'a', OUT);
	for (i = 0; i < ARRAY_SIZE(algorithms); i++) {
		handle = hash_open(self->scope.fd, algorithms[i].name);
		ASSERT_LT(0, handle);
		flags = KSCOPE_HASH_FIRST;
		for (left = 1000000, n = 0; left; left -= len, n++) {
			len = cuts[n % ARRAY_SIZE(cuts)];
			if (len >= left) {
				len = left;
				flags |= KSCOPE_HASH_LAST;
			}
			desc = piece(self, handle, flags, n % 4096, len);
			ASSERT_EQ(0, run_ok(&self->scope, desc, &self->c));
			EXPECT_EQ(len, self->c.done);
			flags = 0;
		}
		EXPECT_STREQ(algorithms[i].million,
			     hex(self->mem + OUT, algorithms[i].digest_size))
		TH_LOG("%s", algorithms[i].name);
	}
}

TEST_F(running, pieces_that_are_spawned_at_once_run_in_order)
{
	struct kscope_desc descs[4];

	memcpy(self->mem, LONG_MESSAGE, strlen(LONG_MESSAGE));
	descs[0] = piece(self, self->hash, KSCOPE_HASH_FIRST, 0, 20);
	descs[1] = piece(self, self->hash, 0, 20, 0);
	descs[2] = piece(self, self->hash, 0, 20, 20);
	descs[3] = piece(self, self->hash, KSCOPE_HASH_LAST, 40,
			 strlen(LONG_MESSAGE) - 40);
	ASSERT_EQ(4, spawn_in_turn(self, variant->kind, descs, 4));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_STREQ(LONG_SHA256, hex(self->mem + OUT, 32));
}

TEST_F(running, digests_of_two_hashes_interleave)
{
	int md5 = hash_open(self->scope.fd, "md5");
	struct kscope_desc descs[4];

	ASSERT_LT(0, md5);
	memcpy(self->mem, "abc", 3);
	descs[0] = piece(self, self->hash, KSCOPE_HASH_FIRST, 0, 1);
	descs[1] = piece(self, md5, KSCOPE_HASH_FIRST, 0, 2);
	descs[2] = piece(self, self->hash, KSCOPE_HASH_LAST, 1, 2);
	descs[3] = piece(self, md5, KSCOPE_HASH_LAST, 2, 1);
	descs[3].off2 = OUT + 32;
	ASSERT_EQ(4, spawn_in_turn(self, variant->kind, descs, 4));
	ASSERT_EQ(0, join(self->scope.fd));
	EXPECT_STREQ(algorithms[2].abc, hex(self->mem + OUT, 32));
	EXPECT_STREQ(algorithms[0].abc, hex(self->mem + OUT + 32, 16));
}

TEST_F(running, one_shot_in_the_middle_does_not_disturb_the_digest_of_another)
{
	int other = hash_open(self->scope.fd, "sha256");

	ASSERT_LT(0, other);
	memcpy(self->mem, "abc", 3);
	ASSERT_EQ(0, run_ok(&self->scope,
			    piece(self, self->hash, KSCOPE_HASH_FIRST, 0, 1),
			    &self->c));
	ASSERT_EQ(0,
		  run_ok(&self->scope,
			 piece(self, other, KSCOPE_HASH_ALL, 0, 3), &self->c));
	EXPECT_STREQ(algorithms[2].abc, hex(self->mem + OUT, 32));
	memset(self->mem + OUT, 0, 32);
	ASSERT_EQ(0, run_ok(&self->scope,
			    piece(self, self->hash, KSCOPE_HASH_LAST, 1, 2),
			    &self->c));
	EXPECT_STREQ(algorithms[2].abc, hex(self->mem + OUT, 32));
}

static void expect_broken(struct __test_metadata *_metadata,
			  FIXTURE_DATA(running) * self, unsigned int op_flags)
{
	ASSERT_EQ(0, run(&self->scope, piece(self, self->hash, op_flags, 0, 3),
			 &self->c));
	EXPECT_EQ(-EBADMSG, self->c.status);
	EXPECT_EQ(KSCOPE_FAILED, self->c.outcome);
	EXPECT_EQ(0, self->c.done);
}

TEST_F(running, piece_without_a_first_one_is_ebadmsg)
{
	memset(self->mem + OUT, 0x77, 64);
	expect_broken(_metadata, self, 0);
	expect_broken(_metadata, self, KSCOPE_HASH_LAST);
	EXPECT_TRUE(bytes_are(self->mem + OUT, 64, 0x77));
}

TEST_F(running, piece_after_the_last_one_is_ebadmsg)
{
	memcpy(self->mem, "abc", 3);
	ASSERT_EQ(0, run_ok(&self->scope,
			    piece(self, self->hash, KSCOPE_HASH_ALL, 0, 3),
			    &self->c));
	expect_broken(_metadata, self, KSCOPE_HASH_LAST);
	EXPECT_STREQ(algorithms[2].abc, hex(self->mem + OUT, 32));
}

TEST_F(running, digest_is_broken_by_a_cancelled_piece_until_the_next_first)
{
	struct kscope_desc descs[4];
	__u64 handles[4];
	int i;

	if (variant->kind != KSCOPE_KIND_ORDERED)
		SKIP(return, "nothing waits behind the sleeper");
	memset(self->mem + OUT, 0x77, 64);
	descs[0] = piece(self, self->hash, KSCOPE_HASH_FIRST, 0, 1);
	descs[1] = desc_sleep(1, far_future());
	descs[2] = piece(self, self->hash, 0, 1, 1);
	descs[3] = piece(self, self->hash, KSCOPE_HASH_LAST, 2, 1);
	ASSERT_EQ(4, spawn_arg(self->scope.fd, descs, handles, 4, 0, 0));
	ASSERT_EQ(0, wait_unread(self->scope.fd, 1, PATIENCE_MS));
	ASSERT_EQ(0, cancel_child(self->scope.fd, handles[2]));
	ASSERT_EQ(0, cancel_child(self->scope.fd, handles[1]));
	ASSERT_EQ(0, join(self->scope.fd));
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(reap(&self->scope, &self->c));
		if (self->c.child == handles[0]) {
			EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
		}
		if (self->c.child == handles[2]) {
			EXPECT_EQ(KSCOPE_NEVER_STARTED, self->c.outcome);
		}
		if (self->c.child == handles[3]) {
			EXPECT_EQ(-EBADMSG, self->c.status);
		}
	}
	EXPECT_TRUE(bytes_are(self->mem + OUT, 64, 0x77));

	expect_broken(_metadata, self, 0);
	memcpy(self->mem, "abc", 3);
	ASSERT_EQ(0, run_ok(&self->scope,
			    piece(self, self->hash, KSCOPE_HASH_ALL, 0, 3),
			    &self->c));
	EXPECT_STREQ(algorithms[2].abc, hex(self->mem + OUT, 32));
}

/* Stop the worker before it begins. What it is told then it heeds at once. */
TEST_F(running, digest_that_is_cancelled_stops)
{
	struct kscope_desc desc =
		piece(self, self->hash, KSCOPE_HASH_ALL, 0, 3);
	__u64 handle;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "once is enough");
	if (!hooks_there())
		SKIP(return, "the module has no hooks");
	memset(self->mem + OUT, 0x77, 64);
	desc.user_data = 4711;
	ASSERT_EQ(0, stop_at("claimed", 4711));
	ASSERT_EQ(1, spawn_one(self->scope.fd, desc, &handle));
	ASSERT_EQ(0, stop_wait());
	EXPECT_EQ(0, cancel_child(self->scope.fd, handle));
	ASSERT_EQ(0, stop_go());
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_STOPPED, self->c.outcome);
	EXPECT_EQ(-ECANCELED, self->c.status);
	EXPECT_EQ(0, self->c.done);
	EXPECT_TRUE(bytes_are(self->mem + OUT, 64, 0x77));
}

TEST_F(running, piece_out_of_its_turn_is_ebadmsg_and_disturbs_nobody)
{
	static const unsigned int flags[] = { 0, KSCOPE_HASH_FIRST,
					      KSCOPE_HASH_LAST };
	struct kscope_desc desc;
	int i;

	if (variant->kind != KSCOPE_KIND_PARALLEL)
		SKIP(return, "children take turns");
	if (!hooks_there())
		SKIP(return, "the module has no hooks");
	memcpy(self->mem, "xyzabc", 6);
	ASSERT_EQ(0, stop_at("digesting", 7));
	desc = piece(self, self->hash, KSCOPE_HASH_FIRST, 3, 1);
	desc.user_data = 7;
	ASSERT_EQ(1, spawn(self->scope.fd, &desc, 1));
	ASSERT_EQ(0, stop_wait());
	for (i = 0; i < 3; i++)
		expect_broken(_metadata, self, flags[i]);
	ASSERT_EQ(0, stop_go());
	ASSERT_EQ(0, reap_wait(&self->scope, &self->c));
	EXPECT_EQ(KSCOPE_FINISHED, self->c.outcome);
	/* but the pieces between are missing */
	expect_broken(_metadata, self, KSCOPE_HASH_LAST);
	desc = piece(self, self->hash, KSCOPE_HASH_ALL, 3, 3);
	ASSERT_EQ(0, run_ok(&self->scope, desc, &self->c));
	EXPECT_STREQ(algorithms[2].abc, hex(self->mem + OUT, 32));
}

/* Whoever comes first: a digest of something else is never told. */
TEST_F(running, pieces_side_by_side_give_the_digest_or_none)
{
	unsigned int len = 100000, round, nr, right = 0;
	struct kscope_desc descs[2];
	char want[65];

	memset(self->mem, 'a', 2 * len);
	descs[0] = piece(self, self->hash, KSCOPE_HASH_FIRST, 0, len);
	descs[1] = piece(self, self->hash, KSCOPE_HASH_LAST, len, len);
	ASSERT_EQ(2, spawn_in_turn(self, variant->kind, descs, 2));
	ASSERT_EQ(0, join(self->scope.fd));
	strcpy(want, hex(self->mem + OUT, 32));
	descs[1].after = 0;
	for (round = 0; round < 100; round++) {
		memset(self->mem + OUT, 0, 32);
		while (reap(&self->scope, &self->c))
			;
		ASSERT_EQ(2, spawn(self->scope.fd, descs, 2));
		ASSERT_EQ(0, join(self->scope.fd));
		for (nr = 0; reap(&self->scope, &self->c); nr++)
			ASSERT_TRUE(!self->c.status ||
				    self->c.status == -EBADMSG);
		ASSERT_EQ(2, nr);
		if (bytes_are(self->mem + OUT, 32, 0))
			continue;
		ASSERT_STREQ(want, hex(self->mem + OUT, 32));
		right++;
	}
	if (variant->kind != KSCOPE_KIND_PARALLEL)
		EXPECT_EQ(round, right);
	TH_LOG("%u of %u digests", right, round);
}

TEST_F(running, first_starts_over)
{
	memcpy(self->mem, "xabc", 4);
	ASSERT_EQ(0, run_ok(&self->scope,
			    piece(self, self->hash, KSCOPE_HASH_FIRST, 0, 1),
			    &self->c));
	ASSERT_EQ(0, run_ok(&self->scope,
			    piece(self, self->hash, KSCOPE_HASH_FIRST, 1, 1),
			    &self->c));
	ASSERT_EQ(0, run_ok(&self->scope,
			    piece(self, self->hash, KSCOPE_HASH_LAST, 2, 2),
			    &self->c));
	EXPECT_STREQ(algorithms[2].abc, hex(self->mem + OUT, 32));
}

TEST_HARNESS_MAIN
