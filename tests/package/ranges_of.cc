// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Prints the regions of physical memory that an image has.
#include <cstdio>

#include "image/image.h"

int main(int argc, char** argv) {
  const auto image = engram::image::Image::open(argc > 1 ? argv[1] : "");
  if (!image) {
    std::fprintf(stderr, "%s\n", image.error().text.c_str());
    return 1;
  }
  for (const auto& region : image->memory().regions()) {
    std::printf("%llx %llx\n", static_cast<unsigned long long>(region.start.value),
                static_cast<unsigned long long>(region.size));
  }
  return 0;
}
