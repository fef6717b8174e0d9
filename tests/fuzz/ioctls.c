// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls, but for SPAWN. One function makes them all and checks what holds for each of
 * them: nothing is written outside the struct, nor into it if the call was refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"
#include "ioctls.h"
#include "run.h"

enum { ARG_FD, ARG_SIZE, ARG_AT, ARG_REST };

/* An ioctl under way: the struct as it is put before the kernel */
struct attempt {
	char bytes[PAGE + 64];
	size_t len; /* that are there */
	struct place place;
};

static void attempt_size(struct attempt *a, unsigned int word, size_t size)
{
	__u32 claimed = size;

	a->len = size;
	switch (word) {
	case SIZE_SHORT:
		claimed = size - 1;
		break;
	case SIZE_ZERO:
		claimed = 0;
		break;
	case SIZE_FOUR:
		claimed = 4;
		break;
	case SIZE_TAIL:
	case SIZE_JUNK:
		claimed = size + 8;
		a->len = claimed;
		a->bytes[claimed - 1] = word == SIZE_JUNK;
		break;
	case SIZE_PAGE:
	case SIZE_OVER:
		claimed = word == SIZE_PAGE ? PAGE : PAGE + 1;
		a->len = claimed;
		break;
	case SIZE_HUGE:
		claimed = ~0U;
		break;
	}
	memcpy(a->bytes, &claimed, sizeof(claimed));
}

static void check_memory(const struct attempt *a, size_t size, long ret)
{
	const char *view = a->place.view;

	if (!place_is_guarded(&a->place, a->len))
		finding("wrote outside of the struct");
	if (memcmp(view, a->bytes, sizeof(__u32)))
		finding("changed the size in the struct");
	if (a->len > size &&
	    memcmp(view + size, a->bytes + size, a->len - size))
		finding("wrote behind the part of the struct that it knows");
	if (ret < 0 && ret != -EBUSY && ret != -EALREADY &&
	    memcmp(view, a->bytes, a->len))
		finding("refused with %ld, and still wrote to the struct", ret);
}

/* These look at no memory but their struct. */
static bool needs_only_struct(unsigned int cmd, const void *data)
{
	const struct kscope_scope_create *create = data;

	if (cmd == KSCOPE_IOC_SCOPE_CREATE)
		return !create->cpus_size;
	return cmd != KSCOPE_IOC_BUF_PIN && cmd != KSCOPE_IOC_SPAWN &&
	       cmd != KSCOPE_IOC_BUF_UNPIN && cmd != KSCOPE_IOC_RELEASE &&
	       cmd != KSCOPE_IOC_BORROW;
}

/**
 * ioctl_make() - make an ioctl and check what it did
 * @ctx: of the thread
 * @args: of the call: fd, size, at
 * @cmd: KSCOPE_IOC_*
 * @data: the struct; changed if the call changes it
 * @size: of the struct
 *
 * Return: as the ioctl, or -errno. ctx->slot is what it was made on.
 */
long ioctl_make(struct ctx *ctx, const struct arg *args, unsigned int cmd,
		void *data, size_t size)
{
	__u32 word = value_of(&args[ARG_SIZE]), at = value_of(&args[ARG_AT]);
	struct attempt a = {};
	long ret;

	ctx->slot = fd_of(&args[ARG_FD]);
	memcpy(a.bytes, data, size);
	attempt_size(&a, word, size);
	a.place = place_put(ctx, ROOM_STRUCT, at, a.bytes, a.len);
	ret = ioctl(ctx->slot.fd, cmd, a.place.addr);
	if (ret < 0)
		ret = -errno;
	oracle_check_return(ctx->kind, &ctx->slot, ret);
	if (!a.place.view || ctx->in_fork)
		return ret;
	check_memory(&a, size, ret);
	if (ret == -EFAULT && word < SIZE_HUGE && needs_only_struct(cmd, data))
		finding("-EFAULT, but the struct is all there");
	memcpy(data, a.place.view, size);
	return ret;
}

