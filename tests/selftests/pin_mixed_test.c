// SPDX-License-Identifier: GPL-2.0
/*
 * One buffer over memory of every make: small pages, huge pages, parts of huge pages, their
 * pages in another order or off their natural place, and pages that are mapped more than
 * once. What children read and write there is what a loop over bytes does to a second
 * arena of the same make.
 */
#include "kselftest_harness.h"
#include "kscope_sys.h"

#define BLOCK (2UL << 20)
#define NR_BLOCKS 9UL
#define LEN (NR_BLOCKS * BLOCK)
#define WINDOW (3 * BLOCK) /* what goes through the other buffer at a time */
#define PATTERN 0x8877665544332211ULL

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum block {
	SMALL, /* pages of their own */
	HUGE, /* a transparent huge page */
	HUGETLB,
	SWAPPED, /* a huge page, of which two pages have changed places */
	SHARED, /* 64 pages of a memfd, eight times */
	TORN, /* the first half of a huge page, then small pages */
	SHIFTED, /* a huge page, one page further than it would be by itself; */
	SHIFTED_END, /* its last page */
	HUGE_AGAIN,
};

struct arena {
	unsigned char *map;
	unsigned char *mem;
	int memfd;
};

FIXTURE(mixed)
{
	struct scope scope;
	struct kscope_completion c;
	struct arena arena; /* what buffers are made of */
	struct arena want; /* what it should hold */
	unsigned char *other; /* WINDOW of small pages */
	int other_buf;
	int buf;
	unsigned long start, end; /* of the buffer in the arena */
	long pins;
};

static unsigned char *block_of(const struct arena *arena, enum block block)
{
	return arena->mem + block * BLOCK;
}

static int make_huge(unsigned char *mem)
{
	/* Kernels without huge pages know neither advice; arena_is_as_made() looks. */
	if (madvise(mem, BLOCK, MADV_HUGEPAGE) && errno != EINVAL)
		return -errno;
	memset(mem, 1, BLOCK);
	/* Where there was no huge page at hand; kernels before 6.1 do not know it. */
	madvise(mem, BLOCK, MADV_COLLAPSE);
	return 0;
}

static int move(void *from, void *to, size_t len)
{
	void *ret = mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	return ret == MAP_FAILED ? -errno : 0;
}

static int make_small(void *mem, size_t len)
{
	void *ret = mmap(mem, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (ret == MAP_FAILED)
		return -errno;
	if (madvise(mem, len, MADV_NOHUGEPAGE) && errno != EINVAL)
		return -errno;
	memset(mem, 2, len);
	return 0;
}

static int make_hugetlb(void *mem)
{
	void *ret = mmap(mem, BLOCK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB,
			 -1, 0);

	return ret == MAP_FAILED ? -errno : 0;
}

static int swap_pages(unsigned char *mem, unsigned int a, unsigned int b)
{
	unsigned char *spare = map_anon(PAGE);

	return move(mem + a * PAGE, spare, PAGE)		  ?:
		       move(mem + b * PAGE, mem + a * PAGE, PAGE) ?:
		       move(spare, mem + b * PAGE, PAGE);
}

static int make_shared(struct arena *arena)
{
	unsigned char *mem = block_of(arena, SHARED);
	unsigned int i;

	arena->memfd = memfd_create("kscope", MFD_CLOEXEC);
	if (arena->memfd < 0 || ftruncate(arena->memfd, BLOCK / 8))
		return -errno;
	for (i = 0; i < 8; i++)
		if (mmap(mem + i * BLOCK / 8, BLOCK / 8, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, arena->memfd, 0) == MAP_FAILED)
			return -errno;
	return 0;
}

static int make_shifted(struct arena *arena)
{
	unsigned char *map = map_anon(2 * BLOCK);
	unsigned char *huge =
		(unsigned char *)(((uintptr_t)map + BLOCK - 1) & -BLOCK);

	return make_huge(huge) ?:
		       move(huge, block_of(arena, SHIFTED) + PAGE, BLOCK);
}

static int arena_make(struct arena *arena)
{
	arena->map = map_anon(LEN + BLOCK);
	if (arena->map == MAP_FAILED)
		return -errno;
	arena->mem =
		(unsigned char *)(((uintptr_t)arena->map + BLOCK - 1) & -BLOCK);
	return make_small(block_of(arena, SMALL), BLOCK)	      ?:
		       make_huge(block_of(arena, HUGE))		      ?:
		       make_hugetlb(block_of(arena, HUGETLB))	      ?:
		       make_huge(block_of(arena, SWAPPED))	      ?:
		       swap_pages(block_of(arena, SWAPPED), 100, 300) ?:
		       make_shared(arena)			      ?:
		       make_huge(block_of(arena, TORN))		      ?:
		       make_small(block_of(arena, TORN) + BLOCK / 2, BLOCK / 2) ?:
		       make_small(block_of(arena, SHIFTED), 2 * BLOCK) ?:
		       make_shifted(arena)			       ?:
		       make_huge(block_of(arena, HUGE_AGAIN));
}

/* Frame numbers of @nr pages, or zeros */
static void frames_of(const void *mem, unsigned int nr, __u64 *frames)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned int i;

	memset(frames, 0, nr * sizeof(*frames));
	if (pread(fd, frames, nr * sizeof(*frames),
		  (uintptr_t)mem / PAGE * sizeof(*frames)) < 0)
		perror("pagemap");
	for (i = 0; i < nr; i++)
		frames[i] &= (1ULL << 55) - 1;
	close(fd);
}

