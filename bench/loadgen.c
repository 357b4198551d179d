/*
 * loadgen: load for push servers of any protocol. One thread, epoll, only loopback addresses.
 *
 *   loadgen publish   sessions listen, publishers publish (or only ask: no sessions)
 *   loadgen hold      sessions are opened and do nothing: connect rate, memory, idle CPU
 *   loadgen resume    sessions come back at once with a cursor: time until all have caught up
 *
 * It knows no protocol. A session or a request is a file of bytes with two placeholders:
 *
 *   {USER__}                      8 digits: which user
 *   {MARK____________________}    "@T", 16 hexadecimal digits (monotonic ns when it was sent),
 *                                 8 hexadecimal digits (1, 2, 3 ... per user)
 *
 * A mark travels through the server inside the published data and is found again in whatever the
 * server makes of it. As many marks as a request has, as many publications it is: a burst is a
 * request with ten. Each session is expected to get every publication of its user exactly once;
 * the count of marks tells what is lost or doubled, the sum of their numbers whether it was the
 * right ones.
 *
 * CPU and memory of the server are those of every --pid. The result is one JSON object
 * on stdout. Exit code 0: measured (losses are in the result); 1: could not measure, stderr says
 * why; 2: wrong usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "measuring.h"

enum {
    USER_LENGTH = 8,
    MARK_LENGTH = 26, /* "@T" + 16 + 8 */
    PLACES_MAX = 128,
    STEPS_MAX = 8,
    CARRY_MAX = MARK_LENGTH - 1,
    READ_BYTES = 1 << 18,
    EVENTS_MAX = 1024,
    SESSIONS_PER_ADDRESS = 10000,
};
static const double GRACE_SECONDS = 3;       /* for what is still under way at the end */
static const double HANDSHAKE_SECONDS = 60;  /* for all sessions to become live */

/* ---- options ---- */

static struct {
    int port, sessions, users, publishers, ready_bytes, hello_bytes, answers, each, handshakes;
    double rate, seconds, idle, settle;
    const char *ready, *status;
    bool own_user;
    int steps[STEPS_MAX];
    int steps_count;
} option = {.users = 1, .publishers = 1, .answers = 1, .handshakes = 64, .seconds = 1,
            .settle = 6, .ready = "", .status = "2"};

static Histogram deliveries, answers;
static Histogram lasts; /* of the deliveries after which every session had everything */

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

/* ---- templates ---- */

typedef struct {
    char *bytes;
    size_t length;
    int users[PLACES_MAX], users_count;
    int marks[PLACES_MAX], marks_count;
} Template;
static Template session_template, publish_template, hello_template;

static void find_places(const Template *t, const char *word, int *places, int *count) {
    const char *p = t->bytes, *end = t->bytes + t->length;
    while ((p = memmem(p, (size_t)(end - p), word, strlen(word)))) {
        if (*count == PLACES_MAX) fail("more than %d of %s in a template", PLACES_MAX, word);
        places[(*count)++] = (int)(p - t->bytes);
        p += strlen(word);
    }
}

static void load_template(Template *t, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("%s: %s", path, strerror(errno));
    t->bytes = malloc(READ_BYTES);
    t->length = fread(t->bytes, 1, READ_BYTES, file);
    fclose(file);
    if (t->length == READ_BYTES) fail("%s is too long", path);
    find_places(t, "{USER__}", t->users, &t->users_count);
    find_places(t, "{MARK____________________}", t->marks, &t->marks_count);
}

/* Fills the template in place: it is sent at once, so there is nothing to keep. */
static void fill(Template *t, int user, uint32_t first_number) {
    char text[MARK_LENGTH + 1];
    snprintf(text, sizeof text, "%08d", user);
    for (int i = 0; i < t->users_count; i++) memcpy(t->bytes + t->users[i], text, USER_LENGTH);
    uint64_t sent_ns = now_ns();
    for (int i = 0; i < t->marks_count; i++) {
        snprintf(text, sizeof text, "@T%016llx%08x", (unsigned long long)sent_ns,
                 first_number + (uint32_t)i);
        memcpy(t->bytes + t->marks[i], text, MARK_LENGTH);
    }
}

