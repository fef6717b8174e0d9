// SPDX-License-Identifier: GPL-2.0
/*
 * The transitions of a child and the tally of a scope.
 */
#include <kunit/test.h>

#include "state.h"

#define ENTRIES 4

static void make_reserved(struct kscope_life *life, struct kscope_tally *tally)
{
	kscope_life_reserve(life);
	kscope_tally_reserve(tally, 1);
}

static void publish(struct kscope_life *life, struct kscope_tally *tally)
{
	kscope_life_publish(life);
	kscope_tally_publish(tally, 1);
}

static void start(struct kscope_life *life, struct kscope_tally *tally)
{
	kscope_life_start(life);
	kscope_tally_start(tally, 1);
}

static void make_queued(struct kscope_life *life, struct kscope_tally *tally)
{
	make_reserved(life, tally);
	publish(life, tally);
}

static void make_running(struct kscope_life *life, struct kscope_tally *tally)
{
	make_queued(life, tally);
	start(life, tally);
}

static void open_scope_admits_up_to_its_entries(struct kunit *test)
{
	struct kscope_life life[ENTRIES] = {};
	struct kscope_tally tally;
	int i;

	kscope_tally_init(&tally, ENTRIES);
	for (i = 0; i < ENTRIES; i++) {
		KUNIT_EXPECT_EQ(test, kscope_tally_admits(&tally, 0), 0);
		KUNIT_EXPECT_EQ(test, kscope_tally_admits(&tally, ENTRIES - i),
				-EAGAIN);
		make_queued(&life[i], &tally);
	}
	KUNIT_EXPECT_EQ(test, kscope_tally_admits(&tally, 0), -EAGAIN);
	KUNIT_EXPECT_EQ(test, kscope_tally_outstanding(&tally), ENTRIES);
}

static void room_is_what_nobody_has_taken(struct kunit *test)
{
	struct kscope_life life[ENTRIES] = {};
	struct kscope_tally tally;
	u32 unread;
	int i;

	kscope_tally_init(&tally, ENTRIES);
	for (i = 0; i <= ENTRIES; i++) {
		for (unread = 0; unread <= ENTRIES - i; unread++)
			KUNIT_EXPECT_EQ(test, kscope_tally_room(&tally, unread),
					ENTRIES - i - unread);
		KUNIT_EXPECT_EQ(test,
				kscope_tally_room(&tally, ENTRIES - i + 1), 0);
		KUNIT_EXPECT_EQ(test, kscope_tally_room(&tally, U32_MAX), 0);
		if (i < ENTRIES)
			make_queued(&life[i], &tally);
	}
}

static void closed_scope_has_no_room(struct kunit *test)
{
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	kscope_tally_cancel(&tally, KSCOPE_CAUSE_CALLER);
	KUNIT_EXPECT_EQ(test, kscope_tally_room(&tally, 0), 0);
	kscope_tally_release(&tally);
	KUNIT_EXPECT_EQ(test, kscope_tally_room(&tally, 0), 0);
}

static void children_are_counted_together(struct kunit *test)
{
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	kscope_tally_reserve(&tally, ENTRIES);
	KUNIT_EXPECT_EQ(test, tally.reserved, ENTRIES);
	kscope_tally_abort(&tally, 1);
	KUNIT_EXPECT_EQ(test, tally.reserved, ENTRIES - 1);
	kscope_tally_publish(&tally, ENTRIES - 1);
	KUNIT_EXPECT_EQ(test, tally.reserved, 0);
	KUNIT_EXPECT_EQ(test, tally.queued, ENTRIES - 1);
	KUNIT_EXPECT_EQ(test, tally.spawned, ENTRIES - 1);
	kscope_tally_start(&tally, ENTRIES - 1);
	KUNIT_EXPECT_EQ(test, tally.queued, 0);
	KUNIT_EXPECT_EQ(test, tally.running, ENTRIES - 1);
	kscope_tally_finish(&tally, ENTRIES - 1);
	KUNIT_EXPECT_EQ(test, tally.running, 0);
	KUNIT_EXPECT_EQ(test, tally.completed, ENTRIES - 1);
	KUNIT_EXPECT_EQ(test, tally.failed, 0);
	KUNIT_EXPECT_EQ(test, tally.cancelled, 0);
}

