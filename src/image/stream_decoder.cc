// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/stream_decoder.h"

#include <libdeflate.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/units.h"

namespace engram::image {
namespace {

using State = StreamDecoder::State;

constexpr std::uint64_t kMostWindow = 2 * kGiB;

class GzipDecoder : public StreamDecoder {
 public:
  static std::unique_ptr<StreamDecoder> make() {
    auto decoder = std::make_unique<GzipDecoder>();
    return decoder->init() ? std::move(decoder) : nullptr;
  }
  GzipDecoder() = default;
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;
  ~GzipDecoder() override { ::inflateEnd(&stream_); }

  Step step(Bytes from, MutableBytes to) override {
    if (!between_) return inflate(from, to);
    // Tapes and disks end with zeros.
    const auto zeros = static_cast<std::size_t>(
        std::find_if(from.begin(), from.end(), [](std::byte b) { return b != std::byte{}; }) -
        from.begin());
    if (zeros > 0 || from.empty()) return {zeros, 0, State::end};
    between_ = false;
    if (::inflateReset(&stream_) != Z_OK) return damaged("no memory");
    return inflate(from, to);
  }

 protected:
  bool init() {
    constexpr int kGzipOnly = 16;
    return ::inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK;
  }
  /// Whether a member has ended and no other has begun.
  [[nodiscard]] bool is_between() const { return between_; }
  void set_between() { between_ = true; }

 private:
  Step inflate(Bytes from, MutableBytes to) {
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    // zlib takes a pointer to bytes that it does not change.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(from.data()));
    stream_.avail_in = static_cast<uInt>(std::min(from.size(), kMost));
    stream_.next_out = reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = static_cast<uInt>(std::min(to.size(), kMost));
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    const std::size_t written = std::min(to.size(), kMost) - stream_.avail_out;
    const std::size_t read = std::min(from.size(), kMost) - stream_.avail_in;
    if (status == Z_STREAM_END) {
      between_ = true;
      return {read, written, State::end};
    }
    if (status == Z_OK || status == Z_BUF_ERROR) return {read, written, State::more};
    return damaged(stream_.msg != nullptr ? stream_.msg : "no gzip data", read, written);
  }

  z_stream stream_{};
  bool between_ = false;  // two members, or behind the last one
};

class BgzfDecoder final : public GzipDecoder {
 public:
  static std::unique_ptr<StreamDecoder> make() {
    auto decoder = std::make_unique<BgzfDecoder>();
    const bool is_ready = decoder->whole_ != nullptr && decoder->init();
    return is_ready ? std::move(decoder) : nullptr;
  }
  Step step(Bytes from, MutableBytes to) override {
    const bool begins = !begun_ || is_between();
    begun_ = true;
    if (begins) {
      std::size_t read = 0, written = 0;
      const libdeflate_result status = ::libdeflate_gzip_decompress_ex(
          whole_.get(), from.data(), from.size(), to.data(), to.size(), &read, &written);
      if (status == LIBDEFLATE_SUCCESS) {
        set_between();
        return {read, written, State::end};
      }
    }
    return GzipDecoder::step(from, to);  // it is not all there, or something is wrong with it
  }

 private:
  struct Free {
    void operator()(libdeflate_decompressor* d) const { ::libdeflate_free_decompressor(d); }
  };
  std::unique_ptr<libdeflate_decompressor, Free> whole_{::libdeflate_alloc_decompressor()};
  bool begun_ = false;
};

class ZstdDecoder final : public StreamDecoder {
 public:
  static std::unique_ptr<StreamDecoder> make() {
    auto decoder = std::make_unique<ZstdDecoder>();
    if (decoder->context_ == nullptr) return nullptr;
    constexpr int kMostWindowLog = 31;
    static_assert(std::uint64_t{1} << unsigned{kMostWindowLog} == kMostWindow);
    const auto set =
        ::ZSTD_DCtx_setParameter(decoder->context_.get(), ZSTD_d_windowLogMax, kMostWindowLog);
    return ::ZSTD_isError(set) != 0 ? nullptr : std::move(decoder);
  }

