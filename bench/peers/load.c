/*
 * Closed-loop HTTP/1.1 load over keep-alive connections: one thread, one epoll, so that it takes little
 * of the two cores it shares with the server. Every answer is checked (status, body length); only right
 * answers count as requests. When the time is up no new request begins and those under way are finished,
 * so that their latencies are not lost. Prints one JSON object.
 *
 * Bounds: a connection without a byte for SILENCE seconds counts as an error; more than ERROR_MAX errors end
 * the run. May grow: another check of an answer. Not: another protocol.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "latency.h"

enum { READ_MAX = 262144, EVENTS = 256, SILENCE = 20, ERROR_MAX = 10000 };

struct connection {
  int fd;
  /* A request is under way. */
  int busy;
  int wants_out;
  size_t sent;
  uint64_t started, heard;
  /* Right ones so far, late ones too. */
  uint64_t answers;
  struct answer answer;
};

static struct sockaddr_in address;
static char *request;
static size_t request_length;
static int epoll, expected_status, running;
static long long expected_length;
static uint64_t deadline, in_time, late, errors, wrong, reconnects, body_bytes;
static char buffer[READ_MAX];

static void die(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(2);
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void watch(struct connection *c, int operation, int out) {
  struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = c};
  c->wants_out = out;
  if (epoll_ctl(epoll, operation, c->fd, &event) < 0) die("epoll_ctl");
}

static void open_connection(struct connection *c) {
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) die("connect");
  watch(c, EPOLL_CTL_ADD, 1);
}

static void close_connection(struct connection *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
}

static void begin(struct connection *c);

static void finish(struct connection *c) {
  c->busy = 0;
  running--;
}

/* The request failed: connection refused, reset or closed in the middle, or an answer that is no HTTP. */
static void failed(struct connection *c) {
  close_connection(c);
  finish(c);
  if (++errors > ERROR_MAX) die("too many errors, the last one");
  begin(c);
}

/* 0: the connection is of no more use. */
static int send_request(struct connection *c) {
  while (c->sent < request_length) {
    ssize_t n = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      if (!c->wants_out) watch(c, EPOLL_CTL_MOD, 1);
      return 1;
    }
    if (n < 0) return 0;
    c->sent += (size_t)n;
  }
  if (c->wants_out) watch(c, EPOLL_CTL_MOD, 0);
  return 1;
}

static void begin(struct connection *c) {
  uint64_t time = now();
  if (time >= deadline) return;
  answer_begin(&c->answer);
  c->sent = 0;
  c->started = c->heard = time;
  c->busy = 1;
  running++;
  if (c->fd < 0) {
    open_connection(c);
    return;
  }
  if (!send_request(c)) failed(c);
}

static void answered(struct connection *c) {
  const struct answer *a = &c->answer;
  uint64_t time = now();
  if (!record_latency(time - c->started)) die("realloc");
  if (a->status != expected_status || (expected_length >= 0 && a->body != (uint64_t)expected_length)) wrong++;
  else {
    c->answers++;
    if (time < deadline) in_time++;
    else late++;
  }
  if (a->closing || c->sent < request_length) {
    close_connection(c);
    reconnects++;
  }
  finish(c);
  begin(c);
}

static void receive(struct connection *c) {
  for (;;) {
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (!c->busy) {
      /* A server may close an idle connection; the next request opens another. */
      close_connection(c);
      return;
    }
    if (n == 0 && c->answer.state == UNTIL_CLOSE) {
      answered(c);
      return;
    }
    uint64_t before = c->answer.body;
    if (n <= 0 || !answer_take(&c->answer, buffer, (size_t)n)) {
      failed(c);
      return;
    }
    body_bytes += c->answer.body - before;
    c->heard = now();
    if (answer_complete(&c->answer)) {
      answered(c);
      return;
    }
    if ((size_t)n < sizeof buffer) return;
  }
}

static void handle(struct connection *c, uint32_t events) {
  if (c->fd < 0) return;
  if (events & EPOLLOUT && c->busy && !send_request(c)) {
    failed(c);
    return;
  }
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(c);
}

static void drop_silent(struct connection *all, int count) {
  uint64_t limit = now() - (uint64_t)SILENCE * 1000000000u;
  for (int i = 0; i < count; i++)
    if (all[i].busy && all[i].heard < limit) failed(&all[i]);
}

static void make_request(const char *path, long body) {
  char head[2048];
  int length = body < 0
    ? snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)
    : snprintf(head, sizeof head,
               "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
               "Content-Length: %ld\r\n\r\n", path, body);
  request_length = (size_t)length + (body > 0 ? (size_t)body : 0);
  request = malloc(request_length);
  if (!request) die("malloc");
  memset(request, 'x', request_length);
  memcpy(request, head, (size_t)length);
}

/*
 * Connections with less than a tenth of an even share of the right answers. In a closed loop they hide: who waits
 * for the whole run adds one latency to thousands, and no percentile shows it.
 */
static int count_starved(const struct connection *all, int count) {
  int starved = 0;
  for (int i = 0; i < count; i++) starved += all[i].answers * 10 * (uint64_t)count < in_time + late;
  return starved;
}

static void report(double seconds, uint64_t bytes, int starved) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  sort_latencies();
  printf("{\"seconds\":%.6f,\"requests\":%lu,\"drained\":%lu,\"errors\":%lu,\"wrong\":%lu,\"reconnects\":%lu,"
         "\"bytes\":%lu,\"p50Ms\":%.3f,\"p90Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f,\"cpuSeconds\":%.6f,\"starved\":%d}\n",
         seconds, in_time, late, errors, wrong, reconnects, bytes, percentile(0.5), percentile(0.9), percentile(0.99),
         percentile(1), cpu, starved);
}

int main(int argc, char **argv) {
  if (argc != 8) {
    fprintf(stderr, "usage: load PORT PATH CLIENTS SECONDS POST_BYTES|-1 STATUS BODY_LENGTH|-1\n");
    return 2;
  }
  int count = atoi(argv[3]);
  double seconds = atof(argv[4]);
  expected_status = atoi(argv[6]);
  expected_length = atoll(argv[7]);
  address = (struct sockaddr_in){
    .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  make_request(argv[2], atol(argv[5]));
  epoll = epoll_create1(EPOLL_CLOEXEC);
  struct connection *all = calloc((size_t)count, sizeof *all);
  if (epoll < 0 || !all) die("start");

  uint64_t from = now(), until = 0, bytes = 0;
  deadline = from + (uint64_t)(seconds * 1e9);
  for (int i = 0; i < count; i++) {
    all[i].fd = -1;
    begin(&all[i]);
  }
  while (running) {
    struct epoll_event events[EVENTS];
    int left = (int)((int64_t)(deadline - now()) / 1000000) + 1;
    int n = epoll_wait(epoll, events, EVENTS, until || left > 500 ? 500 : left);
    for (int i = 0; i < n; i++) handle(events[i].data.ptr, events[i].events);
    if (!until && now() >= deadline) {
      until = now();
      bytes = body_bytes;
    }
    if (n == 0) drop_silent(all, count);
  }
  if (!until) {
    until = now();
    bytes = body_bytes;
  }
  report((double)(until - from) / 1e9, bytes, count_starved(all, count));
  return 0;
}
