/* SPDX-License-Identifier: GPL-2.0 */
#ifndef FUZZ_SYSTEM_H
#define FUZZ_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

void system_start(void);
void system_forgive(void);
bool system_check(char *text, size_t size);
bool log_is_clean(char *text, size_t size);
bool parameter_write(const char *name, __u32 value);

#endif /* FUZZ_SYSTEM_H */
