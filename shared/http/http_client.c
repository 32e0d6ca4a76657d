#include "shared/http/http_client.h"

#include "shared/base/assert.h"

#include <curl/curl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS_MAX 2000L
#define HOST_CONNECTIONS_MAX 64L
/* of all hosts together; fewer than are used at once would be opened and closed for every request */
#define CONNECTIONS_KEPT_MAX 1024L
/* below the server's 60 s, so that a kept connection is rarely closed under a request */
#define IDLE_CONNECTION_S 30L
#define CONNECTION_LIFE_S 600L
#define EASY_KEPT_MAX 64
/* nothing is waited for that would not end the wait by itself */
#define POLL_MS 60000

/* One request on its way. */
struct call {
	struct call *next;
	struct call **link; /* while running: what points to it */
	CURL *easy;
	struct curl_slist *headers;
	uint8_t *sent;      /* the request's body */
	struct buffer body; /* of the answer, if the caller has no place for it */
	struct buffer *answer;
	size_t answer_len; /* in it before */
	const char *method;
	char *url;
	bool answer_too_long;
	char detail[CURL_ERROR_SIZE];
	http_completion *completion;
	void *context;
};

struct http_client {
	CURLM *multi;
	pthread_t thread;
	unsigned in_flight_max;
	size_t answer_bytes_max;
	size_t receive_bytes;
	char *authorization; /* header line, or NULL */
	atomic_bool stopping;
	atomic_uint in_flight;
	pthread_mutex_t lock; /* guards what follows, but for the last */
	struct call *waiting; /* handed over, not yet with curl */
	struct call **waiting_end;
	CURL *kept[EASY_KEPT_MAX];
	size_t kept_len;
	struct http_client_guest guest; /* turn NULL: none */
	bool guest_leaves;              /* until the thread has seen it */
	pthread_cond_t guest_left;
	/* of the client's thread alone */
	struct call *running;
	bool again; /* the guest wants another turn */
};

static void call_free(struct call *call)
{
	if (call->easy != NULL)
		curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	buffer_deinit(&call->body);
	free(call->sent);
	free(call->url);
	free(call);
}

static CURL *easy_take(struct http_client *client)
{
	CURL *easy = NULL;

	(void)pthread_mutex_lock(&client->lock);
	if (client->kept_len > 0)
		easy = client->kept[--client->kept_len];
	(void)pthread_mutex_unlock(&client->lock);
	return easy != NULL ? easy : curl_easy_init();
}

/* Keeps the handle for another call, or frees it. */
static void easy_give(struct http_client *client, CURL *easy)
{
	curl_easy_reset(easy);
	(void)pthread_mutex_lock(&client->lock);
	if (client->kept_len < EASY_KEPT_MAX) {
		client->kept[client->kept_len++] = easy;
		easy = NULL;
	}
	(void)pthread_mutex_unlock(&client->lock);
	if (easy != NULL)
		curl_easy_cleanup(easy);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct call *call = context;

	buffer_append(call->answer, bytes, size * count);
	call->answer_too_long = buffer_failed(call->answer);
	return call->answer_too_long ? 0 : size * count;
}

static int set_failed(struct error *error, const struct call *call, CURLcode code)
{
	const char *detail = call->detail[0] != 0 ? call->detail : curl_easy_strerror(code);

	if (call->answer_too_long)
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                 "%s %.200s: the answer is longer than %zu bytes", call->method, call->url,
		                 call->answer->len_max);
	if (code == CURLE_OUT_OF_MEMORY)
		return error_memory(error, 0);
	return error_set(error, code == CURLE_OPERATION_TIMEDOUT ? ERROR_TIMEOUT : ERROR_NETWORK,
	                 code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT
	                         ? ERROR_ACTION_REJECT
	                         : ERROR_ACTION_RETRY,
	                 "%s %.200s: %.200s", call->method, call->url, detail);
}

/* Tells the caller and frees the call. */
static void call_complete(struct http_client *client, struct call *call, struct http_answer *answer)
{
	if (call->easy != NULL)
		easy_give(client, call->easy);
	call->easy = NULL;
	/* before the completion, which may send the next request */
	atomic_fetch_sub(&client->in_flight, 1);
	call->completion(call->context, answer);
	call_free(call);
}

static void call_abandon(struct http_client *client, struct call *call)
{
	struct http_answer answer = {0};

	error_set(&answer.error, ERROR_STATE, ERROR_ACTION_RETRY, "%s %.200s: the client was stopped",
	          call->method, call->url);
	call_complete(client, call, &answer);
}

static void running_add(struct http_client *client, struct call *call)
{
	call->next = client->running;
	call->link = &client->running;
	if (call->next != NULL)
		call->next->link = &call->next;
	client->running = call;
}

