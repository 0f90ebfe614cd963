// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of the emulated runtime and libraries share.
#include <cstddef>
#include <functional>
#include <string>

#include "driver_types.h"

namespace emulation {

/// The environment variable, or what stands for it; read anew each time, so that tests may set it.
std::string setting(const char* name, const std::string& otherwise);
long number_setting(const char* name, long otherwise);

/// Prints "emulated CUDA: ..." on standard error.
void say(const std::string& message);
/// Returns the code, which cudaGetLastError will return too.
cudaError_t answer(cudaError_t code);
/// As answer(), with words for whoever has to find the mistake.
cudaError_t complain(cudaError_t code, const std::string& message);
/// The device fails with this code from now on (illegal address, launch failure, ECC).
void break_device(cudaError_t code, const std::string& message);
/// The code of break_device, or that there is no device or driver; cudaSuccess otherwise.
cudaError_t device_state();

/// Does the work in the order of the stream. Whether the stream exists has been checked.
void submit(cudaStream_t stream, std::function<void()> work);
/// What comes after it on the stream waits until ready() is true.
void submit_when(cudaStream_t stream, std::function<bool()> ready);
bool stream_exists(cudaStream_t stream);
/// Whether work submitted now is done when submit() returns.
bool runs_at_once(cudaStream_t stream);
/// Waits for all streams.
void drain_all();

// ---- memory.cpp
bool on_device(const void* pointer);
/// Whether the range lies within one allocation.
bool allocated(const void* pointer, std::size_t bytes);
/// Looks at the guard zones; breaks the device when one was overwritten. `when`: "kernel rms_norm".
void check_guards(const std::string& when);

}  // namespace emulation