/* Can the result be looked at, once the call has been made? */
static bool is_seen(const struct ctx *ctx, const struct arg *args)
{
	return !ctx->in_fork && args[ARG_AT].index <= AT_EDGE;
}

long run_info(struct ctx *ctx, const struct arg *args)
{
	struct kscope_info info = { .flags = value_of(&args[ARG_REST]) };
	long ret = ioctl_make(ctx, args, KSCOPE_IOC_INFO, &info, sizeof(info));

	if (!ret && is_seen(ctx, args) &&
	    info.abi_version != KSCOPE_ABI_VERSION)
		finding("INFO says ABI version %u", info.abi_version);
	return ret;
}

long run_op_info(struct ctx *ctx, const struct arg *args)
{
	enum { FLAGS = ARG_REST, INDEX, NAME, RESERVED };
	struct kscope_op_info info = {
		.flags = value_of(&args[FLAGS]),
		.index = value_of(&args[INDEX]),
		.reserved = value_of(&args[RESERVED]),
	};

	if (args[NAME].form == FORM_WORD)
		memcpy(info.name, op_names[args[NAME].index],
		       strlen(op_names[args[NAME].index]));
	else
		memset(info.name, 'x', sizeof(info.name));
	return ioctl_make(ctx, args, KSCOPE_IOC_OP_INFO, &info, sizeof(info));
}

/* Each at a place of its own: a call that goes beyond the end meets nothing. */
static void obj_map(struct obj *obj, int fd)
{
	char *at = (char *)OBJ_BASE + (obj - state.objs) * AREA_WINDOW;
	void *ring = mmap(at, obj->bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
			  KSCOPE_MMAP_RING);
	void *head;

	if (ring == MAP_FAILED)
		return;
	head = mmap(at + AREA_WINDOW / 2, PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, KSCOPE_MMAP_HEAD);
	if (head == MAP_FAILED) {
		munmap(ring, obj->bytes);
		return;
	}
	obj->head = head;
	obj->ring = ring;
}

static struct obj *obj_new(const struct kscope_scope_create *create, int fd,
			   bool map)
{
	__u32 nr = __atomic_fetch_add(&state.nr_objs, 1, __ATOMIC_RELAXED);
	struct obj *obj = &state.objs[nr % MAX_OBJS];

	if (nr >= MAX_OBJS) {
		state.nr_objs = MAX_OBJS;
		return NULL;
	}
	obj->ring = NULL;
	obj->head = NULL;
	obj->entries = create->ring_entries;
	obj->bytes = create->ring_bytes;
	obj->accepted = 0;
	obj->unsure = false;
	obj->scribbled = false;
	obj->busy = false;
	obj->nr_log = 0;
	obj->nr_known = 0;
	obj->nr_cancelled = 0;
	if (map && obj->entries && obj->entries <= MAX_LOG)
		obj_map(obj, fd);
	return obj;
}

long run_create(struct ctx *ctx, const struct arg *args)
{
	enum {
		TO = ARG_REST,
		CAPACITY,
		KIND,
		POLICY,
		BUFFERS,
		FLAGS,
		MAP,
		DEADLINE,
		GRACE,
		USER,
		MOST,
		CPUS,
		CPUS_SIZE
	};
	struct kscope_scope_create create = {
		.flags = value_of(&args[FLAGS]),
		.kind = value_of(&args[KIND]),
		.policy = value_of(&args[POLICY]),
		.deadline_ns = value_of(&args[DEADLINE]),
		.grace_ns = value_of(&args[GRACE]),
		.capacity = value_of(&args[CAPACITY]),
		.max_buffers = value_of(&args[BUFFERS]),
		.user_data = value_of(&args[USER]),
		.max_running = value_of(&args[MOST]),
		.cpus_size = value_of(&args[CPUS_SIZE]),
		.cpus = value_of(&args[CPUS]),
	};
	long ret = ioctl_make(ctx, args, KSCOPE_IOC_SCOPE_CREATE, &create,
			      sizeof(create));
	bool seen = is_seen(ctx, args);
	struct fd_slot slot;

	if (ret < 0)
		return ret;
	slot.fd = fd_park(ret);
	/* what is made again and again is not looked at: mappings are slow */
	seen = seen && !ctx->depth && value_of(&args[MAP]);
	slot.obj = obj_new(&create, slot.fd, seen);
	slot_store(state.scopes, value_of(&args[TO]) % NR_SCOPES, slot);
	return 0;
}

