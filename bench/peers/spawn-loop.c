/*
 * The ceiling of CGI on this machine: a bare posix_spawn loop in two processes at once. Each start is a
 * pipe, a spawn with the write end as stdout, a read to the end and a wait; no HTTP, no environment, no
 * log. Prints one JSON object. Not for growth: whatever is added here is no longer the ceiling.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 2 };

static void die(const char *what) {
  perror(what);
  exit(2);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void start_once(char *program) {
  int ends[2], status;
  pid_t pid;
  char *argv[] = {program, NULL}, *environment[] = {"GATEWAY_INTERFACE=CGI/1.1", NULL};
  char buffer[65536];
  posix_spawn_file_actions_t actions;
  if (pipe2(ends, O_CLOEXEC) < 0) die("pipe2");
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  if (posix_spawn(&pid, program, &actions, NULL, argv, environment)) die("posix_spawn");
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  while (read(ends[0], buffer, sizeof buffer) > 0) continue;
  close(ends[0]);
  if (waitpid(pid, &status, 0) != pid || status) die("waitpid");
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: spawn-loop PROGRAM SECONDS\n");
    return 2;
  }
  int counts[2];
  uint64_t total = 0, count = 0;
  if (pipe2(counts, O_CLOEXEC) < 0) die("pipe2");
  double from = now(), deadline = from + atof(argv[2]);
  for (int i = 0; i < PROCESSES; i++) {
    if (fork()) continue;
    for (; now() < deadline; count++) start_once(argv[1]);
    exit(write(counts[1], &count, sizeof count) != sizeof count);
  }
  for (int i = 0; i < PROCESSES; i++, total += count)
    if (read(counts[0], &count, sizeof count) != sizeof count) die("read");
  double seconds = now() - from;
  while (wait(NULL) > 0) continue;
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  printf("{\"seconds\":%.6f,\"starts\":%lu,\"cpuSeconds\":%.6f}\n", seconds, total,
         (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
  return 0;
}
