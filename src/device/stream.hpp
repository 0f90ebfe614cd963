// SPDX-License-Identifier: Apache-2.0
#pragma once
// Streams wait for streams, not the host for streams. No CUDA header: callers see raw handles as
// pointers to what the CUDA headers declare.
#include <memory>
#include <string>

#include "core/handle.hpp"

struct CUstream_st;
struct CUevent_st;

namespace constrictor::device {

class Event;

/// A queue of work on the current device, with a name for messages and profilers.
class Stream {
 public:
  explicit Stream(std::string name);
  ~Stream();
  Stream(Stream&&) = delete;
  const std::string& name() const { return name_; }
  CUstream_st* raw() const { return handle_.get(); }

  /// What comes from now on waits for all that `other` holds so far; the host waits for nothing.
  void wait_for(const Stream& other) const;
  /// ... for what `event` has marked.
  void wait_for(const Event& event) const;
  /// The host waits until the stream is empty; failures of its kernels are thrown here.
  void synchronize() const;

 private:
  struct Api {
    using Raw = CUstream_st*;
    static Raw empty() { return nullptr; }
    static void destroy(Raw) noexcept;
  };
  std::string name_;
  Handle<Api> handle_;
  std::unique_ptr<Event> marker_;  // of wait_for
};

/// A mark in a stream that others can wait for.
class Event {
 public:
  Event();
  /// Marks what the stream holds so far; an earlier mark is forgotten.
  void record(const Stream& stream);
  /// The host waits; returns at once when nothing was marked.
  void synchronize() const;
  CUevent_st* raw() const { return handle_.get(); }

 private:
  struct Api {
    using Raw = CUevent_st*;
    static Raw empty() { return nullptr; }
    static void destroy(Raw) noexcept;
  };
  Handle<Api> handle_;
};

}  // namespace constrictor::device
