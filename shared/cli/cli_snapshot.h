/*
 * Snapshot: a directory with a copy of every shard of an index, each as one
 * replica had it on disk at its own watermark, from which on the log goes on.
 * There is no cut over all shards, and none is needed.
 *
 *   manifest.json  {"format":1,"cluster","index","uid","partitions","taken_at",
 *                  "record":the index's in the topic meta,"shards":[rows]}; its
 *                  presence says that the snapshot is whole, so it comes last
 *   begun.json     the same without "shards", until then; locked by who writes
 *   P.json         the row of shard P, until then; without "pages" it is not whole
 *   P.head         its head, as the node gave it (GET /copy)
 *   P.pages        its pages (GET /copy/chunks) by rising key, each in a frame:
 *                  u32 length, u64 hash, bytes; hash64 of the bytes, seeded by the
 *                  hash of the frame before (first by the copy's id), so that the
 *                  last one's stands for all of this copy
 *   row            {"partition","node","replica":what the node said of the head,
 *                  "head":{"bytes","hash"},
 *                  "pages":{"bytes","pages","chunks","chunk_bytes","hash"}}
 *
 * Whoever is killed begins again: rows that are whole stay, the shard that was
 * under way goes on behind its last whole frame if the node still keeps that
 * copy, else it is copied anew. Rows are notes for that, which a power failure
 * may lose: what an earlier run wrote is read once more, and copied anew where
 * it is not what the row says. Heads and pages are on disk before manifest.json is.
 *
 * What is checked without a cluster: that every byte is the one that a node gave,
 * that no chunk is missing, doubled or out of order, and that the chunks come to
 * what the manifest in the head says. What a chunk holds has checksums of its own,
 * for whoever opens it as a replica.
 *
 * cli_snapshot.c (words, the plan), cli_snapshot_shard.c (one shard, from a node),
 * cli_snapshot_row.c (JSON), cli_snapshot_pages.c (frames), cli_snapshot_check.c.
 * One thread. Bounds: SNAPSHOT_HEAD_BYTES_MAX in memory, SNAPSHOT_PAGES_AT_ONCE
 * pages and one beside it.
 * Failure: ERROR_STORAGE (FATAL, names file and remedy), ERROR_DAMAGED (REJECT,
 * what is there is not what was written), ERROR_VERSION, ERROR_STATE, ERROR_MEMORY.
 */
#ifndef MILLRACE_CLI_CLI_SNAPSHOT_H
#define MILLRACE_CLI_CLI_SNAPSHOT_H

#include "shared/cli/cli_index.h"
#include "shared/meta/catalog.h"

#define SNAPSHOT_FORMAT 1
#define SNAPSHOT_MANIFEST "manifest.json"
#define SNAPSHOT_BEGUN "begun.json"
#define SNAPSHOT_HEAD_BYTES_MAX (257U << 20)
#define SNAPSHOT_PAGE_BYTES_MAX (8U << 20)
#define SNAPSHOT_KEY_BYTES_MAX 511
#define SNAPSHOT_PAGES_AT_ONCE 2 /* asked for */
#define SNAPSHOT_TOLD_BYTES_MAX 1024
#define SNAPSHOT_MANIFEST_BYTES_MAX (16U << 20)
#define SNAPSHOT_PATH_BYTES_MAX 4096
#define SNAPSHOT_NAME_BYTES_MAX 32

struct snapshot_row;

/* ---- cli_snapshot_pages.c ---- */

/* Frames of a file, up to some place. */
struct snapshot_sum {
	int64_t bytes;
	int64_t pages;
	int64_t chunks;
	int64_t chunk_bytes; /* of their values */
	uint64_t hash;       /* of the last frame */
};

struct snapshot_pages {
	char path[SNAPSHOT_PATH_BYTES_MAX];
	int fd;
	struct snapshot_sum sum;
	uint8_t last[SNAPSHOT_KEY_BYTES_MAX]; /* key; none if last_len is 0 */
	size_t last_len;
};

enum snapshot_mode {
	SNAPSHOT_MODE_GO_ON = 1, /* frames of this copy stay, what is behind them goes */
	SNAPSHOT_MODE_CHECK      /* nothing is written, and anything but whole frames is ERROR_DAMAGED */
};

/* Reads what is there of the row's copy; snapshot_pages_close after success. */
int snapshot_pages_open(struct snapshot_pages *pages, const char *directory, const struct snapshot_row *row,
                        enum snapshot_mode mode, struct error *error);
/* The last key of a page that is to come next: borrowed from it. ERROR_DAMAGED (RETRY) as snapshot_pages_add. */
int snapshot_page_last(const struct snapshot_pages *pages, struct slice page, struct slice *key,
                       struct error *error);
/* One more frame, on its way to the disk. ERROR_DAMAGED (RETRY): the page is not what comes behind the last key;
 * nothing was written. */
int snapshot_pages_add(struct snapshot_pages *pages, struct slice page, struct error *error);
/* All frames are on disk then, and stay there under their name once the directory is synced. After a failure none of
 * them is there any more. */
