// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// lime_to_avml IN.lime OUT.avml: LiME version 1 to AVML version 2.
//
// An AVML v2 file is a row of blocks: a header like LiME's with another magic and version, the
// range's bytes in the Snappy framing format, and the length of those frames (8 bytes).
#include <nmmintrin.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
  kFrameBytes = 65536,  // the framing format's limit for one chunk
  kPageBytes = 4096,
  kChunkCompressed = 0,
  kChunkPlain = 1,
};
static const uint64_t kMaxBlockBytes = 0x1000ull * 0x10000;
static const uint32_t kAvmlMagic = 0x4c4d5641, kLimeMagic = 0x4c694d45;

struct RangeHeader {
  uint32_t magic, version;
  uint64_t first, last, reserved;
};

// CRC-32C, masked as the framing format demands.
static uint32_t masked_checksum(const uint8_t* bytes, size_t length) {
  uint64_t crc = UINT32_MAX;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    crc = _mm_crc32_u64(crc, word);
  }
  for (; length; bytes++, length--) crc = _mm_crc32_u8((uint32_t)crc, *bytes);
  uint32_t result = ~(uint32_t)crc;
  return ((result >> 15) | (result << 17)) + 0xa282ead8u;
}

// Writes one chunk of the framing format; returns its length in the file.
static uint64_t write_chunk(FILE* out, const uint8_t* bytes, size_t length) {
  static uint8_t packed[2 * kFrameBytes];
  size_t packed_length = sizeof packed;
  snappy_compress((const char*)bytes, length, (char*)packed, &packed_length);
  bool plain = packed_length >= length - length / 8;
  const uint8_t* content = plain ? bytes : packed;
  size_t content_length = plain ? length : packed_length;
  uint32_t head = (plain ? kChunkPlain : kChunkCompressed) | (uint32_t)(content_length + 4) << 8;
  uint32_t checksum = masked_checksum(bytes, length);
  fwrite(&head, sizeof head, 1, out);
  fwrite(&checksum, sizeof checksum, 1, out);
  fwrite(content, 1, content_length, out);
  return sizeof head + sizeof checksum + content_length;
}

static bool write_block(FILE* in, FILE* out, uint64_t first, uint64_t length) {
  static const char stream_identifier[] = "\xff\x06\x00\x00sNaPpY";
  static uint8_t bytes[kFrameBytes];
  struct RangeHeader header = {kAvmlMagic, 2, first, first + length - 1, 0};
  fwrite(&header, sizeof header, 1, out);
  uint64_t written = fwrite(stream_identifier, 1, sizeof stream_identifier - 1, out);
  while (length) {
    size_t piece = length > kFrameBytes ? kFrameBytes : (size_t)length;
    if (fread(bytes, 1, piece, in) != piece) return false;
    written += write_chunk(out, bytes, piece);
    length -= piece;
  }
  fwrite(&written, sizeof written, 1, out);
  return true;
}

// AVML stores whole pages; an incomplete last page of a range is left out.
static bool convert(FILE* in, FILE* out) {
  struct RangeHeader range;
  while (fread(&range, sizeof range, 1, in) == 1) {
    if (range.magic != kLimeMagic || range.last < range.first) return false;
    uint64_t end = range.last + 1, incomplete = end % kPageBytes;
    end -= incomplete;
    for (uint64_t first = range.first; first < end;) {
      uint64_t length = end - first > kMaxBlockBytes ? kMaxBlockBytes : end - first;
      if (!write_block(in, out, first, length)) return false;
      first += length;
    }
    if (fseek(in, (long)incomplete, SEEK_CUR)) return false;
  }
  return true;
}

int main(int argc, char** argv) {
  FILE* in = argc == 3 ? fopen(argv[1], "rb") : NULL;
  FILE* out = in ? fopen(argv[2], "wb") : NULL;
  if (!out) {
    fprintf(stderr, "usage: lime_to_avml IN.lime OUT.avml (both must be files)\n");
    return 2;
  }
  if (!convert(in, out)) {
    fprintf(stderr, "lime_to_avml: %s: not a whole LiME file\n", argv[1]);
    return 1;
  }
  if (ferror(out) | fclose(out)) {
    perror(argv[2]);
    return 1;
  }
  return 0;
}
