// SPDX-License-Identifier: GPL-2.0
/*
 * Every kind of child is cancelled in every way: at a random moment; and, where the
 * module has its test hooks, at each stage of its life. Each leaves exactly one completion
 * within a second, which says what the cancel met.
 */
#include "kselftest_harness.h"
#include "race_loop.h"

#define PAGES 8
#define LEN (PAGES * PAGE)
#define FILE_LEN 512 /* short: with a limit of 1, files are read byte by byte */
#define ID 4711

enum op {
	NOP,
	SLEEP,
	SLEEP_ON,
	FILL,
	COPY,
	COMPARE,
	XOR,
	CRC,
	HASH,
	READ,
	WRITE,
	FSYNC,
	GATE_OPEN,
	GATE_SHUT,
	NR_OPS
};

static const char *const op_names[NR_OPS] = {
	"nop",	   "sleep", "endless sleep", "fill",	  "copy",
	"compare", "xor",   "crc32c",	     "hash",	  "read",
	"write",   "fsync", "gate",	     "shut gate",
};

static const char *const cancel_names[] = { "child", "user_data", "scope" };

struct stage {
	struct race race;
	struct scope scope;
	struct kscope_completion c;
	struct kscope_cancel counts;
	__u64 handle;
	unsigned int buf, hash, gate;
	int file, ret;
	char *mem;
	long pins;
};

static int stage_begin(struct stage *self)
{
	char path[PATH_LEN];
	int gate = gate_op();

	hooks_quiet();
	self->gate = gate > 0 ? gate : 0;
	self->pins = pins_now();
	self->scope.fd = -1;
	self->mem = map_anon(LEN);
	self->file = file_make(path, LEN, 1);
	unlink(path);
	return self->mem != MAP_FAILED && self->file >= 0 ? 0 : -ENOMEM;
}

/* What is left that should not be; NULL for nothing */
static const char *stage_end(struct stage *self)
{
	hooks_quiet();
	if (self->gate)
		gate_set(true);
	if (self->scope.fd >= 0)
		scope_close(&self->scope);
	close(self->file);
	munmap(self->mem, LEN);
	if (pins_settle(self->pins, 1000) != self->pins)
		return "pages are pinned";
	return hooks_agree() ? NULL : "the module's counts do not agree";
}

static struct kscope_desc desc_of(struct stage *self, enum op op)
{
	unsigned int buf = self->buf;

	switch (op) {
	case NOP:
		return desc_nop(0);
	case SLEEP:
		return desc_sleep(0, 1);
	case SLEEP_ON:
		return desc_sleep(0, far_future());
	case FILL:
		return desc_fill(buf, 0, LEN, 1);
	case COPY:
	case COMPARE:
	case XOR:
		return desc_two(KSCOPE_OP_COPY + op - COPY, buf, 0, buf,
				LEN / 2, LEN / 2);
	case CRC:
		return desc_crc32c(buf, 0, LEN, 0);
	case HASH:
		return desc_hash(self->hash, KSCOPE_HASH_ALL, buf, 0, LEN / 2,
				 buf, LEN / 2);
	case READ:
	case WRITE:
		return desc_file(KSCOPE_OP_READ + op - READ, self->file, 0, buf,
				 0, FILE_LEN);
	case FSYNC:
		return desc_fsync(self->file, 0);
	default:
		return desc_gate(self->gate, GATE_HEEDS, buf);
	}
}

/* Only a cancel ends them. */
static bool op_is_endless(enum op op)
{
	return op == SLEEP_ON || op == GATE_SHUT;
}

static bool op_is_there(struct stage *self, enum op op)
{
	return self->gate || (op != GATE_OPEN && op != GATE_SHUT);
}

