// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that programs are made of: name, weight, and parameters with their types and
 * with the values that make the call succeed. A parameter that has this value is not
 * written down.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "run.h"

#define CHANGES KIND_CHANGES
#define BLOCKS KIND_BLOCKS
#define LOCAL KIND_LOCAL

/* clang-format off */
/* Each ioctl starts with an fd and these two; the code counts on it. */
#define SIZE { "size", T_SIZE, "exact" }
#define AT { "at", T_AT, "good" }

const struct kind kinds[] = {
	{ "info", 2, 0, run_info, { { "fd", T_DEVICE, "dev" }, SIZE, AT,
		{ "flags", T_FLAGS, "0" } } },
	{ "opinfo", 4, 0, run_op_info, { { "fd", T_DEVICE, "dev" }, SIZE, AT,
		{ "flags", T_FLAGS, "0" }, { "index", T_COUNT, "0" },
		{ "name", T_OPNAME, "nop" }, { "reserved", T_FLAGS, "0" } } },
	{ "create", 3, CHANGES, run_create, { { "fd", T_DEVICE, "dev" }, SIZE, AT,
		{ "to", T_SLOT, "0" }, { "capacity", T_CAPACITY, "8" },
		{ "kind", T_FLAGS, "0" }, { "policy", T_FLAGS, "0" },
		{ "buffers", T_COUNT, "0" }, { "flags", T_FLAGS, "0" },
		{ "map", T_FLAGS, "1" }, { "deadline", T_TIME, "0" },
		{ "grace", T_COUNT, "1000" }, { "user", T_COUNT, "0" },
		{ "most", T_COUNT, "0" }, { "cpus", T_ADDR, "0" },
		{ "ncpus", T_LEN, "0" } } },
	{ "nest", 4, CHANGES, run_nest, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "to", T_SLOT, "1" }, { "capacity", T_CAPACITY, "8" },
		{ "kind", T_FLAGS, "0" }, { "policy", T_FLAGS, "0" },
		{ "buffers", T_COUNT, "0" }, { "flags", T_FLAGS, "0" },
		{ "map", T_FLAGS, "1" }, { "deadline", T_TIME, "0" },
		{ "grace", T_COUNT, "1000" }, { "user", T_COUNT, "0" },
		{ "most", T_COUNT, "0" }, { "cpus", T_ADDR, "0" },
		{ "ncpus", T_LEN, "0" } } },
	{ "reborrow", 6, CHANGES, run_reborrow, { { "fd", T_FD, "s1" }, SIZE, AT,
		{ "to", T_SLOT, "1" }, { "scope", T_FD, "s0" },
		{ "buf", T_BUF, "b0" }, { "off", T_LEN, "0" },
		{ "len", T_LEN, "4096" }, { "flags", T_FLAGS, "0" } } },
	{ "pin", 16, CHANGES, run_pin, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "to", T_SLOT, "0" }, { "addr", T_ADDR, "a0+0" },
		{ "len", T_LEN, "0x4000" }, { "flags", T_FLAGS, "0" } } },
	{ "unpin", 8, CHANGES, run_unpin, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "buf", T_BUF, "b0" }, { "flags", T_FLAGS, "0" },
		{ "nr", T_COUNT, "0" }, { "blockers", T_AT, "null" } } },
	{ "hash", 4, CHANGES, run_hash, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "to", T_SLOT, "0" }, { "name", T_NAME, "sha256" },
		{ "flags", T_FLAGS, "0" } } },
	{ "desc", 30, LOCAL, run_desc, {
		{ "op", T_OP, "nop" }, { "op_flags", T_FLAGS, "0" },
		{ "flags", T_FLAGS, "0" }, { "user", T_COUNT, "0" },
		{ "buf", T_BUF, "0" }, { "buf2", T_BUF2, "0" },
		{ "off", T_LEN, "0" }, { "len", T_LEN, "0" },
		{ "arg", T_LEN, "0" }, { "hash", T_HASH, "0" },
		{ "till", T_TIME, "0" }, { "after", T_CHILD, "0" },
		{ "times", T_SMALL, "1" } } },
	{ "spawn", 24, CHANGES | BLOCKS, run_spawn, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "nr", T_COUNT, "0" }, { "min", T_COUNT, "0" },
		{ "deadline", T_TIME, "0" }, { "flags", T_FLAGS, "0" },
		{ "to", T_SLOT, "0" }, { "handles", T_AT, "good" },
		{ "descs", T_AT, "good" }, { "keep", T_FLAGS, "0" },
		{ "blockers", T_AT, "null" }, { "room", T_COUNT, "0" } } },
	{ "cancel", 12, CHANGES, run_cancel, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "what", T_CAUSE, "child" }, { "target", T_CHILD, "c0" },
		{ "flags", T_FLAGS, "0" } } },
	{ "join", 7, BLOCKS, run_join, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "deadline", T_TIME, "0" }, { "flags", T_FLAGS, "0" },
		{ "cause", T_FLAGS, "0" } } },
	{ "quiesce", 5, CHANGES | BLOCKS, run_quiesce, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "deadline", T_TIME, "0" }, { "flags", T_FLAGS, "0" } } },
	{ "eventfd", 4, CHANGES, run_eventfd, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "event", T_COUNT, "1" }, { "flags", T_FLAGS, "0" },
		{ "reserved", T_FLAGS, "0" } } },
	{ "borrow", 10, CHANGES | BLOCKS, run_borrow, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "buf", T_BUF, "b0" }, { "access", T_SMALL, "1" },
		{ "off", T_LEN, "0" }, { "len", T_LEN, "0x1000" },
		{ "flags", T_FLAGS, "0" }, { "deadline", T_TIME, "0" },
		{ "room", T_COUNT, "0" }, { "blockers", T_AT, "null" },
		{ "reserved", T_FLAGS, "0" } } },
	{ "return", 8, CHANGES, run_give_back, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "lease", T_SMALL, "1" }, { "flags", T_FLAGS, "0" } } },
	{ "release", 4, CHANGES, run_release, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "flags", T_FLAGS, "0" }, { "nr", T_COUNT, "0" },
		{ "blockers", T_AT, "null" }, { "reserved", T_FLAGS, "0" } } },
	{ "query", 6, 0, run_query, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "flags", T_FLAGS, "0" } } },
	{ "ioctl", 2, 0, run_ioctl, { { "fd", T_FD, "s0" }, SIZE, AT,
		{ "cmd", T_COMMAND, "0xe817" } } },
	{ "mmap", 6, CHANGES, run_mmap, {
		{ "fd", T_FD, "s0" }, { "to", T_SLOT, "0" },
		{ "off", T_OFFSET, "ring" }, { "len", T_LEN, "4096" },
		{ "prot", T_PROT, "1" }, { "private", T_FLAGS, "0" } } },
	{ "munmap", 4, 0, run_munmap, {
		{ "addr", T_ADDR, "a0+0" }, { "len", T_LEN, "4096" } } },
	{ "mremap", 3, 0, run_mremap, {
		{ "addr", T_ADDR, "a0+0" }, { "len", T_LEN, "4096" },
		{ "new", T_LEN, "4096" }, { "to", T_SLOT, "0" },
		{ "flags", T_SMALL, "0" } } },
	{ "mprotect", 4, 0, run_mprotect, {
		{ "addr", T_ADDR, "a0+0" }, { "len", T_LEN, "4096" },
		{ "prot", T_PROT, "1" } } },
	{ "madvise", 3, 0, run_madvise, {
		{ "addr", T_ADDR, "a0+0" }, { "len", T_LEN, "4096" },
		{ "advice", T_ADVICE, "4" } } },
	{ "poke", 3, 0, run_poke, {
		{ "addr", T_ADDR, "a0+0" }, { "value", T_U64, "0" } } },
	{ "head", 3, 0, run_head, {
		{ "fd", T_FD, "s0" }, { "value", T_U64, "0" },
		{ "add", T_FLAGS, "0" } } },
	{ "reap", 8, 0, run_reap, {
		{ "fd", T_FD, "s0" }, { "max", T_COUNT, "64" } } },
	{ "poll", 5, BLOCKS, run_poll, {
		{ "fd", T_FD, "s0" }, { "events", T_FLAGS, "1" },
		{ "ms", T_SMALL, "1" } } },
	{ "fdop", 4, BLOCKS, run_fdop, {
		{ "fd", T_FD, "s0" }, { "op", T_FDOP, "read" },
		{ "value", T_LEN, "4096" } } },
	{ "dup", 3, 0, run_dup, {
		{ "fd", T_FD, "s0" }, { "to", T_SLOT, "0" } } },
	{ "dup2", 1, 0, run_dup2, {
		{ "fd", T_FD, "s0" }, { "over", T_FD, "s1" } } },
	{ "close", 6, CHANGES | BLOCKS, run_close, {
		{ "fd", T_FD, "s0" } } },
	{ "send", 2, 0, run_send, {
		{ "fd", T_FD, "s0" } } },
	{ "recv", 2, 0, run_recv, {
		{ "to", T_SLOT, "0" } } },
	{ "fork", 1, 0, run_fork, {
		{ "how", T_HOW, "exit" }, { "first", T_INDEX, "0" },
		{ "nr", T_SMALL, "4" } } },
	{ "replay", 6, LOCAL, run_replay, {
		{ "first", T_INDEX, "0" }, { "nr", T_SMALL, "2" },
		{ "times", T_SMALL, "4" } } },
	{ "nap", 3, LOCAL, run_nap, {
		{ "us", T_LEN, "200" } } },
	{ "kick", 2, LOCAL, run_kick, {
		{ "thread", T_SMALL, "0" } } },
	{ "limit", 1, 0, run_limit, {
		{ "which", T_LIMIT, "memlock" }, { "value", T_LEN, "0" } } },
	{ "die", 1, 0, run_die, {
		{ "how", T_HOW, "kill" } } },
};

/* clang-format on */

const unsigned int nr_kinds = ARRAY_SIZE(kinds);

static struct arg fallbacks[ARRAY_SIZE(kinds)][MAX_ARGS];

const struct arg *kind_fallback(unsigned int kind, unsigned int param)
{
	return &fallbacks[kind][param];
}

int kind_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_kinds; i++)
		if (!strcmp(kinds[i].name, name))
			return i;
	return -1;
}

/* The table is checked once: a value of it that does not parse is a mistake in it. */
void kinds_init(void)
{
	const struct param *param;
	unsigned int i, j;

	for (i = 0; i < nr_kinds; i++) {
		for (j = 0; kinds[i].params[j].name; j++) {
			param = &kinds[i].params[j];
			if (arg_parse(param->type, param->fallback,
				      &fallbacks[i][j]))
				continue;
			fprintf(stderr, "fuzz: %s: %s=%s is no value\n",
				kinds[i].name, param->name, param->fallback);
			exit(2);
		}
	}
}
