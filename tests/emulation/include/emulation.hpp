// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests of the emulation itself.

namespace emulation {

/// A broken device works again, counted launches start from one.
void restore_device();

}  // namespace emulation
