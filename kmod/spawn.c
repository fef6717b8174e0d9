// SPDX-License-Identifier: GPL-2.0
/*
 * Spawning as many as a caller wants, a batch at a time. No locks here.
 *
 * The command SPAWN copies descriptors in and handles out, and then waits if the caller wants
 * that; it is the one command that must be short. Callers in the kernel have their descriptors at
 * hand, and never wait.
 */
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "batch.h"
#include "ioctl.h"

/* Memory that is gone again each time is none. */
#define REPLY_TRIES 64

/*
 * Descriptors before one that cannot be read still count. A copy of many may stop well before
 * the first byte that is not there (that of arm64 does), but one that is all there is copied.
 */
static u32 copy_readable(struct kscope_desc *room,
			 const struct kscope_desc __user *descs, u32 nr)
{
	size_t size = nr * sizeof(*room);
	u32 done = (size - copy_from_user(room, descs, size)) / sizeof(*room);

	while (done < nr &&
	       !copy_from_user(&room[done], &descs[done], sizeof(*room)))
		done++;
	return done;
}

/*
 * Memory of the caller may take as long as it likes to be there. Nothing may wait meanwhile
 * that was left to the caller to run.
 */
static noinline int fill_slowly(struct kscope_batch *batch,
				const void __user *descs)
{
	kscope_scope_kick(batch->scope);
	batch->nr = copy_readable(batch->room, descs, batch->nr);
	return batch->nr ? 0 : -EFAULT;
}

static __always_inline bool fill_at_once(struct kscope_desc *room,
					 const void __user *descs, size_t size)
{
	unsigned long left;

	if (!access_ok(descs, size))
		return false;
	pagefault_disable();
	left = __copy_from_user_inatomic(room, descs, size);
	pagefault_enable();
	return !left;
}

static __always_inline int fill_batch(struct kscope_batch *batch, u64 user)
{
	const void __user *descs = u64_to_user_ptr(user);
	bool filled;

	/* A copy of a constant size is not checked. */
	if (batch->nr == 1)
		filled = fill_at_once(batch->room, descs, sizeof(*batch->room));
	else
		filled = fill_at_once(batch->room, descs,
				      batch->nr * sizeof(*batch->room));
	return likely(filled) ? 0 : fill_slowly(batch, descs);
}

static bool reply_at_once(u64 __user *to, const u64 *handles, size_t size)
{
	unsigned long left;

	if (!access_ok(to, size))
		return false;
	pagefault_disable();
	left = __copy_to_user_inatomic(to, handles, size);
	pagefault_enable();
	return !left;
}

/*
 * The same holds for memory that handles go to. Children that are reserved hold up the end of the
 * scope, and of those above it, so there are none meanwhile.
 * Return: how many were accepted; if none, why; or 0 to try again
 */
static int spawn_and_reply(struct kscope_batch *batch, u64 __user *to)
{
	u64 handles[KSCOPE_BATCH];
	int nr = kscope_batch_reserve(batch, handles);
	size_t size = nr * sizeof(*to);

	if (nr <= 0)
		return nr;
	if (reply_at_once(to, handles, size))
		return kscope_batch_publish(batch);
	kscope_batch_abort(batch);
	kscope_scope_kick(batch->scope);
	return fault_in_writeable((char __user *)to, size) ? -EFAULT : 0;
}

static noinline_for_stack int spawn_with_handles(struct kscope_batch *batch,
						 u64 user)
{
	u32 nr = batch->nr, tries;
	int ret;

	for (tries = 0; tries < REPLY_TRIES; tries++) {
		batch->nr = nr;
		ret = spawn_and_reply(batch, u64_to_user_ptr(user));
		if (ret)
			return ret;
		batch->now = ktime_get_ns();
	}
	return -EFAULT;
}

/* Return: how many were accepted; if none, why */
static int spawn_some(struct kscope_batch *batch,
		      const struct kscope_spawn *args, u32 done)
{
	int ret;

	batch->nr = min(args->nr - done, kscope_batch_room(batch));
	ret = fill_batch(batch, args->descs + (u64)done * sizeof(*batch->room));
	if (ret)
		return ret;
	if (!args->handles)
		return kscope_batch_spawn(batch);
	return spawn_with_handles(batch,
				  args->handles + (u64)done * sizeof(u64));
}

/*
 * A caller that is going to wait runs the last batch itself if it can; on a machine with one
 * CPU each of them.
 */
static bool is_going_to_help(const struct kscope_batch *batch,
			     const struct kscope_spawn *args, u32 done)
{
	if (!args->min_complete || batch->scope->flags & KSCOPE_SCOPE_NO_HELP)
		return false;
	return args->nr - done <= batch->max || num_online_cpus() == 1;
}

