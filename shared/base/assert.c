#include "shared/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, text);
	abort();
}
