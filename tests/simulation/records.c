#include "tests/simulation/records.h"

#include "shared/base/assert.h"

#include <stdarg.h>
#include <stdio.h>

#define HEADERS_MAX 8
#define COLORS 3

struct slice records_print(struct arena *arena, const char *format, ...)
{
	char text[1024];
	struct slice copy;
	va_list args;
	int len;
	bool copied;

	va_start(args, format);
	len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ASSERT(len >= 0 && (size_t)len < sizeof text);
	copied = arena_copy(arena, slice_of(text, (size_t)len), &copy);
	ASSERT(copied);
	return copy;
}

void records_header(struct sim_log *log, struct log_entry *entry, const char *name, struct slice value)
{
	struct record_header *headers;

	if (entry->record.headers == NULL) {
		entry->record.headers = arena_alloc(log->arena, HEADERS_MAX * sizeof *headers);
		ASSERT(entry->record.headers != NULL);
	}
	ASSERT(entry->record.headers_len < HEADERS_MAX);
	headers = (struct record_header *)(uintptr_t)entry->record.headers;
	headers[entry->record.headers_len++] = (struct record_header){slice_string(name), value};
}

void records_stamp(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	char separator = log->swarm->contract == 1 ? '/' : '.';
	uint32_t seq;

	log->clock_ms += dice_between(dice, -2, 5);
	entry->record.timestamp_ms = log->clock_ms;
	entry->key = (struct insertion_key){log->clock_ms, 0};
	if (!dice_chance(dice, 100))
		return;
	seq = dice_below(dice, 9);
	if (dice_chance(dice, 500)) {
		entry->key.seq = seq;
		records_header(log, entry, "seq", records_print(log->arena, "%u", seq));
	} else {
		entry->key = (struct insertion_key){1600000000000 + seq, seq};
		records_header(log, entry, "created",
		               records_print(log->arena, "%lld%c%u", (long long)entry->key.timestamp_ms,
		                             separator, seq));
	}
}

/* ---- values ---- */

static struct member *add_member(struct log_entry *entry, enum member_name name, struct slice token)
{
	struct member *member = &entry->body.members[entry->body.len++];

	*member = (struct member){.name = name, .token = token};
	return member;
}

static void add_word(struct sim_log *log, struct log_entry *entry)
{
	(void)snprintf(entry->word, sizeof entry->word, "w%06u", log->made);
	entry->word_number = log->made;
	add_member(entry, MEMBER_WORD, records_print(log->arena, "\"%s\"", entry->word))->number = log->made;
}

static void add_text(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	static const char *const texts[] = {"river stone", "mill race", "river mill",
	                                    "R\303\251sum\303\251 STONE", ""};
	static const char *const folded[] = {"river stone", "mill race", "river mill", "resume stone", ""};
	uint32_t choice = dice_below(dice, dice_chance(dice, 100) ? 5 : 3);

	add_member(entry, MEMBER_TEXT, records_print(log->arena, "\"%s\"", texts[choice]))->text =
		folded[choice];
}

static void add_n(struct sim_log *log, struct log_entry *entry)
{
	add_member(entry, MEMBER_N, records_print(log->arena, "%u.50", log->made))->number = log->made;
}

static void add_color(struct log_entry *entry, struct dice *dice)
{
	static const char *const colors[COLORS][2] = {
		{"\"red\"", "\"Red\""}, {"\"green\"", "\"GREEN\""}, {"\"blue\"", "\"blue\""}};
	uint32_t color = dice_below(dice, COLORS);

	add_member(entry, MEMBER_COLOR, slice_string(colors[color][dice_below(dice, 2)]))->number = color;
}

/* The members behind the primary key as they stand in the value. */
static void write_rest(struct sim_log *log, struct log_entry *entry, bool blank)
{
	struct slice rest = slice_string("");

	for (size_t i = 0; i < entry->body.len; i++) {
		const struct member *member = &entry->body.members[i];
		const char *before = i == 0 ? "" : i == 1 ? ", " : ",";

		rest = records_print(log->arena, "%.*s%s\"%s\"%s%.*s", SLICE_ARGS(rest), before,
		                     fold_member_name(member->name), blank ? " : " : ":",
		                     SLICE_ARGS(member->token));
	}
	entry->rest = records_print(log->arena, "%.*s%s", SLICE_ARGS(rest), blank ? " }" : "}");
}

