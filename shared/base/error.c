#include "shared/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, enum error_action action, const char *format, ...)
{
	va_list args;

	error->code = code;
	error->action = action;
	va_start(args, format);
	(void)vsnprintf(error->text, sizeof error->text, format, args);
	va_end(args);
	return code;
}

int error_prefix(struct error *error, const char *format, ...)
{
	char old[sizeof error->text];
	va_list args;
	int length;

	memcpy(old, error->text, sizeof old);
	va_start(args, format);
	length = vsnprintf(error->text, sizeof error->text, format, args);
	va_end(args);
	if (length >= 0 && (size_t)length < sizeof error->text)
		(void)snprintf(error->text + length, sizeof error->text - (size_t)length, ": %.400s", old);
	return error->code;
}

int error_memory(struct error *error, size_t size)
{
	return error_set(error, ERROR_MEMORY, ERROR_ACTION_RETRY, "out of memory for %zu bytes", size);
}
