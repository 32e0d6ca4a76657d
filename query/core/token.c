#include "query/core/token.h"

#include "shared/base/knockout.h"

#include <inttypes.h>

/* Decimal digits without a leading zero, at most `max`; the rest stays in `text`. */
static bool take_number(struct slice *text, int64_t max, int64_t *number)
{
	size_t len = 0;
	int64_t value = 0;

	while (len < text->len && text->ptr[len] >= '0' && text->ptr[len] <= '9') {
		int digit = text->ptr[len] - '0';

		if (value > (max - digit) / 10 || (len > 0 && text->ptr[0] == '0'))
			return false;
		value = value * 10 + digit;
		len++;
	}
	if (len == 0)
		return false;
	*text = slice_of(text->ptr + len, text->len - len);
	*number = value;
	return true;
}

static bool take_sign(struct slice *text, char sign)
{
	if (text->len == 0 || text->ptr[0] != (uint8_t)sign)
		return false;
	*text = slice_of(text->ptr + 1, text->len - 1);
	return true;
}

static int refuse_malformed(struct error_answer *refusal, size_t at)
{
	return error_answer_set(
		refusal, "invalid_consistency_token",
		"Header `" TOKEN_HEADER "`: not `<generation>;<partition>@<offset>,…` at byte %zu.", at);
}

int token_parse(struct slice text, int32_t generation, int32_t partitions, int64_t *required,
                struct error_answer *refusal)
{
	struct slice rest = text;
	int64_t named_generation;
	int64_t foreign = -1; /* a partition that the index does not have */
	int64_t partition;
	int64_t offset;

	for (int32_t p = 0; p < partitions; p++)
		required[p] = 0;
	if (!take_number(&rest, INT32_MAX, &named_generation) || !take_sign(&rest, ';'))
		return refuse_malformed(refusal, text.len - rest.len);
	while (rest.len > 0) {
		if (rest.ptr != text.ptr && rest.ptr[-1] != ';' && !take_sign(&rest, ','))
			return refuse_malformed(refusal, text.len - rest.len);
		if (!take_number(&rest, INT32_MAX, &partition) || !take_sign(&rest, '@') ||
		    !take_number(&rest, INT64_MAX - 1, &offset))
			return refuse_malformed(refusal, text.len - rest.len);
		if (partition >= partitions) {
			foreign = partition;
			continue;
		}
		if (required[partition] != 0)
			return error_answer_set(refusal, "invalid_consistency_token",
			                        "Header `" TOKEN_HEADER "`: partition %" PRId64
			                        " is named twice.",
			                        partition);
		required[partition] = offset + 1;
	}
	if (named_generation != generation)
		return error_answer_set(refusal, "consistency_token_outdated",
		                        "Header `" TOKEN_HEADER "`: it is of generation %" PRId64
		                        ", the index has generation %" PRId32 ".",
		                        named_generation, generation);
	if (foreign >= 0)
		return error_answer_set(refusal, "consistency_token_outdated",
		                        "Header `" TOKEN_HEADER "`: it names partition %" PRId64
		                        ", the index has %" PRId32 " partitions.",
		                        foreign, partitions);
	return 0;
}

void token_append(struct buffer *text, int32_t generation, const int64_t *covered, int32_t partitions)
{
	const char *separator = "";

	buffer_printf(text, "%" PRId32 ";", generation);
	for (int32_t p = 0; covered != NULL && p < partitions; p++) {
		if (covered[p] <= 0)
			continue;
		buffer_printf(text, "%s%" PRId32 "@%" PRId64, separator, p, covered[p] - 1);
		separator = ",";
	}
}

int32_t token_uncovered(const int64_t *covered, const int64_t *required, int32_t partitions)
{
	for (int32_t p = 0; required != NULL && p < partitions; p++)
		if (required[p] > 0 && (covered == NULL || covered[p] < required[p]))
			return p;
	return -1;
}

bool token_covers(const int64_t *covered, const int64_t *required, int32_t partitions)
{
	return token_uncovered(covered, required, partitions) < 0;
}

void token_raise(int64_t *required, const int64_t *finals, int32_t partitions)
{
	for (int32_t p = 0; finals != NULL && !KNOCKOUT(FINALS_IGNORED) && p < partitions; p++)
		if (required[p] < finals[p])
			required[p] = finals[p];
}
