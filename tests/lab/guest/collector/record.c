// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
  kBlock = 1 << 20,       // one write to the device
  kReadBuffer = 1 << 16,  // one read from a file
  kSector = 4096,
  kName = 5000,
  kFileLimit = 64 << 20,
};

static int device = -1;
static char* block;
static size_t block_used;
static char read_buffer[kReadBuffer];
static char* text;
static size_t text_length, text_capacity;

static void write_block(size_t length) {
  if (write(device, block, length) == (ssize_t)length) return;
  perror("lab-truth: write to the truth device");
  _exit(1);
}

static void put(const void* bytes, size_t length) {
  const char* from = bytes;
  while (length) {
    size_t piece = kBlock - block_used;
    if (piece > length) piece = length;
    memcpy(block + block_used, from, piece);
    block_used += piece;
    from += piece;
    length -= piece;
    if (block_used == kBlock) {
      write_block(kBlock);
      block_used = 0;
    }
  }
}

static void escape(const char* name, char* escaped, size_t room) {
  size_t used = 0;
  for (; *name && used + 5 < room; name++) {
    unsigned char byte = (unsigned char)*name;
    if (byte <= ' ' || byte == '\\' || byte > '~')
      used += (size_t)sprintf(escaped + used, "\\x%02x", byte);
    else
      escaped[used++] = *name;
  }
  escaped[used] = 0;
}

static void put_head(char type, const char* name, long number) {
  char escaped[kName], line[kName + 64];
  escape(name, escaped, sizeof escaped);
  put(line, (size_t)sprintf(line, "@@%c %s %ld\n", type, escaped, number));
}

static void put_frame(char type, const char* name, const void* bytes, size_t length) {
  put_head(type, name, (long)length);
  put(bytes, length);
  put("\n", 1);
}

int record_open(const char* path) {
  device = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (device < 0) return -1;
  block = mmap(NULL, kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return -1;
  put("@@LABTRUTH 1\n", 13);
  return 0;
}

void record_close(void) {
  put("@@END\n", 6);
  size_t tail = (block_used + kSector - 1) / kSector * kSector;
  memset(block + block_used, 0, tail - block_used);
  write_block(tail);
  fsync(device);
  memset(block, 0, kBlock);
  memset(read_buffer, 0, sizeof read_buffer);
  if (text) memset(text, 0, text_capacity);
}

void record_bytes(const char* name, const void* bytes, size_t length) {
  put_frame('F', name, bytes, length);
}

void record_format(const char* name, const char* format, ...) {
  va_list arguments;
  char line[512];
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  put_frame('F', name, line, (size_t)length);
}

void record_error(const char* name, int error) {
  put_head('E', name, error);
}

void record_file_as(const char* name, const char* path, size_t limit) {
  int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) {
    record_error(name, errno);
    return;
  }
  ssize_t length = 0;
  text_start();
  while (text_length < limit && (length = read(file, read_buffer, kReadBuffer)) > 0)
    text_add(read_buffer, (size_t)length);
  if (text_length == 0 && length < 0)
    record_error(name, errno);
  else
    text_record(name);
  close(file);
}

void record_file(const char* path_format, ...) {
  char path[kName];
  va_list arguments;
  va_start(arguments, path_format);
  vsnprintf(path, sizeof path, path_format, arguments);
  va_end(arguments);
  record_file_as(path, path, kFileLimit);
}

void record_link(const char* path_format, ...) {
  char path[kName], target[2 * kName];
  va_list arguments;
  va_start(arguments, path_format);
  vsnprintf(path, sizeof path, path_format, arguments);
  va_end(arguments);
  ssize_t length = readlink(path, target, sizeof target);
  if (length < 0)
    record_error(path, errno);
  else
    put_frame('L', path, target, (size_t)length);
}

void record_command(const char* name, const char* command) {
  char frame[300];
  size_t length;
  FILE* output = popen(command, "r");
  if (!output) return;
  text_start();
  while ((length = fread(read_buffer, 1, kReadBuffer, output)) > 0) text_add(read_buffer, length);
  pclose(output);
  snprintf(frame, sizeof frame, "cmd:%s", name);
  text_record(frame);
}

void record_files(const char* prefix, const char* const* names) {
  for (; *names; names++) record_file("%s/%s", prefix, *names);
}

void for_each_entry(const char* folder, void (*visit)(const char* folder, const char* name)) {
  DIR* listing = opendir(folder);
  struct dirent* entry;
  if (!listing) {
    record_error(folder, errno);
    return;
  }
  while ((entry = readdir(listing)))
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) visit(folder, entry->d_name);
  closedir(listing);
}

void record_entry(const char* folder, const char* name) {
  record_file("%s/%s", folder, name);
}

void text_start(void) {
  text_length = 0;
}

void text_add(const void* bytes, size_t length) {
  if (text_length + length > text_capacity) {
    text_capacity = (text_length + length) * 2;
    text = realloc(text, text_capacity);
    if (!text) abort();
  }
  memcpy(text + text_length, bytes, length);
  text_length += length;
}

void text_addf(const char* format, ...) {
  char line[300];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text_add(line, (size_t)length);
}

void text_record(const char* name) {
  record_bytes(name, text, text_length);
}
