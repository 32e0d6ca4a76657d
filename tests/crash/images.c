#include "tests/crash/images.h"

#include "shared/base/assert.h"
#include "tests/simulation/dice.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 512

struct content {
	uint8_t *bytes;
	size_t len;
};

struct file {
	struct content durable;
	struct content cached;
	struct content image; /* the last that was built */
	const char *name;     /* durable; NULL: none */
};

/* Whole sectors as the page cache had them, or a name. */
struct pending {
	uint32_t file;
	size_t at;
	size_t len;
	uint8_t *sectors;
	const char *name;
	size_t file_len; /* after this write */
	bool doubtful;   /* a sync of it failed: no later one brings it to the disk */
	bool gone;       /* durable, or overwritten */
};

struct image_state {
	const struct trace *trace;
	enum image_syncs syncs;
	size_t at;
	struct file files[TRACE_FILES_MAX];
	struct pending pending[IMAGE_PENDING_MAX];
	size_t pending_len;
	int64_t stored;
	int64_t storing;
};

static void *memory(size_t bytes)
{
	void *result = calloc(1, bytes);

	ASSERT(result != NULL);
	return result;
}

struct image_state *image_state_new(const struct trace *trace, enum image_syncs syncs)
{
	struct image_state *state = memory(sizeof *state);

	state->trace = trace;
	state->syncs = syncs;
	state->stored = INT64_MIN;
	state->storing = INT64_MIN;
	for (size_t i = 0; i < TRACE_FILES_MAX; i++) {
		state->files[i].durable.bytes = memory(IMAGE_FILE_BYTES_MAX);
		state->files[i].cached.bytes = memory(IMAGE_FILE_BYTES_MAX);
		state->files[i].image.bytes = memory(IMAGE_FILE_BYTES_MAX);
	}
	return state;
}

void image_state_free(struct image_state *state)
{
	for (size_t i = 0; i < state->pending_len; i++)
		free(state->pending[i].sectors);
	for (size_t i = 0; i < TRACE_FILES_MAX; i++) {
		free(state->files[i].durable.bytes);
		free(state->files[i].cached.bytes);
		free(state->files[i].image.bytes);
	}
	free(state);
}

static size_t aligned(size_t at)
{
	return at / IMAGE_SECTOR * IMAGE_SECTOR;
}

static struct pending *pending_add(struct image_state *state, uint32_t file)
{
	ASSERT(state->pending_len < IMAGE_PENDING_MAX);
	state->pending[state->pending_len] =
		(struct pending){.file = file, .file_len = state->files[file].cached.len};
	return &state->pending[state->pending_len++];
}

static void write_add(struct image_state *state, const struct trace_event *event)
{
	struct content *cached = &state->files[event->file].cached;
	size_t from = (size_t)event->at;
	struct pending *pending;

	ASSERT(event->at >= 0 && from <= IMAGE_FILE_BYTES_MAX && event->len <= IMAGE_FILE_BYTES_MAX - from);
	memcpy(cached->bytes + from, state->trace->bytes + event->bytes, event->len);
	if (from + event->len > cached->len)
		cached->len = from + event->len;
	pending = pending_add(state, event->file);
	pending->at = aligned(from);
	pending->len = aligned(from + event->len + IMAGE_SECTOR - 1) - pending->at;
	pending->sectors = memory(pending->len);
	memcpy(pending->sectors, cached->bytes + pending->at, pending->len);
}

/* One sector of a write on what a file holds. */
static void sector_take(struct content *content, const struct pending *pending, size_t sector)
{
	size_t at = pending->at + sector * IMAGE_SECTOR;
	size_t end = at + IMAGE_SECTOR < pending->file_len ? at + IMAGE_SECTOR : pending->file_len;

	memcpy(content->bytes + at, pending->sectors + sector * IMAGE_SECTOR, IMAGE_SECTOR);
	if (end > content->len)
		content->len = end;
}

static void write_take(struct content *content, const struct pending *pending)
{
	for (size_t i = 0; i < pending->len / IMAGE_SECTOR; i++)
		sector_take(content, pending, i);
}

/* What has become durable leaves the list. */
static void pending_keep(struct image_state *state, bool (*keeps)(const struct pending *, uint32_t),
                         uint32_t file)
{
	size_t kept = 0;

	for (size_t i = 0; i < state->pending_len; i++) {
		if (keeps(&state->pending[i], file))
			state->pending[kept++] = state->pending[i];
		else
			free(state->pending[i].sectors);
	}
	state->pending_len = kept;
}

static bool is_no_name(const struct pending *pending, uint32_t file)
{
	(void)file;
	return pending->name == NULL;
}

static bool is_there(const struct pending *pending, uint32_t file)
{
	(void)file;
	return !pending->gone;
}

/* It is on disk, and what was there before it is not. */
static void write_durable(struct image_state *state, size_t place)
{
	struct pending *durable = &state->pending[place];

	write_take(&state->files[durable->file].durable, durable);
	for (size_t i = 0; i <= place; i++) {
		struct pending *earlier = &state->pending[i];

		if (earlier->file == durable->file && earlier->name == NULL &&
		    earlier->at < durable->at + durable->len && durable->at < earlier->at + earlier->len)
			earlier->gone = true;
	}
}

