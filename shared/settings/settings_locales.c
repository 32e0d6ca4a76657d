#include "shared/settings/settings_private.h"

#define CHINESE_MANDARIN "cmn" /* has no code of two letters */

/* ISO 639-1 and 639-3, of the languages that Meilisearch tells apart. */
static const struct {
	char two[3];
	char three[4];
} locales[] = {
	{"af", "afr"}, {"ak", "aka"}, {"am", "amh"}, {"ar", "ara"}, {"az", "aze"}, {"be", "bel"},
	{"bn", "ben"}, {"bg", "bul"}, {"ca", "cat"}, {"cs", "ces"}, {"da", "dan"}, {"de", "deu"},
	{"el", "ell"}, {"en", "eng"}, {"eo", "epo"}, {"et", "est"}, {"fi", "fin"}, {"fr", "fra"},
	{"gu", "guj"}, {"he", "heb"}, {"hi", "hin"}, {"hr", "hrv"}, {"hu", "hun"}, {"hy", "hye"},
	{"id", "ind"}, {"it", "ita"}, {"jv", "jav"}, {"ja", "jpn"}, {"kn", "kan"}, {"ka", "kat"},
	{"km", "khm"}, {"ko", "kor"}, {"la", "lat"}, {"lv", "lav"}, {"lt", "lit"}, {"ml", "mal"},
	{"mr", "mar"}, {"mk", "mkd"}, {"my", "mya"}, {"ne", "nep"}, {"nl", "nld"}, {"nb", "nob"},
	{"or", "ori"}, {"pa", "pan"}, {"fa", "pes"}, {"pl", "pol"}, {"pt", "por"}, {"ro", "ron"},
	{"ru", "rus"}, {"si", "sin"}, {"sk", "slk"}, {"sl", "slv"}, {"sn", "sna"}, {"es", "spa"},
	{"sr", "srp"}, {"sv", "swe"}, {"ta", "tam"}, {"te", "tel"}, {"tl", "tgl"}, {"th", "tha"},
	{"tk", "tuk"}, {"tr", "tur"}, {"uk", "ukr"}, {"ur", "urd"}, {"uz", "uzb"}, {"vi", "vie"},
	{"yi", "yid"}, {"zh", "zho"}, {"zu", "zul"}, {"cy", "cym"},
};

#define LOCALES (sizeof locales / sizeof *locales)
_Static_assert(2 * LOCALES + 1 <= SETTINGS_LOCALE_NAMES_MAX, "all names fit");

const char *settings_locale(struct slice code)
{
	for (size_t i = 0; i < LOCALES; i++)
		if (slice_equal(code, slice_string(locales[i].two)) ||
		    slice_equal(code, slice_string(locales[i].three)))
			return locales[i].three;
	return slice_equal(code, slice_string(CHINESE_MANDARIN)) ? CHINESE_MANDARIN : NULL;
}

size_t settings_locale_names(const char *names[SETTINGS_LOCALE_NAMES_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < LOCALES; i++)
		names[len++] = locales[i].two;
	for (size_t i = 0; i < LOCALES; i++)
		names[len++] = locales[i].three;
	names[len++] = CHINESE_MANDARIN;
	return len;
}
