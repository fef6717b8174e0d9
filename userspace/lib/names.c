// SPDX-License-Identifier: LGPL-2.1-or-later
#include "internal.h"

#define NAME_OF(names, index) \
	name_of(names, sizeof(names) / sizeof((names)[0]), index)

static const char *name_of(const char *const *names, size_t nr,
			   unsigned int index)
{
	return index < nr && names[index] ? names[index] : "unknown";
}

const char *kscope_op_name(unsigned int op)
{
	static const char *const names[] = {
		[KSCOPE_OP_NOP] = "nop",	 [KSCOPE_OP_SLEEP] = "sleep",
		[KSCOPE_OP_FILL] = "fill",	 [KSCOPE_OP_COPY] = "copy",
		[KSCOPE_OP_COMPARE] = "compare", [KSCOPE_OP_XOR] = "xor",
		[KSCOPE_OP_CRC32C] = "crc32c",	 [KSCOPE_OP_HASH] = "hash",
		[KSCOPE_OP_READ] = "read",	 [KSCOPE_OP_WRITE] = "write",
		[KSCOPE_OP_FSYNC] = "fsync",
	};

	return NAME_OF(names, op);
}

const char *kscope_outcome_str(unsigned int outcome)
{
	static const char *const names[] = {
		[KSCOPE_FINISHED] = "finished",
		[KSCOPE_FAILED] = "failed",
		[KSCOPE_NEVER_STARTED] = "never started",
		[KSCOPE_STOPPED] = "stopped part-way",
		[KSCOPE_FINISHED_ANYWAY] = "finished although cancelled",
	};

	return NAME_OF(names, outcome);
}

const char *kscope_cause_str(unsigned int cause)
{
	static const char *const names[] = {
		[KSCOPE_CAUSE_NONE] = "none",
		[KSCOPE_CAUSE_CALLER] = "the caller asked",
		[KSCOPE_CAUSE_DEADLINE] = "the deadline passed",
		[KSCOPE_CAUSE_FAILURE] = "a sibling failed",
		[KSCOPE_CAUSE_SUCCESS] = "a sibling succeeded",
		[KSCOPE_CAUSE_PARENT] = "the parent scope was cancelled",
		[KSCOPE_CAUSE_CLOSE] = "the scope was closed",
		[KSCOPE_CAUSE_PROVIDER] = "the operation's module went away",
		[KSCOPE_CAUSE_AFTER] = "an earlier child did not finish",
	};

	return NAME_OF(names, cause);
}

const char *kscope_state_str(unsigned int state)
{
	static const char *const names[] = {
		[KSCOPE_STATE_PARKED] = "parked",
		[KSCOPE_STATE_QUEUED] = "queued",
		[KSCOPE_STATE_RUNNING] = "running",
		[KSCOPE_STATE_CANCELLING] = "cancelling",
		[KSCOPE_STATE_LENT] = "lent",
		[KSCOPE_STATE_NESTED] = "nested scope",
	};

	return NAME_OF(names, state);
}
