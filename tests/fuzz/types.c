// SPDX-License-Identifier: GPL-2.0
/*
 * Kinds of values, and how one is made: mostly one that makes sense, often one at an
 * edge, now and then nonsense.
 */
#include "fuzz.h"

__u64 rng_next(struct rng *rng)
{
	__u64 z = rng->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

__u32 rng_below(struct rng *rng, __u32 limit)
{
	return (rng_next(rng) >> 32) * limit >> 32;
}

bool rng_chance(struct rng *rng, __u32 one_in)
{
	return !rng_below(rng, one_in);
}

static const char *const fd_words[] = { "dev", "closed", "negative", NULL };
static const char *const size_words[] = { "exact", "short", "zero", "four",
					  "tail",  "junk",  "page", "over",
					  "huge",  NULL };
static const char *const at_words[] = { "good",	  "edge",     "cut",	"ro",
					"null",	  "unmapped", "kernel", "bent",
					"pinned", "ring",     "head",	NULL };

const char *const op_names[] = { "nop",	  "sleep",  "fill", "copy", "compare",
				 "xor",	  "crc32c", "hash", "read", "write",
				 "fsync", "gate",   NULL };

const char *const hash_names[] = {
	"sha256",	"sha1",	       "md5",	"crc32c",      "xxhash64",
	"hmac(sha256)", "none",	       "",	"long",	       "sha512",
	"sha3-256",	"blake2b-256", "crc32", "blake2b-512", NULL
};

static const char *const cause_words[] = { "child", "user", "scope", "buf",
					   NULL };
static const char *const offset_words[] = { "ring", "head", NULL };
static const char *const how_words[] = { "exit", "kill", "stay", "exec", NULL };

static const char *const fdop_words[] = {
	"read",	 "write", "lseek",  "fstat",  "truncate",  "getfl", "append",
	"async", "fsync", "fdinfo", "splice", "fallocate", "lock",  NULL
};

static const char *const limit_words[] = { "memlock", "fsize", "nofile", NULL };

const char *const *const type_words[T_NR] = {
	[T_DEVICE] = fd_words,	   [T_FD] = fd_words,	  [T_FILE] = fd_words,
	[T_SIZE] = size_words,	   [T_AT] = at_words,	  [T_OP] = op_names,
	[T_CAUSE] = cause_words,   [T_NAME] = hash_names, [T_OPNAME] = op_names,
	[T_OFFSET] = offset_words, [T_HOW] = how_words,	  [T_FDOP] = fdop_words,
	[T_LIMIT] = limit_words,   [T_BUF2] = fd_words,
};

static struct arg make(enum form how, __u8 index, __u64 value)
{
	return (struct arg){ .form = how, .index = index, .value = value };
}

struct arg arg_number(__u64 value)
{
	return make(FORM_NUMBER, 0, value);
}

static struct arg any_word(struct rng *rng, enum type type)
{
	__u8 nr = 0;

	while (type_words[type][nr])
		nr++;
	return make(FORM_WORD, rng_below(rng, nr), 0);
}

/* Word 0 is the one that makes sense. */
static struct arg mostly_first(struct rng *rng, enum type type, __u32 one_in)
{
	if (rng_chance(rng, one_in))
		return any_word(rng, type);
	return make(FORM_WORD, 0, 0);
}

static const __u64 edges[] = {
	0,
	1,
	2,
	7,
	8,
	15,
	16,
	17,
	63,
	64,
	65,
	255,
	256,
	4095,
	4096,
	4097,
	8192,
	0x3fff,
	0x4000,
	0x4001,
	65535,
	65536,
	65537,
	0x20000,
	ANON_BYTES - 1,
	ANON_BYTES,
	ANON_BYTES + 1,
	0x7fffffff,
	1ULL << 31,
	0xffffffff,
	1ULL << 32,
	1ULL << 63,
	(1ULL << 63) - 1,
	~0ULL - 4095,
	~0ULL - 1,
	~0ULL,
};

static __u64 edge(struct rng *rng)
{
	__u64 value = edges[rng_below(rng, ARRAY_SIZE(edges))];

	if (rng_chance(rng, 4))
		value += (__s64)rng_below(rng, 17) - 8;
	return value;
}

static __u64 length(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return edge(rng);
	case 1:
		return rng_below(rng, ANON_BYTES + PAGE);
	case 2:
		return (rng_below(rng, 9) << 12) + rng_below(rng, 3) - 1;
	default:
		return rng_below(rng, 0x4000);
	}
}

static __u64 flags(struct rng *rng)
{
	if (!rng_chance(rng, 4))
		return rng_below(rng, 4);
	return rng_chance(rng, 2) ? 1ULL << rng_below(rng, 64) : edge(rng);
}

static struct arg any_fd(struct rng *rng, enum type type)
{
	__u32 dice = rng_below(rng, 32);

