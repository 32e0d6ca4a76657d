#include "shard/core/snapshot_bodies.h"

#include "shard/core/reading.h"

#include <stdlib.h>

struct snapshot_bodies {
	struct reading reading;
};

int snapshot_bodies_open(const struct snapshot *snapshot, struct snapshot_bodies **bodies,
                         struct error *error)
{
	struct snapshot_bodies *opened = malloc(sizeof *opened);

	if (opened == NULL)
		return error_memory(error, sizeof *opened);
	if (reading_open(&opened->reading, snapshot, error) != 0) {
		free(opened);
		return error->code;
	}
	*bodies = opened;
	return 0;
}

void snapshot_bodies_close(struct snapshot_bodies *bodies)
{
	if (bodies == NULL)
		return;
	reading_end(&bodies->reading);
	free(bodies);
}

/* The segment's pages that are known, where a search has asked for its words. */
static void pages_use(struct snapshot_bodies *bodies, struct disk_view *view)
{
	const struct reading *reading = &bodies->reading;
	struct manifest_ref *manifest = reading->snapshot->manifest;
	struct word_table *table;
	size_t i = 0;

	while (reading->views.opened[i] != view)
		i++;
	table = atomic_load_explicit(&manifest->words[i], memory_order_acquire);
	if (table != NULL)
		disk_view_use_pages(view, word_table_pages(table));
}

int snapshot_bodies_read(struct snapshot_bodies *bodies, uint64_t number, struct slice *body,
                         struct error *error)
{
	struct located located;

	if (reading_locate(&bodies->reading, number, &located, error) != 0)
		return error->code;
	if (located.version == NULL)
		pages_use(bodies, located.view);
	return located_body(&located, body, error);
}
