// SPDX-License-Identifier: GPL-2.0
/*
 * Operations of another module: registering, misbehaving, being cancelled, going away; and by
 * whom they are run.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/ktime.h>

#include "batch.h"

/**
 * struct fake - an op that does what the test says
 * @op: registered; may block
 * @quick: likewise; does not
 * @entered: a child runs
 * @leave: let it go on
 * @status: what it returns
 * @cancels: how often the cancel callback came
 * @runs: how often @quick was run
 * @own_runs: of these, by @task
 * @task: that of the test
 * @scope: that its children belong to
 */
struct fake {
	struct kscope_op op;
	struct kscope_op quick;
	struct completion entered;
	struct completion leave;
	int status;
	atomic_t cancels;
	atomic_t runs;
	atomic_t own_runs;
	struct task_struct *task;
	struct kscope_scope *scope;
};

/* Ops carry no pointer of their own, and one test runs at a time. */
static struct fake *fake;

static int fake_run(struct kscope_child *child)
{
	complete(&fake->entered);
	wait_for_completion(&fake->leave);
	kscope_child_set_value(child, 42);
	return fake->status;
}

#define FAILS 7 /* user_data of a quick child that does */

static int quick_run(struct kscope_child *child)
{
	atomic_inc(&fake->runs);
	if (current == fake->task)
		atomic_inc(&fake->own_runs);
	return kscope_child_desc(child)->user_data == FAILS ? -EIO : 0;
}

static void fake_cancel(struct kscope_child *child)
{
	atomic_inc(&fake->cancels);
}

static int fake_check(const struct kscope_desc *desc)
{
	return desc->user_data == 13 ? -EINVAL : 0;
}

static int provider_test_init(struct kunit *test)
{
	struct kscope_scope_params params = { .capacity = 8 };

	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fake);
	init_completion(&fake->entered);
	init_completion(&fake->leave);
	fake->op = (struct kscope_op){
		.name = "fake",
		.owner = THIS_MODULE,
		.attributes = KSCOPE_OP_BLOCKS,
		.check = fake_check,
		.run = fake_run,
		.cancel = fake_cancel,
	};
	fake->quick = (struct kscope_op){
		.name = "quick",
		.owner = THIS_MODULE,
		.run = quick_run,
	};
	fake->task = current;
	KUNIT_ASSERT_EQ(test, kscope_op_register(&fake->op), 0);
	KUNIT_ASSERT_EQ(test, kscope_op_register(&fake->quick), 0);
	fake->scope = kscope_scope_create(&params);
	KUNIT_ASSERT_FALSE(test, IS_ERR(fake->scope));
	return 0;
}

static void provider_test_exit(struct kunit *test)
{
	complete_all(&fake->leave);
	kscope_scope_destroy(fake->scope);
	kscope_op_unregister(&fake->quick);
	kscope_op_unregister(&fake->op);
}

static void use_scope(struct kunit *test, u32 kind, u32 flags)
{
	struct kscope_scope_params params = { .capacity = 8,
					      .kind = kind,
					      .flags = flags };
	struct kscope_scope *scope = kscope_scope_create(&params);

	KUNIT_ASSERT_FALSE(test, IS_ERR(scope));
	kscope_scope_destroy(fake->scope);
	fake->scope = scope;
}

static struct kscope_desc fake_desc(void)
{
	return (struct kscope_desc){ .op = fake->op.number };
}

static u64 spawn_running(struct kunit *test)
{
	struct kscope_desc desc = fake_desc();
	u64 handle;

	KUNIT_ASSERT_EQ(test,
			kscope_child_spawn(fake->scope, &desc, 1, &handle), 1);
	wait_for_completion(&fake->entered);
	return handle;
}

static struct kscope_completion let_it_end(struct kunit *test, int status)
{
	struct kscope_completion record = {};

	fake->status = status;
	complete(&fake->leave);
	KUNIT_EXPECT_EQ(test, kscope_scope_join(fake->scope, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, kscope_scope_reap(fake->scope, &record, 1), 1);
	return record;
}

static void registered_op_runs(struct kunit *test)
{
	struct kscope_completion record;

	KUNIT_EXPECT_GE(test, (u32)fake->op.number, KSCOPE_OP_PROVIDER);
	spawn_running(test);
	record = let_it_end(test, 0);
	KUNIT_EXPECT_EQ(test, record.outcome, KSCOPE_FINISHED);
	KUNIT_EXPECT_EQ(test, record.value, 42);
}

static void nonsense_from_an_op_is_an_io_error(struct kunit *test)
{
	struct kscope_completion record;

	spawn_running(test);
	record = let_it_end(test, 4711);
	KUNIT_EXPECT_EQ(test, record.outcome, KSCOPE_FAILED);
	KUNIT_EXPECT_EQ(test, record.status, -EIO);
}

static void op_may_refuse_a_descriptor(struct kunit *test)
{
	struct kscope_desc desc = fake_desc();

	desc.user_data = 13;
	KUNIT_EXPECT_EQ(test, kscope_child_spawn(fake->scope, &desc, 1, NULL),
			-EINVAL);
}

static void cancel_is_delivered_once(struct kunit *test)
{
	struct kscope_cancel_counts counts;
	struct kscope_completion record;
	u64 handle = spawn_running(test);

	KUNIT_EXPECT_EQ(test,
			kscope_child_cancel(fake->scope, KSCOPE_CANCEL_CHILD,
					    handle, &counts),
			0);
	KUNIT_EXPECT_EQ(test, counts.told, 1);
	KUNIT_EXPECT_EQ(test,
			kscope_child_cancel(fake->scope, KSCOPE_CANCEL_CHILD,
					    handle, &counts),
			-EALREADY);
	KUNIT_EXPECT_EQ(test,
			kscope_child_cancel(fake->scope, KSCOPE_CANCEL_SCOPE, 0,
					    &counts),
			0);
	KUNIT_EXPECT_EQ(test, counts.already, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->cancels), 1);
	KUNIT_EXPECT_EQ(test, kscope_scope_release(fake->scope), -EBUSY);
	record = let_it_end(test, 0);
	KUNIT_EXPECT_EQ(test, record.outcome, KSCOPE_FINISHED_ANYWAY);
	KUNIT_EXPECT_EQ(test, record.cause, KSCOPE_CAUSE_CALLER);
}

