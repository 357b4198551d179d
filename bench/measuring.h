/*
 * What a load generator measures with: time, what the operating system knows of the server's
 * processes, and a histogram of latencies. Included by loadgen.c only.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PIDS_MAX = 64 };
static long pids[PIDS_MAX]; /* the server's processes */
static int pids_count;

/* ---- time, and what the operating system knows of the server ---- */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double seconds_since(uint64_t start_ns) { return (double)(now_ns() - start_ns) / 1e9; }

/* Reads /proc/PID/name; false if the process is gone. */
static bool read_proc(long pid, const char *name, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/%s", pid, name);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    size_t length = fread(text, 1, size - 1, file);
    text[length] = 0;
    fclose(file);
    return length > 0;
}

/* User and system time of all threads of all server processes, to the nanosecond: the ticks of
   /proc are a hundredth of a second, which is a tenth of what some runs use. */
static double server_cpu_seconds(void) {
    double seconds = 0;
    for (int i = 0; i < pids_count; i++) {
        clockid_t clock;
        struct timespec t;
        if (clock_getcpuclockid((pid_t)pids[i], &clock) || clock_gettime(clock, &t)) continue;
        seconds += (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    }
    return seconds;
}

static long server_rss_bytes(void) {
    long pages = 0;
    char text[256];
    for (int i = 0; i < pids_count; i++) {
        long size = 0, resident = 0;
        if (read_proc(pids[i], "statm", text, sizeof text))
            sscanf(text, "%ld %ld", &size, &resident);
        pages += resident;
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static double own_cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- latencies: a histogram with buckets of 1.6 to 3.1 %, so that nothing is sampled or cut off ---- */

enum { SUB_BITS = 6, SUB = 1 << SUB_BITS, BUCKETS = 40 * SUB };
typedef struct {
    uint64_t counts[BUCKETS], total;
    uint64_t max_us;
} Histogram;

static void record(Histogram *h, uint64_t us) {
    int shift = us < SUB ? 0 : 63 - __builtin_clzll(us) - (SUB_BITS - 1);
    h->counts[(us >> shift) + (uint64_t)(shift * SUB / 2)]++;
    h->total++;
    if (us > h->max_us) h->max_us = us;
}

/* As if what a bucket has lay evenly in it. */
static double quantile_us(const Histogram *h, double q) {
    double rank = q * (double)h->total, seen = 0;
    for (int shift = 0; shift < 40; shift++)
        for (int low = shift ? SUB / 2 : 0; low < SUB; low++) {
            double here = (double)h->counts[low + shift * SUB / 2];
            if (here > 0 && seen + here >= rank)
                return ((double)low + (rank - seen) / here) * (double)((uint64_t)1 << shift);
            seen += here;
        }
    return (double)h->max_us;
}

static void print_latencies(const char *name, const Histogram *h) {
    printf(", \"%s_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %llu}", name,
           quantile_us(h, .5), quantile_us(h, .99), quantile_us(h, .999),
           (unsigned long long)h->max_us);
}
