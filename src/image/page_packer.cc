// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/page_packer.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#ifdef ENGRAM_LZO
#include <lzo/lzo1x.h>
#endif

#include <vector>

namespace engram::image {
namespace {

// The levels are those of makedumpfile: speed comes first.
constexpr int kZlibLevel = Z_BEST_SPEED;
constexpr int kZstdLevel = 1;

/// Room for what comes out.
class Output {
 public:
  unsigned char* room(std::size_t size) {
    if (bytes_.size() < size) bytes_.resize(size);
    return reinterpret_cast<unsigned char*>(bytes_.data());
  }
  [[nodiscard]] Bytes gain(std::size_t size, Bytes page) const {
    return size < page.size() ? Bytes(bytes_).first(size) : Bytes();
  }

 private:
  std::vector<std::byte> bytes_;
};

const unsigned char* data_of(Bytes page) {
  return reinterpret_cast<const unsigned char*>(page.data());
}

class NoPacker final : public PagePacker {
 public:
  Bytes pack(Bytes) override { return {}; }
};

class ZlibPacker final : public PagePacker {
 public:
  ZlibPacker() : is_ready_(::deflateInit(&stream_, kZlibLevel) == Z_OK) {}
  ~ZlibPacker() override {
    if (is_ready_) ::deflateEnd(&stream_);
  }
  ZlibPacker(const ZlibPacker&) = delete;
  ZlibPacker& operator=(const ZlibPacker&) = delete;
  [[nodiscard]] bool is_ready() const { return is_ready_; }

  Bytes pack(Bytes page) override {
    if (::deflateReset(&stream_) != Z_OK) return {};
    const uLong most = ::deflateBound(&stream_, page.size());
    stream_.next_in = const_cast<Bytef*>(data_of(page));  // zlib does not write there
    stream_.avail_in = static_cast<uInt>(page.size());
    stream_.next_out = output_.room(most);
    stream_.avail_out = static_cast<uInt>(most);
    if (::deflate(&stream_, Z_FINISH) != Z_STREAM_END) return {};
    return output_.gain(stream_.total_out, page);
  }

 private:
  z_stream stream_ = {};
  bool is_ready_;
  Output output_;
};

class SnappyPacker final : public PagePacker {
 public:
  Bytes pack(Bytes page) override {
    std::size_t size = ::snappy_max_compressed_length(page.size());
    auto* const to = reinterpret_cast<char*>(output_.room(size));
    const auto* const from = reinterpret_cast<const char*>(page.data());
    if (::snappy_compress(from, page.size(), to, &size) != SNAPPY_OK) return {};
    return output_.gain(size, page);
  }

 private:
  Output output_;
};

class ZstdPacker final : public PagePacker {
 public:
  [[nodiscard]] bool is_ready() const { return context_ != nullptr; }

  Bytes pack(Bytes page) override {
    const std::size_t most = ::ZSTD_compressBound(page.size());
    const std::size_t size = ::ZSTD_compressCCtx(context_.get(), output_.room(most), most,
                                                 page.data(), page.size(), kZstdLevel);
    return ::ZSTD_isError(size) != 0 ? Bytes() : output_.gain(size, page);
  }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ::ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_{::ZSTD_createCCtx()};
  Output output_;
};

#ifdef ENGRAM_LZO
class LzoPacker final : public PagePacker {
 public:
  LzoPacker() : is_ready_(lzo_init() == LZO_E_OK), work_(LZO1X_1_MEM_COMPRESS) {}
  [[nodiscard]] bool is_ready() const { return is_ready_; }

  Bytes pack(Bytes page) override {
    // LZO's FAQ: what cannot be compressed grows by that much.
    lzo_uint size = page.size() + page.size() / 16 + 64 + 3;
    unsigned char* const to = output_.room(size);
    if (::lzo1x_1_compress(data_of(page), page.size(), to, &size, work_.data()) != LZO_E_OK) {
      return {};
    }
    return output_.gain(size, page);
  }

 private:
  bool is_ready_;
  std::vector<std::byte> work_;
  Output output_;
};
#endif

template <class Packer>
Result<std::unique_ptr<PagePacker>> checked(std::unique_ptr<Packer> packer, Codec codec) {
  if (!packer->is_ready()) return fail("{}: there is no memory to compress with", to_string(codec));
  return packer;
}

}  // namespace

Result<std::unique_ptr<PagePacker>> PagePacker::create(Codec codec) {
  switch (codec) {
    case Codec::none:
      return std::make_unique<NoPacker>();
    case Codec::zlib:
      return checked(std::make_unique<ZlibPacker>(), codec);
    case Codec::snappy:
      return std::make_unique<SnappyPacker>();
    case Codec::zstd:
      return checked(std::make_unique<ZstdPacker>(), codec);
    case Codec::lzo:
#ifdef ENGRAM_LZO
      return checked(std::make_unique<LzoPacker>(), codec);
#else
      break;
#endif
  }
  return fail("{}: this engram was built without it", to_string(codec));
}

}  // namespace engram::image