static int unregister_thread(void *arg)
{
	kscope_op_unregister(&fake->op);
	complete(arg);
	return 0;
}

static void unregister_waits_for_the_last_child(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gone);
	struct kscope_desc desc;

	spawn_running(test);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(unregister_thread, &gone,
						    "unregister")));
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&gone, HZ / 10), 0);
	desc = fake_desc();
	KUNIT_EXPECT_EQ(test, kscope_child_spawn(fake->scope, &desc, 1, NULL),
			-EINVAL);
	let_it_end(test, 0);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&gone, 10 * HZ), 0);
	KUNIT_EXPECT_EQ(test, kscope_op_register(&fake->op), 0);
}

static void rows_that_make_no_sense_are_refused(struct kunit *test)
{
	struct kscope_op no_name = fake->op;
	struct kscope_op no_run = fake->op;
	struct kscope_op ranges = fake->op;
	struct kscope_op file = fake->op;

	no_name.name = NULL;
	no_run.run = NULL;
	ranges.nr_ranges = KSCOPE_MAX_RANGES + 1;
	file.attributes = KSCOPE_OP_TAKES_FILE;
	KUNIT_EXPECT_EQ(test, kscope_op_register(&no_name), -EINVAL);
	KUNIT_EXPECT_EQ(test, kscope_op_register(&no_run), -EINVAL);
	KUNIT_EXPECT_EQ(test, kscope_op_register(&ranges), -EINVAL);
	KUNIT_EXPECT_EQ(test, kscope_op_register(&file), -EINVAL);
}

/* Up to two children, as a call spawns them that is going to wait */
static void spawn_to_wait(struct kunit *test, struct kscope_batch *batch,
			  u32 nr)
{
	struct kscope_desc descs[2] = { { .op = fake->quick.number },
					{ .op = fake->quick.number } };

	batch->help = true;
	batch->descs = descs;
	batch->nr = nr;
	KUNIT_EXPECT_EQ(test, kscope_batch_spawn(batch), nr);
}

/* Return: has the spawner run them itself */
static bool spawn_one_batch(struct kunit *test, u32 nr)
{
	struct kscope_batch *batch =
		kunit_kzalloc(test, sizeof(*batch), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, batch);
	kscope_batch_begin(batch, fake->scope, nr, 0);
	spawn_to_wait(test, batch, nr);
	kscope_batch_end(batch);
	return batch->mine;
}

static void spawner_that_will_wait_runs_a_small_batch(struct kunit *test)
{
	struct kscope_completion record;

	KUNIT_EXPECT_TRUE(test, spawn_one_batch(test, 1));
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->own_runs), 1);
	KUNIT_EXPECT_EQ(test, kscope_scope_reap(fake->scope, &record, 1), 1);
	KUNIT_EXPECT_EQ(test, kscope_scope_join(fake->scope, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 1);
}

/* What it then leaves without a kick would be nobody's business. */
static void spawner_that_had_enough_waits_for_what_it_leaves(struct kunit *test)
{
	struct kscope_batch *batch =
		kunit_kzalloc(test, sizeof(*batch), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, batch);
	kscope_batch_begin(batch, fake->scope, 3, 0);
	batch->min_complete = 1;
	spawn_to_wait(test, batch, 1);
	KUNIT_EXPECT_TRUE(test, batch->mine);
	KUNIT_EXPECT_TRUE(test, batch->enough);
	spawn_to_wait(test, batch, 2);
	KUNIT_EXPECT_FALSE(test, batch->mine);
	KUNIT_EXPECT_FALSE(test, batch->enough);
	kscope_batch_end(batch);
	KUNIT_EXPECT_EQ(test, kscope_scope_join(fake->scope, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 3);
}

static void join_helps(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, spawn_one_batch(test, 2));
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 0);
	KUNIT_EXPECT_EQ(test, kscope_scope_join(fake->scope, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 2);
	KUNIT_EXPECT_GE(test, atomic_read(&fake->own_runs), 1);
}

