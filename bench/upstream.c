/* The mock upstream of the bench: answers chat completions, checks what it was asked, and costs
 * next to nothing.
 *
 *     upstream KEY MODEL TOKENS STREAM_TOKENS INTERVAL_US
 *
 * It listens on a free port of 127.0.0.1, prints that port, and answers
 *
 *     POST /v1/chat/completions   an answer of TOKENS tokens with their logprobs; if the body says
 *                                 "stream":true, a server-sent stream of STREAM_TOKENS tokens, one
 *                                 write each, INTERVAL_US apart (a role chunk before, a finish
 *                                 chunk and, if asked for, a usage chunk and [DONE] after them)
 *     GET  /stats                 how many requests were answered and how many were refused
 *
 * The text is always "0 1 2 3 ", so that the driver can see that nothing is lost or out of order.
 * A request is refused with 400 unless its body is well-formed JSON with `messages` and with MODEL
 * as its `model`, and with 401 unless its bearer token is KEY: a proxy that drops, garbles or
 * caches requests, or that passes its caller's key on, is found out here.
 *
 * One thread, one epoll. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define FINGERPRINT "\"system_fingerprint\":\"fp_bench0000\""
#define PROMPT_TOKENS 40

struct buffer {
    char *bytes;
    size_t length, size;
};

struct connection {
    int socket;
    struct buffer in, out;
    bool is_streaming, wants_usage;
    long number;             /* of the request, and so of the completion */
    int chunk;               /* the next one of the stream */
    int64_t due_ns;          /* when that chunk is to be sent */
    struct connection *next; /* in the queue of streams, which is in the order of due_ns */
};

struct request {
    bool is_valid, is_stream, wants_usage;
};

static const char *key, *model;
static int tokens, stream_tokens;
static int64_t interval_ns;
static long answered, refused, created;
static int events, timer;
static struct connection *first_due, *last_due;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void append(struct buffer *buffer, const void *bytes, size_t length) {
    if (buffer->length + length > buffer->size) {
        buffer->size = (buffer->length + length) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->size);
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

static void consume(struct buffer *buffer, size_t length) {
    buffer->length -= length;
    memmove(buffer->bytes, buffer->bytes + length, buffer->length);
}

/* ---- What is asked: one walk over the JSON ------------------------------------------------- */

static const char *skip_space(const char *at, const char *end) {
    while (at < end && strchr(" \t\r\n", *at)) at++;
    return at;
}

static const char *skip_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\') at++;
    return at < end ? at + 1 : NULL;
}

static bool is_text(const char *at, const char *end, const char *text) {
    size_t length = strlen(text);
    return (size_t)(end - at) >= length && memcmp(at, text, length) == 0;
}

/* Notes the members that matter; `depth` 1 is the request itself. */
static bool note_member(struct request *request, int depth, const char *name, const char *value,
                        const char *end, int *found) {
    if (depth == 1 && is_text(name, end, "\"model\"")) {
        size_t length = strlen(model);
        if (!is_text(value + 1, end, model) || value[length + 1] != '"') return false;
        *found |= 1;
    } else if (depth == 1 && is_text(name, end, "\"messages\"")) {
        if (*value != '[') return false;
        *found |= 2;
    } else if (depth == 1 && is_text(name, end, "\"stream\"")) {
        request->is_stream = is_text(value, end, "true");
    } else if (depth == 2 && is_text(name, end, "\"include_usage\"")) {
        request->wants_usage = is_text(value, end, "true");
    }
    return true;
}

static struct request read_request(const char *body, size_t length) {
    struct request request = {0};
    const char *at = body, *end = body + length;
    char open[64];
    int depth = 0, found = 0;
    while ((at = skip_space(at, end)) < end) {
        if (*at == '"') {
            const char *name = at;
            if (!(at = skip_string(at, end))) return request;
            at = skip_space(at, end);
            if (at < end && *at == ':') {
                at = skip_space(at + 1, end);
                if (at == end || !note_member(&request, depth, name, at, end, &found)) return request;
            }
        } else {
            if (*at == '{' || *at == '[') {
                if (depth == 63) return request;
                open[depth++] = *at;
            } else if (*at == '}' || *at == ']') {
                if (depth == 0 || open[--depth] != (*at == '}' ? '{' : '[')) return request;
            }
            at++;
        }
    }
    request.is_valid = depth == 0 && found == 3;
    return request;
}

/* ---- What is answered ---------------------------------------------------------------------- */

/* What the socket does not take now waits for its next EPOLLOUT. */
static void flush(struct connection *connection) {
    struct buffer *out = &connection->out;
    if (!out->length) return;
    ssize_t sent = send(connection->socket, out->bytes, out->length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) consume(out, sent);
}

static void answer(struct connection *connection, const char *status, const char *body, int length) {
    char head[160];
    append(&connection->out, head,
           snprintf(head, sizeof head,
                    "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n",
                    status, length));
    append(&connection->out, body, length);
    flush(connection);
}