  Step step(Bytes from, MutableBytes to) override {
    ZSTD_inBuffer in{from.data(), from.size(), 0};
    ZSTD_outBuffer out{to.data(), to.size(), 0};
    const std::size_t status = ::ZSTD_decompressStream(context_.get(), &out, &in);
    if (::ZSTD_isError(status) != 0) {
      return damaged(::ZSTD_getErrorName(status), in.pos, out.pos);
    }
    // Without input it says what it wants next, be there a frame to end or not.
    if (from.empty() && out.pos == 0) return {0, 0, between_ ? State::end : State::more};
    between_ = status == 0;
    return {in.pos, out.pos, between_ ? State::end : State::more};
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_{::ZSTD_createDCtx()};
  bool between_ = false;
};

const char* problem_text(lzma_ret status) {
  switch (status) {
    case LZMA_FORMAT_ERROR:
      return "no xz data";
    case LZMA_OPTIONS_ERROR:
      return "a filter or option that is not known";
    case LZMA_DATA_ERROR:
      return "data error";
    case LZMA_MEM_ERROR:
    case LZMA_MEMLIMIT_ERROR:
      return "it needs too much memory";
    default:
      return "error of the library";
  }
}

class XzDecoder : public StreamDecoder {
 public:
  XzDecoder() = default;
  XzDecoder(const XzDecoder&) = delete;
  XzDecoder& operator=(const XzDecoder&) = delete;
  ~XzDecoder() override { ::lzma_end(&stream_); }

  static std::unique_ptr<StreamDecoder> make() {
    auto decoder = std::make_unique<XzDecoder>();
    const auto status = ::lzma_stream_decoder(&decoder->stream_, kMostWindow, LZMA_CONCATENATED);
    return status == LZMA_OK ? std::move(decoder) : nullptr;
  }

  Step step(Bytes from, MutableBytes to) override { return run(from, to); }

 protected:
  Step run(Bytes from, MutableBytes to) {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(from.data());
    stream_.avail_in = from.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(to.data());
    stream_.avail_out = to.size();
    const lzma_ret status = ::lzma_code(&stream_, from.empty() ? LZMA_FINISH : LZMA_RUN);
    const Step done{from.size() - stream_.avail_in, to.size() - stream_.avail_out, State::more};
    if (status == LZMA_STREAM_END) return {done.read, done.written, State::end};
    if (status == LZMA_OK || status == LZMA_BUF_ERROR) return done;
    return damaged(problem_text(status), done.read, done.written);
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class XzBlockDecoder final : public XzDecoder {
 public:
  explicit XzBlockDecoder(unsigned check) {
    block_.version = 1;
    block_.check = static_cast<lzma_check>(check);
    block_.filters = filters_.data();
  }
  ~XzBlockDecoder() override { ::lzma_filters_free(filters_.data(), nullptr); }
  XzBlockDecoder(const XzBlockDecoder&) = delete;
  XzBlockDecoder& operator=(const XzBlockDecoder&) = delete;

  /// The block's header, of at most 1 KiB, must lie in the first bytes.
  Step step(Bytes from, MutableBytes to) override {
    if (begun_) return run(from, to);
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(from.data());
    if (from.empty() || bytes[0] == 0) return damaged("no block begins there");
    block_.header_size = lzma_block_header_size_decode(bytes[0]);
    if (block_.header_size > from.size()) return {};
    lzma_ret status = ::lzma_block_header_decode(&block_, nullptr, bytes);
    // A failure leaves none to be freed.
    if (status != LZMA_OK) return damaged(problem_text(status));
    if (::lzma_raw_decoder_memusage(filters_.data()) > kMostWindow) {
      return damaged(problem_text(LZMA_MEMLIMIT_ERROR));
    }
    status = ::lzma_block_decoder(&stream_, &block_);
    if (status != LZMA_OK) return damaged(problem_text(status));
    begun_ = true;
    Step step = run(from.subspan(block_.header_size), to);
    step.read += block_.header_size;
    return step;
  }

 private:
  lzma_block block_{};
  std::array<lzma_filter, LZMA_FILTERS_MAX + 1> filters_ = [] {
    std::array<lzma_filter, LZMA_FILTERS_MAX + 1> none;
    none.fill({LZMA_VLI_UNKNOWN, nullptr});
    return none;
  }();
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<StreamDecoder> gzip_decoder() {
  return GzipDecoder::make();
}
std::unique_ptr<StreamDecoder> bgzf_decoder() {
  return BgzfDecoder::make();
}
std::unique_ptr<StreamDecoder> zstd_decoder() {
  return ZstdDecoder::make();
}
std::unique_ptr<StreamDecoder> xz_decoder() {
  return XzDecoder::make();
}
std::unique_ptr<StreamDecoder> xz_block_decoder(unsigned check) {
  return std::make_unique<XzBlockDecoder>(check);
}

}  // namespace engram::image