static void every_phase_counts_as_outstanding(struct kunit *test)
{
	struct kscope_life life = {};
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	make_reserved(&life, &tally);
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), -EBUSY);
	publish(&life, &tally);
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), -EBUSY);
	start(&life, &tally);
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), -EBUSY);
	kscope_life_end(&life, &tally, 0);
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), 0);
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), -ESHUTDOWN);
}

static void aborted_child_never_existed(struct kunit *test)
{
	struct kscope_life life = {};
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	make_reserved(&life, &tally);
	kscope_life_abort(&life);
	kscope_tally_abort(&tally, 1);
	KUNIT_EXPECT_EQ(test, tally.spawned, 0);
	KUNIT_EXPECT_EQ(test, tally.completed, 0);
	KUNIT_EXPECT_EQ(test, kscope_tally_outstanding(&tally), 0);
	KUNIT_EXPECT_EQ(test, kscope_life_cancel(&life, KSCOPE_CAUSE_CALLER),
			KSCOPE_VERDICT_GONE);
}

static void cancelled_scope_admits_nothing(struct kunit *test)
{
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	KUNIT_EXPECT_EQ(test, tally.cause, KSCOPE_CAUSE_NONE);
	KUNIT_EXPECT_EQ(test, kscope_tally_cancel(&tally, KSCOPE_CAUSE_CALLER),
			0);
	KUNIT_EXPECT_EQ(test, kscope_tally_cancel(&tally, KSCOPE_CAUSE_CLOSE),
			0);
	KUNIT_EXPECT_EQ(test, tally.cause, KSCOPE_CAUSE_CALLER);
	KUNIT_EXPECT_EQ(test, kscope_tally_admits(&tally, 0), -ECANCELED);
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), 0);
	KUNIT_EXPECT_EQ(test, kscope_tally_admits(&tally, 0), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, kscope_tally_cancel(&tally, KSCOPE_CAUSE_CALLER),
			-ESHUTDOWN);
}

static void cancelled_scope_opens_again_unless_for_good(struct kunit *test)
{
	struct kscope_life life = {};
	struct kscope_tally tally;
	bool for_good;
	u8 cause;

	for (cause = KSCOPE_CAUSE_NONE; cause <= KSCOPE_CAUSE_PROVIDER;
	     cause++) {
		kscope_tally_init(&tally, ENTRIES);
		make_queued(&life, &tally);
		if (cause)
			kscope_tally_cancel(&tally, cause);
		KUNIT_EXPECT_EQ(test, kscope_tally_reopen(&tally), -EBUSY);
		kscope_life_end(&life, &tally, 0);
		for_good = cause && cause != KSCOPE_CAUSE_CALLER &&
			   cause != KSCOPE_CAUSE_FAILURE &&
			   cause != KSCOPE_CAUSE_SUCCESS;
		KUNIT_EXPECT_EQ(test, kscope_tally_reopen(&tally),
				for_good ? -ECANCELED : 0);
		KUNIT_EXPECT_EQ(test, kscope_tally_open(&tally),
				for_good ? -ECANCELED : 0);
		KUNIT_EXPECT_EQ(test, tally.cause, for_good ? cause : 0);
		KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), 0);
		KUNIT_EXPECT_EQ(test, kscope_tally_reopen(&tally), -ESHUTDOWN);
	}
}

static void
cause_that_stays_is_not_forgiven_for_an_earlier_one(struct kunit *test)
{
	struct kscope_tally tally;
	u8 cause;

	for (cause = KSCOPE_CAUSE_CALLER; cause <= KSCOPE_CAUSE_PROVIDER;
	     cause++) {
		kscope_tally_init(&tally, ENTRIES);
		kscope_tally_cancel(&tally, KSCOPE_CAUSE_CALLER);
		kscope_tally_cancel(&tally, cause);
		KUNIT_EXPECT_EQ(test, tally.cause, KSCOPE_CAUSE_CALLER);
		KUNIT_EXPECT_EQ(test, kscope_tally_reopen(&tally),
				cause == KSCOPE_CAUSE_CALLER ||
						cause == KSCOPE_CAUSE_FAILURE ||
						cause == KSCOPE_CAUSE_SUCCESS ?
					0 :
					-ECANCELED);
	}
}