static void refuse(struct connection *connection, const char *status, const char *message) {
    char body[256];
    refused++;
    answer(connection, status, body,
           snprintf(body, sizeof body,
                    "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\","
                    "\"param\":null,\"code\":null}}",
                    message));
}

static void answer_stats(struct connection *connection) {
    char body[80];
    answer(connection, "200 OK", body,
           snprintf(body, sizeof body, "{\"answered\":%ld,\"refused\":%ld}", answered, refused));
}

static int print_usage(char *at, size_t size, int completion_tokens) {
    return snprintf(at, size,
                    "\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
                    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
                    "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
                    PROMPT_TOKENS, completion_tokens, PROMPT_TOKENS + completion_tokens);
}

/* A whole answer is printed once; afterwards only the digits of its id change. */
static void answer_whole(struct connection *connection) {
    static char body[1 << 16];
    static int length, id_offset;
    if (!length) {
        char *at = body, *end = body + sizeof body;
        id_offset = sprintf(at, "{\"id\":\"chatcmpl-");
        at += id_offset;
        at += sprintf(at, "%012ld\",\"object\":\"chat.completion\",\"created\":%ld,"
                      "\"model\":\"%s\",\"choices\":[{\"index\":0,\"message\":{"
                      "\"role\":\"assistant\",\"content\":\"", 0L, created, model);
        for (int k = 0; k < tokens; k++) at += sprintf(at, "%d ", k);
        at += sprintf(at, "\",\"refusal\":null},\"logprobs\":{\"content\":[");
        for (int k = 0; k < tokens; k++) {
            char token[12];
            sprintf(token, "%d ", k);
            at += sprintf(at, "%s{\"token\":\"%s\",\"logprob\":-%d.%04d,\"bytes\":[", k ? "," : "",
                          token, k % 3, 137 * (k + 1) % 9999);
            for (char *byte = token; *byte; byte++)
                at += sprintf(at, "%s%d", byte == token ? "" : ",", *byte);
            at += sprintf(at, "],\"top_logprobs\":[]}");
        }
        at += sprintf(at, "],\"refusal\":null},\"finish_reason\":\"stop\"}],");
        at += print_usage(at, end - at, tokens);
        at += sprintf(at, "," FINGERPRINT "}");
        length = at - body;
    }
    char digits[24];
    sprintf(digits, "%012ld", connection->number % 1000000000000);
    memcpy(body + id_offset, digits, 12);
    answer(connection, "200 OK", body, length);
}

static void send_event(struct connection *connection, const char *choices, const char *usage) {
    char event[1024], framed[1100];
    int length = snprintf(event, sizeof event,
                          "data: {\"id\":\"chatcmpl-%012ld\",\"object\":\"chat.completion.chunk\","
                          "\"created\":%ld,\"model\":\"%s\"," FINGERPRINT ",\"choices\":[%s]%s}\n\n",
                          connection->number, created, model, choices, usage);
    append(&connection->out, framed, sprintf(framed, "%x\r\n%s\r\n", length, event));
}

static void send_delta(struct connection *connection, const char *delta, const char *finish) {
    char choice[256];
    snprintf(choice, sizeof choice,
             "{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":%s}", delta, finish);
    send_event(connection, choice, connection->wants_usage ? ",\"usage\":null" : "");
}

static void enqueue(struct connection *connection) {
    connection->due_ns = now_ns() + interval_ns;
    connection->next = NULL;
    *(first_due ? &last_due->next : &first_due) = connection;
    last_due = connection;
}

