// SPDX-License-Identifier: GPL-2.0
/*
 * The hashes of a scope: algorithms of the crypto API, each with room for one running
 * digest. They are opened by name, outside the hot path, and live until the scope is
 * released, so a handle needs no generation and a child no reference.
 *
 * The running digest belongs to the child that has set KSCOPE_HASH_BUSY (ops/digest.c).
 */
#include <linux/nospec.h>
#include <linux/slab.h>

#include <crypto/hash.h>

#include "internal.h"

static void hash_free(struct kscope_hash *hash)
{
	kfree_sensitive(hash->running);
	crypto_free_shash(hash->tfm);
	kfree(hash);
}

static struct crypto_shash *tfm_alloc(const char *name)
{
	struct crypto_shash *tfm;

	if (!*name)
		return ERR_PTR(-ENOENT);
	tfm = crypto_alloc_shash(name, 0, 0);
	if (PTR_ERR(tfm) == -ENOMEM || PTR_ERR(tfm) == -EINTR)
		return tfm;
	if (IS_ERR(tfm))
		return ERR_PTR(-ENOENT);
	if (crypto_shash_get_flags(tfm) & CRYPTO_TFM_NEED_KEY) {
		crypto_free_shash(tfm);
		return ERR_PTR(-EOPNOTSUPP);
	}
	return tfm;
}

/* Some take their key as data, and only say so when there was none. */
static int hash_probe(struct kscope_hash *hash)
{
	u8 digest[HASH_MAX_DIGESTSIZE];

	hash->running->tfm = hash->tfm;
	if (crypto_shash_init(hash->running) ||
	    crypto_shash_final(hash->running, digest))
		return -EOPNOTSUPP;
	return 0;
}

static struct kscope_hash *hash_alloc(const char *name)
{
	struct kscope_hash *hash = kzalloc(sizeof(*hash), GFP_KERNEL_ACCOUNT);
	struct crypto_shash *tfm;
	int ret;

	if (!hash)
		return ERR_PTR(-ENOMEM);
	tfm = tfm_alloc(name);
	if (IS_ERR(tfm)) {
		kfree(hash);
		return ERR_CAST(tfm);
	}
	hash->tfm = tfm;
	hash->running =
		kzalloc(sizeof(*hash->running) + crypto_shash_descsize(tfm),
			GFP_KERNEL_ACCOUNT);
	ret = hash->running ? hash_probe(hash) : -ENOMEM;
	if (ret) {
		hash_free(hash);
		return ERR_PTR(ret);
	}
	return hash;
}

/* What a reserved entry points to */
static struct kscope_hash hash_reserved;

/* Return: the handle, or why the scope does not take one more */
static int hash_reserve(struct kscope_scope *scope)
{
	int ret;
	u32 i;

	spin_lock(&scope->lock);
	ret = kscope_tally_open(&scope->tally);
	for (i = 0; i < KSCOPE_MAX_HASHES && scope->hashes[i]; i++)
		;
	if (!ret && i == KSCOPE_MAX_HASHES)
		ret = -ENOSPC;
	if (!ret) {
		scope->hashes[i] = &hash_reserved;
		ret = i + 1;
	}
	spin_unlock(&scope->lock);
	return ret;
}

/* If the scope was released meanwhile, the hash came before that, and goes with the scope. */
static void hash_settle(struct kscope_scope *scope, u32 handle,
			struct kscope_hash *hash)
{
	spin_lock(&scope->lock);
	scope->hashes[handle - 1] = hash;
	scope->nr_hashes += hash ? 1 : 0;
	spin_unlock(&scope->lock);
}

/**
 * kscope_hash_open() - prepare a hash algorithm
 * @scope: to own it
 * @name: as the crypto API knows it
 * @report: called before the hash can be seen, to tell the caller its sizes, and when nothing
 *	else can fail; an error of it is returned, and there is no hash
 * @arg: for @report
 *
 * Context: process context; sleeps, may load a module.
 * Return: the handle, which is positive; -ENOENT, -EOPNOTSUPP, -ENOMEM, -ENOSPC, -ECANCELED,
 * -ESHUTDOWN.
 */
int kscope_hash_open(struct kscope_scope *scope, const char *name,
		     int (*report)(struct crypto_shash *tfm, void *arg),
		     void *arg)
{
	struct kscope_hash *hash = hash_alloc(name);
	int handle, ret;

	if (IS_ERR(hash))
		return PTR_ERR(hash);
	handle = hash_reserve(scope);
	ret = handle < 0 ? handle : report(hash->tfm, arg);
	if (handle > 0)
		hash_settle(scope, handle, ret ? NULL : hash);
	if (ret)
		hash_free(hash);
	return ret ?: handle;
}

/**
 * kscope_hash_lookup() - find a hash
 * @scope: that owns it
 * @handle: from the caller
 *
 * Context: under the scope's lock.
 * Return: the hash or NULL.
 */
struct kscope_hash *kscope_hash_lookup(const struct kscope_scope *scope,
				       u32 handle)
{
	struct kscope_hash *hash;

	lockdep_assert_held(&scope->lock);
	if (handle - 1 >= KSCOPE_MAX_HASHES)
		return NULL;
	hash = scope->hashes[array_index_nospec(handle - 1, KSCOPE_MAX_HASHES)];
	return hash == &hash_reserved ? NULL : hash;
}

static struct kscope_hash *table_take(struct kscope_scope *scope, u32 i)
{
	struct kscope_hash *hash;

	spin_lock(&scope->lock);
	hash = scope->hashes[i];
	if (hash == &hash_reserved)
		hash = NULL;
	if (hash) {
		scope->hashes[i] = NULL;
		scope->nr_hashes--;
	}
	spin_unlock(&scope->lock);
	return hash;
}

/**
 * kscope_hash_drop_all() - free the hashes of a scope
 * @scope: released, or with nobody left to use it; nothing is outstanding
 *
 * Context: process context; may sleep.
 */
void kscope_hash_drop_all(struct kscope_scope *scope)
{
	struct kscope_hash *hash;
	u32 i;

	for (i = 0; i < KSCOPE_MAX_HASHES; i++) {
		hash = table_take(scope, i);
		if (hash)
			hash_free(hash);
	}
}