/* Are these @nr pages one piece of a page that was huge, from its page @first on? */
static bool is_run(const unsigned char *mem, unsigned int nr,
		   unsigned int first)
{
	__u64 frames[512];
	unsigned int i;

	frames_of(mem, nr, frames);
	for (i = 0; i < nr; i++)
		if (!frames[i] || frames[i] % 512 != first + i ||
		    frames[i] != frames[0] + i)
			return false;
	return true;
}

/* Without these the test would be one of small pages only. */
static bool arena_is_as_made(const struct arena *arena)
{
	const unsigned char *swapped = block_of(arena, SWAPPED);

	return is_run(block_of(arena, HUGE), 512, 0) &&
	       is_run(block_of(arena, HUGETLB), 512, 0) &&
	       is_run(swapped, 100, 0) &&
	       is_run(swapped + 100 * PAGE, 1, 300) &&
	       is_run(swapped + 300 * PAGE, 1, 100) &&
	       is_run(swapped + 301 * PAGE, 211, 301) &&
	       is_run(block_of(arena, TORN), 256, 0) &&
	       is_run(block_of(arena, SHIFTED) + PAGE, 511, 0) &&
	       is_run(block_of(arena, SHIFTED_END), 1, 511) &&
	       is_run(block_of(arena, HUGE_AGAIN), 512, 0);
}

FIXTURE_SETUP(mixed)
{
	if (file_value("/proc/meminfo", "HugePages_Free") < 2)
		SKIP(return, "no huge pages reserved");
	ASSERT_EQ(0, arena_make(&self->arena));
	ASSERT_EQ(0, arena_make(&self->want));
	self->other = map_anon(WINDOW);
	ASSERT_NE(MAP_FAILED, self->other);
	madvise(self->other, WINDOW, MADV_NOHUGEPAGE);
	bytes_fill(self->arena.mem, LEN, 1);
	if (!arena_is_as_made(&self->arena))
		SKIP(return, "no transparent huge pages");
	memcpy(self->want.mem, self->arena.mem, LEN);
	/* Of pages that are mapped more than once the last copy stands. */
	ASSERT_EQ(0, memcmp(self->want.mem, self->arena.mem, LEN));
	ASSERT_EQ(0, scope_open(&self->scope, KSCOPE_KIND_PARALLEL, 4));
	self->pins = pins_now();
	self->other_buf = buf_pin(self->scope.fd, self->other, WINDOW, 0);
	ASSERT_LT(0, self->other_buf);
}

