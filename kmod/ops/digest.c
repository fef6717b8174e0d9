// SPDX-License-Identifier: GPL-2.0
/*
 * HASH: one-shot digests, and pieces of a running digest.
 *
 * The pieces of a hash are numbered as they are accepted. The running digest remembers
 * the number that it can go on with, and only while it is whole: a piece that fails, stops
 * part-way or never runs leaves a gap, and the pieces after it, up to the next FIRST, end
 * with -EBADMSG instead of a digest of something else.
 *
 * One piece at a time works on the digest. Where children run side by side, one that comes while
 * another is there ends with -EBADMSG as well: it is out of its turn. It does not wait, as that
 * would keep a worker from others.
 */
#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include <crypto/hash.h>

#include "internal.h"

static int digest_update(struct kscope_child *child, struct shash_desc *shash)
{
	u64 len = kscope_child_desc(child)->len;
	u64 pos = 0;
	size_t nr;
	void *mem;
	int ret;

	while (pos < len) {
		ret = kscope_child_checkpoint(child, pos);
		if (ret)
			return ret;
		nr = min_t(u64, len - pos, KSCOPE_STEP);
		mem = kscope_child_map(child, 0, pos, &nr);
		ret = crypto_shash_update(shash, mem, nr);
		kscope_child_unmap(mem);
		if (ret)
			return ret;
		pos += nr;
	}
	kscope_child_progress(child, pos);
	return 0;
}

static int digest_final(struct kscope_child *child, struct shash_desc *shash)
{
	u32 size = crypto_shash_digestsize(shash->tfm);
	u8 digest[HASH_MAX_DIGESTSIZE];
	size_t pos, nr;
	void *mem;
	int ret;

	ret = crypto_shash_final(shash, digest);
	for (pos = 0; !ret && pos < size; pos += nr) {
		nr = size - pos;
		mem = kscope_child_map(child, 1, pos, &nr);
		memcpy(mem, digest + pos, nr);
		kscope_child_unmap(mem);
	}
	memzero_explicit(digest, sizeof(digest));
	return ret;
}

static int digest_once(struct kscope_child *child)
{
	SHASH_DESC_ON_STACK(shash, child->hash->tfm);
	int ret;

	shash->tfm = child->hash->tfm;
	ret = crypto_shash_init(shash);
	if (!ret)
		ret = digest_update(child, shash);
	if (!ret)
		ret = digest_final(child, shash);
	shash_desc_zero(shash);
	return ret;
}

static int digest_go_on(struct kscope_child *child, struct kscope_hash *hash)
{
	u32 op_flags = kscope_child_desc(child)->op_flags;
	int ret = 0;

	if (op_flags & KSCOPE_HASH_FIRST)
		ret = crypto_shash_init(hash->running);
	else if (hash->next_piece != child->piece)
		ret = -EBADMSG;
	hash->next_piece = 0;
	if (!ret)
		ret = digest_update(child, hash->running);
	if (ret)
		return ret;
	if (op_flags & KSCOPE_HASH_LAST)
		return digest_final(child, hash->running);
	hash->next_piece = child->piece + 1;
	return 0;
}

static int digest_piece(struct kscope_child *child)
{
	struct kscope_hash *hash = child->hash;
	int ret;

	if (test_and_set_bit_lock(KSCOPE_HASH_BUSY, &hash->state))
		return -EBADMSG;
	kscope_hook(KSCOPE_POINT_DIGESTING,
		    kscope_child_desc(child)->user_data);
	ret = digest_go_on(child, hash);
	clear_bit_unlock(KSCOPE_HASH_BUSY, &hash->state);
	return ret;
}

static int hash_run(struct kscope_child *child)
{
	if (kscope_child_desc(child)->op_flags == KSCOPE_HASH_ALL)
		return digest_once(child);
	return digest_piece(child);
}

/* What is not the last piece has no second range. */
static int hash_check(const struct kscope_desc *desc)
{
	if (desc->op_flags & KSCOPE_HASH_LAST)
		return 0;
	return desc->buf2 || desc->off2 ? -EINVAL : 0;
}

struct kscope_op kscope_op_hash = {
	.name = "hash",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_HASH,
	.attributes = KSCOPE_OP_TAKES_HASH,
	.op_flags = KSCOPE_HASH_ALL,
	.nr_ranges = 2,
	.access = { KSCOPE_ACCESS_READ, KSCOPE_ACCESS_WRITE },
	.check = hash_check,
	.run = hash_run,
};
