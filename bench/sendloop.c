/*
 * sendloop PORT FRAME_BYTES: the floor that fan-out is measured against.
 *
 * What no server can do without: accept, keep the sockets, and one send per session and
 * publication. GET opens a stream. Every mark ("@T" and 24 digits) in any other request is a
 * publication: a frame of FRAME_BYTES with that mark is sent to every stream, in a plain loop.
 * There is no parsing, no topic, no right, no buffer: a full socket loses the frame.
 *
 * A request arrives in one read because it is small and comes over loopback.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS_MAX = 65536, MARK_LENGTH = 26, EVENTS_MAX = 256, FRAME_MAX = 65536 };

static int streams[STREAMS_MAX];
static int streams_count;
static int poller;
static char frame[FRAME_MAX];
static size_t frame_bytes;

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static int open_listener(int port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("sendloop");
        exit(1);
    }
    return listener;
}

static void take_connection(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(fd);
}

static void forget(int fd) {
    close(fd);
    for (int i = 0; i < streams_count; i++)
        if (streams[i] == fd) {
            streams[i] = streams[--streams_count];
            return;
        }
}

static void answer(int fd, const char *head) { send(fd, head, strlen(head), MSG_NOSIGNAL); }

static void publish(const char *bytes, const char *end) {
    while ((bytes = memmem(bytes, (size_t)(end - bytes), "@T", 2)) && end - bytes >= MARK_LENGTH) {
        memcpy(frame, bytes, MARK_LENGTH);
        for (int i = 0; i < streams_count; i++)
            send(streams[i], frame, frame_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        bytes += MARK_LENGTH;
    }
}

static void take_request(int fd) {
    static char request[65536];
    ssize_t length = read(fd, request, sizeof request);
    if (length <= 0) {
        forget(fd);
    } else if (request[0] == 'G') {
        if (streams_count < STREAMS_MAX) streams[streams_count++] = fd;
        answer(fd, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
    } else {
        publish(request, request + length);
        for (char *p = request; (p = memmem(p, request + length - p, "POST ", 5)); p++)
            answer(fd, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: sendloop PORT FRAME_BYTES\n", stderr);
        return 2;
    }
    frame_bytes = (size_t)atoi(argv[2]);
    if (frame_bytes < MARK_LENGTH || frame_bytes > FRAME_MAX) return 2;
    memset(frame, 'x', sizeof frame);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(0);
    int listener = open_listener(atoi(argv[1]));
    watch(listener);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(poller, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) take_connection(listener);
            else take_request(events[i].data.fd);
        }
    }
}