FIXTURE_TEARDOWN(mixed)
{
	if (!self->scope.ring)
		return;
	EXPECT_EQ(0, scope_close(&self->scope));
	EXPECT_EQ(self->pins, pins_now());
	EXPECT_EQ(0, memcmp(self->want.mem, self->arena.mem, LEN));
}

/* Where something changes, in the arena */
static const unsigned long edges[] = {
	HUGE * BLOCK,
	HUGETLB *BLOCK,
	SWAPPED *BLOCK,
	SWAPPED *BLOCK + 100 * PAGE,
	SWAPPED *BLOCK + 101 * PAGE,
	SWAPPED *BLOCK + 300 * PAGE,
	SWAPPED *BLOCK + 301 * PAGE,
	SHARED *BLOCK,
	SHARED *BLOCK + BLOCK / 8,
	TORN *BLOCK,
	TORN *BLOCK + BLOCK / 2,
	SHIFTED *BLOCK,
	SHIFTED *BLOCK + PAGE,
	SHIFTED_END *BLOCK,
	SHIFTED_END *BLOCK + PAGE,
	HUGE_AGAIN *BLOCK,
};

/* How far to go before and after an edge */
static const struct {
	unsigned long before, after;
} reaches[] = {
	{ 1, 0 },
	{ 0, 1 },
	{ 3, 6 },
	{ PAGE, PAGE },
	{ PAGE - 1, 2 * PAGE + 3 },
	{ 20 * PAGE + 7, 17 * PAGE + 9 },
	{ 0, 16 * PAGE },
	{ 40 * PAGE, 0 },
};

/* Beginning and end of a buffer; the end from the end of the arena */
static const struct {
	unsigned long start, rest;
} extents[] = {
	{ 0, 0 },
	{ 1, 1 },
	{ BLOCK - 1, PAGE - 1 },
	{ 300 * PAGE + 5, 200 * PAGE + 9 },
	{ HUGE * BLOCK, 0 },
	{ HUGE * BLOCK + PAGE, BLOCK },
	{ HUGE * BLOCK + 511 * PAGE + 77, BLOCK - PAGE },
	{ SWAPPED * BLOCK + 50 * PAGE, BLOCK + 10 },
	{ SWAPPED * BLOCK + 299 * PAGE, 2 * BLOCK },
	{ TORN * BLOCK + 200 * PAGE, BLOCK + 1 },
	{ SHIFTED * BLOCK + PAGE, BLOCK - 1 },
	{ SHIFTED * BLOCK + 9 * PAGE + 1, 2 * BLOCK - PAGE - 100 },
};

#define NR_EXTENTS ARRAY_SIZE(extents)
#define NR_REACHES ARRAY_SIZE(reaches)

static void pin_extent(struct __test_metadata *_metadata,
		       FIXTURE_DATA(mixed) * self, size_t i)
{
	unsigned long pages;

	self->start = extents[i].start;
	self->end = LEN - extents[i].rest;
	pages = (self->end + PAGE - 1) / PAGE - self->start / PAGE;
	self->buf = buf_pin(self->scope.fd, self->arena.mem + self->start,
			    self->end - self->start, 0);
	ASSERT_LT(0, self->buf);
	EXPECT_EQ(self->pins + WINDOW / PAGE + pages, pins_now());
}

static void unpin_extent(struct __test_metadata *_metadata,
			 FIXTURE_DATA(mixed) * self)
{
	ASSERT_EQ(0, buf_unpin(self->scope.fd, self->buf));
	EXPECT_EQ(self->pins + WINDOW / PAGE, pins_now());
}

/* The reach around an edge, cut off at the ends of the buffer: where, and how long */
static unsigned long cut(FIXTURE_DATA(mixed) * self, size_t edge, size_t reach,
			 unsigned long *from)
{
	unsigned long end = edges[edge] + reaches[reach].after;

	*from = edges[edge] - reaches[reach].before;
	if (*from < self->start)
		*from = self->start;
	if (end > self->end)
		end = self->end;
	return end > *from ? end - *from : 0;
}

