#include "shared/http/http_private.h"

#include <string.h>

/* The layout below is that of 0.9; a 1.0 refuses these heads itself with MHD_OPTION_CLIENT_DISCIPLINE_LVL. */
_Static_assert(MHD_VERSION < 0x01000000, "libmicrohttpd 1.0 needs another audit");

#define HEAD_BYTES_MAX (24 * 1024)

static const struct http_refusal head_long = {431, "bad_request", "The request's head is too long."};
static const struct http_refusal head_shape = {
	400, "bad_request",
	"The request's head has a line that does not end in CRLF, a folded line or a NUL."};

struct audit {
	struct http_request *request;
	const struct http_refusal *refusal;
	uintptr_t end; /* of what has been accounted for */
};

/*
 * libmicrohttpd 0.9 splits the head where it stands, and takes a bare LF, a
 * folded line and a NUL for an end of line or of a value without telling. But
 * then the pieces do not lie as they would in a well-formed head: the next
 * name begins right behind the CRLF that ends the value before. Addresses are
 * only compared, never read through.
 */
static enum MHD_Result audit_field(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                   const char *value, size_t value_len)
{
	struct audit *audit = context;

	(void)kind;
	if (value == NULL || (uintptr_t)name != audit->end + 2)
		audit->refusal = &head_shape;
	else
		audit->refusal = http_head_header(&audit->request->head, &audit->request->arena,
		                                  slice_of(name, name_len), slice_of(value, value_len));
	audit->end = (uintptr_t)value + value_len;
	return audit->refusal == NULL ? MHD_YES : MHD_NO;
}

static const struct http_refusal *audit_size(const struct http_request *request, size_t expected)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	if (info == NULL || info->header_size > HEAD_BYTES_MAX)
		return &head_long;
	return info->header_size == expected ? NULL : &head_shape;
}

const struct http_refusal *request_audit(struct http_request *request, const char *method,
                                         const char *version)
{
	uintptr_t begin = (uintptr_t)method;
	uintptr_t target_at = (uintptr_t)request->target_at;
	struct audit audit = {.request = request, .refusal = request->refusal};

	if (audit.refusal != NULL)
		return audit.refusal;
	if (target_at != begin + strlen(method) + 1 ||
	    (uintptr_t)version != target_at + request->target_len + 1)
		return &head_shape;
	audit.end = (uintptr_t)version + strlen(version);
	(void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, audit_field, &audit);
	if (audit.refusal == NULL)
		audit.refusal = audit_size(request, audit.end + 4 - begin);
	if (audit.refusal == NULL)
		audit.refusal = http_head_end(&request->head, method, version);
	return audit.refusal;
}
