/* Conditions on places: read, judged, and whether they hold. */
#include "shared/filter/filter_private.h"

#include <math.h>
#include <stdio.h>

#define LATITUDE_MAX 90.0
#define LONGITUDE_MAX 180.0
/* More than what rounding makes of a distance of half the globe. */
#define BAND_SLACK 1e-5

/* ---- reading ---- */

/* One condition. */
struct place {
	struct filter_parser *parser;
	const char *name;
	enum filter_kind kind;
	struct buffer literals; /* struct filter_literal */
	size_t groups;          /* in brackets */
};

/* What stands from the lexer on does not fit. */
static int complain_form(const struct place *place)
{
	const struct filter_lexer *lexer = &place->parser->lexer;
	struct complaint complaint = {
		.kind = COMPLAINT_GEO_FORM, .begin = lexer->at, .end = lexer->text.len, .name = place->name};

	return filter_complain(place->parser->refusal, lexer->text, &complaint);
}

/* From `begin` up to the lexer there are so many. */
static int complain_count(const struct place *place, enum complaint_kind kind, size_t count, size_t begin)
{
	struct complaint complaint = {.kind = kind,
	                              .begin = begin,
	                              .end = place->parser->lexer.at,
	                              .name = place->name,
	                              .count = count};

	return filter_complain(place->parser->refusal, place->parser->lexer.text, &complaint);
}

/* Digits, letters and what else a number may have. */
static struct slice number_here(const struct filter_lexer *lexer)
{
	size_t at = lexer->at;

	while (at < lexer->text.len && lexer->text.ptr[at] != 0 &&
	       strchr("+-.0123456789eE", lexer->text.ptr[at]) != NULL)
		at++;
	return slice_of(lexer->text.ptr + lexer->at, at - lexer->at);
}

/* `1, 2`, at least one; `count` of them. */
static int read_numbers(struct place *place, size_t *count)
{
	struct filter_lexer *lexer = &place->parser->lexer;

	*count = 0;
	do {
		struct filter_literal literal;
		struct slice text;
		int result;

		(void)filter_lexer_space(lexer);
		text = number_here(lexer);
		result = filter_parser_literal(place->parser, text, &literal);
		if (result < 0)
			return result;
		if (!literal.is_number)
			return complain_form(place);
		buffer_append(&place->literals, &literal, sizeof literal);
		++*count;
		lexer->at += text.len;
		(void)filter_lexer_space(lexer);
	} while (filter_lexer_text(lexer, ","));
	return 0;
}

/* `[1, 2], [3, 4]`, at least one; no comma between them is needed. */
static int read_groups(struct place *place)
{
	struct filter_lexer *lexer = &place->parser->lexer;
	size_t uneven = 2;
	size_t uneven_at = 0;
	size_t uneven_end = 0;

	do {
		size_t begin;
		size_t count;
		int result;

		(void)filter_lexer_space(lexer);
		if (!filter_lexer_text(lexer, "["))
			return complain_form(place);
		begin = lexer->at;
		result = read_numbers(place, &count);
		if (result < 0)
			return result;
		if (count != 2 && uneven == 2) {
			uneven = count;
			uneven_at = begin;
			uneven_end = lexer->at;
		}
		if (!filter_lexer_text(lexer, "]"))
			return complain_form(place);
		place->groups++;
		(void)filter_lexer_space(lexer);
	} while (filter_lexer_text(lexer, ",") ||
	         (lexer->at < lexer->text.len && lexer->text.ptr[lexer->at] == '['));
	if (uneven == 2 || (place->kind == FILTER_KIND_BOX && place->groups != 2))
		return 0;
	lexer->at = uneven_end;
	return complain_count(place, COMPLAINT_COORDINATES, uneven, uneven_at);
}

/* "(" arguments ")" */
static int read_arguments(struct place *place)
{
	struct filter_lexer *lexer = &place->parser->lexer;
	size_t begin = lexer->at;
	size_t count = 0;
	int result;

	(void)filter_lexer_space(lexer);
	if (!filter_lexer_text(lexer, "(")) {
		lexer->at = begin;
		return complain_form(place);
	}
	result = place->kind == FILTER_KIND_RADIUS ? read_numbers(place, &count) : read_groups(place);
	if (result < 0)
		return result;
	if (!filter_lexer_text(lexer, ")"))
		return complain_form(place);
	if (place->kind == FILTER_KIND_RADIUS && count != 3 && count != 4)
		return complain_count(place, COMPLAINT_ARGUMENTS, count, lexer->at);
	return place->kind == FILTER_KIND_BOX && place->groups != 2 ? complain_form(place) : 0;
}