/* ---- connections ---- */

typedef struct {
    int fd, user;
    bool publisher, ready;
    uint64_t bytes;             /* received */
    char carry[CARRY_MAX];      /* end of the last read: a word may be split between two */
    int carried;
    uint32_t marks;             /* received by a session */
    uint64_t numbers;           /* their sum */
    int unanswered;             /* requests of a publisher */
    uint64_t asked_ns;
    char *unsent;               /* what the kernel did not take */
    size_t unsent_length;
} Connection;

static Connection *connections;
static int connections_count, ready_count, closed_count, caught_up_count;
static uint32_t *sent_to; /* publications per user */
static uint64_t sent_requests, sent_marks, answered, refused, mark_bytes, last_answer_ns;
static int poller;
static char *read_buffer;

/* Sources are spread over 127.x.y.z: one address has not enough ports for many sessions, and
   those of the run before are still in TIME_WAIT. */
static int dial(int index) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) fail("socket %d: %s", index, strerror(errno));
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    uint32_t low = (uint32_t)(getpid() % 60000) * 4 + 2 + (uint32_t)(index / SESSIONS_PER_ADDRESS);
    from.sin_addr.s_addr = htonl(0x7f010000u + low);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)option.port);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) ||
        connect(fd, (struct sockaddr *)&to, sizeof to))
        fail("connect %d: %s", index, strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void watch(Connection *c, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, operation, c->fd, &event)) fail("epoll: %s", strerror(errno));
}

static void hang_up(Connection *c) {
    close(c->fd);
    c->fd = -1;
    c->unanswered = 0;
    closed_count++;
}

