/*
 * uncopy DIRECTORY PARTITION ENVIRONMENT: makes of one shard of a snapshot, which
 * `millrace index snapshot` took into DIRECTORY, a replica in ENVIRONMENT, as a
 * node would that gets the same head and pages from another one.
 *
 * Everything in it is read and verified. Prints its watermark, the number of its
 * documents, and their digest.
 */
#include "shard/core/copy_head.h"
#include "tests/unit/replica_reads.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1U << 30)
#define DOCUMENT_BYTES_MAX (1U << 20)
#define READ_BYTES 65536

static void check(int rc, const struct error *error)
{
	if (rc >= 0)
		return;
	(void)fprintf(stderr, "uncopy: %s\n", error->text);
	exit(1);
}

static void demand(bool true_one, const char *what)
{
	if (true_one)
		return;
	(void)fprintf(stderr, "uncopy: %s\n", what);
	exit(1);
}

static void file_read(char **words, const char *suffix, struct buffer *bytes)
{
	char path[4096];
	ssize_t len = 1;
	int file;

	(void)snprintf(path, sizeof path, "%s/%s.%s", words[0], words[1], suffix);
	file = open(path, O_RDONLY);
	demand(file >= 0, path);
	buffer_init(bytes, FILE_BYTES_MAX);
	while (len > 0) {
		uint8_t room[READ_BYTES];

		len = read(file, room, sizeof room);
		demand(len >= 0, path);
		buffer_append(bytes, room, (size_t)len);
	}
	demand(!buffer_failed(bytes), "out of memory");
	(void)close(file);
}

static void pages_put(struct copy_target *target, struct slice frames)
{
	struct reader reader = reader_of(frames);
	struct error error;

	while (reader_left(&reader) > 0) {
		uint32_t len = reader_u32(&reader);

		(void)reader_u64(&reader);
		check(copy_target_page(target, reader_take(&reader, len), &error), &error);
	}
	demand(!reader_failed(&reader), "the last frame is cut short");
	demand(copy_target_is_whole(target), "something is missing");
}

static void copy_put(struct kv *kv, const struct replica_identity *identity, char **words, struct slice head)
{
	struct copy_target *target;
	struct buffer frames;
	struct error error;

	check(copy_target_open(kv, identity, head, &target, &error), &error);
	file_read(words, "pages", &frames);
	pages_put(target, buffer_slice(&frames));
	check(copy_target_finish(target, &error), &error);
	copy_target_free(target);
	buffer_deinit(&frames);
}

int main(int argc, char **argv)
{
	struct replica_identity identity;
	struct replica_status status;
	struct replica *replica;
	struct copy_head read;
	struct buffer head;
	struct error error;
	char digest[33];
	struct kv *kv;

	demand(argc == 4, "DIRECTORY PARTITION ENVIRONMENT");
	file_read(argv + 1, "head", &head);
	check(copy_head_read(buffer_slice(&head), &read, &error), &error);
	identity = read.identity;
	identity.incarnation = (struct incarnation){{1, 2}};
	identity.document_bytes_max = DOCUMENT_BYTES_MAX;
	identity.dedup_window = INT64_MAX; /* nothing that is kept is to go */
	check(kv_open(argv[3], &kv, &error), &error);
	copy_put(kv, &identity, argv + 1, buffer_slice(&head));
	check(replica_open(kv, &identity, 1, &replica, &error), &error);
	check(reads_verify(replica, &error), &error);
	replica_status(replica, &status);
	hash128_print(status.digest, digest);
	(void)printf("%" PRId64 " %" PRIu64 " %s\n", status.stored, (uint64_t)status.documents, digest);
	replica_close(replica);
	buffer_deinit(&head);
	return 0;
}
