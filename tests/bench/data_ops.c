// SPDX-License-Identifier: GPL-2.0
/*
 * Copy, CRC-32C and SHA-256, in user space and as children. In user space: memcpy()
 * of the C library, or a loop of moves of eight bytes; the processor's instruction for
 * CRC-32C; and OpenSSL.
 *
 * The buffer repeats itself, so a table of the first period's pieces tells what is
 * right for all.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the new interface costs far more per digest */
#include <openssl/sha.h>
#include <string.h>
#include <sys/mman.h>

#include "crc32c.h"
#include "data.h"

struct data data;

static void *map_shared(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED)
		die("no %zu bytes", bytes);
	return mem;
}

static void fill_random(__u8 *mem, size_t bytes)
{
	__u64 word = 88172645463325252;

	for (size_t i = 0; i < bytes; i += sizeof(word)) {
		word ^= word << 13;
		word ^= word >> 7;
		word ^= word << 17;
		memcpy(mem + i, &word, sizeof(word));
	}
}

static void map_all(void)
{
	crc32c_init();
	data.from = map_shared(DATA_BYTES);
	data.to = map_shared(DATA_BYTES);
	data.digests = map_shared(DATA_MAX_PIECES * DATA_DIGEST);
	fill_random(data.from, DATA_PERIOD);
	for (size_t off = DATA_PERIOD; off < DATA_BYTES; off += DATA_PERIOD)
		memcpy(data.from + off, data.from, DATA_PERIOD);
}

static void sha256(const __u8 *from, size_t len, __u8 *digest)
{
	SHA256_CTX sha;

	SHA256_Init(&sha);
	SHA256_Update(&sha, from, len);
	SHA256_Final(digest, &sha);
}

void data_init(size_t piece)
{
	if (!data.from)
		map_all();
	CHECK(piece >= DATA_MIN_PIECE && DATA_PERIOD % piece == 0);
	for (size_t i = 0; i < DATA_PERIOD / piece; i++) {
		data.right_crcs[i] = crc32c(data.from + i * piece, piece);
		sha256(data.from + i * piece, piece, data.right_digests[i]);
	}
}

void data_map(void)
{
	CHECK(madvise(data.from, DATA_BYTES, MADV_POPULATE_WRITE) == 0);
	CHECK(madvise(data.to, DATA_BYTES, MADV_POPULATE_WRITE) == 0);
	CHECK(madvise(data.digests, DATA_MAX_PIECES * DATA_DIGEST,
		      MADV_POPULATE_WRITE) == 0);
}

/* Which of the pieces of a period is it? */
static size_t kind_of(const struct window *window, unsigned int index)
{
	return window_at(window, index) % DATA_PERIOD / window->piece;
}

void window_next(struct window *window)
{
	size_t end = window->off + window->nr * window->piece;

	window->off = end + window->nr * window->piece > DATA_BYTES ? 0 : end;
}

static void copy_run(struct window *window, unsigned int index)
{
	size_t at = window_at(window, index);

	memcpy(data.to + at, data.from + at, window->piece);
}

static void copy_prep(struct kscope_desc *desc, const struct data_bufs *bufs,
		      const struct window *window, unsigned int index)
{
	size_t at = window_at(window, index);

	kscope_prep_copy(desc, bufs->from, at, bufs->to, at, window->piece);
}

static void copy_clear(struct window *window)
{
	for (unsigned int i = 0; i < window->nr; i++) {
		__u8 *to = data.to + window_at(window, i);
		size_t last = window->piece - 1;

		to[0] = (__u8)~data.from[window_at(window, i)];
		to[last] = (__u8)~data.from[window_at(window, i) + last];
	}
}

static void copy_check(const struct window *window)
{
	CHECK(memcmp(data.to + window->off, data.from + window->off,
		     window->nr * window->piece) == 0);
}

const struct data_op data_copy = {
	.name = "copy",
	.round_bytes = 16UL << 20,
	.run = copy_run,
	.prep = copy_prep,
	.clear = copy_clear,
	.check = copy_check,
};

#define AS_WRITTEN                                   \
	__attribute__((optimize("no-tree-vectorize", \
				"no-tree-loop-distribute-patterns")))

/* As the kernel copies on processors without a fast "rep movsb" */
AS_WRITTEN static void copy8_run(struct window *window, unsigned int index)
{
	size_t at = window_at(window, index);
	const __u64 *from = (const __u64 *)(data.from + at);
	__u64 *to = (__u64 *)(data.to + at);

#pragma GCC unroll 4
	for (size_t i = 0; i < window->piece / sizeof(*from); i++)
		to[i] = from[i];
}

const struct data_op data_copy8 = {
	.name = "copy8",
	.round_bytes = 16UL << 20,
	.run = copy8_run,
	.prep = copy_prep,
	.clear = copy_clear,
	.check = copy_check,
};

static void crc_run(struct window *window, unsigned int index)
{
	window->crcs[index] =
		crc32c(data.from + window_at(window, index), window->piece);
}

static void crc_prep(struct kscope_desc *desc, const struct data_bufs *bufs,
		     const struct window *window, unsigned int index)
{
	kscope_prep_crc32c(desc, bufs->from, window_at(window, index),
			   window->piece, 0);
}

static void crc_clear(struct window *window)
{
	memset(window->crcs, 0, sizeof(window->crcs));
}

static void crc_check(const struct window *window)
{
	for (unsigned int i = 0; i < window->nr; i++)
		CHECK(window->crcs[i] == data.right_crcs[kind_of(window, i)]);
}

const struct data_op data_crc32c = {
	.name = "crc32c",
	.round_bytes = 16UL << 20,
	.run = crc_run,
	.prep = crc_prep,
	.clear = crc_clear,
	.check = crc_check,
};

static void sha_run(struct window *window, unsigned int index)
{
	sha256(data.from + window_at(window, index), window->piece,
	       data.digests[index]);
}

static void sha_prep(struct kscope_desc *desc, const struct data_bufs *bufs,
		     const struct window *window, unsigned int index)
{
	kscope_prep_hash(desc, bufs->hash, KSCOPE_HASH_FIRST | KSCOPE_HASH_LAST,
			 bufs->from, window_at(window, index), window->piece,
			 bufs->digests, index * DATA_DIGEST);
}

static void sha_clear(struct window *window)
{
	memset(data.digests, 0, window->nr * DATA_DIGEST);
}

static void sha_check(const struct window *window)
{
	for (unsigned int i = 0; i < window->nr; i++)
		CHECK(memcmp(data.digests[i],
			     data.right_digests[kind_of(window, i)],
			     DATA_DIGEST) == 0);
}

const struct data_op data_sha256 = {
	.name = "sha256",
	.round_bytes = 4UL << 20,
	.run = sha_run,
	.prep = sha_prep,
	.clear = sha_clear,
	.check = sha_check,
};
