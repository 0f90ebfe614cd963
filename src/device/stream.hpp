// SPDX-License-Identifier: Apache-2.0
#pragma once
// Streams wait for streams, not the host for streams. No CUDA header: callers see raw handles as
// pointers to what the CUDA headers declare.
#include <string>

#include "core/handle.hpp"

struct CUstream_st;
struct CUevent_st;

namespace constrictor::device {

/// A queue of work on the current device, with a name for messages and profilers.
class Stream {
 public:
  explicit Stream(std::string name);
  const std::string& name() const { return name_; }
  CUstream_st* raw() const { return handle_.get(); }

  /// What comes from now on waits for all that `other` holds so far; the host waits for nothing.
  void wait_for(const Stream& other) const;
  /// The host waits until the stream is empty; failures of its kernels are thrown here.
  void synchronize() const;

 private:
  struct Api {
    using Raw = CUstream_st*;
    static Raw empty() { return nullptr; }
    static void destroy(Raw) noexcept;
  };
  struct EventApi {
    using Raw = CUevent_st*;
    static Raw empty() { return nullptr; }
    static void destroy(Raw) noexcept;
  };
  std::string name_;
  Handle<Api> handle_;
  Handle<EventApi> marker_;  // of wait_for
};

}  // namespace constrictor::device