static void join_of_an_ordered_scope_helps(struct kunit *test)
{
	use_scope(test, KSCOPE_KIND_ORDERED, 0);
	KUNIT_EXPECT_FALSE(test, spawn_one_batch(test, 2));
	KUNIT_EXPECT_EQ(test, kscope_scope_join(fake->scope, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->own_runs), 2);
}

static void join_does_not_help_where_it_shall_not(struct kunit *test)
{
	use_scope(test, KSCOPE_KIND_PARALLEL, KSCOPE_SCOPE_NO_HELP);
	KUNIT_EXPECT_FALSE(test, spawn_one_batch(test, 2));
	KUNIT_EXPECT_EQ(test, kscope_scope_join(fake->scope, 0, NULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->own_runs), 0);
}

static void join_leaves_blocking_children_to_the_lanes(struct kunit *test)
{
	struct kscope_desc desc = { .op = fake->quick.number };

	use_scope(test, KSCOPE_KIND_ORDERED, 0);
	spawn_running(test);
	KUNIT_EXPECT_EQ(test, kscope_child_spawn(fake->scope, &desc, 1, NULL),
			1);
	KUNIT_EXPECT_EQ(test,
			kscope_scope_join(fake->scope,
					  ktime_get_ns() + NSEC_PER_MSEC, NULL),
			-ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 0);
	let_it_end(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 1);
}

static void spawner_of_an_inline_scope_runs_children(struct kunit *test)
{
	struct kscope_desc desc = { .op = fake->quick.number };
	struct kscope_desc blocks = fake_desc();

	use_scope(test, KSCOPE_KIND_INLINE, 0);
	KUNIT_EXPECT_EQ(test, kscope_child_spawn(fake->scope, &desc, 1, NULL),
			1);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->own_runs), 1);
	KUNIT_EXPECT_EQ(test, kscope_child_spawn(fake->scope, &blocks, 1, NULL),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->op.in_flight), 0);
	KUNIT_EXPECT_EQ(test, kscope_scope_release(fake->scope), 0);
}

/* The caller of an inline scope with a policy, for another module */
static void failure_ends_an_inline_spawn(struct kunit *test)
{
	struct kscope_scope_params params = {
		.capacity = 8,
		.kind = KSCOPE_KIND_INLINE,
		.policy = KSCOPE_POLICY_FAIL_FAST,
	};
	struct kscope_desc descs[4] = {};
	struct kscope_join_result result;
	u64 handles[4];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(descs); i++) {
		descs[i].op = fake->quick.number;
		descs[i].user_data = i == 1 ? FAILS : i;
	}
	kscope_scope_destroy(fake->scope);
	fake->scope = kscope_scope_create(&params);
	KUNIT_ASSERT_FALSE(test, IS_ERR(fake->scope));
	KUNIT_EXPECT_EQ(test,
			kscope_child_spawn(fake->scope, descs, 4, handles), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->runs), 2);
	KUNIT_EXPECT_EQ(test, kscope_scope_join(fake->scope, 0, &result), 0);
	KUNIT_EXPECT_EQ(test, result.cause, KSCOPE_CAUSE_FAILURE);
	KUNIT_EXPECT_EQ(test, result.decider_child, handles[1]);
	KUNIT_EXPECT_EQ(test, result.decider_user_data, FAILS);
	KUNIT_EXPECT_EQ(test, kscope_child_spawn(fake->scope, descs, 4, NULL),
			-ECANCELED);
	KUNIT_EXPECT_EQ(test, kscope_scope_quiesce(fake->scope, 0), 0);
	KUNIT_EXPECT_EQ(test, kscope_child_spawn(fake->scope, descs, 1, NULL),
			1);
}

static struct kunit_case provider_cases[] = {
	KUNIT_CASE(registered_op_runs),
	KUNIT_CASE(nonsense_from_an_op_is_an_io_error),
	KUNIT_CASE(op_may_refuse_a_descriptor),
	KUNIT_CASE(cancel_is_delivered_once),
	KUNIT_CASE(unregister_waits_for_the_last_child),
	KUNIT_CASE(rows_that_make_no_sense_are_refused),
	KUNIT_CASE(spawner_that_will_wait_runs_a_small_batch),
	KUNIT_CASE(spawner_that_had_enough_waits_for_what_it_leaves),
	KUNIT_CASE(join_helps),
	KUNIT_CASE(join_of_an_ordered_scope_helps),
	KUNIT_CASE(join_does_not_help_where_it_shall_not),
	KUNIT_CASE(join_leaves_blocking_children_to_the_lanes),
	KUNIT_CASE(spawner_of_an_inline_scope_runs_children),
	KUNIT_CASE(failure_ends_an_inline_spawn),
	{}
};

static struct kunit_suite provider_suite = {
	.name = "kscope_provider",
	.init = provider_test_init,
	.exit = provider_test_exit,
	.test_cases = provider_cases,
};

kunit_test_suite(provider_suite);

MODULE_LICENSE("GPL");
