/*
 * The FastCGI worker of the comparison, on libfcgi, one request at a time. The query says what it does, because
 * that reaches it in the same words through every server: nothing (hello), `count` the body, or a `big` answer of
 * 64 MiB in pieces of 64 KiB.
 */
#include <fcgiapp.h>
#include <string.h>

enum { PIECE = 65536, PIECES = 1024 };

static char piece[PIECE];

static void count(FCGX_Stream *in, FCGX_Stream *out) {
  static char buffer[PIECE];
  long total = 0;
  int n;
  while ((n = FCGX_GetStr(buffer, sizeof buffer, in)) > 0) total += n;
  FCGX_FPrintF(out, "Content-Type: text/plain\r\n\r\n%8ld\n", total);
}

static void big(FCGX_Stream *out) {
  FCGX_PutS("Content-Type: application/octet-stream\r\n\r\n", out);
  for (int i = 0; i < PIECES; i++)
    if (FCGX_PutStr(piece, PIECE, out) < 0) return;
}

int main(void) {
  FCGX_Stream *in, *out, *err;
  FCGX_ParamArray env;
  memset(piece, 'x', PIECE);
  while (FCGX_Accept(&in, &out, &err, &env) >= 0) {
    const char *query = FCGX_GetParam("QUERY_STRING", env);
    if (query && strcmp(query, "count") == 0) count(in, out);
    else if (query && strcmp(query, "big") == 0) big(out);
    else FCGX_PutS("Content-Type: text/plain\r\n\r\nHello, world\n", out);
  }
  return 0;
}
