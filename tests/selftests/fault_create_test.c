// SPDX-License-Identifier: GPL-2.0
/*
 * Every point fails once: opening the device, making scopes of all sizes, for users that
 * hold none yet and for others, and mapping their rings.
 */
#include "fault_sweep.h"

static void body_open(struct world *w)
{
	int fd = step(w, CALL_OPEN, 0, dev_open());

	if (fd >= 0)
		close(fd);
}

SWEEP_TEST(open_device, .body = body_open,
	   .flags = F_WANT_ENOMEM | F_WANT_EFAULT)

static void body_info(struct world *w)
{
	struct kscope_op_info op = { .size = sizeof(op),
				     .flags = KSCOPE_OP_INFO_BY_NAME,
				     .name = "crc32c" };
	struct kscope_info info = { .size = sizeof(info) };

	step(w, CALL_INFO, 0, xioctl(w->dev, KSCOPE_IOC_INFO, &info));
	step(w, CALL_OP_INFO, 0, xioctl(w->dev, KSCOPE_IOC_OP_INFO, &op));
}

SWEEP_TEST(info_and_op_info, .body = body_info, .flags = F_WANT_EFAULT)

/* The size comes as nr: capacity would mean a scope that is there before. */
static void body_create(struct world *w)
{
	do_create_as(w, w->sc->kind, w->sc->nr, w->sc->want);
}

/* What there is must be all of a scope. */
static void verify_create(struct world *w)
{
	struct kscope_query q;

	if (w->scope.fd < 0)
		return;
	if (query(w->scope.fd, &q) || q.capacity != w->sc->nr ||
	    q.kind != w->sc->kind || q.state != KSCOPE_SCOPE_OPEN)
		complain(w, "the scope is not what was asked for");
	if (do_map(w))
		complain(w, "the ring cannot be mapped");
}

#define CREATE_FLAGS (F_WANT_EFAULT | F_WANT_ENOMEM | F_WANT_REPLY)

#define CREATE_TEST(name_, kind_, size_, flags_)                        \
	SWEEP_TEST(name_, .body = body_create, .verify = verify_create, \
		   .flags = CREATE_FLAGS | (flags_), .nr = (size_),     \
		   .stride = 1 + (size_) / 128, .kind = KSCOPE_KIND_##kind_)

CREATE_TEST(create_1, PARALLEL, 1, 0)
CREATE_TEST(create_64, PARALLEL, 64, 0)
CREATE_TEST(create_4096, PARALLEL, 4096, 0)
CREATE_TEST(create_65536, PARALLEL, 65536, 0)
CREATE_TEST(create_ordered_1, ORDERED, 1, 0)
CREATE_TEST(create_ordered_64, ORDERED, 64, 0)
CREATE_TEST(create_ordered_4096, ORDERED, 4096, 0)
CREATE_TEST(create_ordered_65536, ORDERED, 65536, 0)
CREATE_TEST(create_first_of_its_user, PARALLEL, 64, F_NEW_USER)
CREATE_TEST(create_first_ordered_of_its_user, ORDERED, 64, F_NEW_USER)

SWEEP_TEST(create_with_most_buffers, .body = body_create,
	   .verify = verify_create, .flags = CREATE_FLAGS, .nr = 64,
	   .max_buffers = 4096)

/* The first of its user that chooses its CPUs */
static void body_create_bound(struct world *w)
{
	unsigned char cpus = 1;
	struct kscope_scope_create arg = { .size = sizeof(arg),
					   .capacity = w->sc->nr,
					   .cpus_size = sizeof(cpus),
					   .cpus = to_u64(&cpus) };
	int fd = step(w, CALL_CREATE, 0,
		      xioctl(w->dev, KSCOPE_IOC_SCOPE_CREATE, &arg));

	if (fd >= 0)
		close(fd);
}

SWEEP_TEST(create_with_cpus, .body = body_create_bound,
	   .flags = CREATE_FLAGS | F_NEW_USER, .nr = 64)

SWEEP_TEST(create_of_no_children_is_refused, .body = body_create, .nr = 0,
	   .want = -EINVAL, .flags = F_WANT_EFAULT)

static void prepare_no_share(struct world *w)
{
	as_root();
	text_put(PARAM_DIR "max_user_scopes", "1");
	as_user(w->uid);
}

static void verify_no_share(struct world *w)
{
	text_put(PARAM_DIR "max_user_scopes", "4096");
	if (w->extra[0] >= 0)
		complain(w, "a scope beyond the user's share");
}

/* The user's only share is taken by the scope that is there. */
static void body_no_share(struct world *w)
{
	struct kscope_scope_create arg = { .size = sizeof(arg),
					   .capacity = 64 };

	w->extra[0] = step(w, CALL_CREATE, -EDQUOT,
			   xioctl(w->dev, KSCOPE_IOC_SCOPE_CREATE, &arg));
}

SWEEP_TEST(create_beyond_the_share_of_the_user, .capacity = 64,
	   .prepare = prepare_no_share, .body = body_no_share,
	   .verify = verify_no_share,
	   .flags = F_FROZEN | F_WANT_EFAULT | F_WANT_ENOMEM)

/* A scope without its ring: the map functions are what is tested. */
static void prepare_unmapped(struct world *w)
{
	do_create_as(w, KSCOPE_KIND_PARALLEL, w->sc->nr, 0);
}

static void body_map_ring(struct world *w)
{
	do_map_ring(w);
}

static void body_map_head(struct world *w)
{
	do_map_head(w);
}

static void verify_map(struct world *w)
{
	if (!w->scope.ring && do_map_ring(w))
		complain(w, "the ring cannot be mapped any more");
	if (!w->scope.head && do_map_head(w))
		complain(w, "the head cannot be mapped any more");
	if (w->scope.ring && w->scope.ring->entries != w->sc->nr)
		complain(w, "this is not the ring");
}

#define MAP_TEST(name_, body_, nr_)                                     \
	SWEEP_TEST(name_, .prepare = prepare_unmapped, .body = (body_), \
		   .verify = verify_map, .nr = nr_,                     \
		   .flags = F_FROZEN | F_WANT_ENOMEM)

MAP_TEST(map_ring_64, body_map_ring, 64)
MAP_TEST(map_ring_4096, body_map_ring, 4096)
MAP_TEST(map_head, body_map_head, 64)

static void body_map_wrong(struct world *w)
{
	void *p = mmap(NULL, w->scope.ring_bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED, w->scope.fd, KSCOPE_MMAP_RING);

	step(w, CALL_MAP, -EACCES, p == MAP_FAILED ? -errno : 0);
}

SWEEP_TEST(map_ring_for_writing_is_refused, .capacity = 64,
	   .body = body_map_wrong, .flags = F_FROZEN | F_WANT_ENOMEM)
