// SPDX-License-Identifier: GPL-2.0
/*
 * Spawning a batch of children: draft all, reserve all under one lock, and, once the
 * caller has been told their handles, publish all under one lock.
 *
 * A batch is accepted up to its first descriptor that is refused. Between reserve and
 * publish the children count as outstanding, so the scope cannot be released under
 * them; if it is cancelled meanwhile they are aborted, and never existed.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "internal.h"

static u32 batch_draft(struct kscope_scope *scope, struct kscope_batch *batch)
{
	u32 i;

	batch->error = 0;
	for (i = 0; i < batch->nr; i++) {
		batch->error = kscope_child_draft(scope, &batch->drafts[i],
						  &batch->descs[i]);
		if (batch->error)
			break;
	}
	return i;
}

/**
 * kscope_batch_reserve() - give slots to a batch, up to the first child that is refused
 * @scope: to be the parent
 * @batch: in: descs and nr. out: drafts, nr and error
 *
 * Context: process context of the spawner; may sleep.
 */
void kscope_batch_reserve(struct kscope_scope *scope,
			  struct kscope_batch *batch)
{
	u32 nr_drafts = batch_draft(scope, batch);
	int ret = 0;
	u32 i;

	kscope_hook(KSCOPE_POINT_DRAFTED, batch->descs[0].user_data);
	spin_lock(&scope->lock);
	for (batch->nr = 0; batch->nr < nr_drafts; batch->nr++) {
		i = batch->nr;
		ret = kscope_child_reserve(scope, &batch->drafts[i],
					   &batch->descs[i]);
		if (ret)
			break;
	}
	spin_unlock(&scope->lock);

	if (ret)
		batch->error = ret;
	for (i = batch->nr; i < nr_drafts; i++)
		kscope_draft_drop(scope, &batch->drafts[i]);
}

static void batch_abort_locked(struct kscope_batch *batch)
{
	u32 i;

	for (i = 0; i < batch->nr; i++)
		kscope_child_abort(batch->drafts[i].child);
}

/**
 * kscope_batch_abort() - undo kscope_batch_reserve()
 * @scope: of the batch
 * @batch: reserved
 *
 * Context: process context.
 */
void kscope_batch_abort(struct kscope_scope *scope, struct kscope_batch *batch)
{
	spin_lock(&scope->lock);
	batch_abort_locked(batch);
	spin_unlock(&scope->lock);
	kscope_scope_notify(scope);
}

/**
 * kscope_batch_publish() - accept the reserved children
 * @scope: of the batch
 * @batch: reserved
 *
 * Context: process context.
 * Return: how many were accepted. If none: the error of the first descriptor, or -ECANCELED or
 * -ESHUTDOWN if the scope was closed to children meanwhile: then all are aborted.
 */
int kscope_batch_publish(struct kscope_scope *scope, struct kscope_batch *batch)
{
	u64 now = ktime_get_ns();
	int ret;
	u32 i;

	if (!batch->nr)
		return batch->error;
	kscope_hook(KSCOPE_POINT_RESERVED, batch->descs[0].user_data);
	spin_lock(&scope->lock);
	ret = kscope_tally_open(&scope->tally);
	if (ret)
		batch_abort_locked(batch);
	for (i = 0; !ret && i < batch->nr; i++) {
		batch->drafts[i].child->spawned_ns = now;
		kscope_child_publish(batch->drafts[i].child);
	}
	spin_unlock(&scope->lock);
	if (ret)
		kscope_scope_notify(scope);
	return ret ?: batch->nr;
}

static void batch_report(const struct kscope_batch *batch, u64 *handles)
{
	u32 i;

	for (i = 0; i < batch->nr; i++)
		handles[i] = batch->drafts[i].child->handle;
}

/**
 * kscope_child_spawn() - spawn children
 * @scope: to be the parent
 * @descs: one for each child
 * @nr: how many
 * @handles: receives the handles of those that are accepted; may be NULL
 *
 * Context: process context; may sleep. A file operation takes its fd from the calling task.
 * Return: how many were accepted: up to the first that is refused. If that is the first of
 * all, its errno as in the ABI's table.
 */
int kscope_child_spawn(struct kscope_scope *scope,
		       const struct kscope_desc *descs, u32 nr, u64 *handles)
{
	struct kscope_batch *batch = kmalloc(sizeof(*batch), GFP_KERNEL);
	u32 done = 0;
	int ret = 0;

	if (!batch)
		return -ENOMEM;
	while (done < nr && ret >= 0) {
		batch->nr = min(nr - done, kscope_limit(KSCOPE_BATCH));
		memcpy(batch->descs, descs + done, batch->nr * sizeof(*descs));
		kscope_batch_reserve(scope, batch);
		if (handles)
			batch_report(batch, handles + done);
		ret = kscope_batch_publish(scope, batch);
		if (ret < 0)
			break;
		done += ret;
		ret = batch->error;
	}
	kfree(batch);
	return done ?: ret;
}
EXPORT_SYMBOL_GPL(kscope_child_spawn);
