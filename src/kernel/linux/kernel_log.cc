// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/kernel_log.h"

#include <fmt/core.h>

#include <array>
#include <vector>

// kernel/printk/printk_ringbuffer.{h,c}: descriptors and infos are two arrays, indexed by a
// record's number modulo their size; the texts lie in a ring of bytes, each behind the number of
// its record.

namespace engram::kernel {
namespace {

// Two bits of a descriptor's state_var above the record's number (DESC_FLAGS_SHIFT).
constexpr unsigned kStateShift = 62;
constexpr std::uint64_t kIdMask = (std::uint64_t{1} << kStateShift) - 1;
enum DescriptorState : std::uint8_t { kReserved, kCommitted, kFinalized, kReusable };

// Positions of a record without text (DATALESS): begin and next are the same odd number.
constexpr std::uint64_t kNoRoom = 1;     // FAILED_LPOS: the text was lost
constexpr std::uint64_t kEmptyLine = 3;  // EMPTY_LINE_LPOS, NO_LPOS in older kernels

// The longest buffer has 2^31 bytes (LOG_BUF_LEN_MAX), with a descriptor for 2^5 (PRB_AVGBITS).
constexpr std::uint32_t kMostTextBits = 31;
constexpr std::uint32_t kMostCountBits = 26;
constexpr std::uint64_t kMostDamaged = 1U << 16U;  // then the rest is no log
constexpr std::uint64_t kLongestInfo = 4096;       // it has 88 to 112 bytes
constexpr unsigned kMostTries = 16;                // at a record that a running guest changes

}  // namespace

KernelLog::KernelLog(Reader reader, const types::TypeDb& types, const types::SymbolTable& symbols)
    : reader_(reader), prb_(symbols.address_of("prb")) {
  auto& diagnostics = reader_.diagnostics();
  const Layout ring(types, diagnostics, "printk_ringbuffer");
  descriptors_ = ring.field<VirtAddr>("desc_ring.descs");
  infos_ = ring.field<VirtAddr>("desc_ring.infos");
  count_bits_ = ring.field<std::uint32_t>("desc_ring.count_bits");
  tail_id_ = ring.field<std::uint64_t>("desc_ring.tail_id");
  head_id_ = ring.field<std::uint64_t>("desc_ring.head_id");
  text_ = ring.field<VirtAddr>("text_data_ring.data");
  text_bits_ = ring.field<std::uint32_t>("text_data_ring.size_bits");
  const Layout descriptor(types, diagnostics, "prb_desc");
  state_ = descriptor.field<std::uint64_t>("state_var");
  begin_ = descriptor.field<std::uint64_t>("text_blk_lpos.begin");
  next_ = descriptor.field<std::uint64_t>("text_blk_lpos.next");
  descriptor_size_ = descriptor.size().value_or(0);
  const Layout info(types, diagnostics, "printk_info");
  info_size_ = info.size().value_or(0);
  subsystem_ = info.text("dev_info.subsystem");
  device_ = info.text("dev_info.device");
  const auto bits = [&](std::string_view member) -> Bits {
    const auto found = types.find_member("printk_info", member);
    if (!found) return {};
    if (found->bit_size != 0) return {found->bit_offset, found->bit_size};
    return {found->bit_offset, 8 * types.size_of(found->type).value_or(0)};
  };
  sequence_ = bits("seq");
  timestamp_ = bits("ts_nsec");
  text_length_ = bits("text_len");
  facility_ = bits("facility");
  flags_ = bits("flags");
  level_ = bits("level");
  caller_id_ = bits("caller_id");
  caller_id2_ = bits("caller_id2");  // 6.19, with CONFIG_PRINTK_EXECUTION_CTX
  if (caller_id2_.size != 0) comm_ = info.text("comm");
}

Result<KernelLog::Ring> KernelLog::ring() const {
  if (!prb_) return fail("kernel log: expected the symbol prb, which kernels from 5.10 have");
  const auto object = reader_.pointer_at(*prb_, "prb");
  if (!object || !*object || descriptor_size_ == 0 || info_size_ == 0 ||
      info_size_ > kLongestInfo) {
    return fail("kernel log: there is no printk ring buffer to read (see the diagnostics)");
  }
  const auto descriptors = reader_.follow(*object, descriptors_);
  const auto infos = reader_.follow(*object, infos_);
  const auto text = reader_.follow(*object, text_);
  const auto count_bits = reader_.get(*object, count_bits_);
  const auto text_bits = reader_.get(*object, text_bits_);
  const auto tail = reader_.get(*object, tail_id_);
  const auto head = reader_.get(*object, head_id_);
  if (!descriptors || !infos || !text || !count_bits || !text_bits || !tail || !head) {
    return fail("kernel log: the printk_ringbuffer at 0x{:x} cannot be read (see the diagnostics)",
                object->value);
  }
  if (*count_bits > kMostCountBits || *text_bits > kMostTextBits) {
    return fail(
        "kernel log: the printk_ringbuffer at 0x{:x} has 2^{} descriptors and 2^{} bytes of text, "
        "expected at most 2^{} and 2^{}",
        object->value, *count_bits, *text_bits, kMostCountBits, kMostTextBits);
  }
  return Ring{*descriptors, *infos,          *text,          std::uint64_t{1} << *count_bits,
              *text_bits,   *tail & kIdMask, *head & kIdMask};
}

Result<KernelLog::Walk> KernelLog::walk() const {
  ENGRAM_TRY(const Ring all, ring());
  return Walk(*this, all);
}

KernelLog::Walk::Walk(const KernelLog& log, const Ring& ring)
    : log_(&log), ring_(ring), left_(((ring.head - ring.tail) & kIdMask) + 1) {
  if (left_ <= ring.count) return;
  log.reader_.report(log.tail_id_.name, ring.descriptors,
                     fmt::format("{} records from {:#x} to {:#x}, expected at most {}: the newest "
                                 "ones are taken",
                                 left_, ring.tail, ring.head, ring.count));
  left_ = ring.count;
}

std::optional<LogRecord> KernelLog::Walk::next() {
  while (left_ != 0) {
    --left_;
    auto record = log_->record(ring_, (ring_.head - left_) & kIdMask, damaged_);
    if (record) return record;
    if (damaged_ != kMostDamaged) continue;
    log_->reader_.report(
        log_->state_.name, ring_.descriptors,
        fmt::format("{} records are damaged: the other {} are left out", kMostDamaged, left_));
    left_ = 0;
  }
  return std::nullopt;
}

VirtAddr KernelLog::descriptor(const Ring& ring, std::uint64_t id) const {
  return ring.descriptors + (id & (ring.count - 1)) * descriptor_size_;
}

// desc_read() and prb_read() of the kernel: a record is what it says it is if its descriptor says
// so before and after the record is read.
std::optional<LogRecord> KernelLog::record(const Ring& ring, std::uint64_t id,
                                           std::uint64_t& damaged) const {
  const VirtAddr at = descriptor(ring, id);
  const Reader quiet = reader_.quiet();
  for (unsigned tries = 0; tries < kMostTries; ++tries) {
    const auto state = reader_.get(at, state_);
    if (!state) {
      ++damaged;
      return std::nullopt;
    }
    const auto kind = static_cast<DescriptorState>(*state >> kStateShift);
    const std::uint64_t found = *state & kIdMask;
    if (found != id) {
      // head_id goes ahead of the descriptor that is taken for it.
      const bool is_being_taken = kind == kReusable && found == ((id - ring.count) & kIdMask);
      if (reader_.is_live() || is_being_taken) return std::nullopt;
      reader_.report(state_.name, at, fmt::format("record {:#x}, expected {:#x}", found, id));
      ++damaged;
      return std::nullopt;
    }
    if (kind == kReserved || kind == kReusable) return std::nullopt;
    LogRecord record;
    record.info_address = ring.infos + (id & (ring.count - 1)) * info_size_;
    record.state = kind == kCommitted ? LogRecord::State::committed : LogRecord::State::finalized;
    read_contents(reader_.is_live() ? quiet : reader_, ring, id, record);
    if (!reader_.is_live()) return record;
    if (quiet.get(at, state_) != state) continue;
    if (!record.info || !record.message) read_contents(reader_, ring, id, record);
    return record;
  }
  return std::nullopt;
}

void KernelLog::read_contents(const Reader& reader, const Ring& ring, std::uint64_t id,
                              LogRecord& record) const {
  record.info = info(reader, record.info_address);
  if (record.info) record.message = text(reader, ring, id, record.info->text_length);
}

std::uint64_t KernelLog::value(Bytes bytes, Bits bits) {
  const std::uint64_t first = bits.offset / 8;
  const std::uint64_t shift = bits.offset % 8;
  const auto whole = slice(bytes, first, (shift + bits.size + 7) / 8);
  if (!whole || whole->size() > sizeof(std::uint64_t)) return 0;
  std::uint64_t word = 0;
  std::memcpy(&word, whole->data(), whole->size());
  word >>= shift;
  return bits.size == 64 ? word : word & ((std::uint64_t{1} << bits.size) - 1);
}

std::string KernelLog::array(Bytes bytes, const TextField& field) {
  const auto part = field ? slice(bytes, *field.offset, field.size) : std::nullopt;
  return part ? std::string(text_until_nul(*part)) : std::string();
}

std::optional<LogInfo> KernelLog::info(const Reader& reader, VirtAddr address) const {
  std::array<std::byte, kLongestInfo> buffer;
  const MutableBytes bytes = std::span(buffer).first(static_cast<std::size_t>(info_size_));
  if (const auto read = reader.space().read_exact(address, bytes); !read) {
    reader.report("printk_info", address, to_string(read.error()));
    return std::nullopt;
  }
  const auto number = [&](Bits bits) { return static_cast<std::uint32_t>(value(bytes, bits)); };
  LogInfo info;
  info.sequence = value(bytes, sequence_);
  info.timestamp = value(bytes, timestamp_);
  info.level = number(level_);
  info.facility = number(facility_);
  info.flags = number(flags_);
  info.text_length = number(text_length_);
  info.caller_id = number(caller_id_);
  info.subsystem = array(bytes, subsystem_);
  info.device = array(bytes, device_);
  if (caller_id2_.size == 0) return info;
  // The one of task and processor that caller_id is not: printk_caller_id2().
  const std::uint32_t other = number(caller_id2_);
  const bool is_cpu = (info.caller_id & LogInfo::kCallerIsCpu) != 0;
  info.cpu = (is_cpu ? info.caller_id : other) & ~LogInfo::kCallerIsCpu;
  info.pid = is_cpu ? other : info.caller_id;
  info.comm = array(bytes, comm_);
  return info;
}

// get_data() of the kernel. Whether a block wraps is asked of its last byte, as new kernels do.
// Older ones ask where the next block begins, but also put a block that would end with the ring at
// its beginning, so that the answers are the same.
std::optional<std::string> KernelLog::text(const Reader& reader, const Ring& ring, std::uint64_t id,
                                           std::uint64_t length) const {
  const VirtAddr at = descriptor(ring, id);
  const auto begin = reader.get(at, begin_);
  const auto next = reader.get(at, next_);
  if (!begin || !next) return std::nullopt;
  if (*begin == *next && *begin == kEmptyLine) return std::string();
  if (*begin == *next && *begin == kNoRoom) return std::nullopt;
  const std::uint64_t size = std::uint64_t{1} << ring.text_bits;
  const auto lap = [&](std::uint64_t position) { return position >> ring.text_bits; };
  const bool wraps = lap(*begin) != lap(*next - 1);
  const std::uint64_t from = wraps ? 0 : *begin & (size - 1);
  const std::uint64_t block = wraps ? *next & (size - 1) : *next - *begin;
  std::uint64_t owner = 0;
  if ((wraps && lap(*begin + size) != lap(*next)) || block > size || block < sizeof owner ||
      block - sizeof owner < length) {
    reader.report(begin_.name, at,
                  fmt::format("text of {} bytes from {:#x} to {:#x} in a ring of {:#x}", length,
                              *begin, *next, size));
    return std::nullopt;
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  auto read =
      reader.space().read_exact(ring.text + from, std::as_writable_bytes(std::span(&owner, 1)));
  if (read) {
    read = reader.space().read_exact(ring.text + from + sizeof owner,
                                     std::as_writable_bytes(std::span(text.data(), text.size())));
  }
  if (!read) {
    reader.report("prb_data_block", ring.text + from, to_string(read.error()));
    return std::nullopt;
  }
  if (owner != id) {
    reader.report("prb_data_block.id", ring.text + from,
                  fmt::format("text of record {:#x}, expected {:#x}", owner, id));
    return std::nullopt;
  }
  return text;
}

}  // namespace engram::kernel
