// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Host mappings: what is to be mapped in, an owned range of host memory out, views of its bytes.
//
// In:     Options: a size, and possibly a file, a protection, a place in the address space.
// Out:    Mapping<Access, State>, whose type says what may be done with it; AnyMapping, which
//         checks that at run time; Arena, a window that mappings are placed into;
//         map_whole_file() (whole_file.h). Views of the bytes: VolatileSlice.
// Owner:  the mapping. Views borrow; they end with it.
// Errors: MemoryError. What consumes a mapping gives it back when it fails. A fault in an
//         access through a view is a short count and no signal (guarded.h says when that holds);
//         what is called unsafe, exclusive or trusted faults as any other access does.
//
// No other layer calls mmap, mprotect, madvise or mlock.

#include "mapping/any_mapping.h"
#include "mapping/arena.h"
#include "mapping/options.h"
#include "mapping/page_size.h"
#include "mapping/protection.h"
#include "mapping/shared_memory.h"
#include "mapping/typed_mapping.h"
#include "mapping/unowned_range.h"
#include "mapping/volatile_slice.h"
