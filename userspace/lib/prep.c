// SPDX-License-Identifier: LGPL-2.1-or-later
#include "internal.h"

void kscope_prep_nop(struct kscope_desc *desc)
{
	*desc = (struct kscope_desc){ .op = KSCOPE_OP_NOP };
}

void kscope_prep_sleep(struct kscope_desc *desc, __u64 until_ns)
{
	*desc = (struct kscope_desc){ .op = KSCOPE_OP_SLEEP,
				      .until_ns = until_ns };
}

static void prep_range(struct kscope_desc *desc, __u16 op, int buf, __u64 off,
		       __u64 len)
{
	*desc = (struct kscope_desc){
		.op = op,
		.len = len,
		.buf = (__u32)buf,
		.off = off,
	};
}

void kscope_prep_fill(struct kscope_desc *desc, int buf, __u64 off, __u64 len,
		      __u64 pattern)
{
	prep_range(desc, KSCOPE_OP_FILL, buf, off, len);
	desc->pattern = pattern;
}

void kscope_prep_copy(struct kscope_desc *desc, int from, __u64 from_off,
		      int to, __u64 to_off, __u64 len)
{
	prep_range(desc, KSCOPE_OP_COPY, from, from_off, len);
	desc->buf2 = (__u32)to;
	desc->off2 = to_off;
}

void kscope_prep_compare(struct kscope_desc *desc, int a, __u64 a_off, int b,
			 __u64 b_off, __u64 len)
{
	prep_range(desc, KSCOPE_OP_COMPARE, a, a_off, len);
	desc->buf2 = (__u32)b;
	desc->off2 = b_off;
}

void kscope_prep_xor(struct kscope_desc *desc, int from, __u64 from_off, int to,
		     __u64 to_off, __u64 len)
{
	prep_range(desc, KSCOPE_OP_XOR, from, from_off, len);
	desc->buf2 = (__u32)to;
	desc->off2 = to_off;
}

void kscope_prep_crc32c(struct kscope_desc *desc, int buf, __u64 off, __u64 len,
			__u32 seed)
{
	prep_range(desc, KSCOPE_OP_CRC32C, buf, off, len);
	desc->seed = seed;
}

void kscope_prep_hash(struct kscope_desc *desc, int hash, unsigned int flags,
		      int buf, __u64 off, __u64 len, int out, __u64 out_off)
{
	prep_range(desc, KSCOPE_OP_HASH, buf, off, len);
	desc->op_flags = (__u16)flags;
	desc->hash = (__u16)hash;
	if (flags & KSCOPE_HASH_LAST) {
		desc->buf2 = (__u32)out;
		desc->off2 = out_off;
	}
}

static void prep_file(struct kscope_desc *desc, int fd, __u64 file_off)
{
	desc->fd = fd;
	desc->file_off = file_off;
}

void kscope_prep_read(struct kscope_desc *desc, int fd, __u64 file_off, int buf,
		      __u64 off, __u64 len)
{
	prep_range(desc, KSCOPE_OP_READ, buf, off, len);
	prep_file(desc, fd, file_off);
}

void kscope_prep_write(struct kscope_desc *desc, int fd, __u64 file_off,
		       int buf, __u64 off, __u64 len)
{
	prep_range(desc, KSCOPE_OP_WRITE, buf, off, len);
	prep_file(desc, fd, file_off);
}

void kscope_prep_fsync(struct kscope_desc *desc, int fd, unsigned int flags)
{
	*desc = (struct kscope_desc){ .op = KSCOPE_OP_FSYNC,
				      .op_flags = (__u16)flags,
				      .fd = fd };
}
