/* The smallest CGI program: what is measured with it is the server. Linked statically, so no loader runs. */
#include <unistd.h>

static const char answer[] = "Content-Type: text/plain\r\n\r\nHello, world\n";

int main(void) { return write(1, answer, sizeof answer - 1) != sizeof answer - 1; }
