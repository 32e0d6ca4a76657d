#include "shared/runtime/random.h"

#include "shared/base/assert.h"

#include <errno.h>
#include <sys/random.h>

void random_bytes(void *bytes, size_t len)
{
	uint8_t *at = bytes;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		ASSERT(got > 0 || errno == EINTR);
		if (got > 0) {
			at += got;
			len -= (size_t)got;
		}
	}
}

uint64_t random_u64(void)
{
	uint64_t value;

	random_bytes(&value, sizeof value);
	return value;
}