/* Sends what is unsent, then `bytes`; keeps what the kernel does not take. */
static void transmit(Connection *c, const char *bytes, size_t length) {
    if (c->fd < 0) return;
    if (!c->unsent_length) {
        ssize_t taken = send(c->fd, bytes, length, MSG_NOSIGNAL);
        if (taken < 0 && errno != EAGAIN) {
            hang_up(c);
            return;
        }
        if (taken > 0) bytes += taken, length -= (size_t)taken;
        if (!length) return;
        watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    c->unsent = realloc(c->unsent, c->unsent_length + length);
    memcpy(c->unsent + c->unsent_length, bytes, length);
    c->unsent_length += length;
}

static void transmit_unsent(Connection *c) {
    char *bytes = c->unsent;
    size_t length = c->unsent_length;
    c->unsent = NULL;
    c->unsent_length = 0;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    transmit(c, bytes, length);
    free(bytes);
}

static Connection *open_connection(bool publisher, int user) {
    Connection *c = &connections[connections_count];
    c->fd = dial(connections_count++);
    c->publisher = publisher;
    c->user = user;
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
    return c;
}

/* ---- publishers ---- */

static int next_user(const Connection *c) {
    static unsigned seed = 1; /* the same users in the same order in every run */
    if (option.own_user) return c->user;
    return option.users > 1 ? rand_r(&seed) % option.users : 0;
}

static void publish(Connection *c) {
    int user = next_user(c);
    fill(&publish_template, user, sent_to[user] + 1);
    sent_to[user] += (uint32_t)publish_template.marks_count;
    sent_marks += (uint64_t)publish_template.marks_count;
    sent_requests++;
    c->unanswered += option.answers;
    c->asked_ns = now_ns();
    transmit(c, publish_template.bytes, publish_template.length);
}

static void take_answer(Connection *c, bool expected) {
    if (expected) answered++;
    else refused++;
    last_answer_ns = now_ns();
    if (--c->unanswered == 0) record(&answers, (last_answer_ns - c->asked_ns) / 1000);
}

/* Counts status lines; returns how many bytes are done with. */
static size_t scan_answers(Connection *c, const char *bytes, size_t length) {
    static const char line[] = "HTTP/1.1 ";
    const size_t whole = sizeof line - 1 + 3;
    const char *p = bytes, *end = bytes + length;
    size_t done = 0;
    while ((p = memmem(p, (size_t)(end - p), line, sizeof line - 1))) {
        if ((size_t)(end - p) < whole) break;
        take_answer(c, !strncmp(p + sizeof line - 1, option.status, strlen(option.status)));
        p += whole;
        done = (size_t)(p - bytes);
    }
    return done;
}

/* ---- sessions ---- */

static uint64_t hexadecimal(const char *digits, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value * 16 + (uint64_t)(digits[i] <= '9' ? digits[i] - '0' : digits[i] - 'a' + 10);
    return value;
}

/* Counts marks; returns how many bytes are done with. */
static size_t scan_marks(Connection *c, const char *bytes, size_t length, uint64_t arrived_ns) {
    const char *p = bytes, *end = bytes + length;
    size_t done = 0;
    while ((p = memmem(p, (size_t)(end - p), "@T", 2)) && end - p >= MARK_LENGTH) {
        uint64_t sent_ns = hexadecimal(p + 2, 16);
        if (sent_ns) record(&deliveries, (arrived_ns - sent_ns) / 1000);
        else deliveries.total++;
        if (sent_ns && deliveries.total % (uint64_t)option.sessions == 0)
            record(&lasts, (arrived_ns - sent_ns) / 1000);
        c->numbers += hexadecimal(p + 18, 8);
        if (++c->marks == (uint32_t)option.each) caught_up_count++;
        p += MARK_LENGTH;
        done = (size_t)(p - bytes);
    }
    return done;
}

static void check_ready(Connection *c, const char *bytes, size_t length) {
    bool ready = option.ready_bytes
                     ? c->bytes >= (uint64_t)option.ready_bytes
                     : memmem(bytes, length, option.ready, strlen(option.ready)) != NULL;
    if (!ready && !option.ready_bytes && !strncmp(bytes, "HTTP/1.1 4", 10))
        fail("a session is refused: %.300s", bytes);
    c->ready = ready;
    ready_count += ready;
}

static void receive(Connection *c) {
    char *bytes = read_buffer + CARRY_MAX - c->carried;
    ssize_t got = read(c->fd, read_buffer + CARRY_MAX, READ_BYTES);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        hang_up(c);
        return;
    }
    memcpy(bytes, c->carry, (size_t)c->carried);
    size_t length = (size_t)got + (size_t)c->carried, done = 0;
    bytes[length] = 0;
    c->bytes += (uint64_t)got;
    if (c->publisher) {
        done = scan_answers(c, bytes, length);
    } else {
        if (!c->ready) check_ready(c, bytes, length);
        else mark_bytes += (uint64_t)got;
        done = scan_marks(c, bytes, length, now_ns());
    }
    size_t keep = length - done < CARRY_MAX ? length - done : CARRY_MAX;
    memcpy(c->carry, bytes + length - keep, keep);
    c->carried = (int)keep;
}

/* Handles what has come, waiting up to `timeout_ms` for the first; true if `timer` has fired. */
static bool pump(int timeout_ms) {
    static struct epoll_event events[EVENTS_MAX];
    bool timer = false;
    int count = epoll_wait(poller, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        Connection *c = events[i].data.ptr;
        if (!c) {
            timer = true;
            continue;
        }
        if (events[i].events & EPOLLOUT) transmit_unsent(c);
        if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
    }
    return timer;
}

static void pump_for(double seconds) {
    uint64_t start = now_ns();
    while (seconds_since(start) < seconds) pump(10);
}