static void running_remove(struct call *call)
{
	*call->link = call->next;
	if (call->next != NULL)
		call->next->link = call->link;
}

static struct call *waiting_take(struct http_client *client)
{
	struct call *call;

	(void)pthread_mutex_lock(&client->lock);
	call = client->waiting;
	client->waiting = NULL;
	client->waiting_end = &client->waiting;
	(void)pthread_mutex_unlock(&client->lock);
	return call;
}

static bool is_waiting(struct http_client *client)
{
	bool waiting;

	(void)pthread_mutex_lock(&client->lock);
	waiting = client->waiting != NULL;
	(void)pthread_mutex_unlock(&client->lock);
	return waiting;
}

static void start_waiting(struct http_client *client)
{
	struct call *call = waiting_take(client);

	while (call != NULL) {
		struct call *next = call->next;
		CURLMcode added = curl_multi_add_handle(client->multi, call->easy);

		if (added == CURLM_OK) {
			running_add(client, call);
		} else {
			struct http_answer answer = {0};

			error_set(&answer.error, ERROR_NETWORK, ERROR_ACTION_RETRY, "%s %.200s: %s",
			          call->method, call->url, curl_multi_strerror(added));
			call_complete(client, call, &answer);
		}
		call = next;
	}
}

static void finish(struct http_client *client, CURL *easy, CURLcode code)
{
	struct http_answer answer = {0};
	struct call *call = NULL;
	long status = 0;

	ASSERT(curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call) == CURLE_OK && call != NULL);
	ASSERT(curl_multi_remove_handle(client->multi, easy) == CURLM_OK);
	running_remove(call);
	if (code == CURLE_OK && curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK) {
		answer.status = (int)status;
		answer.body =
			slice_of(call->answer->ptr + call->answer_len, call->answer->len - call->answer_len);
	} else {
		(void)set_failed(&answer.error, call, code);
	}
	call_complete(client, call, &answer);
}

static void abandon_all(struct http_client *client)
{
	struct call *waiting = waiting_take(client);

	while (client->running != NULL) {
		struct call *call = client->running;

		running_remove(call);
		ASSERT(curl_multi_remove_handle(client->multi, call->easy) == CURLM_OK);
		call_abandon(client, call);
	}
	while (waiting != NULL) {
		struct call *next = waiting->next;

		call_abandon(client, waiting);
		waiting = next;
	}
}

static void finish_all(struct http_client *client)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE)
			finish(client, message->easy_handle, message->data.result);
}

static struct http_client_guest guest_of(struct http_client *client)
{
	struct http_client_guest guest;

	(void)pthread_mutex_lock(&client->lock);
	if (client->guest_leaves) {
		client->guest = (struct http_client_guest){.turn = NULL};
		client->guest_leaves = false;
		(void)pthread_cond_broadcast(&client->guest_left);
	}
	guest = client->guest;
	(void)pthread_mutex_unlock(&client->lock);
	return guest;
}

/* The guest, calls, completions, and again while these want more; how long nothing may happen then. */
static int take_turns(struct http_client *client, const struct http_client_guest *guest)
{
	int wait_ms = -1;
	int running;

	do {
		client->again = false;
		if (guest->turn != NULL)
			wait_ms = guest->turn(guest->context);
		start_waiting(client);
		ASSERT(curl_multi_perform(client->multi, &running) == CURLM_OK);
		finish_all(client);
	} while (client->again);
	if (is_waiting(client))
		return 0;
	return wait_ms < 0 || wait_ms > POLL_MS ? POLL_MS : wait_ms;
}

static void *client_run(void *context)
{
	struct http_client *client = context;

	while (!atomic_load(&client->stopping)) {
		struct http_client_guest guest = guest_of(client);
		struct curl_waitfd waiting = {.fd = guest.fd, .events = CURL_WAIT_POLLIN};
		int wait_ms = take_turns(client, &guest);

		ASSERT(curl_multi_poll(client->multi, &waiting, guest.turn != NULL ? 1 : 0, wait_ms, NULL) ==
		       CURLM_OK);
	}
	abandon_all(client);
	return NULL;
}

static void client_free(struct http_client *client)
{
	for (size_t i = 0; i < client->kept_len; i++)
		curl_easy_cleanup(client->kept[i]);
	if (client->multi != NULL)
		(void)curl_multi_cleanup(client->multi);
	(void)pthread_cond_destroy(&client->guest_left);
	(void)pthread_mutex_destroy(&client->lock);
	free(client->authorization);
	free(client);
}