static void send_chunk(struct connection *connection) {
    int chunk = connection->chunk++;
    if (chunk == 0) {
        send_delta(connection, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null");
    } else if (chunk <= stream_tokens) {
        char delta[40];
        sprintf(delta, "\"content\":\"%d \"", chunk - 1);
        send_delta(connection, delta, "null");
    } else if (chunk == stream_tokens + 1) {
        send_delta(connection, "", "\"stop\"");
    } else {
        if (connection->wants_usage) {
            char usage[400] = ",";
            print_usage(usage + 1, sizeof usage - 1, stream_tokens);
            send_event(connection, "", usage);
        }
        static const char end[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
        append(&connection->out, end, sizeof end - 1);
        connection->is_streaming = false;
    }
    flush(connection);
    if (connection->is_streaming) enqueue(connection);
}

static void start_stream(struct connection *connection, bool wants_usage) {
    static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                               "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    append(&connection->out, head, sizeof head - 1);
    connection->is_streaming = true;
    connection->wants_usage = wants_usage;
    connection->chunk = 0;
    send_chunk(connection);
}

/* ---- HTTP ---------------------------------------------------------------------------------- */

static const char *find_header(const char *head, const char *name) {
    const char *found = strcasestr(head, name);
    return found ? found + strlen(name) + strspn(found + strlen(name), " ") : NULL;
}

/* Joins the pieces of a chunked body in place; -1 while the last piece is not here yet. */
static long join_chunks(char *body, size_t length, size_t *consumed) {
    char *at = body, *end = body + length, *to = body;
    for (;;) {
        char *line = memmem(at, end - at, "\r\n", 2);
        if (!line) return -1;
        size_t size = strtoul(at, NULL, 16);
        if ((size_t)(end - line) < size + 4) return -1;
        if (size) memmove(to, line + 2, size);
        to += size;
        at = line + 2 + size + 2;
        if (size == 0) return *consumed = at - body, to - body;
    }
}

static void answer_request(struct connection *connection, const char *head, const char *body,
                           size_t length) {
    if (strncmp(head, "GET /stats ", 11) == 0) return answer_stats(connection);
    if (strncmp(head, "POST /v1/chat/completions ", 26) != 0)
        return refuse(connection, "404 Not Found", "there is only POST /v1/chat/completions");
    const char *given = find_header(head, "\r\nauthorization: Bearer");
    if (!given || strncmp(given, key, strlen(key)) != 0 || given[strlen(key)] != '\r')
        return refuse(connection, "401 Unauthorized", "not the upstream's key");
    struct request request = read_request(body, length);
    if (!request.is_valid)
        return refuse(connection, "400 Bad Request", "not a chat completion of this model");
    connection->number = ++answered;
    if (request.is_stream)
        start_stream(connection, request.wants_usage);
    else
        answer_whole(connection);
}

/* Answers the request that `in` holds, if all of it is there. */
static bool answer_next(struct connection *connection) {
    struct buffer *in = &connection->in;
    char *head_end = in->length ? memmem(in->bytes, in->length, "\r\n\r\n", 4) : NULL;
    if (!head_end || connection->is_streaming) return false;
    char *body = head_end + 4;
    size_t here = in->bytes + in->length - body, consumed = 0;
    head_end[2] = '\0';
    const char *length_text = find_header(in->bytes, "\r\ncontent-length:");
    long length = consumed = length_text ? strtoul(length_text, NULL, 10) : 0;
    if (find_header(in->bytes, "\r\ntransfer-encoding: chunked")) {
        char *whole = memmem(body, here, "\r\n0\r\n\r\n", 7); /* before anything is moved */
        length = whole || is_text(body, body + here, "0\r\n\r\n")
                     ? join_chunks(body, here, &consumed) : -1;
    }
    if (length < 0 || here < consumed) return head_end[2] = '\r', false;
    answer_request(connection, in->bytes, body, length);
    consume(in, body - in->bytes + consumed);
    return true;
}

static void forget(struct connection *connection) {
    for (struct connection **at = &first_due, *last = NULL; *at; last = *at, at = &(*at)->next) {
        if (*at != connection) continue;
        *at = connection->next;
        if (last_due == connection) last_due = last;
        break;
    }
    close(connection->socket);
    free(connection->in.bytes);
    free(connection->out.bytes);
    free(connection);
}

static void read_connection(struct connection *connection) {
    static char piece[1 << 18];
    ssize_t got = recv(connection->socket, piece, sizeof piece, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return forget(connection);
    if (got > 0) append(&connection->in, piece, got);
    while (answer_next(connection)) continue;
}

static void accept_connections(int listener) {
    int socket, on = 1;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *connection = calloc(1, sizeof *connection);
        connection->socket = socket;
        struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = connection}};
        epoll_ctl(events, EPOLL_CTL_ADD, socket, &event);
    }
}

static void send_due_chunks(void) {
    int64_t now = now_ns();
    while (first_due && first_due->due_ns <= now) {
        struct connection *connection = first_due;
        first_due = connection->next;
        send_chunk(connection);
    }
    if (!first_due) return;
    struct itimerspec due = {{0}, {first_due->due_ns / 1000000000, first_due->due_ns % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &due, NULL);
}

static int listen_on_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (void *)&address, length) || listen(listener, 1024)) {
        perror("upstream");
        exit(1);
    }
    getsockname(listener, (void *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "usage: upstream KEY MODEL TOKENS STREAM_TOKENS INTERVAL_US\n");
        return 2;
    }
    key = arguments[1];
    model = arguments[2];
    tokens = atoi(arguments[3]);
    stream_tokens = atoi(arguments[4]);
    interval_ns = atol(arguments[5]) * 1000;
    created = time(NULL);
    events = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int listener = listen_on_loopback();
    struct epoll_event event = {EPOLLIN, {.ptr = &listener}};
    epoll_ctl(events, EPOLL_CTL_ADD, listener, &event);
    event = (struct epoll_event){EPOLLIN | EPOLLET, {.ptr = &timer}};
    epoll_ctl(events, EPOLL_CTL_ADD, timer, &event);
    for (;;) {
        struct epoll_event ready[256];
        int ready_count = epoll_wait(events, ready, 256, -1);
        for (int k = 0; k < ready_count; k++) {
            if (ready[k].data.ptr == &listener) {
                accept_connections(listener);
            } else if (ready[k].data.ptr != &timer) {
                flush(ready[k].data.ptr);
                if (ready[k].events & ~EPOLLOUT) read_connection(ready[k].data.ptr);
            }
        }
        send_due_chunks();
    }
}