/* Waits until the server has used no CPU for half a second, or has had so long for it. Less than it
   waits for a first request: publishers are connected by then, and one that says nothing is hung up
   on. */
static void settle(void) {
    uint64_t start = now_ns();
    double before = -1, used = server_cpu_seconds();
    while (used - before > 0.011 && seconds_since(start) < option.settle) {
        before = used;
        pump_for(0.5);
        used = server_cpu_seconds();
    }
}

static bool ready_is_seen(void) { return option.ready_bytes || *option.ready; }

/* Opens sessions until there are `count`, with at most `handshakes` of them under way. */
static void open_sessions(int count) {
    uint64_t start = now_ns();
    for (int opened = connections_count; opened < count; opened++) {
        Connection *c = open_connection(false, opened % option.users);
        fill(&session_template, c->user, 0);
        transmit(c, session_template.bytes, session_template.length);
        if (!ready_is_seen()) {
            c->ready = true;
            ready_count++;
        }
        do pump(0);
        while (opened + 1 - ready_count >= option.handshakes &&
               seconds_since(start) < HANDSHAKE_SECONDS && !closed_count);
    }
    while (ready_count < count && seconds_since(start) < HANDSHAKE_SECONDS && !closed_count)
        pump(10);
    if (ready_count < count || closed_count)
        fail("%d of %d sessions are live, %d were closed", ready_count, count, closed_count);
}

/* ---- accounting ---- */

typedef struct {
    uint64_t expected, lost, doubled, wrong;
} Account;

/* What sessions ought to have; `wrong`: the right number of marks, but not the right ones. */
static Account settle_accounts(void) {
    Account a = {0};
    for (int i = 0; i < option.sessions; i++) {
        const Connection *c = &connections[i];
        uint64_t due = sent_to[c->user], sum = due * (due + 1) / 2;
        a.expected += due;
        if (c->marks < due) a.lost += due - c->marks;
        else if (c->marks > due) a.doubled += c->marks - due;
        else if (c->numbers != sum) a.wrong++;
    }
    return a;
}

static void print_account(void) {
    Account a = settle_accounts();
    printf("\"sessions\": %d, \"expected\": %llu, \"delivered\": %llu, \"lost\": %llu, "
           "\"doubled\": %llu, \"wrong\": %llu, \"closed\": %d",
           option.sessions, (unsigned long long)a.expected, (unsigned long long)deliveries.total,
           (unsigned long long)a.lost, (unsigned long long)a.doubled, (unsigned long long)a.wrong,
           closed_count);
}

/* ---- the three modes ---- */

static uint64_t outstanding(void) {
    uint64_t due = 0;
    if (option.answers) due += sent_requests * (uint64_t)option.answers - answered - refused;
    if (option.sessions) {
        uint64_t expected = sent_marks * (uint64_t)(option.sessions / option.users);
        due += expected > deliveries.total ? expected - deliveries.total : 0;
    }
    return due;
}

static void open_publishers(void) {
    for (int i = 0; i < option.publishers; i++) {
        Connection *c = open_connection(true, i % option.users);
        if (!hello_template.length) continue;
        fill(&hello_template, c->user, 0);
        transmit(c, hello_template.bytes, hello_template.length);
        for (int tries = 0; c->bytes < (uint64_t)option.hello_bytes; tries++) {
            if (tries == 3000) fail("a publisher is not welcome");
            pump(1);
        }
    }
}

/* Every publisher asks again when it is answered: as fast as the server can. */
static void publish_closed_loop(uint64_t end_ns) {
    Connection *publishers = connections + option.sessions;
    while (now_ns() < end_ns) {
        for (int i = 0; i < option.publishers; i++)
            if (!publishers[i].unanswered) publish(&publishers[i]);
        pump(10);
    }
}

/* `rate` requests per second, but never one before the last was answered: what waits together
   would be delivered together, which is cheaper and another measurement. */
