// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/areas.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is that of POSIX
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/test_file.h"

namespace engram::mapping {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(ParseAreaTest, EveryField) {
  const auto area = parse_area(
      "7f0a12400000-7f0a12452000 r-xp 00021000 103:1ff 18446744073709551615          /usr/bin/x y");
  ASSERT_TRUE(area) << area.error().text;
  Area expected;
  expected.range = {HostAddr(0x7f0a12400000), 0x52000};
  expected.prot = Prot::read | Prot::exec;
  expected.kind = Area::Kind::file;
  expected.offset = FileOffset(0x21000);
  expected.device_major = 0x103;
  expected.device_minor = 0x1ff;
  expected.inode = kMax;
  expected.path = "/usr/bin/x y";
  EXPECT_EQ(*area, expected);
}

TEST(ParseAreaTest, KindsByName) {
  const auto parse = [](std::string_view name) {
    return parse_area("1000-2000 rw-s 00000000 00:00 0    " + std::string(name)).value();
  };
  const std::map<std::string, Area::Kind> kinds = {
      {"", Area::Kind::anonymous},           {"[heap]", Area::Kind::heap},
      {"[stack]", Area::Kind::stack},        {"[vdso]", Area::Kind::vdso},
      {"[vvar]", Area::Kind::vvar},          {"[vvar_vclock]", Area::Kind::vvar},
      {"[vsyscall]", Area::Kind::vsyscall},  {"[anon:arena 1]", Area::Kind::named},
      {"[anon_shmem:x]", Area::Kind::named}, {"[uprobes]", Area::Kind::other},
      {"/a [b]", Area::Kind::file},          {"anon_inode:[perf_event]", Area::Kind::file},
  };
  for (const auto& [name, kind] : kinds) EXPECT_EQ(parse(name).kind, kind) << name;
  EXPECT_EQ(parse("[anon:arena 1]").path, "arena 1");
  EXPECT_EQ(parse("[uprobes]").path, "uprobes");
  EXPECT_EQ(parse("[heap]").path, "");
  EXPECT_EQ(parse("").share, Share::shared);
  EXPECT_EQ(parse("").prot, Prot::read | Prot::write);
}

TEST(ParseAreaTest, SaysWhatWasExpectedAndWhere) {
  const auto text = [](std::string_view line) {
    const auto area = parse_area(line);
    return area ? "no error" : area.error().text;
  };
  EXPECT_EQ(text(""), "at character 0: expected a start address");
  EXPECT_EQ(text("1000"), "at character 4: expected '-' behind a start address");
  EXPECT_EQ(text("11112222333344445-2000 rw-p 0 0:0 0"),
            "at character 0: a start address exceeds 64 bits");
  EXPECT_EQ(text("2000-1000 rw-p 0 0:0 0"), "at character 10: the end 0x1000 is not above 0x2000");
  EXPECT_EQ(text("1000-1000 rw-p 0 0:0 0"), "at character 10: the end 0x1000 is not above 0x1000");
  EXPECT_EQ(text("1000-2000 rz-p 0 0:0 0"), "at character 11: expected 'w' or '-'");
  EXPECT_EQ(text("1000-2000 rw-?"), "at character 13: expected 's' or 'p'");
  EXPECT_EQ(text("1000-2000 rw-p0 0:0 0"), "at character 14: expected a blank");
  EXPECT_EQ(text("1000-2000 rw-p 0 100000000:0 0"),
            "at character 17: a major device number exceeds 32 bits");
  EXPECT_EQ(text("1000-2000 rw-p 0 0:0 "), "at character 21: expected an inode number");
  EXPECT_EQ(text("1000-2000 rw-p 0 0:0 x"), "at character 21: expected an inode number");
  EXPECT_EQ(text("1000-2000 rw-p 0 0:0 -1"), "at character 21: expected an inode number");
  EXPECT_EQ(text("1000-2000 rw-p 0 0:0 0"), "no error");
}

std::vector<Area> good(AreaCursor cursor) {
  std::vector<Area> areas;
  for (const Result<Area>& area : cursor) {
    EXPECT_TRUE(area) << area.error().text;
    if (area) areas.push_back(*area);
  }
  return areas;
}

/// A process that does nothing, with some areas worth looking at.
class Sleeper {
 public:
  Sleeper() : pid_(::fork()) {
    if (pid_ == 0) {
      while (true) ::pause();
    }
  }
  ~Sleeper() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

/// A page that is mapped as long as it lives.
class Page {
 public:
  Page(int prot, int flags, int fd = -1) : data_(::mmap(nullptr, kPageSize, prot, flags, fd, 0)) {}
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  ~Page() { ::munmap(data_, kPageSize); }
  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] HostAddr address() const {
    return HostAddr(reinterpret_cast<std::uintptr_t>(data_));
  }

