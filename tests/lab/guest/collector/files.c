// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Files: status, which pages are in the page cache, and content.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "collect.h"
#include "record.h"

enum { kPage = 4096, kContentLimit = 16 << 20, kMaxRanges = 1000 };

// Adds " pages=N resident=N ranges=FIRST-LAST,..." (page indices) to the text.
static void add_residency(const unsigned char* resident, size_t pages) {
  size_t count = 0;
  for (size_t i = 0; i < pages; i++) count += resident[i] & 1;
  text_addf(" pages=%zu resident=%zu ranges=", pages, count);
  size_t i = 0;
  for (int ranges = 0; i < pages && ranges < kMaxRanges; ranges++) {
    while (i < pages && !(resident[i] & 1)) i++;
    size_t first = i;
    while (i < pages && resident[i] & 1) i++;
    if (i > first) text_addf("%zu-%zu,", first, i - 1);
  }
}

// mincore() looks without reading, so it does not change what it reports.
static void add_page_cache(const char* path, size_t size) {
  int file = open(path, O_RDONLY | O_NOATIME | O_CLOEXEC);
  if (file < 0) return;
  size_t pages = (size + kPage - 1) / kPage;
  unsigned char* resident = malloc(pages);
  void* mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) {
    if (!mincore(mapped, size, resident)) add_residency(resident, pages);
    munmap(mapped, size);
  }
  free(resident);
  close(file);
}

static void record_file_status(const char* path) {
  struct stat status;
  char name[5000];
  snprintf(name, sizeof name, "stat:%s", path);
  if (lstat(path, &status) < 0) {
    record_error(name, errno);
    return;
  }
  text_start();
  text_addf("ino=%lu dev=%u:%u mode=%o uid=%u gid=%u nlink=%lu size=%ld blocks=%ld", status.st_ino,
            major(status.st_dev), minor(status.st_dev), status.st_mode, status.st_uid,
            status.st_gid, status.st_nlink, (long)status.st_size, (long)status.st_blocks);
  text_addf(" atime=%ld.%09ld mtime=%ld.%09ld ctime=%ld.%09ld", status.st_atim.tv_sec,
            status.st_atim.tv_nsec, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
            status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
  if (S_ISREG(status.st_mode) && status.st_size) add_page_cache(path, (size_t)status.st_size);
  text_record(name);
}

// Lines "S PATH" (status only) and "C PATH" (status, then content). Reading the content brings a
// file into the page cache, after its residency was noted; S files are left as they are.
void collect_files(void) {
  char line[4200], name[4300];
  FILE* list = fopen("/etc/lab-files", "re");
  if (!list) {
    record_error("/etc/lab-files", errno);
    return;
  }
  while (fgets(line, sizeof line, list)) {
    line[strcspn(line, "\n")] = 0;
    if (strlen(line) < 3) continue;
    const char* path = line + 2;
    record_file_status(path);
    snprintf(name, sizeof name, "content:%s", path);
    if (*line == 'C') record_file_as(name, path, kContentLimit);
  }
  fclose(list);
}
