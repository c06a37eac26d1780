/* Writes an answer of 64 MiB in pieces of 64 KiB, without Content-Length. */
#include <string.h>
#include <unistd.h>

enum { PIECE = 65536, PIECES = 1024 };

static const char head[] = "Content-Type: application/octet-stream\r\n\r\n";

static int put(const char *data, size_t length) {
  while (length) {
    ssize_t n = write(1, data, length);
    if (n <= 0) return 0;
    data += n;
    length -= (size_t)n;
  }
  return 1;
}

int main(void) {
  static char piece[PIECE];
  memset(piece, 'x', PIECE);
  if (!put(head, sizeof head - 1)) return 1;
  for (int i = 0; i < PIECES; i++)
    if (!put(piece, PIECE)) return 1;
  return 0;
}