int snapshot_pages_sync(struct snapshot_pages *pages, struct error *error);
/* To be read from the beginning; snapshot_pages_close after success. */
int snapshot_pages_begin(struct snapshot_pages *pages, const char *directory, const struct snapshot_row *row,
                         struct error *error);
/* The next page, of at most SNAPSHOT_PAGE_BYTES_MAX: 1 and its length, 0 at the end. */
int snapshot_pages_next(struct snapshot_pages *pages, uint8_t *page, size_t *len, struct error *error);
void snapshot_pages_close(struct snapshot_pages *pages);

enum snapshot_sync {
	SNAPSHOT_SYNC_LATER = 1, /* a power failure may leave anything under its name */
	SNAPSHOT_SYNC_FILE,      /* all of it is on disk, its name once the directory is synced */
	SNAPSHOT_SYNC_NAME       /* and this too */
};

/* A whole file, there under its name or not at all, whenever this is killed. */
int snapshot_file_write(const char *directory, const char *name, struct slice bytes, enum snapshot_sync sync,
                        struct error *error);
/* Appends it; ERROR_NOT_FOUND (REJECT). */
int snapshot_file_read(const char *directory, const char *name, struct buffer *bytes, struct error *error);
/* One that may not be there. */
int snapshot_file_remove(const char *directory, const char *name, struct error *error);
int snapshot_sync_directory(const char *directory, struct error *error);

/* ---- cli_snapshot_row.c ---- */

/* One shard. */
struct snapshot_row {
	int32_t partition;
	char node[NODE_ID_BYTES_MAX + 1];
	char told[SNAPSHOT_TOLD_BYTES_MAX]; /* "replica", as JSON (empty: no head yet), of which: */
	uint64_t copy;                      /* what the node keeps for it */
	int64_t format;                     /* only nodes with these two can take it; 0: not told */
	int64_t words;
	int64_t stored;
	int64_t documents;
	int64_t chunk_bytes;
	int64_t head_bytes;
	uint64_t head_hash;
	bool is_whole; /* `pages` is known */
	struct snapshot_sum pages;
};

/* What a snapshot is of. */
struct snapshot_origin {
	char cluster[256];
	char uid[INDEX_UID_BYTES_MAX + 1];
	uint64_t index_id;
	int32_t partitions;
};

/* "P.suffix" */
void snapshot_name_print(const struct snapshot_row *row, const char *suffix,
                         char name[SNAPSHOT_NAME_BYTES_MAX]);
/* From the node's answer to GET /copy, of which `head` is what comes before what the node says; the rest of the row
 * is cleared, but for partition and node. ERROR_DAMAGED (RETRY). */
int snapshot_row_told(struct snapshot_row *row, struct slice answer, struct slice *head, struct error *error);
void snapshot_row_append(const struct snapshot_row *row, struct buffer *json);
/* False if it is none. */
bool snapshot_row_parse(struct snapshot_row *row, yyjson_val *json);
/* All but the end: "}" for begun.json, or the rows. */
void snapshot_origin_append(const struct snapshot_origin *origin, const struct index_record *record,
                            struct buffer *json);
/* ERROR_VERSION, ERROR_DAMAGED (REJECT). */
int snapshot_origin_parse(struct snapshot_origin *origin, yyjson_val *json, struct error *error);

/* ---- cli_snapshot_check.c ---- */

/* Reads the shard's files and compares them with its row: of one that is not whole, the head. */
int snapshot_check_row(const char *directory, const struct snapshot_row *row, struct error *error);
/* All that there is, and sums over it. */
struct snapshot_found {
	struct snapshot_origin origin;
	int64_t documents;
	int64_t bytes;             /* of heads and pages */
	struct snapshot_row *rows; /* by partition */
	struct catalog *recorded;  /* of the index's record, as it was then, and nothing else */
};

/* Reads all of it; snapshot_found_deinit after success. ERROR_NOT_FOUND: there is no manifest. */
int snapshot_check(const char *directory, struct snapshot_found *found, struct error *error);
void snapshot_found_deinit(struct snapshot_found *found);

/* ---- cli_snapshot.c ---- */

/* Why there is no manifest, on stderr; the exit code. */
int snapshot_say_unfinished(const char *directory);

/* ---- cli_snapshot_shard.c ---- */

struct snapshot {
	const char *directory;
	struct http_client *client; /* its answers may be SNAPSHOT_HEAD_BYTES_MAX */
	struct cli *cli;
	struct snapshot_origin origin;
	yyjson_doc *status; /* the gateway's; NULL: to be asked for */
	void (*show)(void *context, const struct snapshot_row *row, const struct snapshot_sum *sum);
	void *context;
};

/* Makes the row whole, from whichever replica serves; what the row says already is gone on with. `show` is called
 * after every page. */
int snapshot_shard_take(struct snapshot *snapshot, struct snapshot_row *row, struct error *error);

#endif