static void
nested_scopes_and_calls_hold_up_the_release_alone(struct kunit *test)
{
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	KUNIT_EXPECT_TRUE(test, kscope_tally_ends(&tally));
	tally.nested = 1;
	KUNIT_EXPECT_FALSE(test, kscope_tally_ends(&tally));
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), -EBUSY);
	KUNIT_EXPECT_EQ(test, kscope_tally_outstanding(&tally), 0);
	KUNIT_EXPECT_EQ(test, kscope_tally_admits(&tally, 0), 0);
	tally.nested = 0;
	tally.pending = 1;
	KUNIT_EXPECT_FALSE(test, kscope_tally_ends(&tally));
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), -EBUSY);
	tally.pending = 0;
	KUNIT_EXPECT_EQ(test, kscope_tally_release(&tally), 0);
}

static void policies_know_what_decides(struct kunit *test)
{
	static const u8 fail_fast[KSCOPE_FINISHED_ANYWAY + 1] = {
		[KSCOPE_FAILED] = KSCOPE_CAUSE_FAILURE,
	};
	static const u8 race[KSCOPE_FINISHED_ANYWAY + 1] = {
		[KSCOPE_FINISHED] = KSCOPE_CAUSE_SUCCESS,
		[KSCOPE_FINISHED_ANYWAY] = KSCOPE_CAUSE_SUCCESS,
	};
	u8 cause;
	u16 i;

	for (i = KSCOPE_FINISHED; i <= KSCOPE_FINISHED_ANYWAY; i++) {
		cause = kscope_policy_cause(KSCOPE_POLICY_COLLECT, i);
		KUNIT_EXPECT_EQ(test, cause, KSCOPE_CAUSE_NONE);
		cause = kscope_policy_cause(KSCOPE_POLICY_FAIL_FAST, i);
		KUNIT_EXPECT_EQ(test, cause, fail_fast[i]);
		cause = kscope_policy_cause(KSCOPE_POLICY_FIRST_SUCCESS, i);
		KUNIT_EXPECT_EQ(test, cause, race[i]);
	}
}

static void reserved_child_cannot_be_cancelled(struct kunit *test)
{
	struct kscope_life life = {};
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	make_reserved(&life, &tally);
	KUNIT_EXPECT_EQ(test, kscope_life_cancel(&life, KSCOPE_CAUSE_CALLER),
			KSCOPE_VERDICT_GONE);
	KUNIT_EXPECT_EQ(test, life.cause, KSCOPE_CAUSE_NONE);
}

static void queued_child_that_is_cancelled_never_starts(struct kunit *test)
{
	struct kscope_life life = {};
	struct kscope_tally tally;
	struct kscope_end end;

	kscope_tally_init(&tally, ENTRIES);
	make_queued(&life, &tally);
	KUNIT_EXPECT_EQ(test, kscope_life_cancel(&life, KSCOPE_CAUSE_CLOSE),
			KSCOPE_VERDICT_ENDS);
	end = kscope_life_end(&life, &tally, 0);
	KUNIT_EXPECT_EQ(test, end.outcome, KSCOPE_NEVER_STARTED);
	KUNIT_EXPECT_EQ(test, end.status, -ECANCELED);
	KUNIT_EXPECT_EQ(test, end.cause, KSCOPE_CAUSE_CLOSE);
	KUNIT_EXPECT_EQ(test, tally.cancelled, 1);
	KUNIT_EXPECT_EQ(test, tally.queued, 0);
}

