#include "shared/filter/filter_private.h"

int filter_parser_complain(struct filter_parser *parser, enum complaint_kind kind, size_t begin, size_t end)
{
	struct complaint complaint = {.kind = kind, .begin = begin, .end = end};

	return filter_complain(parser->refusal, parser->lexer.text, &complaint);
}

/* From `begin` to the end of the expression. */
int filter_parser_complain_from(struct filter_parser *parser, enum complaint_kind kind, size_t begin)
{
	return filter_parser_complain(parser, kind, begin, parser->lexer.text.len);
}

int filter_parser_complain_memory(struct filter_parser *parser)
{
	return filter_complain_text(parser->refusal, ERROR_MEMORY, "out of memory");
}

static int count_node(struct filter_parser *parser)
{
	if (parser->nodes == FILTER_NODES_MAX)
		return filter_parser_complain_from(parser, COMPLAINT_NODES, 0);
	parser->nodes++;
	return 0;
}

int filter_parser_node(struct filter_parser *parser, enum filter_kind kind, struct filter **filter)
{
	struct filter *made;
	int result = count_node(parser);

	if (result < 0)
		return result;
	made = arena_alloc(parser->arena, sizeof *made);
	if (made == NULL)
		return filter_parser_complain_memory(parser);
	*made = (struct filter){.kind = kind};
	*filter = made;
	return 0;
}

/* NOT of NOT is what stands inside. */
int filter_parser_negate(struct filter_parser *parser, struct filter *inside, struct filter **filter)
{
	struct filter *not_ = NULL;
	int result;

	if (inside->kind == FILTER_KIND_NOT) {
		*filter = inside->children;
		return 0;
	}
	result = filter_parser_node(parser, FILTER_KIND_NOT, &not_);
	if (result < 0)
		return result;
	not_->children = inside;
	*filter = not_;
	return 0;
}

/* Appends digits from `*at` on; false if there is none. */
static bool copy_digits(struct slice text, size_t *at, struct buffer *out)
{
	size_t begin = *at;

	while (*at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9')
		buffer_put_u8(out, text.ptr[(*at)++]);
	return *at > begin;
}

/* Rewrites what Rust reads as a number (`+5`, `.5`, `5.`, `007`) as JSON's; false if it is none. */
static bool write_number(struct slice text, struct buffer *out)
{
	size_t at = 0;
	bool whole;
	bool fraction = false;

	if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+') && text.ptr[at++] == '-')
		buffer_put_u8(out, '-');
	for (whole = false; at < text.len && text.ptr[at] == '0'; at++)
		whole = true;
	if (at == text.len || text.ptr[at] < '1' || text.ptr[at] > '9')
		buffer_put_u8(out, '0');
	whole |= copy_digits(text, &at, out);
	if (at < text.len && text.ptr[at] == '.') {
		buffer_put_u8(out, text.ptr[at++]);
		fraction = copy_digits(text, &at, out);
		if (!fraction)
			buffer_put_u8(out, '0');
	}
	if (!whole && !fraction)
		return false;
	if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
		buffer_put_u8(out, text.ptr[at++]);
		if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
			buffer_put_u8(out, text.ptr[at++]);
		if (!copy_digits(text, &at, out))
			return false;
	}
	return at == text.len;
}

/* As yyjson reads it, so that it equals a document's; what overflows is no number. */
bool filter_text_number(struct slice text, struct buffer *scratch, double *number)
{
	yyjson_val value;

	buffer_clear(scratch);
	if (!write_number(text, scratch))
		return false;
	buffer_put_u8(scratch, 0);
	if (buffer_failed(scratch) ||
	    yyjson_read_number((const char *)scratch->ptr, &value, YYJSON_READ_NOFLAG, NULL, NULL) == NULL)
		return false;
	*number = yyjson_get_num(&value);
	return true;
}

int filter_parser_literal(struct filter_parser *parser, struct slice text, struct filter_literal *literal)
{
	struct buffer *scratch = &parser->scratch;
	int result = count_node(parser);

	if (result < 0)
		return result;
	*literal = (struct filter_literal){.text = text};
	buffer_clear(scratch);
	if (!parser->fold->append(parser->fold->context, filter_trim(text), scratch) ||
	    buffer_failed(scratch) || !arena_copy(parser->arena, buffer_slice(scratch), &literal->folded))
		return filter_parser_complain_memory(parser);
	literal->is_number = filter_text_number(literal->text, scratch, &literal->number);
	return buffer_failed(scratch) ? filter_parser_complain_memory(parser) : 0;
}

/* A value, if there is one here; what cannot become right is refused. */
int filter_parser_value(struct filter_parser *parser, struct slice *value, struct complaint *complaint)
{
	switch (filter_lexer_value(&parser->lexer, parser->arena, value, complaint)) {
	case FILTER_READ_VALUE:
		return FILTER_FOUND;
	case FILTER_READ_NOTHING:
		return FILTER_ABSENT;
	case FILTER_READ_REFUSED:
		return filter_complain(parser->refusal, parser->lexer.text, complaint);
	case FILTER_READ_MEMORY:
		break;
	}
	return filter_parser_complain_memory(parser);
}