 private:
  void* data_;
};

/// Areas of every kind that a process can make without privileges.
class AreasTwinTest : public testing::Test {
 protected:
  AreasTwinTest() {
    ::unlink(path_.c_str());
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    EXPECT_EQ(::ftruncate(fd_, kPageSize), 0);
    deleted_ = ::memfd_create("engram test", MFD_CLOEXEC);
    EXPECT_EQ(::ftruncate(deleted_, kPageSize), 0);
    add(PROT_READ, MAP_SHARED, fd_);
    add(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd_);
    add(PROT_READ | PROT_WRITE, MAP_SHARED, deleted_);
    add(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    add(PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    add(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    // PR_SET_VMA, PR_SET_VMA_ANON_NAME; refused by kernels without CONFIG_ANON_VMA_NAME.
    ::prctl(0x53564d61, 0, pages_.back()->data(), kPageSize, "engram name");
  }
  ~AreasTwinTest() override {
    ::unlink(path_.c_str());
    ::close(fd_);
    ::close(deleted_);
  }
  void add(int prot, int flags, int fd) {
    pages_.push_back(std::make_unique<Page>(prot, flags, fd));
  }

  const std::string path_ = testing::TempDir() + "engram areas\n(x) " + std::to_string(::getpid());
  int fd_ = -1, deleted_ = -1;
  std::vector<std::unique_ptr<Page>> pages_;
};

TEST_F(AreasTwinTest, RequestsAndTextAgreeOnAProcessThatStandsStill) {
  const Sleeper sleeper;
  const auto fast = Areas::of_process(sleeper.pid());
  const auto slow = Areas::of_process(sleeper.pid(), Areas::Method::text);
  ASSERT_TRUE(fast) << fast.error().text;
  ASSERT_TRUE(slow) << slow.error().text;
  if (!fast->uses_requests()) GTEST_SKIP() << "the kernel has no PROCMAP_QUERY (Linux 6.11)";
  EXPECT_FALSE(slow->uses_requests());

  constexpr AddressRange kUser{HostAddr(0), std::uint64_t{1} << 63};
  const std::vector<Area> areas = good(fast->query(kUser));
  EXPECT_GT(areas.size(), 10u);
  EXPECT_EQ(areas, good(slow->query(kUser)));
  std::size_t kinds_seen = 0;
  for (const Area& area : areas) {
    kinds_seen |= std::size_t{1} << static_cast<unsigned>(area.kind);
    const HostAddr last = area.range.end() - 1;
    for (const HostAddr address : {area.range.start, last}) {
      EXPECT_EQ(fast->query(address).value(), area) << area.path;
      EXPECT_EQ(slow->query(address).value(), area) << area.path;
    }
    EXPECT_EQ(fast->query(last + 1).value(), slow->query(last + 1).value());
    const AddressRange around{area.range.start - 1, area.range.size + 2};
    EXPECT_EQ(good(fast->query(around)), good(slow->query(around)));
    EXPECT_EQ(good(fast->query(AddressRange{last, 1})), std::vector<Area>{area});
  }
  for (const Area::Kind kind :
       {Area::Kind::anonymous, Area::Kind::file, Area::Kind::stack, Area::Kind::vdso}) {
    EXPECT_NE(kinds_seen & std::size_t{1} << static_cast<unsigned>(kind), 0u);
  }
}

TEST_F(AreasTwinTest, FieldsAreThoseOfTheMapping) {
  for (const Areas::Method method : {Areas::Method::best, Areas::Method::text}) {
    const auto areas = Areas::of_self(method);
    ASSERT_TRUE(areas) << areas.error().text;
    const File file = File::duplicate(fd_).value();
    const Area shared = areas->query(pages_[0]->address()).value().value();
    EXPECT_EQ(shared.path, path_);
    EXPECT_EQ(shared.kind, Area::Kind::file);
    EXPECT_EQ(shared.share, Share::shared);
    EXPECT_EQ(shared.prot, Prot::read);
    EXPECT_EQ(shared.inode, file.identity()->inode);
    EXPECT_FALSE(shared.is_deleted);
    EXPECT_EQ(areas->query(pages_[1]->address()).value()->prot, Prot::read | Prot::exec);
    EXPECT_EQ(areas->query(pages_[1]->address()).value()->share, Share::private_);
    const Area memory = areas->query(pages_[2]->address()).value().value();
    EXPECT_EQ(memory.path, "/memfd:engram test");
    EXPECT_TRUE(memory.is_deleted);
    EXPECT_EQ(areas->query(pages_[3]->address()).value()->prot, Prot::none);
    const Area zero = areas->query(pages_[4]->address()).value().value();
    EXPECT_EQ(zero.path, "/dev/zero");
    EXPECT_EQ(zero.share, Share::shared);
  }
}

TEST(AreasTest, AddressesWhereNothingIsAndTheVeryLastOne) {
  for (const Areas::Method method : {Areas::Method::best, Areas::Method::text}) {
    const auto areas = Areas::of_self(method);
    ASSERT_TRUE(areas) << areas.error().text;
    EXPECT_EQ(areas->query(HostAddr(0)).value(), std::nullopt);
    EXPECT_EQ(areas->query(HostAddr(kMax)).value(), std::nullopt);
    EXPECT_TRUE(good(areas->query(AddressRange{HostAddr(0), 0})).empty());
    EXPECT_TRUE(good(areas->query(AddressRange{HostAddr(kMax), kMax})).empty());
    EXPECT_GE(good(areas->query(AddressRange{HostAddr(0x1000), kMax})).size(), 10u);
  }
}

TEST(AreasTest, VsyscallIsFoundWithEitherMethodWhereThereIsOne) {
  const HostAddr vsyscall(0xffffffffff600000);  // Linux arch/x86/include/uapi/asm/vsyscall.h
  const auto text = Areas::of_self(Areas::Method::text)->query(vsyscall).value();
  if (!text) GTEST_SKIP() << "this kernel has no vsyscall area";
  EXPECT_EQ(text->kind, Area::Kind::vsyscall);
  const auto areas = Areas::of_self().value();
  EXPECT_EQ(areas.query(vsyscall).value(), text);
  EXPECT_EQ(good(areas.all()).back(), *text);
}

TEST(AreasTest, NoSuchProcessAndOneThatEndsMeanwhile) {
  Sleeper sleeper;
  const auto areas = Areas::of_process(sleeper.pid());
  ASSERT_TRUE(areas) << areas.error().text;
  const pid_t pid = sleeper.pid();
  sleeper.end();
  const auto item = areas->all().next();
  ASSERT_TRUE(item && !*item);
  EXPECT_THAT(item->error().text, HasSubstr("No such process"));
  const auto area = areas->query(HostAddr(0x1000));
  ASSERT_FALSE(area);
  EXPECT_THAT(area.error().text, HasSubstr("No such process"));
  EXPECT_THAT(Areas::of_process(pid).error().text, HasSubstr("No such file or directory"));
  EXPECT_FALSE(Areas::of_process(-1));
}

TEST(AreasTest, ALineWithoutEndIsAnErrorAndNotAnAllocation) {
  const std::string endless(std::size_t{3} << 20, '1');
  const test::TempFile file(std::as_bytes(std::span(endless)));
  AreaCursor cursor = Areas::in_file(file.path())->all();
  const auto item = cursor.next();
  ASSERT_TRUE(item && !*item);
  EXPECT_THAT(item->error().text, HasSubstr("line 1 has no end"));
  EXPECT_FALSE(cursor.next());
}

TEST(AreasTest, LinesLongerThanABufferAndOnesWithoutNewline) {
  const std::string path(200'000, 'p');
  const std::string text = "1000-2000 rw-p 0 0:0 0 /" + path + "\n3000-4000 r--p 0 0:0 0";
  const test::TempFile file(std::as_bytes(std::span(text)));
  const std::vector<Area> areas = good(Areas::in_file(file.path())->all());
  ASSERT_EQ(areas.size(), 2u);
  EXPECT_EQ(areas[0].path, "/" + path);
  EXPECT_EQ(areas[1].range, (AddressRange{HostAddr(0x3000), 0x1000}));
}

}  // namespace
}  // namespace engram::mapping