/* A scope for one child of the kind, which is spawned. */
static int stage_spawn(struct stage *self, unsigned int kind, enum op op)
{
	struct kscope_desc desc;

	if (self->gate)
		gate_set(op != GATE_SHUT);
	self->ret = scope_open(&self->scope, kind, 8);
	if (self->ret)
		return self->ret;
	self->buf = buf_pin(self->scope.fd, self->mem, LEN, 0);
	self->hash = hash_open(self->scope.fd, "sha256");
	desc = desc_of(self, op);
	desc.user_data = ID;
	return spawn_one(self->scope.fd, desc, &self->handle);
}

static int stage_cancel(struct stage *self, unsigned int what)
{
	const __u64 targets[] = { self->handle, ID, 0 };

	return cancel_arg(self->scope.fd, what, targets[what], &self->counts);
}

/* What is wrong with how it ended, given whom the cancel met; NULL for nothing. */
static const char *judge(struct stage *self, unsigned int what)
{
	unsigned int met = self->counts.told + self->counts.never_started;
	int none = what == KSCOPE_CANCEL_SCOPE ? 0 : -ENOENT;
	unsigned int outcome = self->c.outcome;
	bool never_ran = outcome == KSCOPE_NEVER_STARTED;

	if (self->c.child != self->handle || self->c.user_data != ID)
		return "this is the completion of nobody";
	if (met > 1 || self->counts.already || self->ret != (met ? 0 : none))
		return "the cancel counted wrong";
	if (self->c.cause != (met ? KSCOPE_CAUSE_CALLER : 0))
		return "the cause is wrong";
	if (never_ran != !!self->counts.never_started)
		return "never started, or was it";
	if (!self->c.status !=
	    (outcome == KSCOPE_FINISHED || outcome == KSCOPE_FINISHED_ANYWAY))
		return "the status does not fit the outcome";
	if (outcome == KSCOPE_FAILED)
		return "it failed";
	return NULL;
}

/* Wait for the one completion, and see that no other comes. */
static const char *judge_end(struct stage *self, unsigned int what)
{
	__u64 deadline = now_ns() + promptly();
	const char *wrong;

	if (wait_unread(self->scope.fd, 1, PATIENCE_MS) ||
	    !reap(&self->scope, &self->c))
		return "no completion";
	if (now_ns() > deadline)
		return "it took more than a second";
	wrong = judge(self, what);
	if (wrong)
		return wrong;
	if (join(self->scope.fd) || self->scope.ring->tail != 1)
		return "that was not the only completion";
	if (buf_unpin(self->scope.fd, self->buf))
		return "the lease is still there";
	self->ret = scope_close(&self->scope);
	self->scope.fd = -1;
	return self->ret ? "cannot be closed" : NULL;
}

FIXTURE(at_random)
{
	struct stage stage;
};

FIXTURE_SETUP(at_random)
{
	ASSERT_EQ(0, stage_begin(&self->stage));
}

FIXTURE_TEARDOWN(at_random)
{
	EXPECT_EQ(NULL, stage_end(&self->stage));
}

TEST_F(at_random, child_of_every_kind_is_cancelled)
{
	unsigned int seen[KSCOPE_FINISHED_ANYWAY + 1] = {};
	struct stage *s = &self->stage;
	const char *wrong;

	race_begin_for(&s->race, "child_of_every_kind", 3 * LOOP_MS);
	while (race_next(&s->race)) {
		enum op op = s->race.round % NR_OPS;
		unsigned int what = race_random(&s->race) % 3;

		if (!op_is_there(s, op))
			continue;
		ASSERT_EQ(1, stage_spawn(s, race_random(&s->race) % 2, op));
		spin(race_random(&s->race) % 20000);
		s->counts = (struct kscope_cancel){};
		s->ret = what == KSCOPE_CANCEL_SCOPE ? 0 : -ENOENT;
		if (op_is_endless(op) || race_random(&s->race) % 4)
			s->ret = stage_cancel(s, what);
		wrong = judge_end(s, what);
		ASSERT_EQ(NULL, wrong)
		TH_LOG("round %u, %s, cancel by %s: %s", s->race.round,
		       op_names[op], cancel_names[what], wrong);
		seen[s->c.outcome]++;
	}
	TH_LOG("%u rounds: %u finished, %u never started, %u stopped, %u anyway",
	       s->race.round, seen[KSCOPE_FINISHED], seen[KSCOPE_NEVER_STARTED],
	       seen[KSCOPE_STOPPED], seen[KSCOPE_FINISHED_ANYWAY]);
}