/* Return: how many were accepted; if none, why. @wait: is there something to wait for */
static __always_inline long
spawn_all(struct kscope_call *call, struct kscope_blocker *blockers, bool *wait)
{
	struct kscope_batch batch __uninitialized;
	struct kscope_spawn *args = &call->args.spawn;
	long done = 0;
	int ret = 0;

	kscope_batch_begin(&batch, call->scope, args->nr, args->min_complete);
	batch.blockers = blockers;
	batch.max_blockers = args->blockers ? args->nr_blockers : 0;
	if (unlikely(args->flags & KSCOPE_SPAWN_LINKED)) {
		ret = kscope_batch_link(&batch, args->nr);
		if (ret)
			return ret;
	}
	for (;;) {
		batch.help = is_going_to_help(&batch, args, done);
		ret = spawn_some(&batch, args, done);
		if (ret < 0) {
			batch.enough = false;
			break;
		}
		done += ret;
		ret = batch.error;
		if (done >= args->nr || ret || batch.linked ||
		    fatal_signal_pending(current))
			break;
		cond_resched();
	}
	kscope_batch_end(&batch);
	args->nr_blockers = batch.nr_blockers;
	*wait = false;
	if (batch.enough)
		return done;
	/* Whoever runs them may be done before there is need to sleep. */
	cond_resched();
	*wait = args->min_complete;
	return done ? done : ret;
}

static __always_inline long handle_spawn(struct kscope_call *call)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS] __uninitialized;
	struct kscope_spawn *args = &call->args.spawn;
	bool wait = args->min_complete;
	long done = 0;
	int ret;

	if (args->flags & ~KSCOPE_SPAWN_ALL || args->reserved ||
	    args->reserved2 || args->nr > KSCOPE_MAX_CAPACITY ||
	    args->nr_blockers > KSCOPE_MAX_BLOCKERS)
		return -EINVAL;
	if (unlikely(args->flags & KSCOPE_SPAWN_LINKED) &&
	    args->nr > KSCOPE_MAX_LINKED)
		return -EINVAL;
	if (args->nr)
		done = spawn_all(call, blockers, &wait);
	if (unlikely(done == -EBUSY))
		return kscope_reply_busy(call, sizeof(*args), args->blockers,
					 blockers, args->nr_blockers);
	if (done < 0 || !wait)
		return done;
	ret = kscope_scope_wait(call->scope, args->min_complete,
				args->deadline_ns);
	return done ?: ret;
}

/**
 * kscope_ioctl_spawn() - the command SPAWN of a scope's fd
 * @scope: whose
 * @user: address of the argument struct
 *
 * It is not in the table of commands, as that would take longer, and its copy is of a constant
 * size, which is not checked. The room for a batch shall not be on the stack of others.
 *
 * Context: process context; may sleep.
 * Return: how many were accepted; if none, a negative errno.
 */
noinline_for_stack long kscope_ioctl_spawn(struct kscope_scope *scope,
					   void __user *user)
{
	struct kscope_call call __uninitialized;
	int ret;

	call.scope = scope;
	call.user = user;
	ret = kscope_args_get(&call, sizeof(struct kscope_spawn));
	return ret ?: handle_spawn(&call);
}

static int pass_some(struct kscope_batch *batch, u64 *handles)
{
	int ret;

	if (!handles)
		return kscope_batch_spawn(batch);
	ret = kscope_batch_reserve(batch, handles);
	return ret > 0 ? kscope_batch_publish(batch) : ret;
}

static bool descs_are_linked(const struct kscope_desc *descs, u32 nr)
{
	const struct kscope_desc *end = descs + nr;

	for (; descs < end; descs++)
		if (descs->after && descs->after < KSCOPE_MAX_CAPACITY)
			return true;
	return false;
}

static int pass_all(struct kscope_batch *batch, const struct kscope_desc *descs,
		    u32 nr, u64 *handles)
{
	u32 done = 0;
	int ret = 0;

	while (done < nr && !ret) {
		batch->descs = descs + done;
		batch->nr = min(nr - done, kscope_batch_room(batch));
		ret = pass_some(batch, handles ? handles + done : NULL);
		if (ret < 0)
			break;
		done += ret;
		ret = batch->error;
		if (batch->linked)
			break;
	}
	return done ?: ret;
}

/**
 * kscope_child_spawn() - spawn children
 * @scope: to be the parent
 * @descs: one for each child
 * @nr: how many
 * @handles: receives the handles of those that are accepted; may be NULL
 *
 * Context: process context; may sleep. A file operation takes its fd from the calling task.
 * An inline scope's children are run here. Up to KSCOPE_MAX_LINKED may name each other.
 * Return: how many were accepted: up to the first that is refused. If that is the first of
 * all, its errno as in the ABI's table.
 */
int kscope_child_spawn(struct kscope_scope *scope,
		       const struct kscope_desc *descs, u32 nr, u64 *handles)
{
	struct kscope_batch batch __uninitialized;
	int ret;

	kscope_batch_begin(&batch, scope, nr, 0);
	batch.help = false;
	ret = nr <= KSCOPE_MAX_LINKED && descs_are_linked(descs, nr) ?
		      kscope_batch_link(&batch, nr) :
		      0;
	if (!ret)
		ret = pass_all(&batch, descs, nr, handles);
	kscope_batch_end(&batch);
	return ret;
}
EXPORT_SYMBOL_GPL(kscope_child_spawn);