static void check_around(struct __test_metadata *_metadata,
			 FIXTURE_DATA(mixed) * self, unsigned long from,
			 unsigned long len)
{
	unsigned long start = from < BLOCK ? 0 : from - BLOCK;
	unsigned long end = from + len + BLOCK;

	if (end > LEN)
		end = LEN;
	ASSERT_EQ(0, memcmp(self->want.mem + start, self->arena.mem + start,
			    end - start))
	TH_LOG("buffer %#lx to %#lx: %#lx bytes at %#lx", self->start,
	       self->end, len, from);
}

TEST_F(mixed, children_write_where_they_should_and_nowhere_else)
{
	unsigned long from, len, i;
	size_t x, e, r;

	for (x = 0; x < NR_EXTENTS; x++) {
		pin_extent(_metadata, self, x);
		for (e = 0; e < ARRAY_SIZE(edges); e++) {
			r = (x + e) % NR_REACHES;
			len = cut(self, e, r, &from);
			if (!len)
				continue;
			for (i = 0; i < len; i++)
				self->want.mem[from + i] =
					(PATTERN * (x + 1)) >> (8 * (i % 8));
			ASSERT_EQ(0, run_ok(&self->scope,
					    desc_fill(self->buf,
						      from - self->start, len,
						      PATTERN * (x + 1)),
					    &self->c));
			check_around(_metadata, self, from, len);
		}
		unpin_extent(_metadata, self);
	}
}

TEST_F(mixed, children_read_what_is_there)
{
	unsigned long from, len;
	size_t x, e, r;

	for (x = 0; x < NR_EXTENTS; x++) {
		pin_extent(_metadata, self, x);
		for (e = 0; e < ARRAY_SIZE(edges); e++) {
			for (r = (x + e) % 4; r < NR_REACHES; r += 4) {
				len = cut(self, e, r, &from);
				if (!len)
					continue;
				ASSERT_EQ(0,
					  run_ok(&self->scope,
						 desc_crc32c(self->buf,
							     from - self->start,
							     len, 0),
						 &self->c));
				EXPECT_EQ(crc32c_of(self->arena.mem + from, len,
						    0),
					  self->c.value)
				TH_LOG("buffer %#lx to %#lx: %#lx bytes at %#lx",
				       self->start, self->end, len, from);
			}
		}
		unpin_extent(_metadata, self);
	}
}

static int do_copy(FIXTURE_DATA(mixed) * self, int from_buf, __u64 from,
		   int to_buf, __u64 to, __u64 len)
{
	return run_ok(&self->scope,
		      desc_two(KSCOPE_OP_COPY, from_buf, from, to_buf, to, len),
		      &self->c);
}

/* Pieces that are larger than a block, and meet two kinds of memory at a time */
TEST_F(mixed, copies_over_all_of_it)
{
	const unsigned long half = WINDOW / 2;
	unsigned char *back = self->other + half;
	unsigned long at, len, i;
	size_t x;

	bytes_fill(self->other, half, 2);
	for (x = 0; x < NR_EXTENTS; x += 3) {
		pin_extent(_metadata, self, x);
		for (at = self->start; at < self->end; at += len) {
			len = self->end - at;
			if (len > half - PAGE)
				len = half - PAGE;
			for (i = 0; i < len; i++)
				self->want.mem[at + i] = self->other[x + i];
			ASSERT_EQ(0, do_copy(self, self->other_buf, x,
					     self->buf, at - self->start, len));
			check_around(_metadata, self, at, len);
			memset(back, 0, half);
			ASSERT_EQ(0,
				  do_copy(self, self->buf, at - self->start,
					  self->other_buf, half + x + 9, len));
			EXPECT_TRUE(bytes_are(back, x + 9, 0));
			EXPECT_EQ(0, memcmp(self->arena.mem + at, back + x + 9,
					    len));
			EXPECT_TRUE(bytes_are(back + x + 9 + len,
					      half - x - 9 - len, 0));
		}
		unpin_extent(_metadata, self);
	}
}