static void publish_at_rate(uint64_t end_ns) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    long period_ns = (long)(1e9 / option.rate);
    struct timespec period = {period_ns / 1000000000, period_ns % 1000000000};
    struct itimerspec times = {period, period};
    timerfd_settime(timer, 0, &times, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    for (int turn = 0; now_ns() < end_ns;) {
        uint64_t fired = 0;
        if (!pump(10) || read(timer, &fired, sizeof fired) < 0) continue;
        Connection *c = &connections[option.sessions + turn++ % option.publishers];
        if (!c->unanswered) publish(c);
    }
    close(timer);
}

static void run_publish(void) {
    open_sessions(option.sessions);
    open_publishers();
    settle();
    mark_bytes = 0;
    double server_before = server_cpu_seconds(), own_before = own_cpu_seconds();
    uint64_t start = now_ns(), end = start + (uint64_t)(option.seconds * 1e9);
    if (option.rate > 0) publish_at_rate(end);
    else publish_closed_loop(end);
    double sent_seconds = seconds_since(start);
    while (outstanding() && seconds_since(end) < GRACE_SECONDS) pump(10);
    double seconds = seconds_since(start), server = server_cpu_seconds() - server_before;
    printf("{");
    print_account();
    printf(", \"users\": %d, \"requests\": %llu, \"publications\": %llu, \"answered\": %llu, "
           "\"refused\": %llu, \"seconds\": %.4f, \"sent_seconds\": %.4f, \"answer_seconds\": %.4f",
           option.users, (unsigned long long)sent_requests, (unsigned long long)sent_marks,
           (unsigned long long)answered, (unsigned long long)refused, seconds, sent_seconds,
           last_answer_ns ? (double)(last_answer_ns - start) / 1e9 : 0);
    printf(", \"server_cpu_s\": %.6f, \"generator_cpu_share\": %.2f, \"bytes_per_delivery\": %.1f",
           server, (own_cpu_seconds() - own_before) / seconds,
           deliveries.total ? (double)mark_bytes / (double)deliveries.total : 0);
    if (deliveries.total) print_latencies("delivery", &deliveries);
    if (lasts.total) print_latencies("last", &lasts);
    if (answers.total) print_latencies("answer", &answers);
    printf("}\n");
}

static void run_hold(void) {
    printf("{\"rss_before\": %ld, \"steps\": [", server_rss_bytes());
    for (int i = 0; i < option.steps_count; i++) {
        int before = connections_count;
        double cpu = server_cpu_seconds();
        uint64_t start = now_ns();
        open_sessions(option.steps[i]);
        double seconds = seconds_since(start);
        settle();
        printf("%s{\"sessions\": %d, \"opened\": %d, \"seconds\": %.4f, \"server_cpu_s\": %.6f, "
               "\"rss\": %ld}",
               i ? ", " : "", option.steps[i], option.steps[i] - before, seconds,
               server_cpu_seconds() - cpu, server_rss_bytes());
    }
    double cpu = server_cpu_seconds();
    pump_for(option.idle);
    printf("], \"idle_seconds\": %.1f, \"idle_cpu_s\": %.6f, \"rss\": %ld, \"closed\": %d}\n",
           option.idle, server_cpu_seconds() - cpu, server_rss_bytes(), closed_count);
}

/* Every session is owed `each` publications, which were published before with time 0. */
static void run_resume(void) {
    for (int user = 0; user < option.users; user++) sent_to[user] = (uint32_t)option.each;
    long rss = server_rss_bytes();
    double cpu = server_cpu_seconds();
    uint64_t start = now_ns();
    open_sessions(option.sessions);
    double open_seconds = seconds_since(start);
    while (caught_up_count < option.sessions && !closed_count &&
           seconds_since(start) < HANDSHAKE_SECONDS)
        pump(10);
    double seconds = seconds_since(start);
    pump_for(0.2); /* doubles come late */
    printf("{");
    print_account();
    printf(", \"caught_up\": %d, \"open_seconds\": %.4f, \"seconds\": %.4f, \"server_cpu_s\": "
           "%.6f, \"rss_before\": %ld, \"rss\": %ld}\n",
           caught_up_count, open_seconds, seconds, server_cpu_seconds() - cpu, rss,
           server_rss_bytes());
}

