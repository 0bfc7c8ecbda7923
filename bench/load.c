/* The driver of the bench: sends one request over and over, checks every answer, and prints what
 * it saw as one line of JSON.
 *
 *     load [--stream] [--connections N] [--seconds S | --requests N] [--rate R]
 *          [--header "Name: value"]... PORT PATH TOKENS BODY
 *
 * Without --rate the loop is closed: each of N connections sends the next request when it has its
 * answer. With --rate requests arrive R times a second whether or not answers come back (gaps are
 * exponential, the same for everyone: the seed is fixed), and a latency counts from the moment
 * that its request was due, so that waiting for a free connection is not hidden.
 *
 * An answer counts if its status is 200, it is whole, and the `content` that it carries, in one
 * message or in the deltas of a stream, is exactly "0 1 2 3 " up to TOKENS; a stream must also end
 * with one `data: [DONE]`. Everything else is counted as an error of some kind.
 *
 * One thread, one epoll. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
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

#define SECOND 1000000000LL
#define DRAIN_NS (20 * SECOND) /* how long answers may still come after the last request */
#define RAMP_NS (50 * SECOND / 1000) /* over which the connections of a closed loop start */

struct buffer {
    char *bytes;
    size_t length, size;
};

struct samples { /* latencies in microseconds */
    double *values;
    size_t length, size;
};

struct connection {
    int socket;
    bool is_busy;
    int64_t start_ns;
    struct buffer in; /* as received; */
    size_t at;        /* of which so much is decoded */
    /* The response, as far as it is here. */
    bool has_head, is_chunked, closes;
    int status;
    long left;          /* bytes of the body, or of the chunk, that are still to come */
    struct buffer body; /* without the framing; */
    size_t line;        /* where its first line that was not looked at begins */
    struct buffer text; /* the contents, joined */
    int done_count;
};

static bool is_stream;
static int connection_count = 1;
static double seconds = 1, rate;
static long requests_max = -1;
static struct buffer request, expected;
static int port, events, timer;
static struct connection *connections;
static struct samples latencies, first_chunks;
static long sent, answers, chunks, wrong_status, broken, wrong_text, wrong_end, unanswered, unsent;
static bool was_explained;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

static void append(struct buffer *buffer, const void *bytes, size_t length) {
    if (buffer->length + length > buffer->size) {
        buffer->size = (buffer->length + length) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->size);
    }
    if (length) memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

static void note(struct samples *samples, double microseconds) {
    if (samples->length == samples->size) {
        samples->size = samples->size ? samples->size * 2 : 1 << 16;
        samples->values = realloc(samples->values, samples->size * sizeof(double));
    }
    samples->values[samples->length++] = microseconds;
}

/* ---- Sending ------------------------------------------------------------------------------- */

static void open_connection(struct connection *connection) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection->socket, (void *)&address, sizeof address)) {
        perror("load: connect");
        exit(1);
    }
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {EPOLLIN, {.ptr = connection}};
    epoll_ctl(events, EPOLL_CTL_ADD, connection->socket, &event);
}

static void reopen(struct connection *connection) {
    close(connection->socket);
    open_connection(connection);
}

static void start(struct connection *connection, int64_t start_ns) {
    connection->is_busy = true;
    connection->start_ns = start_ns;
    connection->has_head = connection->is_chunked = connection->closes = false;
    connection->in.length = connection->at = connection->body.length = connection->line = 0;
    connection->text.length = connection->done_count = 0;
    sent++;
    if (send(connection->socket, request.bytes, request.length, MSG_NOSIGNAL) !=
        (ssize_t)request.length) { /* the server closed an idle connection: once more */
        reopen(connection);
        send(connection->socket, request.bytes, request.length, MSG_NOSIGNAL);
    }
}

/* ---- Checking ------------------------------------------------------------------------------ */

/* Joins to `text` every string that is the value of a member called content. */
static void join_contents(struct connection *connection, const char *at, const char *end) {
    static const char name[] = "\"content\"";
    while ((at = memmem(at, end - at, name, sizeof name - 1))) {
        at += sizeof name - 1;
        while (at < end && (*at == ' ' || *at == ':')) at++;
        if (at == end || *at != '"') continue;
        at++;
        const char *close = memchr(at, '"', end - at);
        if (!close) return;
        append(&connection->text, at, close - at);
        at = close + 1;
    }
}

