/* Reads the body to its end, at most CONTENT_LENGTH bytes (RFC 3875 4.2), and says how many there were. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
  static char buffer[65536];
  const char *length = getenv("CONTENT_LENGTH");
  long total = 0, wanted = length ? atol(length) : 0;
  ssize_t n;
  while (total < wanted && (n = read(0, buffer, sizeof buffer)) > 0) total += n;
  return printf("Content-Type: text/plain\r\n\r\n%8ld\n", total) < 0;
}