/* ---- command line ---- */

static void add_pid(const char *text) {
    if (pids_count == PIDS_MAX) fail("more than %d processes", PIDS_MAX);
    pids[pids_count++] = atol(text);
}

static void add_step(const char *text) {
    if (option.steps_count == STEPS_MAX) fail("more than %d steps", STEPS_MAX);
    option.sessions = option.steps[option.steps_count++] = atoi(text);
}

static const struct option OPTIONS[] = {
    {"port", 1, 0, 'p'},        {"pid", 1, 0, 'P'},        {"sessions", 1, 0, 'n'},
    {"session", 1, 0, 's'},     {"users", 1, 0, 'u'},      {"ready", 1, 0, 'y'},
    {"ready-bytes", 1, 0, 'Y'}, {"handshakes", 1, 0, 'h'}, {"publishers", 1, 0, 'c'},
    {"publish", 1, 0, 'b'},     {"hello", 1, 0, 'l'},      {"hello-bytes", 1, 0, 'L'},
    {"answers", 1, 0, 'a'},     {"status", 1, 0, 'S'},     {"own-user", 0, 0, 'o'},
    {"rate", 1, 0, 'r'},        {"seconds", 1, 0, 'd'},    {"step", 1, 0, 't'},
    {"idle", 1, 0, 'i'},        {"each", 1, 0, 'e'},       {"settle", 1, 0, 'w'},
    {0},
};

static void read_options(int argc, char **argv) {
    for (int letter; (letter = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;)
        switch (letter) {
        case 'p': option.port = atoi(optarg); break;
        case 'P': add_pid(optarg); break;
        case 'n': option.sessions = atoi(optarg); break;
        case 's': load_template(&session_template, optarg); break;
        case 'u': option.users = atoi(optarg); break;
        case 'y': option.ready = optarg; break;
        case 'Y': option.ready_bytes = atoi(optarg); break;
        case 'h': option.handshakes = atoi(optarg); break;
        case 'c': option.publishers = atoi(optarg); break;
        case 'b': load_template(&publish_template, optarg); break;
        case 'l': load_template(&hello_template, optarg); break;
        case 'L': option.hello_bytes = atoi(optarg); break;
        case 'a': option.answers = atoi(optarg); break;
        case 'S': option.status = optarg; break;
        case 'o': option.own_user = true; break;
        case 'r': option.rate = atof(optarg); break;
        case 'd': option.seconds = atof(optarg); break;
        case 't': add_step(optarg); break;
        case 'i': option.idle = atof(optarg); break;
        case 'e': option.each = atoi(optarg); break;
        case 'w': option.settle = atof(optarg); break;
        default: exit(2);
        }
    if (!option.port || option.users < 1 || option.sessions < 0 || option.publishers < 1 ||
        option.sessions % option.users || strlen(option.ready) > CARRY_MAX)
        fail("wrong options; sessions must be a multiple of users");
}

static void prepare(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    read_buffer = malloc(CARRY_MAX + READ_BYTES + 1);
    connections = calloc((size_t)(option.sessions + option.publishers), sizeof *connections);
    sent_to = calloc((size_t)option.users, sizeof *sent_to);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (argc > 1) read_options(argc - 1, argv + 1);
    prepare();
    if (!strcmp(mode, "publish")) run_publish();
    else if (!strcmp(mode, "hold")) run_hold();
    else if (!strcmp(mode, "resume")) run_resume();
    else {
        fputs("usage: loadgen publish|hold|resume --port N ...\n", stderr);
        return 2;
    }
    return 0;
}
