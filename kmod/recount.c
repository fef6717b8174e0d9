// SPDX-License-Identifier: GPL-2.0
/*
 * Recounting for tests: only in modules that are built with KSCOPE_HOOKS.
 *
 * The module's parameter test_check reads as "ok" and sums over all scopes, if what each
 * scope and user has counted is what a look at its children and buffers gives, and else
 * as "bad", with a line for each difference. What is added up here owes nothing to the
 * code that it checks, but for the tables themselves.
 */
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>

#include "internal.h"

/* Outermost of all locks: nothing but a scope's lock is taken under it. */
static DEFINE_MUTEX(watch_lock);
static LIST_HEAD(watched);

/**
 * struct recount - what a look at a scope, or at all of them, gives
 * @scopes: that exist
 * @phase: children in each phase
 * @leases: that they have, and callers
 * @taken: those that have a place among the leases of children, as they are not on nothing
 * @lent: likewise of callers and nested scopes
 * @borrows: of these, those of callers
 * @files: that they hold
 * @buffers: in the tables
 * @pages: pinned for these
 */
struct recount {
	u64 scopes;
	u64 phase[KSCOPE_PHASE_RUNNING + 1];
	u64 leases;
	u64 taken;
	u64 lent;
	u64 borrows;
	u64 files;
	u64 buffers;
	u64 pages;
};

/**
 * struct tie_recount - likewise at its ties
 * @ties: that are in force
 * @alive: children of each epoch that have not ended, by its number modulo KSCOPE_MAX_EPOCHS
 */
struct tie_recount {
	u64 ties;
	u32 alive[KSCOPE_MAX_EPOCHS];
};

struct report {
	struct seq_buf text;
	struct recount sum;
	u32 bad;
};

static void expect(struct report *report, const struct kscope_scope *scope,
		   const char *what, u64 counted, u64 found)
{
	if (counted == found)
		return;
	report->bad++;
	seq_buf_printf(&report->text,
		       "scope %p: %s is %llu, but there are %llu\n", scope,
		       what, counted, found);
}

static u64 list_length(const struct list_head *list)
{
	struct list_head *pos;
	u64 nr = 0;

	list_for_each(pos, list)
		nr++;
	return nr;
}

static u32 leases_taken(const struct kscope_child *child)
{
	u32 i, nr = 0;

	if (child->waits & KSCOPE_WAITS_LEASES)
		return 0;
	for (i = 0; i < child->nr_leases; i++)
		nr += kscope_child_range(child, i).len > 0;
	return nr;
}

static void recount_children(const struct kscope_scope *scope,
			     struct recount *found)
{
	const struct kscope_child *child;
	u32 slot;

	for (slot = 0; slot < scope->nr_touched; slot++) {
		child = &scope->slots[slot];
		found->phase[child->life.phase]++;
		if (child->life.phase == KSCOPE_PHASE_FREE)
			continue;
		if (child->op->plain)
			continue;
		found->files += kscope_child_has_file(child);
		found->leases += child->nr_leases;
		found->taken += leases_taken(child);
	}
}

/* Pages of a buffer that are pinned, as far as one can tell from a page */
static u64 recount_pages(const struct kscope_buf *buf)
{
	unsigned long i;
	struct page *page;
	u64 pos, nr = 0;
	size_t len;
	u32 off;

	for (pos = 0; pos < buf->len; pos += len) {
		len = buf->len - pos;
		page = kscope_buf_span(buf, pos, &len, &off);
		for (i = PFN_UP(off + len); i--; page = nth_page(page, 1))
			nr += folio_maybe_dma_pinned(page_folio(page));
	}
	return nr;
}

static void recount_loans(struct kscope_scope *scope, struct recount *found)
{
	u32 held;

	found->leases += kscope_loans_recount(scope, &held);
	found->lent += held;
	found->borrows = held;
}

/* What buffers count themselves goes to @counted. */
static void recount_buffers(const struct kscope_scope *scope,
			    struct recount *counted, struct recount *found)
{
	const struct kscope_buf *buf;
	u32 i;

	for (i = 0; i < scope->max_buffers; i++) {
		buf = scope->bufs[i].buf;
		if (!buf || buf->handle == U32_MAX) /* free, or reserved */
			continue;
		found->buffers++;
		found->pages += buf->cred ? recount_pages(buf) : 0;
		found->lent += list_length(&buf->views);
		counted->leases += buf->leases;
		counted->taken += buf->borrowed.nr;
		counted->lent += buf->lent.nr;
	}
}

static void sum_up(struct recount *sum, const struct recount *found)
{
	int i;

	sum->scopes++;
	for (i = 0; i <= KSCOPE_PHASE_RUNNING; i++)
		sum->phase[i] += found->phase[i];
	sum->leases += found->leases;
	sum->files += found->files;
	sum->buffers += found->buffers;
	sum->pages += found->pages;
}

static void recount_ties(const struct kscope_ties *ties,
			 struct tie_recount *found)
{
	const struct kscope_epochs *epochs = &ties->epochs;
	const struct kscope_child *child;
	const struct kscope_tie *tie;
	u32 slot;

	found->ties = epochs->nr;
	for (slot = 0; slot < ties->scope->nr_touched; slot++) {
		child = &ties->scope->slots[slot];
		tie = &ties->slots[slot];
		found->ties += !list_empty(&tie->sibling);
		found->ties += !RB_EMPTY_NODE(&tie->deadline.node);
		if (epochs->nr && child->life.phase != KSCOPE_PHASE_FREE)
			found->alive[max(tie->epoch, epochs->front) %
				     KSCOPE_MAX_EPOCHS]++;
	}
}

