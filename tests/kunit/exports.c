// SPDX-License-Identifier: GPL-2.0
/*
 * What the KUnit tests look at besides the API for modules. Linked into kscope.ko when
 * the tests are a module of their own.
 */
#include <linux/export.h>

#include "batch.h"

EXPORT_SYMBOL_NS_GPL(kscope_tally_init, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_tally_open, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_tally_admits, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_tally_cancel, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_policy_cause, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_tally_ends, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_tally_release, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_tally_reopen, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_life_cancel, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_life_state, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_ring_create, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_ring_put, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_ring_take, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_children_end, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_lease_take, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_lease_drop, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_leases_search, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_buf_is_borrowed, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_batch_use_bay, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_batch_leave_bay, KSCOPE_KUNIT);
EXPORT_SYMBOL_NS_GPL(kscope_batch_spawn, KSCOPE_KUNIT);
