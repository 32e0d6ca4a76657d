/*
 * `millrace dlq`: what could not be applied, in groups (ls) and one by one
 * (show). It asks Kafka itself, with the configuration's properties.
 */
#include "shared/cli/cli_dlq.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

struct dlq_words {
	struct dlq_choice choice;
	bool show;
	bool limited;
	bool output; /* -o was given */
};

void cli_dlq_help(void)
{
	printf("  dlq ls [--index UID] [--code CODE] [-o table|json]\n"
	       "                              dead letters by index and code, with an example of each\n"
	       "  dlq show PARTITION@OFFSET [-o text|json|raw]\n"
	       "                              one dead letter: reason, place, headers, key, value; --raw or\n"
	       "                              -o raw writes nothing but the value's bytes\n"
	       "  dlq show [--index UID] [--code CODE] [--limit N] [-o text|json]\n"
	       "                              the newest of them (%d)\n",
	       DLQ_SHOWN_DEFAULT);
}

/* A number without sign or blanks that ends with `end`; NULL if there is none, else what is behind it. */
static const char *read_number(const char *text, char end, int64_t max, int64_t *number)
{
	char *after;
	long long read;

	if (*text < '0' || *text > '9' || strlen(text) > 40)
		return NULL;
	read = strtoll(text, &after, 10);
	if (*after != end || read > max)
		return NULL;
	*number = read;
	return end == 0 ? after : after + 1;
}

static bool read_place(const char *text, struct dlq_choice *choice)
{
	int64_t partition = 0;
	const char *offset = read_number(text, '@', INT32_MAX, &partition);

	if (offset == NULL || read_number(offset, 0, INT64_MAX - 1, &choice->offset) == NULL)
		return false;
	choice->partition = (int32_t)partition;
	choice->placed = true;
	return true;
}

static int read_output(const char *name, struct dlq_words *words)
{
	words->output = true;
	words->choice.json = strcmp(name, "json") == 0;
	if (words->choice.json || strcmp(name, "table") == 0)
		return 0;
	return cli_fail("dlq", "-o is `%s`, expected table or json", name);
}

static int read_limit(const char *text, struct dlq_words *words)
{
	int64_t limit = 0;

	if (read_number(text, 0, DLQ_SHOWN_MAX, &limit) == NULL || limit == 0)
		return cli_fail("dlq", "--limit is `%s`, expected 1 to %d", text, DLQ_SHOWN_MAX);
	words->choice.limit = (size_t)limit;
	words->limited = true;
	return 0;
}

/* Whether the words fit together. */
static int check_words(const struct dlq_words *words, int left)
{
	const struct dlq_choice *choice = &words->choice;
	bool filtered = choice->filter.index != NULL || choice->filter.code != NULL;

	if (!words->show && (left > 0 || words->limited || choice->raw))
		return cli_fail("dlq", "`ls` takes --index, --code and -o (see --help)");
	if (!words->show)
		return 0;
	if (left > 1)
		return cli_fail("dlq", "`show` takes one PARTITION@OFFSET (see --help)");
	if (choice->placed && (filtered || words->limited))
		return cli_fail("dlq", "PARTITION@OFFSET stands alone, without --index, --code and --limit");
	if (!choice->placed && !filtered)
		return cli_fail("dlq", "expected PARTITION@OFFSET, or --index or --code (see --help)");
	if (choice->raw && (!choice->placed || words->output))
		return cli_fail("dlq",
		                "--raw writes one value as it is: give its PARTITION@OFFSET, and no -o");
	return 0;
}

/* argv[0] is ls or show; 0 or the exit code. */
static int read_words(int argc, char **argv, struct dlq_words *words)
{
	static const struct option longs[] = {
		{"index", required_argument, NULL, 'i'},  {"code", required_argument, NULL, 'c'},
		{"limit", required_argument, NULL, 'l'},  {"raw", no_argument, NULL, 'r'},
		{"output", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0}};
	int result = 0;
	int letter;

	while (result == 0 && (letter = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		if (letter == 'i')
			words->choice.filter.index = optarg;
		else if (letter == 'c')
			words->choice.filter.code = optarg;
		else if (letter == 'l')
			result = read_limit(optarg, words);
		else if (letter == 'o')
			result = read_output(optarg, words);
		else if (letter == 'r')
			words->choice.raw = true;
		else
			result = 1; /* getopt has said why */
	}
	if (result == 0 && words->show && optind < argc && !read_place(argv[optind], &words->choice))
		result = cli_fail("dlq", "`%s` is no PARTITION@OFFSET, such as 0@42", argv[optind]);
	return result != 0 ? result : check_words(words, argc - optind);
}

bool dlq_filter_accepts(const struct dlq_filter *filter, const struct dlq_letter *letter)
{
	return (filter->index == NULL || slice_equal(letter->index, slice_string(filter->index))) &&
	       (filter->code == NULL || slice_equal(letter->code, slice_string(filter->code)));
}

int cli_dlq(struct cli *cli, int argc, char **argv)
{
	struct dlq_words words = {.choice = {.limit = DLQ_SHOWN_DEFAULT}};
	struct error error;
	struct dlq dlq;
	int result;

	if (argc < 2 || (strcmp(argv[1], "ls") != 0 && strcmp(argv[1], "show") != 0))
		return cli_fail("dlq", "expected ls or show (see --help)");
	words.show = strcmp(argv[1], "show") == 0;
	if (read_words(argc - 1, argv + 1, &words) != 0)
		return 1;
	if (dlq_open(&dlq, cli->config, &error) != 0)
		result = cli_fail("dlq", "%s", error.text);
	else if (words.show)
		result = dlq_show(&dlq, &words.choice);
	else
		result = dlq_list(&dlq, &words.choice.filter, words.choice.json);
	dlq_close(&dlq);
	return result;
}
