// SPDX-License-Identifier: GPL-2.0
/* Where there is no liburing. */
#include "hazards.h"

const struct column uring_column;
