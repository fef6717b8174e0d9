// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The layout of the kernel interface, proven at compile time, for 64-bit and for 32-bit
 * programs alike. There is no code here.
 */
#include <assert.h>

#include "internal.h"

#define ASSERT_SIZE(type, size) \
	static_assert(sizeof(struct type) == (size), #type " has another size")
#define ASSERT_OFFSET(type, field, off)                      \
	static_assert(offsetof(struct type, field) == (off), \
		      #type "." #field " has another offset")

ASSERT_SIZE(kscope_info, 56);
ASSERT_OFFSET(kscope_info, features, 16);
ASSERT_OFFSET(kscope_info, max_buffer_bytes, 40);

ASSERT_SIZE(kscope_op_info, 72);
ASSERT_OFFSET(kscope_op_info, access, 28);
ASSERT_OFFSET(kscope_op_info, name, 40);

ASSERT_SIZE(kscope_scope_create, 72);
ASSERT_OFFSET(kscope_scope_create, deadline_ns, 32);
ASSERT_OFFSET(kscope_scope_create, grace_ns, 40);
ASSERT_OFFSET(kscope_scope_create, user_data, 48);
ASSERT_OFFSET(kscope_scope_create, max_running, 56);
ASSERT_OFFSET(kscope_scope_create, cpus, 64);
ASSERT_SIZE(kscope_buf_pin, 24);
ASSERT_SIZE(kscope_buf_unpin, 24);
ASSERT_OFFSET(kscope_buf_unpin, blockers, 16);
ASSERT_SIZE(kscope_buf_reborrow, 32);
ASSERT_OFFSET(kscope_buf_reborrow, off, 16);

ASSERT_SIZE(kscope_hash_open, 80);
ASSERT_OFFSET(kscope_hash_open, name, 16);

ASSERT_SIZE(kscope_blocker, 48);
ASSERT_OFFSET(kscope_blocker, op, 24);
ASSERT_OFFSET(kscope_blocker, off, 32);

ASSERT_SIZE(kscope_desc, 64);
ASSERT_OFFSET(kscope_desc, hash, 6);
ASSERT_OFFSET(kscope_desc, user_data, 8);
ASSERT_OFFSET(kscope_desc, len, 16);
ASSERT_OFFSET(kscope_desc, buf, 24);
ASSERT_OFFSET(kscope_desc, fd, 28);
ASSERT_OFFSET(kscope_desc, off, 32);
ASSERT_OFFSET(kscope_desc, file_off, 40);
ASSERT_OFFSET(kscope_desc, deadline_ns, 48);
ASSERT_OFFSET(kscope_desc, after, 56);

ASSERT_SIZE(kscope_spawn, 64);
ASSERT_OFFSET(kscope_spawn, deadline_ns, 32);
ASSERT_OFFSET(kscope_spawn, blockers, 40);

ASSERT_SIZE(kscope_cancel, 32);
ASSERT_OFFSET(kscope_cancel, target, 24);

ASSERT_SIZE(kscope_join, 72);
ASSERT_OFFSET(kscope_join, first_child, 24);
ASSERT_OFFSET(kscope_join, decider_child, 40);

ASSERT_SIZE(kscope_release, 24);
ASSERT_OFFSET(kscope_release, blockers, 16);

ASSERT_SIZE(kscope_query, 128);
ASSERT_OFFSET(kscope_query, pinned_pages, 48);
ASSERT_OFFSET(kscope_query, cause, 88);
ASSERT_OFFSET(kscope_query, violations, 92);
ASSERT_OFFSET(kscope_query, nr_borrows, 104);
ASSERT_OFFSET(kscope_query, tree_outstanding, 120);

ASSERT_SIZE(kscope_quiesce, 16);
ASSERT_SIZE(kscope_eventfd, 16);

ASSERT_SIZE(kscope_borrow, 64);
ASSERT_OFFSET(kscope_borrow, off, 16);
ASSERT_OFFSET(kscope_borrow, blockers, 40);
ASSERT_OFFSET(kscope_borrow, lease, 56);
ASSERT_SIZE(kscope_return, 16);
ASSERT_OFFSET(kscope_return, lease, 8);

ASSERT_SIZE(kscope_completion, 64);
ASSERT_OFFSET(kscope_completion, status, 16);
ASSERT_OFFSET(kscope_completion, done, 24);
ASSERT_OFFSET(kscope_completion, value, 32);
ASSERT_OFFSET(kscope_completion, flags, 40);

ASSERT_SIZE(kscope_ring, 64);
ASSERT_OFFSET(kscope_ring, records, 64);
ASSERT_SIZE(kscope_ring_head, 4);
