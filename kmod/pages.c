// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of a buffer: how they are kept, and how operations get at them.
 *
 * A buffer is cut into blocks of KSCOPE_BLOCK_PAGES, where its address is a multiple of
 * their size, as it is for a huge page. Of a block whose pages follow one another in one
 * folio, or in kernel memory, only the first is kept, with KSCOPE_BLOCK_RUN set in its
 * address. Any other block is an array of its pages. So a huge page takes a pointer, no kind of
 * memory takes more than one for each page, and no place has to be searched for.
 *
 * Pages of different folios that happen to follow one another are no run: each of them is
 * pinned, and given back, for itself.
 */
#include <linux/highmem.h>
#include <linux/kcsan-checks.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "internal.h"

/*
 * How many pages to map in one go: up to the next look at the cancel flag. One, where the
 * kernel's addresses of pages that follow one another do not, or checkers tell them apart.
 */
#if defined(CONFIG_HIGHMEM) || defined(CONFIG_KASAN_SW_TAGS) || \
	defined(CONFIG_KASAN_HW_TAGS) || defined(CONFIG_KMSAN)
#define MAP_PAGES 1U
#else
#define MAP_PAGES kscope_limit(KSCOPE_STEP / PAGE_SIZE)
#endif

static_assert(KSCOPE_STEP >= PAGE_SIZE);

/**
 * kscope_buf_nr_blocks() - how many blocks a buffer has
 * @buf: with first and len set
 *
 * Return: at least 1.
 */
unsigned long kscope_buf_nr_blocks(const struct kscope_buf *buf)
{
	return DIV_ROUND_UP_ULL(buf->first + buf->len, KSCOPE_BLOCK_BYTES);
}

/**
 * kscope_block_nr_pages() - how many pages of a buffer are in one of its blocks
 * @buf: with first and nr_pages set
 * @i: number of the block
 *
 * Return: 1 to KSCOPE_BLOCK_PAGES.
 */
unsigned long kscope_block_nr_pages(const struct kscope_buf *buf,
				    unsigned long i)
{
	unsigned long head = buf->first / PAGE_SIZE;
	unsigned long start = i * KSCOPE_BLOCK_PAGES;
	unsigned long end = start + KSCOPE_BLOCK_PAGES;

	return min(end, head + buf->nr_pages) - max(start, head);
}

/**
 * kscope_block_set() - keep the pages of a block
 * @buf: that nobody else can see
 * @i: number of the block
 * @pages: array of all its pages, from kmalloc() if they are more than one
 * @nr: how many they are
 * @run: how many of them are a run from the first on, as kscope_pages_run() says
 *
 * Context: any.
 * Return: true if the block keeps the array; else the caller has it still.
 */
bool kscope_block_set(struct kscope_buf *buf, unsigned long i,
		      struct page **pages, unsigned long nr, unsigned long run)
{
	if (run == nr)
		kscope_block_set_run(buf, i, pages[0]);
	else
		buf->blocks[i] = (unsigned long)pages;
	return run < nr;
}

/**
 * kscope_blocks_free() - free what a buffer keeps its pages in
 * @buf: whose pages have been given back, or were never had
 *
 * Context: any.
 */
void kscope_blocks_free(struct kscope_buf *buf)
{
	unsigned long i, nr = kscope_buf_nr_blocks(buf);

	for (i = 0; i < nr; i++)
		if (!kscope_block_run(buf, i))
			kfree(kscope_block_array(buf, i));
}

/**
 * struct place - where a byte of a buffer is
 * @page: its page
 * @off: its offset there
 * @left: pages of the block from there on
 * @pages: an array of these, or NULL if they are a run
 */
struct place {
	struct page *page;
	u32 off;
	u32 left;
	struct page **pages;
};

static __always_inline struct place place_find(const struct kscope_buf *buf,
					       u64 pos)
{
	unsigned long block = (buf->first + pos) / KSCOPE_BLOCK_BYTES;
	u32 in_block = (buf->first + pos) % KSCOPE_BLOCK_BYTES;
	u32 i = in_block / PAGE_SIZE;
	struct place place = { .page = kscope_block_run(buf, block),
			       .off = offset_in_page(in_block),
			       .left = KSCOPE_BLOCK_PAGES - i };

	if (!block)
		i -= buf->first / PAGE_SIZE;
	if (place.page) {
		place.page += i;
	} else {
		place.pages = kscope_block_array(buf, block) + i;
		place.page = place.pages[0];
	}
	return place;
}

/**
 * kscope_buf_span() - the memory at a place of a buffer
 * @buf: that the child borrows
 * @pos: bytes from the start of the buffer
 * @len: in: bytes wanted, at least 1, inside the buffer. out: as many of them as follow
 *	one another, to the end of the page or further
 * @off: out: where in the page the place is
 *
 * Return: the page.
 */
struct page *kscope_buf_span(const struct kscope_buf *buf, u64 pos, size_t *len,
			     u32 *off)
{
	struct place place = place_find(buf, pos);
	u32 nr_pages = place.pages ? 1 : place.left;

	*off = place.off;
	*len = min_t(size_t, *len, nr_pages * PAGE_SIZE - place.off);
	return place.page;
}

/*
 * The kernel's map of all memory knows no folios: here it does not matter to which ones the
 * pages belong.
 */
static u32 pages_adjoin(struct page *const *pages, u32 nr)
{
	u32 i = 1;

	while (i < nr && pages[i] == nth_page(pages[i - 1], 1))
		i++;
	return i;
}

/**
 * kscope_child_map() - map a piece of a range that a child borrows
 * @child: that runs
 * @range: 0 or 1
 * @pos: bytes from the start of the range
 * @len: in: bytes wanted, at least 1, inside the range. out: bytes that are mapped, to the
 *	end of the page or further, but not more than 64 KiB
 *
 * The program and its other children may write there at the same time. That race is theirs,
 * so KCSAN does not look while something is mapped.
 *
 * Context: process context; the mapping is local to the thread, mappings are undone in
 * reverse order.
 * Return: the address, for kscope_child_unmap().
 */
void *kscope_child_map(struct kscope_child *child, unsigned int range, u64 pos,
		       size_t *len)
{
	u64 start = range ? child->desc.off2 : child->desc.off;
	struct place place =
		place_find(kscope_child_buf(child, range), start + pos);
	size_t want = min_t(size_t, *len, MAP_PAGES * PAGE_SIZE - place.off);
	u32 nr = min_t(u32, PFN_UP(place.off + want), place.left);

	if (place.pages)
		nr = pages_adjoin(place.pages, nr);
	*len = min_t(size_t, want, nr * PAGE_SIZE - place.off);
	kcsan_disable_current();
	return kmap_local_page(place.page) + place.off;
}
EXPORT_SYMBOL_GPL(kscope_child_map);

/**
 * kscope_child_unmap() - undo kscope_child_map()
 * @addr: as returned from there
 *
 * Context: the thread that mapped it.
 */
void kscope_child_unmap(void *addr)
{
	kunmap_local(addr);
	kcsan_enable_current();
}
EXPORT_SYMBOL_GPL(kscope_child_unmap);