static int place_finish(struct place *place, struct filter **filter)
{
	struct filter_parser *parser = place->parser;
	struct slice literals = buffer_slice(&place->literals);
	int result = filter_parser_node(parser, place->kind, filter);

	if (result < 0)
		return result;
	(*filter)->field = slice_string(place->kind == FILTER_KIND_POLYGON ? "_geojson" : "_geo");
	(*filter)->literals = arena_alloc(parser->arena, literals.len);
	if (buffer_failed(&place->literals) || (*filter)->literals == NULL)
		return filter_parser_complain_memory(parser);
	memcpy((*filter)->literals, literals.ptr, literals.len);
	(*filter)->literals_len = literals.len / sizeof *(*filter)->literals;
	return 0;
}

int filter_parser_place(struct filter_parser *parser, struct filter **filter)
{
	static const struct {
		const char *name;
		enum filter_kind kind;
	} rows[] = {{"_geoRadius", FILTER_KIND_RADIUS},
	            {"_geoBoundingBox", FILTER_KIND_BOX},
	            {"_geoPolygon", FILTER_KIND_POLYGON}};
	struct filter_lexer *lexer = &parser->lexer;
	struct place place = {.parser = parser};
	size_t begin = lexer->at;
	int result;

	(void)filter_lexer_space(lexer);
	for (size_t i = 0; place.name == NULL && i < sizeof rows / sizeof rows[0]; i++)
		if (filter_lexer_word(lexer, rows[i].name)) {
			place.name = rows[i].name;
			place.kind = rows[i].kind;
		}
	if (place.name == NULL) {
		lexer->at = begin;
		return FILTER_ABSENT;
	}
	buffer_init(&place.literals, FILTER_NODES_MAX * sizeof(struct filter_literal));
	result = read_arguments(&place);
	if (result == 0)
		result = place_finish(&place, filter);
	buffer_deinit(&place.literals);
	(void)filter_lexer_space(lexer);
	return result;
}

/* ---- judging ---- */

static int refuse(struct filter_refusal *refusal, const char *format, struct slice one, struct slice other)
{
	char text[FILTER_REFUSAL_BYTES_MAX];

	(void)snprintf(text, sizeof text, format, SLICE_ARGS(one), SLICE_ARGS(other));
	return filter_complain_text(refusal, ERROR_FORMAT, text);
}

static int check_point(const struct filter_literal point[2], struct filter_refusal *refusal)
{
	char hint[32];
	double turned;

	if (fabs(point[0].number) > LATITUDE_MAX)
		return refuse(refusal,
		              "Bad latitude `%.*s`. Latitude must be contained between -90 and 90 "
		              "degrees.%.*s",
		              point[0].text, slice_of("", 0));
	if (fabs(point[1].number) <= LONGITUDE_MAX)
		return 0;
	turned = fmod(point[1].number + LONGITUDE_MAX, 2 * LONGITUDE_MAX);
	if (turned < 0)
		turned += 2 * LONGITUDE_MAX;
	(void)snprintf(hint, sizeof hint, "%g", turned - LONGITUDE_MAX);
	return refuse(refusal,
	              "Bad longitude `%.*s`. Longitude must be contained between -180 and 180 degrees. "
	              "Hint: try using `%.*s` instead.",
	              point[1].text, slice_string(hint));
}

int filter_check_place(const struct filter *filter, struct filter_refusal *refusal)
{
	const struct filter_literal *literals = filter->literals;
	size_t len = filter->kind == FILTER_KIND_RADIUS ? 2 : filter->literals_len;

	for (size_t i = 0; i < len; i += 2) {
		int result = check_point(literals + i, refusal);

		if (result < 0)
			return result;
	}
	if (filter->kind == FILTER_KIND_BOX && literals[0].number < literals[2].number)
		return refuse(refusal, "The top latitude `%.*s` is below the bottom latitude `%.*s`.",
		              literals[0].text, literals[2].text);
	return 0;
}

/* ---- matching ---- */

bool filter_place_holds(const struct filter *filter, const struct point *point)
{
	const struct filter_literal *literals = filter->literals;
	struct point one = {literals[0].number, literals[1].number};
	struct point other;

	if (filter->kind == FILTER_KIND_RADIUS)
		return point_distance(point, &one) <= literals[2].number;
	other = (struct point){literals[2].number, literals[3].number};
	if (point->lat < other.lat || point->lat > one.lat)
		return false;
	if (other.lng <= one.lng)
		return point->lng >= other.lng && point->lng <= one.lng;
	return point->lng >= other.lng || point->lng <= one.lng;
}

void filter_place_band(const struct filter *filter, double *low, double *high)
{
	const struct filter_literal *literals = filter->literals;
	double reach = INFINITY;

	if (filter->kind == FILTER_KIND_BOX) {
		/* of a zero there are two */
		*low = nextafter(literals[2].number, -INFINITY);
		*high = nextafter(literals[0].number, INFINITY);
		return;
	}
	/* no way to another latitude is shorter than straight up or down */
	if (fabs(literals[0].number) <= LATITUDE_MAX)
		reach = literals[2].number / POINT_DEGREE_METRES + BAND_SLACK;
	*low = literals[0].number - reach;
	*high = literals[0].number + reach;
}
