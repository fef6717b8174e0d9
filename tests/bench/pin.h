/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSCOPE_BENCH_PIN_H
#define KSCOPE_BENCH_PIN_H

#include "bench.h"

#define SMALL_PAGE 4096UL
#define HUGE_PAGE (2UL << 20)

/* Makes so many huge pages be set aside. Returns false if the guest has no room. */
bool huge_pages_reserve(unsigned long nr);

/* Private memory of pages of one size, all there and writable. */
void *map_pages(size_t bytes, size_t page);

/* Someone who can pin a range and let it go. */
struct pinner_ops {
	void *(*open)(void);
	void (*pin)(void *owner, void *addr, size_t bytes);
	void (*unpin)(void *owner);
	void (*close)(void *owner);
};

extern const struct pinner_ops kscope_pinner, uring_pinner;

#endif
