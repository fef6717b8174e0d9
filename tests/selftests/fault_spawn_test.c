// SPDX-License-Identifier: GPL-2.0
/*
 * Every point fails once: opening hashes, and spawning 1, 16, 17 and 100 children of each
 * operation. What the spawn leaves of the fault's number goes on in the worker.
 */
#include <linux/fs.h>

#include "fault_sweep.h"

#define LEN 512U /* of a child's range */
#define PAGES 32
#define SECOND (16 * PAGE) /* where the second ranges are */

#define OP_GATE \
	0xffffU /* the number of the test module's op is known at run time */

static const unsigned int counts[] = { 1, 16, 17, 100, 0 };

static void body_hash_open(struct world *w)
{
	do_hash_open(w, w->sc->text, w->sc->want);
}

static void verify_hash_open(struct world *w)
{
	unsigned int expected = w->hash > 0 ? 1 : 0;
	struct kscope_query q;

	if (query(w->scope.fd, &q) || q.nr_hashes != expected)
		complain(w, "the scope has %u hashes", q.nr_hashes);
}

#define HASH_TEST(name_, text_, want_)                                     \
	SWEEP_TEST(name_, .capacity = 8, .text = (text_), .want = (want_), \
		   .body = body_hash_open, .verify = verify_hash_open,     \
		   .flags = F_FROZEN | F_WANT_EFAULT | F_WANT_ENOMEM)

HASH_TEST(hash_open_sha256, "sha256", 0)
HASH_TEST(hash_open_crc32c, "crc32c", 0)
HASH_TEST(hash_open_blake2b, "blake2b-512", 0)
HASH_TEST(hash_open_of_no_algorithm, "no-such-hash", -ENOENT)
HASH_TEST(hash_open_of_a_keyed_one, "hmac(sha256)", -EOPNOTSUPP)

static int gate_number(void)
{
	struct kscope_op_info info = { .size = sizeof(info),
				       .flags = KSCOPE_OP_INFO_BY_NAME,
				       .name = "gate" };
	int dev = dev_open(), ret;

	ret = xioctl(dev, KSCOPE_IOC_OP_INFO, &info);
	close(dev);
	return ret ?: (int)info.op;
}

static const char *no_gate(void)
{
	return gate_number() < 0 ? "kscope_gate is not loaded" : NULL;
}

static struct kscope_desc desc_of(const struct world *w, unsigned int i)
{
	__u64 off = i * LEN / 4, off2 = SECOND + i * LEN;
	unsigned int op = w->op;

	switch (op) {
	case KSCOPE_OP_NOP:
		return desc_nop(0);
	case KSCOPE_OP_SLEEP:
		return desc_sleep(0, now_ns() + MSEC);
	case KSCOPE_OP_FILL:
		return desc_fill(w->buf, off2, LEN, 0x0807060504030201ULL + i);
	case KSCOPE_OP_COPY:
	case KSCOPE_OP_COMPARE:
	case KSCOPE_OP_XOR:
		return desc_two(op, w->buf, off, w->buf, off2, LEN);
	case KSCOPE_OP_CRC32C:
		return desc_crc32c(w->buf, off, LEN, i);
	case KSCOPE_OP_HASH:
		return desc_hash(w->hash, KSCOPE_HASH_ALL, w->buf, off, LEN,
				 w->buf, off2);
	case KSCOPE_OP_READ:
		return desc_file(op, w->file, off, w->buf, off2, LEN);
	case KSCOPE_OP_WRITE:
		return desc_file(op, w->file, i * LEN, w->buf, off, LEN);
	case KSCOPE_OP_FSYNC:
		return desc_fsync(w->file, i & 1 ? KSCOPE_FSYNC_DATA : 0);
	}
	return (struct kscope_desc){ .op = op, .buf = w->buf, .len = LEN };
}

/* What a child that has finished must have done */
static bool child_did(const struct world *w, unsigned int i)
{
	const struct kscope_completion *c = &w->done[i];
	const char *from = w->mem + i * LEN / 4;
	const char *to = w->mem + SECOND + i * LEN;
	__u64 pattern = 0x0807060504030201ULL + i;
	__u32 crc = crc32c_of(from, LEN, 0);

	switch (w->op) {
	case KSCOPE_OP_FILL:
		return !memcmp(to, &pattern, sizeof(pattern)) &&
		       !memcmp(to, to + 8, LEN - 8);
	case KSCOPE_OP_COPY:
	case KSCOPE_OP_READ:
		return c->done == LEN && !memcmp(from, to, LEN);
	case KSCOPE_OP_WRITE:
		return c->done == LEN;
	case KSCOPE_OP_COMPARE:
		return c->value == 1;
	case KSCOPE_OP_CRC32C:
		return c->value == crc32c_of(from, LEN, i);
	case KSCOPE_OP_HASH:
		return c->done == LEN && !memcmp(to, &crc, sizeof(crc));
	}
	return true;
}

