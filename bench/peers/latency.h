/*
 * One latency per request, kept exactly (four bytes each, in microseconds) and sorted at the end: a few
 * million of them fit, which is more than CGI can answer in any run.
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>
#include <stdlib.h>

static uint32_t *latencies;
static size_t latency_count, latency_room;

/* 0: no memory. */
static int record_latency(uint64_t nanoseconds) {
  if (latency_count == latency_room) {
    latency_room = latency_room ? latency_room * 2 : 65536;
    latencies = realloc(latencies, latency_room * sizeof *latencies);
    if (!latencies) return 0;
  }
  uint64_t us = nanoseconds / 1000;
  latencies[latency_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
  return 1;
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static void sort_latencies(void) { qsort(latencies, latency_count, sizeof *latencies, by_size); }

/* Nearest rank, in milliseconds; 0 without any. Sort first. */
static double percentile(double p) {
  if (!latency_count) return 0;
  size_t rank = (size_t)(p * (double)latency_count + 0.999999);
  return latencies[rank ? rank - 1 : 0] / 1000.0;
}

#endif