static int do_hash(FIXTURE_DATA(mixed) * self, int hash, int buf, __u64 off,
		   __u64 len, __u64 to)
{
	return run_ok(&self->scope,
		      desc_hash(hash, KSCOPE_HASH_ALL, buf, off, len,
				self->other_buf, to),
		      &self->c);
}

TEST_F(mixed, digest_is_that_of_the_same_bytes_in_small_pages)
{
	int hash = hash_open(self->scope.fd, "sha256");
	unsigned long from, len;
	size_t e, r;

	ASSERT_LT(0, hash);
	pin_extent(_metadata, self, 1);
	for (e = 0; e < ARRAY_SIZE(edges); e++) {
		for (r = 0; r < NR_REACHES; r++) {
			len = cut(self, e, r, &from);
			memcpy(self->other, self->arena.mem + from, len);
			ASSERT_EQ(0, do_hash(self, hash, self->other_buf, 0,
					     len, BLOCK));
			ASSERT_EQ(0,
				  do_hash(self, hash, self->buf,
					  from - self->start, len, BLOCK + 32));
			EXPECT_EQ(0, memcmp(self->other + BLOCK,
					    self->other + BLOCK + 32, 32))
			TH_LOG("%#lx bytes at %#lx", len, from);
		}
	}
	unpin_extent(_metadata, self);
}

static int do_file(FIXTURE_DATA(mixed) * self, unsigned int op, int fd,
		   unsigned long at, unsigned long len)
{
	int ret = run_ok(&self->scope,
			 desc_file(op, fd, 0, self->buf, at - self->start, len),
			 &self->c);

	return ret ?: self->c.done == len ? 0 : -EIO;
}

/* Write to the file what is around each edge, and read back what was there before that. */
static void files_around_edges(struct __test_metadata *_metadata,
			       FIXTURE_DATA(mixed) * self, int fd,
			       unsigned long unit)
{
	unsigned char *seen = self->other;
	unsigned long from, len;
	size_t e, r;

	for (e = 0; e < ARRAY_SIZE(edges); e++) {
		r = e % NR_REACHES;
		len = (cut(self, e, r, &from) + unit - 1) & -unit;
		from &= -unit;
		ASSERT_EQ(0, do_file(self, KSCOPE_OP_WRITE, fd, from, len));
		ASSERT_EQ(len, pread(fd, seen, len, 0));
		ASSERT_EQ(0, memcmp(seen, self->arena.mem + from, len))
		TH_LOG("%#lx bytes at %#lx", len, from);

		bytes_fill(seen, len, e);
		ASSERT_EQ(len, pwrite(fd, seen, len, 0));
		memcpy(self->want.mem + from, seen, len);
		ASSERT_EQ(0, do_file(self, KSCOPE_OP_READ, fd, from, len));
		check_around(_metadata, self, from, len);
	}
}

TEST_F(mixed, files_are_read_and_written)
{
	char path[PATH_LEN];
	int fd = file_make(path, PAGE, 1);

	ASSERT_LE(0, fd);
	unlink(path);
	pin_extent(_metadata, self, 0);
	files_around_edges(_metadata, self, fd, 1);
	unpin_extent(_metadata, self);
	pin_extent(_metadata, self, 3);
	files_around_edges(_metadata, self, fd, 1);
	unpin_extent(_metadata, self);
	close(fd);
}

TEST_F(mixed, files_are_read_and_written_without_a_copy)
{
	char path[PATH_LEN];
	int fd = file_make(path, PAGE, 1);

	ASSERT_LE(0, fd);
	close(fd);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	unlink(path);
	if (fd < 0 || !fd_is_on_disk(fd)) {
		close(fd);
		SKIP(return, "no file system with O_DIRECT");
	}
	pin_extent(_metadata, self, 0);
	files_around_edges(_metadata, self, fd, PAGE);
	unpin_extent(_metadata, self);
	close(fd);
}

TEST_HARNESS_MAIN