static void parked_child_is_queued_or_never_starts(struct kunit *test)
{
	struct kscope_life life = {};
	struct kscope_tally tally;
	struct kscope_end end;

	kscope_tally_init(&tally, ENTRIES);
	make_queued(&life, &tally);
	kscope_life_park(&life);
	KUNIT_EXPECT_EQ(test, kscope_life_state(&life), KSCOPE_STATE_PARKED);
	kscope_life_unpark(&life);
	KUNIT_EXPECT_EQ(test, kscope_life_state(&life), KSCOPE_STATE_QUEUED);
	kscope_life_park(&life);
	KUNIT_EXPECT_EQ(test, kscope_life_cancel(&life, KSCOPE_CAUSE_DEADLINE),
			KSCOPE_VERDICT_ENDS);
	end = kscope_life_end(&life, &tally, 0);
	KUNIT_EXPECT_EQ(test, end.outcome, KSCOPE_NEVER_STARTED);
	KUNIT_EXPECT_EQ(test, end.status, -ECANCELED);
	KUNIT_EXPECT_EQ(test, end.cause, KSCOPE_CAUSE_DEADLINE);
	KUNIT_EXPECT_EQ(test, tally.cancelled, 1);
	KUNIT_EXPECT_EQ(test, tally.queued, 0);
	KUNIT_EXPECT_EQ(test, life.phase, KSCOPE_PHASE_FREE);
}

static void first_cause_stands(struct kunit *test)
{
	struct kscope_life life = {};
	struct kscope_tally tally;
	struct kscope_end end;

	kscope_tally_init(&tally, ENTRIES);
	make_running(&life, &tally);
	KUNIT_EXPECT_EQ(test, kscope_life_state(&life), KSCOPE_STATE_RUNNING);
	KUNIT_EXPECT_EQ(test, kscope_life_cancel(&life, KSCOPE_CAUSE_CALLER),
			KSCOPE_VERDICT_TOLD);
	KUNIT_EXPECT_EQ(test, kscope_life_cancel(&life, KSCOPE_CAUSE_CLOSE),
			KSCOPE_VERDICT_ALREADY);
	KUNIT_EXPECT_EQ(test, kscope_life_state(&life),
			KSCOPE_STATE_CANCELLING);
	end = kscope_life_end(&life, &tally, -ECANCELED);
	KUNIT_EXPECT_EQ(test, end.cause, KSCOPE_CAUSE_CALLER);
	KUNIT_EXPECT_EQ(test, end.outcome, KSCOPE_STOPPED);
}

struct end_case {
	const char *name;
	int status;
	u8 cause;
	u16 outcome;
	int reported;
};

static const struct end_case end_cases[] = {
	{ "finished", 0, 0, KSCOPE_FINISHED, 0 },
	{ "finished anyway", 0, KSCOPE_CAUSE_CALLER, KSCOPE_FINISHED_ANYWAY,
	  0 },
	{ "stopped", -ECANCELED, KSCOPE_CAUSE_CALLER, KSCOPE_STOPPED,
	  -ECANCELED },
	{ "failed", -EIO, 0, KSCOPE_FAILED, -EIO },
	{ "failed although cancelled", -EIO, KSCOPE_CAUSE_CALLER, KSCOPE_FAILED,
	  -EIO },
	{ "claims to be cancelled", -ECANCELED, 0, KSCOPE_FAILED, -ECANCELED },
	{ "returns nonsense", 17, 0, KSCOPE_FAILED, -EIO },
	{ "returns an internal code", -512, 0, KSCOPE_FAILED, -EIO },
	{ "returns the last errno", -511, 0, KSCOPE_FAILED, -511 },
};

