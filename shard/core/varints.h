/* Varints that are passed over: their values are not looked at. Pure. */
#ifndef MILLRACE_SHARD_CORE_VARINTS_H
#define MILLRACE_SHARD_CORE_VARINTS_H

#include "shard/core/columns.h"

#define VARINT_ENDS 0x8080808080808080U

/* Behind so many varints; NULL if they do not end before `end`. Eight bytes are looked at once: how many numbers there
 * are in them is found without asking each byte, which would be guessed wrong once a call. */
static inline const uint8_t *varints_pass(const uint8_t *ptr, const uint8_t *end, uint64_t count)
{
	while (count > 0 && end - ptr >= 8) {
		uint64_t ends = ~column_u64(ptr) & VARINT_ENDS;

		if (count <= 8 && ends << (64 - 8 * count) == VARINT_ENDS << (64 - 8 * count))
			return ptr + count;
		ptr += 8;
		for (; ends != 0; ends &= ends - 1)
			if (--count == 0)
				return ptr - 7 + __builtin_ctzll(ends) / 8;
	}
	for (; count > 0 && ptr < end; ptr++)
		count -= *ptr < 0x80;
	return count == 0 ? ptr : NULL;
}

#endif
