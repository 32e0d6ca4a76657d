#include "tests/simulation/fold.h"

#include "shared/base/assert.h"

#define TEXT_BYTES 4096

static const char *const member_names[MEMBERS] = {
	[MEMBER_ID] = "id",       [MEMBER_WORD] = "word", [MEMBER_TEXT] = "text", [MEMBER_N] = "n",
	[MEMBER_COLOR] = "color", [MEMBER_A] = "a",       [MEMBER_B] = "b",       [MEMBER_C] = "c",
};

/* Bytes on their way into a hash or a body. */
struct text {
	uint8_t bytes[TEXT_BYTES];
	size_t len;
};

static void put_bytes(struct text *text, struct slice bytes)
{
	ASSERT(text->len + bytes.len <= sizeof text->bytes);
	if (bytes.len > 0)
		memcpy(text->bytes + text->len, bytes.ptr, bytes.len);
	text->len += bytes.len;
}

static void put_number(struct text *text, uint64_t number, size_t len)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	put_bytes(text, slice_of(bytes, len));
}

static void put_sized(struct text *text, struct slice bytes)
{
	put_number(text, bytes.len, 4);
	put_bytes(text, bytes);
}

struct hash128 fold_identity(struct slice id, struct slice first, const struct slice *second)
{
	struct text text = {.len = 0};

	put_sized(&text, id);
	put_number(&text, second == NULL ? 1 : 2, 1);
	if (second == NULL) {
		put_bytes(&text, first);
	} else {
		put_sized(&text, first);
		put_bytes(&text, *second);
	}
	return hash128_of(slice_of(text.bytes, text.len), 0);
}

uint64_t fold_operation(const struct log_entry *entry)
{
	struct text text = {.len = 0};

	put_number(&text, entry->kind, 1);
	put_sized(&text, entry->record.key);
	put_bytes(&text, entry->stored);
	return hash64(slice_of(text.bytes, text.len), 0);
}

const char *fold_member_name(enum member_name name)
{
	return member_names[name];
}

const struct member *fold_member(const struct fold_document *document, enum member_name name)
{
	for (size_t i = 0; i < document->body.len; i++)
		if (document->body.members[i].name == name)
			return &document->body.members[i];
	return NULL;
}

static struct hash128 digest_of(uint64_t index_id, const struct fold_document *document)
{
	struct text text = {.len = 0};

	put_sized(&text, document->id);
	put_sized(&text, document->text);
	put_number(&text, (uint64_t)document->key.timestamp_ms, 8);
	put_number(&text, document->key.seq, 4);
	return hash128_of(slice_of(text.bytes, text.len), index_id);
}

/* Puts another document, or none, in the place. */
static void replace(struct fold_point *point, uint32_t place, const struct fold_document *document)
{
	const struct fold_document *before = point->at[place];

	if (before != NULL) {
		hash128_subtract(&point->digest, before->digest);
		point->documents--;
		point->body_bytes -= before->text.len;
	}
	point->at[place] = document;
	if (document != NULL) {
		hash128_add(&point->digest, document->digest);
		point->documents++;
		point->body_bytes += document->text.len;
	}
}

/* The existing members in their order with the patch's values, then what only the patch has. */
static void merge_bodies(struct body *body, const struct body *patch)
{
	for (size_t i = 0; i < patch->len; i++) {
		size_t at = 0;

		while (at < body->len && body->members[at].name != patch->members[i].name)
			at++;
		body->members[at] = patch->members[i];
		body->len += at == body->len;
	}
}

static struct slice body_text(const struct body *body, struct arena *arena)
{
	struct text text = {.len = 0};
	struct slice copy = {0};
	bool copied;

	for (size_t i = 0; i < body->len; i++) {
		put_bytes(&text, slice_string(i == 0 ? "{\"" : ",\""));
		put_bytes(&text, slice_string(member_names[body->members[i].name]));
		put_bytes(&text, slice_string("\":"));
		put_bytes(&text, body->members[i].token);
	}
	put_bytes(&text, slice_string("}"));
	copied = arena_copy(arena, slice_of(text.bytes, text.len), &copy);
	ASSERT(copied);
	return copy;
}

static void apply_put(struct fold_point *point, const struct fold_rules *rules, const struct log_entry *entry,
                      struct arena *arena)
{
	const struct fold_document *before = point->at[entry->document];
	bool merges = entry->kind == OP_KIND_MERGE || entry->kind == OP_KIND_MERGE_IF_EXISTS;
	struct fold_document *after;

	if (before == NULL &&
	    (entry->kind == OP_KIND_PUT_IF_EXISTS || entry->kind == OP_KIND_MERGE_IF_EXISTS))
		return;
	after = arena_alloc(arena, sizeof *after);
	ASSERT(after != NULL);
	*after = (struct fold_document){.entry = entry,
	                                .id = entry->record.key,
	                                .text = entry->stored,
	                                .body = entry->body,
	                                .key = before != NULL ? before->key : entry->key};
	if (merges && before != NULL) {
		after->body = before->body;
		merge_bodies(&after->body, &entry->body);
		after->text = body_text(&after->body, arena);
		if (after->text.len > rules->document_bytes_max)
			return;
	}
	after->digest = digest_of(rules->index_id, after);
	replace(point, entry->document, after);
}

static bool condition_holds(const struct condition *condition, const struct fold_document *document)
{
	const struct member *color = fold_member(document, MEMBER_COLOR);
	const struct member *n = fold_member(document, MEMBER_N);

	switch (condition->kind) {
	case CONDITION_COLOR_IS:
		return color != NULL && color->number == condition->number;
	case CONDITION_COLOR_IS_NOT:
		return color == NULL || color->number != condition->number;
	default: /* CONDITION_N_ABOVE: the document's has a half more */
		return n != NULL && n->number >= condition->number;
	}
}

void fold_apply(struct fold_point *point, const struct fold_rules *rules, const struct log_entry *entry,
                struct arena *arena)
{
	if (entry->verdict != VERDICT_APPLIED)
		return;
	if (entry->kind == OP_KIND_DELETE) {
		replace(point, entry->document, NULL);
		return;
	}
	if (!op_kind_is_barrier(entry->kind)) {
		apply_put(point, rules, entry, arena);
		return;
	}
	for (uint32_t i = 0; i < DOCUMENTS_MAX; i++)
		if (point->at[i] != NULL &&
		    (entry->kind == OP_KIND_DELETE_ALL || condition_holds(&entry->condition, point->at[i])))
			replace(point, i, NULL);
}