/* What happens to one scope of a tree may come from another one. */
long run_nest(struct ctx *ctx, const struct arg *args)
{
	mark_unsure();
	return run_create(ctx, args);
}

long run_reborrow(struct ctx *ctx, const struct arg *args)
{
	enum { TO = ARG_REST, SCOPE, BUF, OFF, LEN, FLAGS };
	struct kscope_buf_reborrow reborrow = {
		.flags = value_of(&args[FLAGS]),
		.scope = fd_of(&args[SCOPE]).fd,
		.buf = value_of(&args[BUF]),
		.off = value_of(&args[OFF]),
		.len = value_of(&args[LEN]),
	};
	long ret = ioctl_make(ctx, args, KSCOPE_IOC_BUF_REBORROW, &reborrow,
			      sizeof(reborrow));

	if (ret > 0)
		state.bufs[value_of(&args[TO]) % NR_BUFS] = ret;
	return ret;
}

long run_pin(struct ctx *ctx, const struct arg *args)
{
	enum { TO = ARG_REST, ADDR, LEN, FLAGS };
	struct kscope_buf_pin pin = { .flags = value_of(&args[FLAGS]),
				      .addr = value_of(&args[ADDR]),
				      .len = value_of(&args[LEN]) };
	long ret = ioctl_make(ctx, args, KSCOPE_IOC_BUF_PIN, &pin, sizeof(pin));

	if (ret > 0)
		state.bufs[value_of(&args[TO]) % NR_BUFS] = ret;
	return ret;
}

/* Room for blockers, where the call shall find it */
/* Room for blockers, at a good place or a bad one */
struct place blockers_put(struct ctx *ctx, const struct arg *at)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS] = {};

	return place_put(ctx, ROOM_BLOCKERS, value_of(at), blockers,
			 sizeof(blockers));
}

/*
 * Leases of callers have no child: they are lent, or parked while they are waited for. Neither have
 * nested scopes.
 */
static bool blocker_makes_sense(const struct kscope_blocker *blocker)
{
	switch (blocker->state) {
	case KSCOPE_STATE_QUEUED:
	case KSCOPE_STATE_RUNNING:
	case KSCOPE_STATE_CANCELLING:
		return blocker->child;
	case KSCOPE_STATE_PARKED:
		return blocker->child || blocker->user_data;
	case KSCOPE_STATE_LENT:
		return !blocker->child && blocker->user_data;
	case KSCOPE_STATE_NESTED:
		return !blocker->child && !blocker->op;
	default:
		return false;
	}
}

/* What a refusal has written there, or another end of the call has not */
void blockers_check(const struct place *place, __u32 nr, long ret)
{
	const struct kscope_blocker *blockers = (void *)place->view;
	__u32 i;

	if (!place->view)
		return;
	if (!place_is_guarded(place, KSCOPE_MAX_BLOCKERS * sizeof(*blockers)))
		finding("wrote outside of the array of blockers");
	if (ret != -EBUSY)
		nr = 0;
	for (i = 0; i < KSCOPE_MAX_BLOCKERS; i++)
		if (i < nr ? !blocker_makes_sense(&blockers[i]) :
			     blockers[i].child || blockers[i].state)
			finding("%u blockers, and blocker %u is: child %llx, state %u",
				nr, i, blockers[i].child, blockers[i].state);
}

