// SPDX-License-Identifier: GPL-2.0
/*
 * Drains: children that start when all those before them have ended.
 *
 * A drain begins an epoch: it and all that are accepted after it, up to the next drain, belong to
 * that. Each epoch counts those of its children that have not ended. When nobody is left in the
 * front epoch the next one becomes the front, and the drain that began it goes on. So a child costs
 * two steps, however many there are, and no list is searched.
 *
 * While there is no drain nothing is counted, and the numbers in the slots are left as they are:
 * none is beyond the front, and what is before it counts as the front. When a drain comes, the
 * front has all that are outstanding.
 *
 * A drain that ends before its turn leaves its epoch behind, until that comes to the front.
 */
#include "internal.h"

static u32 epoch_index(u64 epoch)
{
	return epoch % KSCOPE_MAX_EPOCHS;
}

/**
 * kscope_epochs_full() - is there no room for another drain
 * @epochs: of a scope
 *
 * Context: under the scope's lock.
 * Return: true if so.
 */
bool kscope_epochs_full(const struct kscope_epochs *epochs)
{
	return epochs->nr == KSCOPE_MAX_EPOCHS - 1;
}

/**
 * kscope_epoch_join() - count a child in the epoch that is now
 * @child: that is accepted or reserved, and no drain
 *
 * Context: under the scope's lock.
 */
void kscope_epoch_join(struct kscope_child *child)
{
	struct kscope_ties *ties = child->scope->ties;
	struct kscope_epochs *epochs = &ties->epochs;
	u64 epoch = epochs->front + epochs->nr;

	lockdep_assert_held(&child->scope->lock);
	if (!epochs->nr)
		return;
	kscope_child_tie(child)->epoch = epoch;
	epochs->alive[epoch_index(epoch)]++;
}

/* Let the front move on. Only drains are left behind it if it has nobody. */
static void epochs_advance(struct kscope_ties *ties)
{
	struct kscope_epochs *epochs = &ties->epochs;
	struct kscope_child *drain;

	while (epochs->nr && !epochs->alive[epoch_index(epochs->front)]) {
		epochs->front++;
		epochs->nr--;
		kscope_ties_count(ties, -1);
		drain = epochs->drain[epoch_index(epochs->front)];
		if (drain)
			kscope_child_ready(drain, KSCOPE_WAITS_DRAIN);
	}
}

/**
 * kscope_epoch_begin() - let a child wait for all that came before it
 * @child: that is about to be accepted or reserved, and is not in the tally yet
 *
 * Context: under the scope's lock; kscope_epochs_full() has said no.
 */
void kscope_epoch_begin(struct kscope_child *child)
{
	struct kscope_scope *scope = child->scope;
	struct kscope_epochs *epochs = &scope->ties->epochs;
	u64 epoch;

	lockdep_assert_held(&scope->lock);
	if (!epochs->nr)
		epochs->alive[epoch_index(epochs->front)] =
			kscope_tally_outstanding(&scope->tally);
	epochs->nr++;
	kscope_ties_count(scope->ties, 1);
	epoch = epochs->front + epochs->nr;
	epochs->alive[epoch_index(epoch)] = 1;
	epochs->drain[epoch_index(epoch)] = child;
	kscope_child_tie(child)->epoch = epoch;
	child->waits |= KSCOPE_WAITS_DRAIN;
	epochs_advance(scope->ties);
}

/**
 * kscope_epoch_leave() - a child has ended, or never was
 * @child: of a scope that has ties
 *
 * Context: under the scope's lock.
 */
void kscope_epoch_leave(struct kscope_child *child)
{
	struct kscope_ties *ties = child->scope->ties;
	struct kscope_epochs *epochs = &ties->epochs;
	u64 epoch = max(kscope_child_tie(child)->epoch, epochs->front);

	lockdep_assert_held(&child->scope->lock);
	if (!epochs->nr)
		return;
	epochs->alive[epoch_index(epoch)]--;
	if (epochs->drain[epoch_index(epoch)] == child)
		epochs->drain[epoch_index(epoch)] = NULL;
	epochs_advance(ties);
}