static void check_ties(struct report *report, struct kscope_scope *scope)
{
	struct kscope_ties *ties = READ_ONCE(scope->ties);
	struct tie_recount found = {};
	u64 epoch;

	if (!ties)
		return;
	recount_ties(ties, &found);
	expect(report, scope, "ties", ties->nr, found.ties);
	expect(report, scope, "ties in force",
	       !!(scope->at_end & KSCOPE_END_TIES), !!found.ties);
	for (epoch = ties->epochs.front;
	     epoch <= ties->epochs.front + ties->epochs.nr && ties->epochs.nr;
	     epoch++)
		expect(report, scope, "children of an epoch",
		       ties->epochs.alive[epoch % KSCOPE_MAX_EPOCHS],
		       found.alive[epoch % KSCOPE_MAX_EPOCHS]);
}

static u64 queued(const struct kscope_scope *scope)
{
	return list_length(&scope->quick.ready) +
	       list_length(&scope->slow.ready) + list_length(&scope->parked) +
	       list_length(&scope->doomed);
}

static u64 claimed(const struct kscope_scope *scope)
{
	struct kscope_claim *claim;
	u64 nr = 0;

	hlist_for_each_entry(claim, &scope->claims, node)
		nr += list_length(&claim->children);
	return nr;
}

static void check_scope(struct report *report, struct kscope_scope *scope)
{
	const struct kscope_tally *tally = &scope->tally;
	struct recount counted = {}, found = {};

	lockdep_assert_held(&scope->lock);
	recount_children(scope, &found);
	recount_loans(scope, &found);
	recount_buffers(scope, &counted, &found);
	expect(report, scope, "tally.reserved", tally->reserved,
	       found.phase[KSCOPE_PHASE_RESERVED]);
	expect(report, scope, "tally.queued", tally->queued,
	       found.phase[KSCOPE_PHASE_QUEUED] +
		       found.phase[KSCOPE_PHASE_PARKED]);
	expect(report, scope, "tally.running", tally->running,
	       found.phase[KSCOPE_PHASE_RUNNING]);
	expect(report, scope, "length of the free list",
	       list_length(&scope->free), found.phase[KSCOPE_PHASE_FREE]);
	expect(report, scope, "length of the claims", claimed(scope),
	       tally->running);
	expect(report, scope, "length of the queues", queued(scope),
	       tally->queued);
	expect(report, scope, "spawned", tally->spawned,
	       tally->completed + tally->queued + tally->running);
	expect(report, scope, "tail of the ring", scope->ring->tail,
	       (u32)tally->completed);
	expect(report, scope, "leases of buffers", counted.leases,
	       found.leases);
	expect(report, scope, "leases of children", counted.taken, found.taken);
	expect(report, scope, "leases of others", counted.lent, found.lent);
	expect(report, scope, "nr_borrows", scope->nr_borrows, found.borrows);
	expect(report, scope, "nr_buffers", scope->nr_buffers, found.buffers);
	expect(report, scope, "pinned_pages", scope->pinned_pages, found.pages);
	check_ties(report, scope);
	sum_up(&report->sum, &found);
}

static void check_all(struct report *report)
{
	struct kscope_scope *scope;

	mutex_lock(&watch_lock);
	list_for_each_entry(scope, &watched, watch.node) {
		kscope_nest_lock();
		spin_lock(&scope->lock);
		expect(report, scope, "tally.nested", scope->tally.nested,
		       list_length(&scope->nest.live));
		check_scope(report, scope);
		spin_unlock(&scope->lock);
		kscope_nest_unlock();
	}
	mutex_unlock(&watch_lock);
}

static u64 outstanding(const struct recount *sum)
{
	return sum->phase[KSCOPE_PHASE_RESERVED] +
	       sum->phase[KSCOPE_PHASE_PARKED] +
	       sum->phase[KSCOPE_PHASE_QUEUED] +
	       sum->phase[KSCOPE_PHASE_RUNNING];
}

static int check_get(char *buf, const struct kernel_param *param)
{
	struct kscope_charges charges;
	struct report report = {};
	char text[512];
	int len;

	seq_buf_init(&report.text, text, sizeof(text));
	check_all(&report);
	kscope_user_charges(&charges);
	len = sysfs_emit(buf, "%s scopes=%llu children=%llu buffers=%llu ",
			 report.bad ? "bad" : "ok", report.sum.scopes,
			 outstanding(&report.sum), report.sum.buffers);
	len += sysfs_emit_at(buf, len, "pages=%llu charged=%llu/%llu/%llu\n",
			     report.sum.pages, charges.scopes, charges.children,
			     charges.files);
	len += sysfs_emit_at(buf, len, "%.*s", (int)seq_buf_used(&report.text),
			     text);
	return len;
}

static const struct kernel_param_ops check_ops = {
	.get = check_get,
};

module_param_cb(test_check, &check_ops, NULL, 0400);

/**
 * kscope_watch() - put a scope on the list of those that are checked
 * @scope: new
 *
 * Context: process context; may sleep.
 */
void kscope_watch(struct kscope_scope *scope)
{
	mutex_lock(&watch_lock);
	list_add(&scope->watch.node, &watched);
	mutex_unlock(&watch_lock);
}

/**
 * kscope_unwatch() - undo kscope_watch()
 * @scope: about to be freed
 *
 * Context: process context; may sleep.
 */
void kscope_unwatch(struct kscope_scope *scope)
{
	mutex_lock(&watch_lock);
	list_del(&scope->watch.node);
	mutex_unlock(&watch_lock);
}
