// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/session.h"

#include <utility>

namespace engram::kernel {

class LinuxKernel {};

Session::Session(image::Image image) : image_(std::move(image)) {}
Session::~Session() = default;

}  // namespace engram::kernel
