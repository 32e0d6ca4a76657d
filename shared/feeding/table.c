/* The table of identities: where the windows of all readers keep their leaves. It is opened with the first leaf, so that
 * who publishes no identities never sees a file. */
#include "shared/feeding/feeding_private.h"
#include "shared/runtime/logline.h"

#include <inttypes.h>

/* Says once that leaves cannot be kept, and once that they can. */
static void note_outcome(struct feeding *feeding, const struct error *error)
{
	if (error != NULL && feeding->table_trouble.code == 0)
		logline(LOG_LEVEL_ERROR, "table_failing", "waiting=partitions error=\"%s\"", error->text);
	else if (error == NULL && feeding->table_trouble.code != 0)
		logline(LOG_LEVEL_INFO, "table_works", "bytes=%" PRIu64, leaves_bytes(feeding->leaves));
	if (error != NULL)
		feeding->table_trouble = *error;
	else
		feeding->table_trouble.code = 0;
}

/* The first leaf of all, or of this reader. */
static int open_shelf(struct fed_shelf *shelf, struct error *error)
{
	struct feeding *feeding = shelf->feeding;
	int rc = 0;

	if (feeding->leaves == NULL)
		rc = leaves_open(config_string(feeding->config, "ingest.data"),
		                 (uint64_t)config_bytes(feeding->config, "ingest.table"), &feeding->leaves,
		                 error);
	if (rc != 0 || shelf->open)
		return rc;
	shelf->store = leaves_shelf(feeding->leaves, &shelf->shelf);
	shelf->open = true;
	return 0;
}

static int on_put(void *context, int64_t leaf, struct slice bytes, struct error *error)
{
	struct fed_shelf *shelf = context;
	int rc = open_shelf(shelf, error);

	if (rc == 0)
		rc = shelf->store.put(shelf->store.context, leaf, bytes, error);
	note_outcome(shelf->feeding, rc == 0 ? NULL : error);
	return rc;
}

static int on_get(void *context, int64_t leaf, struct slice *bytes, struct error *error)
{
	const struct fed_shelf *shelf = context;

	if (!shelf->open)
		return error_set(error, ERROR_NOT_FOUND, ERROR_ACTION_RETRY, "no leaf was ever kept");
	return shelf->store.get(shelf->store.context, leaf, bytes, error);
}

static void on_drop(void *context, int64_t leaf)
{
	const struct fed_shelf *shelf = context;

	if (shelf->open)
		shelf->store.drop(shelf->store.context, leaf);
}

struct window_store table_shelf(void *context, uint32_t reader)
{
	struct feeding *feeding = context;
	struct fed_shelf *shelf =
		&feeding->fed[FEEDER_READER_SLOT(reader)].readers[FEEDER_READER_LANE(reader)].shelf;

	*shelf = (struct fed_shelf){.feeding = feeding};
	return (struct window_store){shelf, on_put, on_get, on_drop};
}

uint64_t table_bytes(const struct feeding *feeding)
{
	return feeding->leaves != NULL ? leaves_bytes(feeding->leaves) : 0;
}
