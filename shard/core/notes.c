#include "shard/core/notes.h"

#include <stdlib.h>

struct notes *notes_new(const struct range *range, int64_t from, bool identities)
{
	size_t identities_bytes = identities ? range->identities.len : 0;
	size_t bytes = sizeof(struct notes) + identities_bytes + range->origins.len;
	struct notes *notes = malloc(bytes);
	uint8_t *origins;

	if (notes == NULL)
		return NULL;
	*notes =
		(struct notes){.from = from, .range = {.from = range->from, .to = range->to}, .bytes = bytes};
	origins = notes->lists + identities_bytes;
	if (identities_bytes > 0)
		memcpy(notes->lists, range->identities.ptr, identities_bytes);
	if (range->origins.len > 0)
		memcpy(origins, range->origins.ptr, range->origins.len);
	notes->range.identities = slice_of(notes->lists, identities_bytes);
	notes->range.identities_len = identities ? range->identities_len : 0;
	notes->range.origins = slice_of(origins, range->origins.len);
	notes->range.origins_len = range->origins_len;
	return notes;
}

void notes_free(struct notes *notes)
{
	while (notes != NULL) {
		struct notes *next = notes->next;

		free(notes);
		notes = next;
	}
}

bool notes_next_identity(const struct notes *notes, size_t *at, struct identity_entry *entry)
{
	while (range_next_identity(&notes->range, at, entry))
		if (entry->offset >= notes->from)
			return true;
	return false;
}

bool notes_next_origin(const struct notes *notes, size_t *at, struct origin_entry *entry)
{
	while (range_next_origin(&notes->range, at, entry))
		if (entry->offset >= notes->from)
			return true;
	return false;
}