long run_unpin(struct ctx *ctx, const struct arg *args)
{
	enum { BUF = ARG_REST, FLAGS, NR, BLOCKERS };
	struct place place = blockers_put(ctx, &args[BLOCKERS]);
	struct kscope_buf_unpin unpin = {
		.flags = value_of(&args[FLAGS]),
		.buf = value_of(&args[BUF]),
		.nr_blockers = value_of(&args[NR]),
		.blockers = (uintptr_t)place.addr,
	};
	long ret = ioctl_make(ctx, args, KSCOPE_IOC_BUF_UNPIN, &unpin,
			      sizeof(unpin));

	if (is_seen(ctx, args))
		blockers_check(&place, unpin.nr_blockers, ret);
	return ret;
}

long run_hash(struct ctx *ctx, const struct arg *args)
{
	enum { TO = ARG_REST, NAME, FLAGS };
	struct kscope_hash_open open = { .flags = value_of(&args[FLAGS]) };
	const char *name = "";
	long ret;

	if (args[NAME].form == FORM_WORD)
		name = hash_names[args[NAME].index];
	if (strcmp(name, "long"))
		memcpy(open.name, name, strlen(name));
	else
		memset(open.name, 'x', sizeof(open.name));
	ret = ioctl_make(ctx, args, KSCOPE_IOC_HASH_OPEN, &open, sizeof(open));
	if (ret > 0)
		state.hashes[value_of(&args[TO]) % NR_HASHES] = ret;
	return ret;
}

long run_cancel(struct ctx *ctx, const struct arg *args)
{
	enum { WHAT = ARG_REST, TARGET, FLAGS };
	struct kscope_cancel cancel = {
		.flags = value_of(&args[FLAGS]),
		.what = value_of(&args[WHAT]),
		.target = value_of(&args[TARGET]),
	};
	long ret;

	/* the fallback of the target is a child */
	if (args[WHAT].form == FORM_WORD && args[TARGET].form == FORM_CHILD) {
		if (cancel.what == KSCOPE_CANCEL_SCOPE)
			cancel.target = 0;
		if (cancel.what == KSCOPE_CANCEL_USER_DATA)
			cancel.target = args[TARGET].index;
		if (cancel.what == KSCOPE_CANCEL_BUF)
			cancel.target =
				state.bufs[args[TARGET].index % NR_BUFS];
	}
	ret = ioctl_make(ctx, args, KSCOPE_IOC_CANCEL, &cancel, sizeof(cancel));
	if (ctx->slot.obj && is_seen(ctx, args))
		oracle_check_cancel(ctx->slot.obj, &cancel, ret);
	return ret;
}

long run_join(struct ctx *ctx, const struct arg *args)
{
	enum { DEADLINE = ARG_REST, FLAGS, CAUSE };
	struct kscope_join join = {
		.flags = value_of(&args[FLAGS]),
		.deadline_ns = value_of(&args[DEADLINE]),
		.cause = value_of(&args[CAUSE]),
	};

	return ioctl_make(ctx, args, KSCOPE_IOC_JOIN, &join, sizeof(join));
}

long run_release(struct ctx *ctx, const struct arg *args)
{
	enum { FLAGS = ARG_REST, NR, BLOCKERS, RESERVED };
	struct place place = blockers_put(ctx, &args[BLOCKERS]);
	struct kscope_release release = {
		.flags = value_of(&args[FLAGS]),
		.nr_blockers = value_of(&args[NR]),
		.reserved = value_of(&args[RESERVED]),
		.blockers = (uintptr_t)place.addr,
	};
	long ret = ioctl_make(ctx, args, KSCOPE_IOC_RELEASE, &release,
			      sizeof(release));

	if (is_seen(ctx, args))
		blockers_check(&place, release.nr_blockers, ret);
	return ret;
}

long run_query(struct ctx *ctx, const struct arg *args)
{
	struct kscope_query query = { .flags = value_of(&args[ARG_REST]) };
	long ret =
		ioctl_make(ctx, args, KSCOPE_IOC_QUERY, &query, sizeof(query));

	if (!ret && is_seen(ctx, args))
		oracle_check_query(&query);
	return ret;
}

