#include "shared/base/decimal.h"

#include <stdlib.h>

bool decimal_parse(struct slice text, double *number)
{
	char copy[DECIMAL_BYTES_MAX + 1];
	char *end;

	if (text.len == 0 || text.len > DECIMAL_BYTES_MAX)
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	/* strtod takes more than that. */
	if (strspn(copy, "0123456789.+-eE") != text.len)
		return false;
	*number = strtod(copy, &end);
	return *end == '\0';
}