static void end_case_name(const struct end_case *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(end, end_cases, end_case_name);

static void end_of_a_running_child_is_told_apart(struct kunit *test)
{
	const struct end_case *c = test->param_value;
	struct kscope_life life = {};
	struct kscope_tally tally;
	struct kscope_end end;

	kscope_tally_init(&tally, ENTRIES);
	make_running(&life, &tally);
	if (c->cause)
		kscope_life_cancel(&life, c->cause);
	end = kscope_life_end(&life, &tally, c->status);
	KUNIT_EXPECT_EQ(test, end.outcome, c->outcome);
	KUNIT_EXPECT_EQ(test, end.status, c->reported);
	KUNIT_EXPECT_EQ(test, end.cause, c->cause);
	KUNIT_EXPECT_EQ(test, tally.completed, 1);
	KUNIT_EXPECT_EQ(test, tally.failed, c->outcome == KSCOPE_FAILED);
	KUNIT_EXPECT_EQ(test, tally.cancelled, c->outcome == KSCOPE_STOPPED);
	KUNIT_EXPECT_EQ(test, kscope_tally_outstanding(&tally), 0);
}

static void quick_end_is_for_those_that_have_just_finished(struct kunit *test)
{
	const struct end_case *c = test->param_value;
	bool finishes = c->outcome == KSCOPE_FINISHED;
	struct kscope_life life = {}, old;
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	make_running(&life, &tally);
	if (c->cause)
		kscope_life_cancel(&life, c->cause);
	old = life;
	KUNIT_EXPECT_EQ(test, kscope_life_finish(&life, c->status), finishes);
	KUNIT_EXPECT_EQ(test, life.cause, old.cause);
	KUNIT_EXPECT_EQ(test, life.phase,
			finishes ? KSCOPE_PHASE_FREE : KSCOPE_PHASE_RUNNING);
}

static void quick_end_is_not_for_those_that_do_not_run(struct kunit *test)
{
	struct kscope_life life = {};
	struct kscope_tally tally;

	kscope_tally_init(&tally, ENTRIES);
	KUNIT_EXPECT_FALSE(test, kscope_life_finish(&life, 0));
	make_reserved(&life, &tally);
	KUNIT_EXPECT_FALSE(test, kscope_life_finish(&life, 0));
	publish(&life, &tally);
	KUNIT_EXPECT_FALSE(test, kscope_life_finish(&life, 0));
	kscope_life_cancel(&life, KSCOPE_CAUSE_CALLER);
	KUNIT_EXPECT_FALSE(test, kscope_life_finish(&life, 0));
	KUNIT_EXPECT_EQ(test, life.phase, KSCOPE_PHASE_QUEUED);
}

static void both_ways_of_an_end_come_to_the_same(struct kunit *test)
{
	struct kscope_tally quick_tally, tally;
	struct kscope_life quick = {}, life = {};
	struct kscope_end end;

	kscope_tally_init(&quick_tally, ENTRIES);
	kscope_tally_init(&tally, ENTRIES);
	make_running(&quick, &quick_tally);
	make_running(&life, &tally);
	KUNIT_EXPECT_TRUE(test, kscope_life_finish(&quick, 0));
	kscope_tally_finish(&quick_tally, 1);
	end = kscope_life_end(&life, &tally, 0);
	KUNIT_EXPECT_EQ(test, end.outcome, KSCOPE_FINISHED);
	KUNIT_EXPECT_EQ(test, quick.both, life.both);
	KUNIT_EXPECT_MEMEQ(test, &quick_tally, &tally, sizeof(tally));
}

static struct kunit_case state_cases[] = {
	KUNIT_CASE(open_scope_admits_up_to_its_entries),
	KUNIT_CASE(room_is_what_nobody_has_taken),
	KUNIT_CASE(closed_scope_has_no_room),
	KUNIT_CASE(children_are_counted_together),
	KUNIT_CASE(every_phase_counts_as_outstanding),
	KUNIT_CASE(aborted_child_never_existed),
	KUNIT_CASE(cancelled_scope_admits_nothing),
	KUNIT_CASE(cancelled_scope_opens_again_unless_for_good),
	KUNIT_CASE(cause_that_stays_is_not_forgiven_for_an_earlier_one),
	KUNIT_CASE(nested_scopes_and_calls_hold_up_the_release_alone),
	KUNIT_CASE(policies_know_what_decides),
	KUNIT_CASE(reserved_child_cannot_be_cancelled),
	KUNIT_CASE(queued_child_that_is_cancelled_never_starts),
	KUNIT_CASE(parked_child_is_queued_or_never_starts),
	KUNIT_CASE(first_cause_stands),
	KUNIT_CASE_PARAM(end_of_a_running_child_is_told_apart, end_gen_params),
	KUNIT_CASE_PARAM(quick_end_is_for_those_that_have_just_finished,
			 end_gen_params),
	KUNIT_CASE(quick_end_is_not_for_those_that_do_not_run),
	KUNIT_CASE(both_ways_of_an_end_come_to_the_same),
	{}
};

static struct kunit_suite state_suite = {
	.name = "kscope_state",
	.test_cases = state_cases,
};

kunit_test_suite(state_suite);

MODULE_DESCRIPTION("KUnit tests of kscope");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(KSCOPE_KUNIT);