long run_quiesce(struct ctx *ctx, const struct arg *args)
{
	enum { DEADLINE = ARG_REST, FLAGS };
	struct kscope_quiesce quiesce = {
		.flags = value_of(&args[FLAGS]),
		.deadline_ns = value_of(&args[DEADLINE]),
	};

	return ioctl_make(ctx, args, KSCOPE_IOC_QUIESCE, &quiesce,
			  sizeof(quiesce));
}

long run_eventfd(struct ctx *ctx, const struct arg *args)
{
	enum { EVENT = ARG_REST, FLAGS, RESERVED };
	int fd = value_of(&args[EVENT]) % 2 ? eventfd(0, EFD_CLOEXEC) :
					      (int)value_of(&args[EVENT]) - 1;
	struct kscope_eventfd event = {
		.flags = value_of(&args[FLAGS]),
		.fd = fd,
		.reserved = value_of(&args[RESERVED]),
	};
	long ret = ioctl_make(ctx, args, KSCOPE_IOC_EVENTFD, &event,
			      sizeof(event));

	if (value_of(&args[EVENT]) % 2)
		close(fd);
	return ret;
}

long run_borrow(struct ctx *ctx, const struct arg *args)
{
	enum {
		BUF = ARG_REST,
		ACCESS,
		OFF,
		LEN,
		FLAGS,
		DEADLINE,
		NR,
		BLOCKERS,
		RESERVED
	};
	struct place place = blockers_put(ctx, &args[BLOCKERS]);
	struct kscope_borrow borrow = {
		.flags = value_of(&args[FLAGS]),
		.buf = value_of(&args[BUF]),
		.access = value_of(&args[ACCESS]),
		.off = value_of(&args[OFF]),
		.len = value_of(&args[LEN]),
		.deadline_ns = value_of(&args[DEADLINE]),
		.nr_blockers = value_of(&args[NR]),
		.blockers = (uintptr_t)place.addr,
		.reserved = value_of(&args[RESERVED]),
	};
	long ret = ioctl_make(ctx, args, KSCOPE_IOC_BORROW, &borrow,
			      sizeof(borrow));

	if (is_seen(ctx, args))
		blockers_check(&place, borrow.nr_blockers, ret);
	return ret;
}

/* Leases of a scope are numbered from 1 on. */
long run_give_back(struct ctx *ctx, const struct arg *args)
{
	enum { LEASE = ARG_REST, FLAGS };
	struct kscope_return give_back = {
		.flags = value_of(&args[FLAGS]),
		.lease = value_of(&args[LEASE]),
	};

	return ioctl_make(ctx, args, KSCOPE_IOC_RETURN, &give_back,
			  sizeof(give_back));
}

/* Any command, with a page of zeros that says it has the size of the word. */
long run_ioctl(struct ctx *ctx, const struct arg *args)
{
	__u32 at = value_of(&args[ARG_AT]), cmd = value_of(&args[ARG_REST]);
	__u32 word = value_of(&args[ARG_SIZE]), bytes[64] = {};
	struct fd_slot slot = fd_of(&args[ARG_FD]);
	struct place place;
	long ret;

	bytes[0] = word == SIZE_EXACT ? sizeof(bytes) : word * 8;
	place = place_put(ctx, ROOM_STRUCT, at, bytes, sizeof(bytes));
	ret = ioctl(slot.fd, cmd, place.addr);
	if (ret < 0)
		ret = -errno;
	if (cmd == KSCOPE_IOC_SCOPE_CREATE && ret >= 0)
		close(ret);
	if (cmd == KSCOPE_IOC_SPAWN && ret > 0)
		mark_unsure();
	if (place.view && !ctx->in_fork &&
	    !place_is_guarded(&place, sizeof(bytes)))
		finding("ioctl %#x wrote outside of its struct", cmd);
	return ret;
}
