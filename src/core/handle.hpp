// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <utility>

namespace constrictor {

/// Sole owner of a C handle. Api: type Raw, static Raw empty(), static void destroy(Raw) noexcept.
template <class Api>
class Handle {
 public:
  using Raw = typename Api::Raw;
  explicit Handle(Raw raw = Api::empty()) noexcept : raw_(raw) {}
  Handle(Handle&& other) noexcept : raw_(std::exchange(other.raw_, Api::empty())) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (raw_ != Api::empty()) Api::destroy(raw_);
  }
  Raw get() const noexcept { return raw_; }

 private:
  Raw raw_;
};

}  // namespace constrictor