FIXTURE(held)
{
	struct stage stage;
};

FIXTURE_VARIANT(held)
{
	const char *stage;
	bool has_run; /* too late for the cancel to change the outcome */
	bool has_ended; /* the completion is there, and no cancel meets the child */
};

FIXTURE_VARIANT_ADD(held, claimed){
	.stage = "claimed",
};

FIXTURE_VARIANT_ADD(held, returned){
	.stage = "returned",
	.has_run = true,
};

FIXTURE_VARIANT_ADD(held, ended){
	.stage = "ended",
	.has_run = true,
	.has_ended = true,
};

FIXTURE_VARIANT_ADD(held, idle){
	.stage = "idle",
	.has_run = true,
	.has_ended = true,
};

FIXTURE_SETUP(held)
{
	ASSERT_EQ(0, stage_begin(&self->stage));
	if (!strcmp(variant->stage, "idle"))
		hooks_limit(1); /* a lane goes idle after each child */
}

FIXTURE_TEARDOWN(held)
{
	EXPECT_EQ(NULL, stage_end(&self->stage));
}

/* Hold a child at the stage, cancel it there, let it go. */
static const char *hold_and_cancel(struct stage *s,
				   const FIXTURE_VARIANT(held) * variant,
				   unsigned int kind, enum op op,
				   unsigned int what)
{
	unsigned int met = !variant->has_ended;

	if (stop_at(variant->stage, ID) || stage_spawn(s, kind, op) != 1)
		return "cannot be spawned";
	if (stop_wait())
		return "does not come to the stage";
	if (ring_unread(&s->scope) == met)
		return met ? "has a completion already" : "no completion yet";
	s->ret = stage_cancel(s, what);
	if (s->counts.told != met || s->counts.never_started)
		return "the cancel did not meet it as it should";
	if (stop_go())
		return "cannot be let go";
	return NULL;
}

static bool outcome_fits(const struct stage *s,
			 const FIXTURE_VARIANT(held) * variant, enum op op)
{
	if (variant->has_ended)
		return s->c.outcome == KSCOPE_FINISHED;
	if (variant->has_run || op == NOP)
		return s->c.outcome == KSCOPE_FINISHED_ANYWAY;
	if (op_is_endless(op))
		return s->c.outcome == KSCOPE_STOPPED;
	return s->c.outcome == KSCOPE_STOPPED ||
	       s->c.outcome == KSCOPE_FINISHED_ANYWAY;
}

TEST_F_TIMEOUT(held, child_of_every_kind_is_cancelled_in_every_way, 50)
{
	struct stage *s = &self->stage;
	unsigned int what, nr = 0;
	const char *wrong;
	enum op op;

	if (!hooks_there())
		SKIP(return, "the module has no test hooks");
	for (op = 0; op < NR_OPS; op++) {
		if (!op_is_there(s, op) ||
		    (op_is_endless(op) && variant->has_run))
			continue;
		for (what = 0; what < ARRAY_SIZE(cancel_names); what++) {
			wrong = hold_and_cancel(s, variant, nr++ % 2, op, what);
			wrong = wrong ?: judge_end(s, what);
			ASSERT_EQ(NULL, wrong)
			TH_LOG("%s, cancel by %s: %s", op_names[op],
			       cancel_names[what], wrong);
			EXPECT_TRUE(outcome_fits(s, variant, op))
			TH_LOG("%s, cancel by %s: outcome %u", op_names[op],
			       cancel_names[what], s->c.outcome);
		}
	}
}

TEST_HARNESS_MAIN
