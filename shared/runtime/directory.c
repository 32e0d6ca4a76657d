#include "shared/runtime/directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int make_one(const char *path, struct error *error)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return error_set(error, ERROR_STORAGE, ERROR_ACTION_RETRY, "cannot make directory %s: %s", path,
	                 strerror(errno));
}

int directory_make(const char *path, struct error *error)
{
	char part[DIRECTORY_PATH_BYTES_MAX];
	size_t len = strlen(path);

	if (len >= sizeof part)
		return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		                 "the directory's name is too long: %.100s…", path);
	memcpy(part, path, len + 1);
	for (size_t i = 1; i < len; i++) {
		if (part[i] != '/')
			continue;
		part[i] = '\0';
		if (make_one(part, error) != 0)
			return error->code;
		part[i] = '/';
	}
	return make_one(path, error);
}
