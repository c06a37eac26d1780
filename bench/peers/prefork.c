/*
 * Several copies of a FastCGI program behind one unix socket, which is their descriptor 0: what spawn-fcgi -F does,
 * but in the foreground and in one process group, so that nothing outlives the bench. TERM is meant for the whole
 * group: this process then ends after its copies. Otherwise it ends as soon as one of them has, because the others
 * are fewer than was asked for.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* More than there are clients: a connection that waits here is not refused. */
enum { BACKLOG = 1024 };

static void die(const char *what) {
  perror(what);
  exit(2);
}

static volatile sig_atomic_t ending;

static void end(int signal) { ending = signal; }

static void listen_on_0(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    fprintf(stderr, "prefork: path of the socket is too long\n");
    exit(2);
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  /* Servers that give up root have to reach it. */
  if (chmod(path, 0666) < 0) die("chmod");
  if (listen(fd, BACKLOG) < 0) die("listen");
  if (fd == 0) return;
  if (dup2(fd, 0) < 0) die("dup2");
  close(fd);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: prefork SOCKET COPIES PROGRAM\n");
    return 2;
  }
  struct sigaction action = {.sa_handler = end};
  if (sigaction(SIGTERM, &action, NULL) < 0) die("sigaction");
  listen_on_0(argv[1]);
  for (int i = atoi(argv[2]); i > 0; i--) {
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid > 0) continue;
    execl(argv[3], argv[3], (char *)NULL);
    die(argv[3]);
  }
  int status;
  pid_t pid = wait(&status);
  if (ending) {
    while (wait(NULL) > 0) continue;
    return 0;
  }
  fprintf(stderr, "prefork: %d has ended (status %d)\n", (int)pid, status);
  return 1;
}