/* Looks at the lines of a stream that have come since the last time. */
static void read_events(struct connection *connection) {
    char *line = connection->body.bytes + connection->line, *newline;
    char *end = connection->body.bytes + connection->body.length;
    for (; line < end && (newline = memchr(line, '\n', end - line)); line = newline + 1) {
        if (newline - line < 5 || memcmp(line, "data:", 5) != 0) continue;
        if (memmem(line, newline - line, "[DONE]", 6)) {
            connection->done_count++;
            continue;
        }
        if (connection->done_count) connection->done_count = 99; /* it was not the end */
        size_t before = connection->text.length;
        join_contents(connection, line, newline);
        if (!before && connection->text.length)
            note(&first_chunks, (now_ns() - connection->start_ns) / 1e3);
        chunks++;
    }
    connection->line = line - connection->body.bytes;
}

static void explain(struct connection *connection) {
    if (was_explained) return;
    was_explained = true;
    fprintf(stderr, "load: the first wrong answer, status %d: %.*s\n", connection->status,
            (int)(connection->body.length < 600 ? connection->body.length : 600),
            connection->body.bytes ? connection->body.bytes : "");
}

static void finish(struct connection *connection, bool is_whole) {
    if (!is_stream) join_contents(connection, connection->body.bytes,
                                  connection->body.bytes + connection->body.length);
    bool is_expected = connection->text.length == expected.length &&
                       !memcmp(connection->text.bytes, expected.bytes, expected.length);
    connection->is_busy = false;
    long before = answers;
    if (!is_whole) broken++;
    else if (connection->status != 200) wrong_status++;
    else if (!is_expected) wrong_text++;
    else if (is_stream && connection->done_count != 1) wrong_end++;
    else answers++;
    if (answers > before) note(&latencies, (now_ns() - connection->start_ns) / 1e3);
    else explain(connection);
    if (!is_whole || connection->closes) reopen(connection);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static bool read_head(struct connection *connection) {
    char *head = connection->in.bytes;
    char *end = memmem(head, connection->in.length, "\r\n\r\n", 4);
    if (!end) return false;
    end[2] = '\0';
    connection->status = atoi(head + 9);
    const char *length = strcasestr(head, "\r\ncontent-length:");
    connection->is_chunked = strcasestr(head, "\r\ntransfer-encoding: chunked") != NULL;
    connection->closes = strcasestr(head, "\r\nconnection: close") != NULL;
    connection->left = connection->is_chunked ? 0 : length ? atol(length + 17) : -1;
    connection->at = end + 4 - head;
    return connection->has_head = true;
}

/* Moves what has come of the body from `in` to `body`; true when that was all of it. */
static bool read_body(struct connection *connection) {
    struct buffer *in = &connection->in;
    for (;;) {
        size_t here = in->length - connection->at;
        size_t taken = here < (size_t)connection->left ? here : (size_t)connection->left;
        append(&connection->body, in->bytes + connection->at, taken);
        connection->at += taken;
        if (connection->left >= 0) connection->left -= taken;
        if (!connection->is_chunked) return connection->left == 0;
        if (connection->left > 0) return false;
        /* At "\r\n" and then "size\r\n", where the first line end is missing before the first. */
        char *at = in->bytes + connection->at, *end = in->bytes + in->length;
        if (end - at >= 2 && at[0] == '\r') at += 2;
        char *line = memmem(at, end - at, "\r\n", 2);
        if (!line) return false;
        connection->left = strtol(at, NULL, 16);
        if (connection->left == 0) return end - line >= 4;
        connection->at = line + 2 - in->bytes;
    }
}

static void receive(struct connection *connection) {
    static char piece[1 << 18];
    ssize_t got = recv(connection->socket, piece, sizeof piece, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (!connection->is_busy) return reopen(connection);
    if (got <= 0) return finish(connection, got == 0 && connection->has_head &&
                                                connection->left < 0 && !connection->is_chunked);
    append(&connection->in, piece, got);
    if (!connection->has_head && !read_head(connection)) return;
    bool is_whole = read_body(connection);
    if (is_stream) read_events(connection);
    if (is_whole) finish(connection, true);
}

/* ---- The loops ----------------------------------------------------------------------------- */

static double draw_gap_ns(void) {
    return -log(1.0 - drand48()) * SECOND / rate;
}

static void wake_at(int64_t when_ns) {
    struct itimerspec when = {{0}, {when_ns / SECOND, when_ns % SECOND}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Starts what is due on the connections that are free; returns when there is more to start. */
static int64_t start_due(int64_t *next_ns, int64_t began_ns, int64_t end_ns) {
    int64_t now = now_ns();
    for (int k = 0; k < connection_count; k++) {
        if (connections[k].is_busy) continue;
        if (now >= end_ns || (requests_max >= 0 && sent >= requests_max)) break;
        int64_t ramp_ns = began_ns + k * RAMP_NS / connection_count;
        if (rate ? *next_ns > now : ramp_ns > now) return rate ? *next_ns : ramp_ns;
        start(&connections[k], rate ? *next_ns : now);
        if (rate) *next_ns += draw_gap_ns();
    }
    return end_ns;
}

static bool is_any_busy(void) {
    for (int k = 0; k < connection_count; k++)
        if (connections[k].is_busy) return true;
    return false;
}

static void drive(void) {
    int64_t began_ns = now_ns(), next_ns = began_ns;
    int64_t end_ns = requests_max >= 0 ? INT64_MAX / 2 : began_ns + (int64_t)(seconds * SECOND);
    for (;;) {
        int64_t wake_ns = start_due(&next_ns, began_ns, end_ns), now = now_ns();
        bool is_over = now >= end_ns || (requests_max >= 0 && sent >= requests_max);
        if (is_over && end_ns > now) end_ns = now;
        if (is_over && (!is_any_busy() || now > end_ns + DRAIN_NS)) break;
        if (sent - answers > 1000 + answers + connection_count) break; /* it only answers errors */
        wake_at(is_over ? end_ns + DRAIN_NS + 1 : wake_ns);
        struct epoll_event ready[256];
        int ready_count = epoll_wait(events, ready, 256, -1);
        for (int k = 0; k < ready_count; k++)
            if (ready[k].data.ptr != &timer) receive(ready[k].data.ptr);
    }
    for (; rate && next_ns < end_ns; next_ns += draw_gap_ns()) unsent++;
    for (int k = 0; k < connection_count; k++) unanswered += connections[k].is_busy;
}

/* ---- What was seen ------------------------------------------------------------------------- */

static int compare(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static void print_percentiles(const char *name, struct samples *samples) {
    static const double shares[] = {0.50, 0.90, 0.95, 0.99, 1.0};
    static const char *const names[] = {"p50", "p90", "p95", "p99", "max"};
    printf(", \"%s\": {", name);
    qsort(samples->values, samples->length, sizeof(double), compare);
    for (int k = 0; k < 5 && samples->length; k++)
        printf("%s\"%s\": %.1f", k ? ", " : "", names[k],
               samples->values[(size_t)ceil(shares[k] * samples->length) - 1]);
    printf("}");
}

static void print_report(double lasted_s) {
    printf("{\"answers\": %ld, \"seconds\": %.3f, \"rate\": %.1f, \"chunks\": %ld", answers, lasted_s,
           answers / lasted_s, chunks);
    printf(", \"errors\": {\"wrong_status\": %ld, \"broken\": %ld, \"wrong_text\": %ld, "
           "\"wrong_end\": %ld, \"unanswered\": %ld, \"unsent\": %ld}",
           wrong_status, broken, wrong_text, wrong_end, unanswered, unsent);
    print_percentiles("latency_us", &latencies);
    print_percentiles("first_chunk_us", &first_chunks);
    printf("}\n");
}

int main(int count, char **arguments) {
    static const struct option options[] = {
        {"stream", 0, 0, 's'}, {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 'd'},
        {"requests", 1, 0, 'n'}, {"rate", 1, 0, 'r'}, {"header", 1, 0, 'h'}, {0}};
    struct buffer headers = {0};
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == 's') is_stream = true;
        else if (option == 'c') connection_count = atoi(optarg);
        else if (option == 'd') seconds = atof(optarg);
        else if (option == 'n') requests_max = atol(optarg);
        else if (option == 'r') rate = atof(optarg);
        else if (option == 'h') {
            append(&headers, optarg, strlen(optarg));
            append(&headers, "\r\n", 2);
        } else return 2;
    }
    if (count - optind != 4) {
        fprintf(stderr, "usage: load [options] PORT PATH TOKENS BODY (see the top of load.c)\n");
        return 2;
    }
    port = atoi(arguments[optind]);
    const char *path = arguments[optind + 1], *body = arguments[optind + 3];
    for (int k = 0; k < atoi(arguments[optind + 2]); k++) {
        char token[12];
        append(&expected, token, sprintf(token, "%d ", k));
    }
    char *text;
    int length = asprintf(&text,
                          "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
                          "content-length: %zu\r\n%.*s\r\n%s",
                          path, port, strlen(body), (int)headers.length, headers.bytes, body);
    append(&request, text, length);
    events = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {EPOLLIN | EPOLLET, {.ptr = &timer}};
    epoll_ctl(events, EPOLL_CTL_ADD, timer, &event);
    connections = calloc(connection_count, sizeof *connections);
    for (int k = 0; k < connection_count; k++) open_connection(&connections[k]);
    srand48(7);
    int64_t began_ns = now_ns();
    drive();
    print_report((now_ns() - began_ns) / 1e9);
    return 0;
}
