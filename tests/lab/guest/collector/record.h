// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once
// The record of truth: frames on a raw block device, written with O_DIRECT so that the text itself
// stays out of the guest's page cache.
//
//   @@LABTRUTH 1\n
//   @@F NAME LENGTH\n  LENGTH bytes \n      what a file (or a command, a log, ...) holds
//   @@L NAME LENGTH\n  LENGTH bytes \n      where a link leads
//   @@E NAME ERRNO\n                        it could not be read
//   @@END\n
//
// NAME is the path, or KIND:PATH for what is no file's content. Blanks, backslashes and bytes
// outside printable ASCII are written \xNN in it.

#include <stddef.h>

// Opens the device and writes the first line. Returns -1 with errno where that fails.
int record_open(const char* device);
// Writes the last line, then clears every buffer, so that no copy of the record is in memory.
void record_close(void);

void record_bytes(const char* name, const void* bytes, size_t length);
void record_format(const char* name, const char* format, ...) __attribute__((format(printf, 2, 3)));
void record_error(const char* name, int error);

// A file's content under its own path; the path is made as by printf.
void record_file(const char* path_format, ...) __attribute__((format(printf, 1, 2)));
// At most LIMIT bytes of a file's content, under another name.
void record_file_as(const char* name, const char* path, size_t limit);
void record_link(const char* path_format, ...) __attribute__((format(printf, 1, 2)));
// What a shell command printed, under "cmd:NAME".
void record_command(const char* name, const char* command);
// Each of the files PREFIX/NAMES[i]; NAMES ends with NULL.
void record_files(const char* prefix, const char* const* names);
// Calls VISIT for every entry of a folder but "." and "..".
void for_each_entry(const char* folder, void (*visit)(const char* folder, const char* name));
void record_entry(const char* folder, const char* name);

// A buffer that grows, for what is put together from pieces. One at a time: text_start() empties
// it.
void text_start(void);
void text_add(const void* bytes, size_t length);
void text_addf(const char* format, ...) __attribute__((format(printf, 1, 2)));
void text_record(const char* name);