static void curl_init_once(void)
{
	ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

int http_client_start(const struct http_client_options *options, struct http_client **client,
                      struct error *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_client *new = calloc(1, sizeof *new);

	(void)pthread_once(&once, curl_init_once);
	if (new == NULL)
		return error_memory(error, sizeof *new);
	(void)pthread_mutex_init(&new->lock, NULL);
	(void)pthread_cond_init(&new->guest_left, NULL);
	new->in_flight_max = options->in_flight_max;
	new->answer_bytes_max = options->answer_bytes_max;
	new->receive_bytes = options->receive_bytes;
	new->waiting_end = &new->waiting;
	new->multi = curl_multi_init();
	if (new->multi == NULL)
		goto out;
	if (options->bearer != NULL && options->bearer[0] != 0 &&
	    asprintf(&new->authorization, "Authorization: Bearer %s", options->bearer) < 0) {
		new->authorization = NULL;
		goto out;
	}
	ASSERT(curl_multi_setopt(new->multi, CURLMOPT_MAX_HOST_CONNECTIONS, HOST_CONNECTIONS_MAX) ==
	       CURLM_OK);
	ASSERT(curl_multi_setopt(new->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT_MAX) == CURLM_OK);
	if (pthread_create(&new->thread, NULL, client_run, new) != 0)
		goto out;
	*client = new;
	return 0;
out:
	client_free(new);
	return error_memory(error, sizeof *new);
}

void http_client_stop(struct http_client *client)
{
	if (client == NULL)
		return;
	ASSERT(client->guest.turn == NULL);
	atomic_store(&client->stopping, true);
	ASSERT(curl_multi_wakeup(client->multi) == CURLM_OK);
	(void)pthread_join(client->thread, NULL);
	client_free(client);
}

void http_client_admit(struct http_client *client, const struct http_client_guest *guest)
{
	(void)pthread_mutex_lock(&client->lock);
	ASSERT(client->guest.turn == NULL && guest->turn != NULL);
	client->guest = *guest;
	(void)pthread_mutex_unlock(&client->lock);
	ASSERT(curl_multi_wakeup(client->multi) == CURLM_OK);
}

void http_client_wake(struct http_client *client)
{
	if (http_client_is_here(client))
		client->again = true;
	else
		ASSERT(curl_multi_wakeup(client->multi) == CURLM_OK);
}

void http_client_dismiss(struct http_client *client)
{
	ASSERT(!http_client_is_here(client));
	(void)pthread_mutex_lock(&client->lock);
	client->guest_leaves = true;
	ASSERT(curl_multi_wakeup(client->multi) == CURLM_OK);
	while (client->guest_leaves)
		(void)pthread_cond_wait(&client->guest_left, &client->lock);
	(void)pthread_mutex_unlock(&client->lock);
}

bool http_client_is_here(const struct http_client *client)
{
	return pthread_equal(pthread_self(), client->thread) != 0;
}

static bool add_header(struct call *call, const char *name, const char *value)
{
	char line[512];
	struct curl_slist *longer = NULL;
	int len = snprintf(line, sizeof line, "%s:%s%s", name, value[0] == 0 ? "" : " ", value);

	if (len > 0 && (size_t)len < sizeof line)
		longer = curl_slist_append(call->headers, line);
	if (longer != NULL)
		call->headers = longer;
	return longer != NULL;
}

static bool set_headers(struct call *call, const struct http_client *client,
                        const struct http_client_request *request)
{
	/* without it curl waits up to a second for "100 Continue" before large bodies */
	call->headers = curl_slist_append(NULL, "Expect:");
	if (call->headers == NULL)
		return false;
	/* a name without value takes away what curl would say on its own */
	if (!add_header(call, "Content-Type", request->content_type == NULL ? "" : request->content_type))
		return false;
	if (request->request_id != NULL && !add_header(call, "X-Request-Id", request->request_id))
		return false;
	if (request->node != NULL && !add_header(call, "X-Millrace-Node", request->node))
		return false;
	if (request->deadline_ms > 0) {
		char text[16];

		(void)snprintf(text, sizeof text, "%d", request->deadline_ms);
		if (!add_header(call, "X-Millrace-Deadline-Ms", text))
			return false;
	}
	if (client->authorization != NULL) {
		struct curl_slist *longer = curl_slist_append(call->headers, client->authorization);

		if (longer == NULL)
			return false;
		call->headers = longer;
	}
	return true;
}

#define SET(option, value) \
	(result = result != CURLE_OK ? result : curl_easy_setopt(call->easy, option, value))

/* curl keeps the pointer to the body, which moves from the caller's buffer into the call. */
static CURLcode set_method(struct call *call, struct slice body)
{
	CURLcode result = CURLE_OK;
	bool has_body = body.len > 0 || strcmp(call->method, "POST") == 0 ||
	                strcmp(call->method, "PUT") == 0 || strcmp(call->method, "PATCH") == 0;

	if (strcmp(call->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	else if (has_body) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
		SET(CURLOPT_POSTFIELDS, body.len > 0 ? (const char *)body.ptr : "");
	}
	SET(CURLOPT_CUSTOMREQUEST, call->method);
	return result;
}

static CURLcode set_options(struct call *call, const struct http_client *client, int timeout_ms)
{
	CURLcode result = CURLE_OK;
	long connect_ms = timeout_ms < CONNECT_MS_MAX ? timeout_ms : CONNECT_MS_MAX;

	SET(CURLOPT_URL, call->url);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, ""); /* not the environment's: programs talk to each other */
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	SET(CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
	SET(CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S);
	SET(CURLOPT_TCP_NODELAY, 1L);
	if (client->receive_bytes > 0)
		SET(CURLOPT_BUFFERSIZE, (long)client->receive_bytes);
	SET(CURLOPT_HTTPHEADER, call->headers);
	SET(CURLOPT_ERRORBUFFER, call->detail);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, (void *)call);
	SET(CURLOPT_PRIVATE, (void *)call);
	return result;
}

#undef SET

/* NULL when out of memory; the body is still the caller's. */
static struct call *call_new(struct http_client *client, const struct http_client_request *request)
{
	struct slice body = request->body != NULL ? buffer_slice(request->body) : slice_of(NULL, 0);
	struct call *call = calloc(1, sizeof *call);

	if (call == NULL)
		return NULL;
	buffer_init(&call->body, client->answer_bytes_max);
	call->answer = request->answer != NULL ? request->answer : &call->body;
	call->answer_len = call->answer->len;
	call->method = request->method;
	call->completion = request->completion;
	call->context = request->context;
	call->url = strdup(request->url);
	call->easy = easy_take(client);
	if (call->url == NULL || call->easy == NULL || !set_headers(call, client, request) ||
	    set_options(call, client, request->timeout_ms) != CURLE_OK ||
	    set_method(call, body) != CURLE_OK) {
		call_free(call);
		return NULL;
	}
	return call;
}

int http_client_send(struct http_client *client, const struct http_client_request *request,
                     struct error *error)
{
	struct call *call;
	size_t len;

	if (atomic_load(&client->stopping))
		return error_set(error, ERROR_STATE, ERROR_ACTION_RETRY, "the HTTP client is being stopped");
	ASSERT(request->body == NULL || !buffer_failed(request->body));
	if (atomic_fetch_add(&client->in_flight, 1) >= client->in_flight_max) {
		atomic_fetch_sub(&client->in_flight, 1);
		return error_set(error, ERROR_LIMIT, ERROR_ACTION_RETRY, "%u HTTP requests are in flight",
		                 client->in_flight_max);
	}
	call = call_new(client, request);
	if (call == NULL) {
		atomic_fetch_sub(&client->in_flight, 1);
		return error_memory(error, sizeof *call);
	}
	if (request->body != NULL)
		call->sent = buffer_take(request->body, &len);
	(void)pthread_mutex_lock(&client->lock);
	*client->waiting_end = call;
	client->waiting_end = &call->next;
	(void)pthread_mutex_unlock(&client->lock);
	if (!http_client_is_here(client))
		ASSERT(curl_multi_wakeup(client->multi) == CURLM_OK);
	return 0;
}

static void on_answered(void *context, const struct http_answer *answer)
{
	struct http_client_asked *asked = context;

	asked->status = answer->status;
	asked->error = answer->error;
	if (answer->status == 0)
		asked->answer->len = asked->answer_len;
	(void)sem_post(&asked->answered);
}

int http_client_ask_begin(struct http_client *client, struct http_client_request *request,
                          struct http_client_asked *asked, struct buffer *answer, struct error *error)
{
	*asked = (struct http_client_asked){.answer = answer, .answer_len = answer->len};
	ASSERT(sem_init(&asked->answered, 0, 0) == 0);
	request->completion = on_answered;
	request->context = asked;
	request->answer = answer;
	if (http_client_send(client, request, error) == 0)
		return 0;
	(void)sem_destroy(&asked->answered);
	return error->code;
}

int http_client_ask_end(struct http_client_asked *asked, int *status, struct error *error)
{
	while (sem_wait(&asked->answered) != 0)
		continue;
	(void)sem_destroy(&asked->answered);
	if (asked->status == 0) {
		*error = asked->error;
		return error->code;
	}
	if (buffer_failed(asked->answer))
		return error_memory(error, asked->answer->len_max);
	*status = asked->status;
	return 0;
}

int http_client_ask(struct http_client *client, struct http_client_request *request, int *status,
                    struct buffer *answer, struct error *error)
{
	struct http_client_asked asked;

	if (http_client_ask_begin(client, request, &asked, answer, error) != 0)
		return error->code;
	return http_client_ask_end(&asked, status, error);
}
