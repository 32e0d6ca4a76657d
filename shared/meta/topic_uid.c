#include "shared/meta/topic_uid.h"

bool topic_uid_print(const char *topic, char uid[INDEX_UID_BYTES_MAX + 1])
{
	size_t len = strlen(topic);

	if (len == 0 || len > INDEX_UID_BYTES_MAX)
		return false;
	for (size_t i = 0; i <= len; i++) {
		uid[i] = topic[i];
		if (topic[i] != 0 && !index_uid_is_valid(slice_of(&topic[i], 1)))
			uid[i] = '_';
	}
	return true;
}