static void file_prepare(struct world *w)
{
	snprintf(w->path, sizeof(w->path), "%s/kscope-spawn", data_dir());
	w->file = open(w->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (w->file < 0 || write(w->file, w->mem, SECOND) != SECOND)
		complain(w, "cannot write %s", w->path);
}

static void prepare_spawn(struct world *w)
{
	unsigned int i;

	w->op = w->sc->op == OP_GATE ? gate_number() : w->sc->op;
	if (w->op == KSCOPE_OP_HASH)
		do_hash_open(w, "crc32c", 0);
	if (w->op >= KSCOPE_OP_READ && w->op <= KSCOPE_OP_FSYNC)
		file_prepare(w);
	for (i = 0; i < w->sc->nr; i++)
		w->descs[i] = desc_of(w, i);
}

static void body_spawn(struct world *w)
{
	do_spawn(w, w->sc->nr);
}

static void verify_spawn(struct world *w)
{
	unsigned int i;

	for (i = 0; i < w->accepted; i++)
		if (w->done[i].outcome == KSCOPE_FINISHED && !child_did(w, i))
			complain(w, "child %u has not done its work", i);
}

#define SPAWN_TEST(name_, op_, ...)                                         \
	SWEEP_TEST(name_, .capacity = MAX_CHILDREN, .pages = PAGES,         \
		   .op = (op_), .counts = counts, .prepare = prepare_spawn, \
		   .body = body_spawn, .verify = verify_spawn,              \
		   .flags = F_PINNED | F_WANT_EFAULT, ##__VA_ARGS__)

SPAWN_TEST(spawn_nop, KSCOPE_OP_NOP)
SPAWN_TEST(spawn_sleep, KSCOPE_OP_SLEEP)
SPAWN_TEST(spawn_fill, KSCOPE_OP_FILL)
SPAWN_TEST(spawn_copy, KSCOPE_OP_COPY)
SPAWN_TEST(spawn_compare, KSCOPE_OP_COMPARE)
SPAWN_TEST(spawn_xor, KSCOPE_OP_XOR)
SPAWN_TEST(spawn_crc32c, KSCOPE_OP_CRC32C)
SPAWN_TEST(spawn_hash, KSCOPE_OP_HASH)
SPAWN_TEST(spawn_read, KSCOPE_OP_READ)
SPAWN_TEST(spawn_write, KSCOPE_OP_WRITE)
SPAWN_TEST(spawn_fsync, KSCOPE_OP_FSYNC)
SPAWN_TEST(spawn_gate, OP_GATE, .missing = no_gate)

/* The tenth is refused: what was taken for it and for those after it goes back. */
static void prepare_bad(struct world *w)
{
	prepare_spawn(w);
	w->descs[9].buf = w->buf + (1 << 12);
}

static void body_bad(struct world *w)
{
	do_spawn_want(w, 16, 9);
	w->descs[w->accepted] = w->descs[9];
	do_spawn_want(w, 1, -ENOENT);
}

#define BAD_TEST(name_, op_, ...)                                             \
	SWEEP_TEST(name_, .capacity = 64, .pages = PAGES, .op = (op_),        \
		   .nr = 16, .prepare = prepare_bad, .body = body_bad,        \
		   .verify = verify_spawn, .flags = F_PINNED | F_WANT_EFAULT, \
		   ##__VA_ARGS__)

BAD_TEST(spawn_of_a_bad_copy, KSCOPE_OP_COPY)
BAD_TEST(spawn_of_a_bad_read, KSCOPE_OP_READ)
BAD_TEST(spawn_of_a_bad_write, KSCOPE_OP_WRITE)
BAD_TEST(spawn_of_a_bad_gate, OP_GATE, .missing = no_gate)

static void prepare_full(struct world *w)
{
	do_spawn_same(w, desc_sleep(0, far_future()), 16);
	wait_running(w->scope.fd, 16);
}

static void body_full(struct world *w)
{
	w->descs[w->accepted] = desc_nop(0);
	do_spawn_want(w, 1, -EAGAIN);
}

SWEEP_TEST(spawn_without_a_free_slot, .capacity = 16, .prepare = prepare_full,
	   .body = body_full, .flags = F_FROZEN | F_WANT_EFAULT)

/* Spawn and wait in one call: what was accepted is what it returns. */
static void body_wait(struct world *w)
{
	unsigned int i;
	int ret;

	for (i = 0; i < 20; i++)
		w->descs[i] = desc_nop(i);
	ret = spawn_arg(w->scope.fd, w->descs, w->handles, 20, 20,
			in_ms(PATIENCE_MS));
	if (ret > 0)
		w->accepted = ret;
	step(w, CALL_SPAWN, 20, ret);
}

SWEEP_TEST(spawn_and_wait, .capacity = 32, .body = body_wait,
	   .flags = F_WANT_EFAULT)
