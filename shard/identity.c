/* DATA/node.json: read at the start, written when the directory is new. */
#include "shard/node_private.h"

#include "shared/runtime/logline.h"
#include "shared/runtime/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define IDENTITY_FILE "node.json"
#define IDENTITY_BYTES_MAX 4096
#define IDENTITY_PATH_BYTES_MAX (NODE_PATH_BYTES_MAX + 32)

struct incarnation incarnation_draw(void)
{
	struct incarnation incarnation;

	do
		random_bytes(&incarnation, sizeof incarnation);
	while (incarnation_is_none(incarnation));
	return incarnation;
}

uint64_t session_draw(void)
{
	return random_u64() | 1;
}

static int failed(const char *what, const char *path, struct error *error)
{
	return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL, "cannot %s %s: %s", what, path,
	                 strerror(errno));
}

/* 1 and the identity, 0 if there is no such file. */
static int identity_read(const char *path, struct node_identity *identity, struct error *error)
{
	char content[IDENTITY_BYTES_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return errno == ENOENT ? 0 : failed("read", path, error);
	len = read(fd, content, sizeof content);
	if (len < 0)
		(void)failed("read", path, error);
	(void)close(fd);
	if (len < 0)
		return error->code;
	if (node_identity_parse(slice_of(content, (size_t)len), identity, error) != 0)
		return error_prefix(error, "%s", path);
	return 1;
}

static int synced_write(const char *path, struct slice content, struct error *error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t written;
	int synced;

	if (fd < 0)
		return failed("create", path, error);
	written = write(fd, content.ptr, content.len);
	synced = written == (ssize_t)content.len ? fsync(fd) : -1;
	if (close(fd) != 0 || synced != 0)
		return failed("write", path, error);
	return 0;
}

static int directory_sync(const char *path, struct error *error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int synced = fd < 0 ? -1 : fsync(fd);

	if (synced != 0)
		(void)failed("sync", path, error);
	if (fd >= 0)
		(void)close(fd);
	return synced == 0 ? 0 : error->code;
}

/* After a crash at any point there is no file, or a whole one. */
static int identity_write(const char *directory, const struct node_identity *identity, struct error *error)
{
	char path[IDENTITY_PATH_BYTES_MAX];
	char next[IDENTITY_PATH_BYTES_MAX];
	struct buffer content;
	int rc;

	(void)snprintf(path, sizeof path, "%s/" IDENTITY_FILE, directory);
	(void)snprintf(next, sizeof next, "%s/" IDENTITY_FILE ".next", directory);
	buffer_init(&content, IDENTITY_BYTES_MAX);
	node_identity_append(&content, identity);
	rc = buffer_failed(&content) ? error_memory(error, IDENTITY_BYTES_MAX)
	                             : synced_write(next, buffer_slice(&content), error);
	if (rc == 0 && rename(next, path) != 0)
		rc = failed("rename", next, error);
	if (rc == 0)
		rc = directory_sync(directory, error);
	buffer_deinit(&content);
	return rc;
}

int identity_open(struct node *node, const char *directory, struct error *error)
{
	char path[IDENTITY_PATH_BYTES_MAX];
	struct node_identity identity = {.incarnation = incarnation_draw()};
	int rc;

	(void)snprintf(path, sizeof path, "%s/" IDENTITY_FILE, directory);
	(void)snprintf(identity.id, sizeof identity.id, "%s", node->id);
	rc = identity_read(path, &identity, error);
	if (rc < 0)
		return rc;
	if (rc == 0 && identity_write(directory, &identity, error) != 0)
		return error->code;
	if (node_identity_check(&identity, node->id, error) != 0)
		return error_prefix(error, "%s", path);
	node->incarnation = identity.incarnation;
	node->session = session_draw();
	return 0;
}
