// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel's log, which dmesg prints: the records of the printk ring buffer (Linux 5.10 and
// later).

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "kernel/linux/reader.h"
#include "types/symbols.h"

namespace engram::kernel {

/// What the kernel notes about a message: struct printk_info.
struct LogInfo {
  std::uint64_t sequence = 0;   ///< counts records from the kernel's start
  std::uint64_t timestamp = 0;  ///< nanoseconds since about then
  std::uint32_t level = 0;      ///< 0 (emergency) to 7 (debug)
  std::uint32_t facility = 0;   ///< as of syslog(3), not shifted: 0 for the kernel's own messages
  std::uint32_t flags = 0;      ///< enum printk_info_flags
  std::uint32_t text_length = 0;
  /// The task, or with kCallerIsCpu the processor; 0 where the kernel does not note it.
  std::uint32_t caller_id = 0;
  std::string subsystem, device;     ///< empty if the message is not about a device
  std::optional<std::string> comm;   ///< of the task; from 6.19, if the kernel notes it
  std::optional<std::uint32_t> cpu;  ///< likewise
  std::optional<std::uint32_t> pid;  ///< likewise

  static constexpr std::uint32_t kCallerIsCpu = 0x8000'0000;
};

struct LogRecord {
  enum class State : std::uint8_t {
    committed,  ///< may still be added to
    finalized,
  };
  VirtAddr info_address;  ///< struct printk_info
  State state = State::finalized;
  std::optional<LogInfo> info;         ///< nothing: it cannot be read
  std::optional<std::string> message;  ///< nothing: it cannot be read, or there was no room for it
};

class KernelLog {
 public:
  KernelLog(Reader reader, const types::TypeDb& types, const types::SymbolTable& symbols);

  class Walk;
  /// From the oldest record to the newest one of now.
  /// Errors: the kernel lacks the ring buffer, or what describes it is not readable or not
  /// possible.
  [[nodiscard]] Result<Walk> walk() const;

 private:
  struct Ring {
    VirtAddr descriptors, infos, text;
    std::uint64_t count = 0;           ///< of descriptors; a power of two
    unsigned text_bits = 0;            ///< the text has 2^text_bits bytes
    std::uint64_t tail = 0, head = 0;  ///< numbers of the oldest and the newest record
  };
  struct Bits {
    std::uint64_t offset = 0, size = 0;  ///< 0 bits: the kernel does not have the member
  };

  [[nodiscard]] Result<Ring> ring() const;
  [[nodiscard]] std::optional<LogRecord> record(const Ring& ring, std::uint64_t id,
                                                std::uint64_t& damaged) const;
  void read_contents(const Reader& reader, const Ring& ring, std::uint64_t id,
                     LogRecord& record) const;
  [[nodiscard]] std::optional<LogInfo> info(const Reader& reader, VirtAddr address) const;
  [[nodiscard]] std::optional<std::string> text(const Reader& reader, const Ring& ring,
                                                std::uint64_t id, std::uint64_t length) const;
  [[nodiscard]] VirtAddr descriptor(const Ring& ring, std::uint64_t id) const;
  static std::uint64_t value(Bytes bytes, Bits bits);
  static std::string array(Bytes bytes, const TextField& field);

  Reader reader_;
  std::optional<VirtAddr> prb_;
  Field<VirtAddr> descriptors_, infos_, text_;
  Field<std::uint32_t> count_bits_, text_bits_;
  Field<std::uint64_t> tail_id_, head_id_;
  Field<std::uint64_t> state_, begin_, next_;
  std::uint64_t descriptor_size_ = 0, info_size_ = 0;  ///< bytes; 0: not known
  Bits sequence_, timestamp_, text_length_, facility_, flags_, level_, caller_id_, caller_id2_;
  TextField subsystem_, device_, comm_;
};

/// Borrows the log.
class KernelLog::Walk {
 public:
  /// The next record; nothing after the newest. A record that a running guest has taken out
  /// meanwhile is passed over.
  [[nodiscard]] std::optional<LogRecord> next();

 private:
  friend class KernelLog;
  Walk(const KernelLog& log, const Ring& ring);

  const KernelLog* log_;
  Ring ring_;
  std::uint64_t left_;
  std::uint64_t damaged_ = 0;
};

}  // namespace engram::kernel