static void file_synced(struct image_state *state, uint32_t file)
{
	for (size_t i = 0; i < state->pending_len; i++) {
		const struct pending *pending = &state->pending[i];

		if (pending->file == file && pending->name == NULL && !pending->doubtful)
			write_durable(state, i);
	}
	pending_keep(state, is_there, file);
}

static void file_sync_failed(struct image_state *state, uint32_t file)
{
	for (size_t i = 0; i < state->pending_len; i++)
		if (state->pending[i].file == file && state->pending[i].name == NULL)
			state->pending[i].doubtful = true;
}

static void names_synced(struct image_state *state)
{
	for (size_t i = 0; i < state->pending_len; i++)
		if (state->pending[i].name != NULL)
			state->files[state->pending[i].file].name = state->pending[i].name;
	pending_keep(state, is_no_name, 0);
}

static void write_synced(struct image_state *state, uint32_t file)
{
	size_t last = state->pending_len - 1;

	ASSERT(state->pending_len > 0 && state->pending[last].file == file &&
	       state->pending[last].name == NULL);
	write_durable(state, last);
	pending_keep(state, is_there, file);
}

static void event_take(struct image_state *state, const struct trace_event *event)
{
	switch (event->kind) {
	case TRACE_NAME:
		pending_add(state, event->file)->name = (const char *)state->trace->bytes + event->bytes;
		break;
	case TRACE_WRITE:
		write_add(state, event);
		break;
	case TRACE_WRITE_SYNCED:
		if (state->syncs != IMAGE_SYNCS_NO_WRITES)
			write_synced(state, event->file);
		break;
	case TRACE_SYNCED:
		if (state->syncs != IMAGE_SYNCS_NO_FILES)
			file_synced(state, event->file);
		break;
	case TRACE_SYNC_FAILED:
		file_sync_failed(state, event->file);
		break;
	case TRACE_NAMES_SYNCED:
		names_synced(state);
		break;
	case TRACE_STORING:
		state->storing = event->at;
		break;
	case TRACE_STORED:
		state->stored = event->at;
		break;
	}
}

void image_state_walk(struct image_state *state, size_t at)
{
	ASSERT(at >= state->at && at <= state->trace->events_len);
	while (state->at < at)
		event_take(state, &state->trace->events[state->at++]);
}

size_t image_state_pending(const struct image_state *state)
{
	return state->pending_len;
}

int64_t image_state_stored(const struct image_state *state)
{
	return state->stored;
}

int64_t image_state_storing(const struct image_state *state)
{
	return state->storing;
}

/* How many of the writes come first and are there, and the chance of those that may be there. */
struct choice {
	enum image_kind kind;
	size_t first;
	size_t names; /* the same for names */
	uint32_t permille;
};

static void pending_take(struct content *content, const struct pending *pending, const struct choice *choice,
                         struct dice *dice, size_t place)
{
	bool whole = choice->kind == IMAGE_ALL || place < choice->first;

	if (choice->kind == IMAGE_WRITES)
		whole = dice_chance(dice, choice->permille);
	if (whole) {
		write_take(content, pending);
	} else if (choice->kind == IMAGE_SECTORS || (choice->kind == IMAGE_TORN && place == choice->first)) {
		for (size_t i = 0; i < pending->len / IMAGE_SECTOR; i++)
			if (dice_chance(dice, choice->permille))
				sector_take(content, pending, i);
	}
}

static bool content_write(const struct content *content, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool done = fd >= 0 && write(fd, content->bytes, content->len) == (ssize_t)content->len;

	if (fd >= 0)
		close(fd);
	return done;
}

/* What is durable; zeros after it. */
static void image_begin(struct file *file)
{
	size_t len = file->durable.len > file->image.len ? file->durable.len : file->image.len;

	memcpy(file->image.bytes, file->durable.bytes, aligned(len + IMAGE_SECTOR - 1));
	file->image.len = file->durable.len;
}

bool image_write(struct image_state *state, enum image_kind kind, struct dice *dice, const char *directory)
{
	struct choice choice = {.kind = kind, .permille = 50 + dice_below(dice, 900)};
	const char *names[TRACE_FILES_MAX];
	char path[PATH_BYTES];

	choice.names = kind == IMAGE_ALL    ? state->pending_len
	               : kind == IMAGE_NONE ? 0
	                                    : dice_below(dice, (uint32_t)state->pending_len + 1);
	if (kind == IMAGE_FIRST || kind == IMAGE_TORN)
		choice.first = choice.names;
	for (size_t i = 0; i < state->trace->files_len; i++) {
		image_begin(&state->files[i]);
		names[i] = state->files[i].name;
	}
	for (size_t i = 0; i < state->pending_len; i++) {
		const struct pending *pending = &state->pending[i];

		if (pending->name == NULL)
			pending_take(&state->files[pending->file].image, pending, &choice, dice, i);
		else if (i < choice.names)
			names[pending->file] = pending->name;
	}
	for (size_t i = 0; i < state->trace->files_len; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, names[i] == NULL ? "" : names[i]);
		if (names[i] != NULL && !content_write(&state->files[i].image, path))
			return false;
	}
	return true;
}