	if (type == T_DEVICE)
		dice = dice ? 30 : rng_below(rng, 32);
	if (type == T_FILE)
		dice = dice < 4 ? dice : dice < 8 ? 27 : 28;
	if (dice < 18)
		return make(FORM_SCOPE, 0, 0);
	if (dice < 26)
		return make(FORM_SCOPE, rng_below(rng, NR_SCOPES), 0);
	if (dice < 28)
		return make(FORM_DUP, rng_below(rng, NR_DUPS), 0);
	if (dice < 30)
		return make(FORM_FILE, rng_below(rng, NR_FILES), 0);
	return dice == 30 ? make(FORM_WORD, FD_DEVICE, 0) : any_word(rng, T_FD);
}

static struct arg slot_or_junk(struct rng *rng, enum form how, __u32 nr)
{
	if (rng_chance(rng, 12))
		return arg_number(edge(rng));
	return make(how, rng_below(rng, rng_chance(rng, 2) ? 2 : nr), 0);
}

static struct arg any_addr(struct rng *rng)
{
	static const __u64 places[] = { 0x7ffffffff000, 0xffff888000000000,
					1ULL << 63, ~0xfffULL,
					0xffffffff81000000 };
	struct arg arg;

	if (rng_chance(rng, 16))
		return arg_number(places[rng_below(rng, ARRAY_SIZE(places))]);
	arg = make(FORM_ADDR, AREA_ANON, 0);
	if (rng_chance(rng, 2))
		arg.index = rng_below(rng, NR_AREAS);
	if (rng_chance(rng, 2))
		arg.value = length(rng) % (ANON_BYTES + PAGE);
	else if (rng_chance(rng, 2))
		arg.value = rng_below(rng, 40) << 12;
	return arg;
}

static struct arg any_time(struct rng *rng)
{
	static const __u64 times[] = { 0, 1, ~0ULL, 1ULL << 63, NSEC };

	if (rng_chance(rng, 8))
		return arg_number(times[rng_below(rng, ARRAY_SIZE(times))]);
	return make(FORM_TIME, 0,
		    rng_below(rng, rng_chance(rng, 4) ? 5000000 : 300000));
}

static __u64 capacity(struct rng *rng)
{
	static const __u32 sizes[] = { 1,
				       2,
				       3,
				       7,
				       8,
				       16,
				       17,
				       64,
				       100,
				       128,
				       512,
				       1024,
				       16384,
				       0,
				       1U << 31,
				       ~0U,
				       (1U << 20) + 1 };

	/* small scopes are made faster */
	if (!rng_chance(rng, 12))
		return 1 + rng_below(rng, rng_chance(rng, 6) ? 64 : 8);
	return sizes[rng_below(rng, ARRAY_SIZE(sizes))];
}

static struct arg number_of(struct rng *rng, enum type type)
{
	switch (type) {
	case T_SLOT:
		return arg_number(rng_below(rng, rng_chance(rng, 2) ? 2 : 8));
	case T_LEN:
		return arg_number(length(rng));
	case T_COUNT:
		return arg_number(rng_chance(rng, 6) ? (__u32)edge(rng) :
						       rng_below(rng, 9));
	case T_CAPACITY:
		return arg_number(capacity(rng));
	case T_FLAGS:
		return arg_number(flags(rng));
	case T_PROT:
	case T_SMALL:
		return arg_number(rng_below(rng, 8));
	case T_ADVICE:
		return arg_number(rng_below(rng, 26));
	case T_INDEX:
		return arg_number(rng_below(rng, MAX_CALLS));
	case T_COMMAND:
		return arg_number(
			0xE800 | rng_below(rng, 32) |
			(rng_chance(rng, 4) ? rng_next(rng) << 16 : 0));
	default:
		return arg_number(rng_chance(rng, 3) ? rng_next(rng) :
						       edge(rng));
	}
}

/* A value of the type. */
struct arg arg_random(struct rng *rng, enum type type)
{
	switch (type) {
	case T_DEVICE:
	case T_FD:
	case T_FILE:
		return any_fd(rng, type);
	case T_BUF:
		return slot_or_junk(rng, FORM_BUF, NR_BUFS);
	case T_BUF2:
		return rng_chance(rng, 4) ?
			       any_fd(rng, T_FILE) :
			       slot_or_junk(rng, FORM_BUF, NR_BUFS);
	case T_CHILD:
		return slot_or_junk(rng, FORM_CHILD, NR_CHILDREN);
	case T_HASH:
		return slot_or_junk(rng, FORM_HASH, NR_HASHES);
	case T_ADDR:
		return any_addr(rng);
	case T_TIME:
		return any_time(rng);
	case T_SIZE:
	case T_AT:
		return mostly_first(rng, type, 6);
	case T_OFFSET:
		return rng_chance(rng, 6) ? arg_number(edge(rng)) :
					    any_word(rng, type);
	case T_OP:
		return rng_chance(rng, 16) ? arg_number((__u16)edge(rng)) :
					     any_word(rng, type);
	case T_CAUSE:
		return rng_chance(rng, 16) ? arg_number(edge(rng)) :
					     any_word(rng, type);
	case T_NAME: /* one that is not there takes long: modprobe is asked */
		return mostly_first(rng, type, 4);
	case T_OPNAME:
	case T_HOW:
	case T_FDOP:
	case T_LIMIT:
		return any_word(rng, type);
	default:
		return number_of(rng, type);
	}
}