void records_fill(struct sim_log *log, struct log_entry *entry, struct dice *dice, bool colored)
{
	entry->kind = OP_KIND_PUT;
	entry->body.len = 0;
	add_word(log, entry);
	add_text(log, entry, dice);
	add_n(log, entry);
	if (colored)
		add_color(entry, dice);
	write_rest(log, entry, false);
}

void records_patch(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	static const char *const tokens[] = {"7", "null", "true", "\"x\"", "[1,{\"q\":\"}\"}]", "\"a, {b}\""};
	enum member_name name = (enum member_name)dice_between(dice, MEMBER_WORD, MEMBERS - 1);

	entry->kind = OP_KIND_MERGE;
	entry->body.len = 0;
	if (name == MEMBER_WORD)
		add_word(log, entry);
	else if (name == MEMBER_TEXT)
		add_text(log, entry, dice);
	else if (name == MEMBER_N)
		add_n(log, entry);
	else if (name == MEMBER_COLOR)
		add_color(entry, dice);
	else if (dice_chance(dice, 150)) /* three of them are too much for one document */
		add_member(entry, name, records_print(log->arena, "\"%0130d\"", 0));
	else
		add_member(entry, name, slice_string(tokens[dice_below(dice, 6)]));
	write_rest(log, entry, dice_chance(dice, 200));
}

/* The primary key is a member too, the first. */
static void set_id(struct log_entry *entry, struct slice token)
{
	struct body *body = &entry->body;

	if (body->len == 0 || body->members[0].name != MEMBER_ID) {
		memmove(body->members + 1, body->members, body->len * sizeof body->members[0]);
		body->len++;
	}
	body->members[0] = (struct member){.name = MEMBER_ID, .token = token};
}

void records_spell(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	struct slice id = entry->record.key;
	struct slice text = records_print(log->arena, "\"%.*s\"", SLICE_ARGS(id));
	struct slice rest = entry->rest;

	if (dice_chance(dice, 300)) {
		entry->record.value = records_print(log->arena, " {%.*s", SLICE_ARGS(rest));
		entry->stored =
			records_print(log->arena, "{\"id\":%.*s,%.*s", SLICE_ARGS(text), SLICE_ARGS(rest));
	} else {
		if (id.ptr[0] != 'a' && dice_chance(dice, 500))
			text = id; /* a number */
		entry->record.value =
			records_print(log->arena, "{\"id\":%.*s,%.*s", SLICE_ARGS(text), SLICE_ARGS(rest));
		entry->stored = entry->record.value;
	}
	set_id(entry, text);
}

void records_put(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	records_fill(log, entry, dice, false);
	records_spell(log, entry, dice);
}

void records_delete(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	entry->kind = OP_KIND_DELETE;
	if (dice_chance(dice, 500)) {
		records_header(log, entry, "op", slice_string("delete"));
		entry->record.value = slice_string(dice_chance(dice, 500) ? "not JSON" : "");
	} else if (dice_chance(dice, 500)) {
		entry->record.value = slice_string("");
	}
}

void records_filter(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	static const char *const colors[COLORS] = {"red", "GREEN", "'blue'"};
	static const char *const is[] = {"\"color = %s\"", "[\"color = %s\"]", "[[\"color=%s\"]]"};
	static const char *const is_not[] = {"\"NOT color = %s\"", "[\"color != %s\"]",
	                                     "\"NOT (color = %s)\""};
	uint32_t spelling = dice_below(dice, 3);
	char text[64];

	entry->kind = OP_KIND_DELETE_BY_FILTER;
	entry->condition.kind = (enum condition_kind)dice_below(dice, CONDITIONS);
	if (entry->condition.kind == CONDITION_N_ABOVE) {
		entry->condition.number = log->made - dice_below(dice, log->made + 1);
		(void)snprintf(text, sizeof text, "\"n > %u\"", entry->condition.number);
	} else {
		entry->condition.number = dice_below(dice, COLORS);
		(void)snprintf(text, sizeof text, "%s",
		               entry->condition.kind == CONDITION_COLOR_IS ? is[spelling] : is_not[spelling]);
	}
	if (entry->condition.kind == CONDITION_N_ABOVE) {
		entry->record.value = records_print(log->arena, "%s", text);
	} else {
		const char *color = colors[entry->condition.number];
		const char *hole = strstr(text, "%s");

		entry->record.value =
			records_print(log->arena, "%.*s%s%s", (int)(hole - text), text, color, hole + 2);
	}
	entry->stored = entry->record.value;
}

