/*
 * Reads one HTTP/1.1 answer incrementally: head, then a body by Content-Length, by chunks or to the end of
 * the connection. The body is counted, not kept; a final answer after any number of 1xx ones.
 *
 * Bounds: the head and each line of chunk framing fit in HEAD_MAX. No I/O and no allocation in here.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 16384 };

enum state { DONE, HEAD, LENGTH, UNTIL_CLOSE, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

struct answer {
  enum state state;
  /* The server will close the connection after this answer. */
  int closing;
  int status;
  /* Bytes of body so far. */
  uint64_t body;
  uint64_t remaining;
  size_t line_length;
  char line[HEAD_MAX + 1];
};

static void answer_begin(struct answer *a) {
  a->state = HEAD;
  a->closing = a->status = 0;
  a->body = a->remaining = 0;
  a->line_length = 0;
}

static const char *field(const char *head, const char *name) {
  const char *at = strcasestr(head, name);
  return at ? at + strlen(name) : NULL;
}

/* 0: not HTTP. */
static int parse_head(struct answer *a) {
  const char *value;
  if (sscanf(a->line, "HTTP/1.%*d %d", &a->status) != 1) return 0;
  a->closing = strncmp(a->line, "HTTP/1.0", 8) == 0;
  if ((value = field(a->line, "\r\nconnection:"))) {
    while (*value == ' ') value++;
    a->closing = strncasecmp(value, "close", 5) == 0;
  }
  a->line_length = 0;
  if (a->status / 100 == 1) return 1;
  if (a->status == 204 || a->status == 304) a->state = DONE;
  else if (field(a->line, "\r\ntransfer-encoding:")) a->state = CHUNK_SIZE;
  else if ((value = field(a->line, "\r\ncontent-length:"))) {
    a->state = LENGTH;
    a->remaining = strtoull(value, NULL, 10);
  } else {
    a->state = UNTIL_CLOSE;
    a->closing = 1;
  }
  return 1;
}

static size_t take_head(struct answer *a, const char *data, size_t length) {
  size_t before = a->line_length;
  size_t room = HEAD_MAX - before;
  size_t take = length < room ? length : room;
  memcpy(a->line + before, data, take);
  a->line_length += take;
  a->line[a->line_length] = 0;
  char *end = memmem(a->line, a->line_length, "\r\n\r\n", 4);
  if (!end) return take == length ? take : 0;
  end[2] = 0;
  size_t used = (size_t)(end + 4 - a->line) - before;
  return parse_head(a) ? used : 0;
}

static size_t take_body(struct answer *a, size_t length) {
  size_t take = a->state == UNTIL_CLOSE || length < a->remaining ? length : (size_t)a->remaining;
  a->body += take;
  if (a->state != UNTIL_CLOSE) a->remaining -= take;
  if (a->state == CHUNK_DATA && a->remaining == 0) a->state = CHUNK_END;
  return take;
}

/* One byte of a chunk's size line, of the line end after its data, or of the trailer. 0: malformed. */
static int take_framing(struct answer *a, char byte) {
  if (byte != '\n') {
    if (byte == '\r') return 1;
    if (a->state == CHUNK_END || a->line_length + 1 >= HEAD_MAX) return 0;
    a->line[a->line_length++] = byte;
    return 1;
  }
  size_t length = a->line_length;
  a->line[length] = 0;
  a->line_length = 0;
  if (a->state == CHUNK_END) a->state = CHUNK_SIZE;
  else if (a->state == CHUNK_SIZE) {
    char *end;
    a->remaining = strtoull(a->line, &end, 16);
    if (end == a->line) return 0;
    a->state = a->remaining ? CHUNK_DATA : TRAILER;
  } else if (length == 0) a->state = DONE;
  return 1;
}

/* The whole answer has been read. */
static int answer_complete(const struct answer *a) {
  return a->state == DONE || (a->state == LENGTH && a->remaining == 0);
}

/* 0: malformed, or bytes after the end of the answer. */
static int answer_take(struct answer *a, const char *data, size_t length) {
  while (length) {
    size_t used = 1;
    if (answer_complete(a)) return 0;
    if (a->state == HEAD) used = take_head(a, data, length);
    else if (a->state == CHUNK_DATA || a->state == LENGTH || a->state == UNTIL_CLOSE) used = take_body(a, length);
    else used = (size_t)take_framing(a, *data);
    if (!used) return 0;
    data += used;
    length -= used;
  }
  return 1;
}

#endif
