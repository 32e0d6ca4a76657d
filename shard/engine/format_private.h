/*
 * Format, inside: one text with its tokens, the matches in it, and its crop.
 * What is here but the plan works on arrays alone.
 */
#ifndef MILLRACE_SHARD_ENGINE_FORMAT_PRIVATE_H
#define MILLRACE_SHARD_ENGINE_FORMAT_PRIVATE_H

#include "shard/engine/format.h"
#include "shared/base/map.h"

#define FORMAT_NODE_NONE UINT8_MAX

/* It ends where the next begins, and so does its form. */
struct format_token {
	uint32_t start;  /* byte of the text */
	uint32_t form;   /* byte of the forms; a separator has none */
	uint32_t marked; /* end of the mark, if the word matches by itself */
	uint8_t kind;    /* enum token_kind */
	uint8_t node;    /* that the word is a derivation of */
};

/* One token more stands behind the last. */
struct format_text {
	struct slice bytes;
	const uint8_t *forms;
	const struct format_token *tokens;
	size_t tokens_len;
};

/* Tokens and words are counted from 0, bytes are those of the text. */
struct format_match {
	uint32_t first_token;
	uint32_t last_token;
	uint32_t first_word;
	uint32_t last_word;
	uint32_t start;
	uint32_t end; /* of the mark */
	uint8_t first_term;
	uint8_t terms;
};

struct format_matches {
	const struct format_match *matches;
	size_t len;
};

struct format_span {
	uint32_t start;
	uint32_t end;
};

struct format_style {
	bool highlights;
	uint32_t crop_words; /* 0: whole */
};

struct format_field {
	struct slice name;
	struct format_style style;
};

/* Where a field's matches stand in the rows. */
struct format_place {
	struct slice path;
	size_t at;
	size_t len;
};

struct format {
	struct format_request request;
	struct arena names; /* of the lists and fields */
	struct format_names retrieved;
	struct format_names formatted;
	struct format_names displayed;
	struct format_field *fields; /* `*` among them */
	size_t fields_len;
	uint8_t order[QUERY_NODES_MAX]; /* nodes as they are tried */
	uint32_t words;                 /* bit i: node i is no phrase */
	size_t typed[QUERY_NODES_MAX];  /* characters of a prefix; SIZE_MAX: a word */
	/* of one text */
	struct buffer tokens;
	struct buffer forms;
	struct buffer matches;
	struct buffer shaped;
	/* of one hit */
	struct buffer path;
	struct buffer rows;
	struct buffer places;
	struct map places_by_path;
	struct arena paths;
};

static inline bool format_is_word(const struct format_token *token)
{
	return token->kind == TOKEN_WORD || token->kind == TOKEN_STOP_WORD;
}

bool format_names_all(const struct format_names *names);
/* A name covers itself and what is nested in it. */
bool format_covers(struct slice name, struct slice path);
struct format_style format_style_of(const struct format *format, struct slice path);

/* In order, as struct format_match; check the buffer. */
void format_find(const struct format *format, const struct format_text *text, struct buffer *matches);
struct format_span format_crop(const struct format_text *text, struct format_matches matches, uint32_t words);
/* Appends what is in the span, with a marker where it is cut. */
int format_mark(const struct format *format, struct format_span span, struct slice text,
                struct format_matches matches, struct buffer *out, struct error *error);

/* Cuts a text, and finds its matches; valid until the next. */
int format_read(struct format *format, struct slice bytes, struct format_text *text,
                struct format_matches *matches, struct error *error);

int format_too_long(struct error *error);

#endif