/* ---- bad records ---- */

static void spoil_key(struct sim_log *log, struct log_entry *entry, enum refusal_code code)
{
	if (code == REFUSAL_MISSING_KEY)
		entry->record.key = (struct slice){0};
	else if (code == REFUSAL_WRONG_PARTITION)
		entry->record.key = log->stranger;
	else
		entry->record.key = slice_string("no id: blanks");
}

static void spoil_value(struct sim_log *log, struct log_entry *entry, enum refusal_code code)
{
	struct slice deep = {0};

	switch (code) {
	case REFUSAL_TOO_LARGE:
		entry->record.value = records_print(log->arena, "{\"fill\":\"%0*d\"}", RECORDS_BYTES_MAX, 7);
		break;
	case REFUSAL_TOO_DEEP:
		deep = records_print(log->arena, "{\"a\":%0*d", 140, 0);
		memset((char *)(uintptr_t)deep.ptr + 5, '[', deep.len - 5);
		entry->record.value =
			records_print(log->arena, "%.*s%0*d}", (int)deep.len, (const char *)deep.ptr, 140, 0);
		memset((char *)(uintptr_t)entry->record.value.ptr + deep.len, ']', 140);
		break;
	case REFUSAL_NOT_JSON:
		entry->record.value = slice_string("{\"word\":");
		break;
	case REFUSAL_NOT_AN_OBJECT:
		entry->record.value = slice_string("[1, 2]");
		break;
	default:
		entry->record.value = slice_string("{\"id\":\"somebody-else\"}");
		break;
	}
}

static void set_malformed(struct log_entry *entry, enum refusal_code code)
{
	entry->malformed = true;
	entry->malformation = code;
	entry->word_number = 0;
}

void records_spoil(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	enum refusal_code code =
		(enum refusal_code)dice_between(dice, REFUSAL_MISSING_KEY, REFUSAL_ID_MISMATCH);

	if (code == REFUSAL_WRONG_PARTITION && log->stranger.len == 0)
		code = REFUSAL_NOT_JSON;
	if (code <= REFUSAL_WRONG_PARTITION)
		spoil_key(log, entry, code);
	else if (code == REFUSAL_UNKNOWN_OPERATION)
		records_header(log, entry, "op", slice_string("frobnicate"));
	else if (code == REFUSAL_INVALID_HEADER)
		records_header(log, entry, dice_chance(dice, 500) ? "seq" : "created", slice_string("x"));
	else
		spoil_value(log, entry, code);
	set_malformed(entry, code);
}

void records_spoil_more(struct sim_log *log, struct log_entry *entry, struct dice *dice)
{
	static const char *const filters[] = {"",          "7", "[]", "\"\"", "{\"color\":1}", "\"color = \"",
	                                      "\"(n > 1\""};
	static const struct {
		const char *name;
		const char *value;
	} headers[] = {
		{"if-offset", "3"},       {"seq", "007"},        {"created", "1600000000000/1"},
		{"idempotency-key", ""},  {"origin", "a.1/0/5"}, {"origin", "/0/5.1"},
		{"origin", "a.01/0/5.1"},
	};
	uint32_t choice = dice_below(dice, 4);

	if (choice == 0) {
		records_header(log, entry, "op", slice_string("delete-all"));
		set_malformed(entry, REFUSAL_UNEXPECTED_KEY);
	} else if (choice == 1) {
		records_header(log, entry, "op", slice_string("delete-by-filter"));
		entry->record.key = (struct slice){0};
		entry->record.value = slice_string(filters[dice_below(dice, 7)]);
		set_malformed(entry, REFUSAL_INVALID_FILTER);
	} else {
		choice = dice_below(dice, 7);
		records_header(log, entry, headers[choice].name, slice_string(headers[choice].value));
		set_malformed(entry, REFUSAL_INVALID_HEADER);
	}
}
