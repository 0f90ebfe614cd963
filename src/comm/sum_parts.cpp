// SPDX-License-Identifier: Apache-2.0
#include "comm/sum_parts.hpp"

#include <algorithm>

#include "core/parallel.hpp"

namespace constrictor::comm {

namespace {

constexpr Index message_bytes = Index{8} << 20;
constexpr Index add_width = Index{1} << 16;  // elements that one thread adds at a time

Index bytes_of_part(const SumPart& part) {
  return std::visit([](auto span) { return static_cast<Index>(span.size_bytes()); }, part);
}

/// A piece of one part and where it lies in the message; offsets are multiples of 8 bytes.
struct Segment {
  SumPart values;
  Index offset = 0;
};

/// deliver(segments, bytes of the message) for one message after the other. Both ends cut alike,
/// because the cuts depend on the shapes only.
template <class Deliver>
void for_each_message(const SumParts& parts, Deliver&& deliver) {
  std::vector<Segment> segments;
  Index used = 0;
  const auto flush = [&] {
    if (!segments.empty()) deliver(segments, used);
    segments.clear();
    used = 0;
  };
  for (const SumPart& part : parts)
    std::visit(
        [&](auto span) {
          while (!span.empty()) {
            const Index size = static_cast<Index>(sizeof(span[0]));
            const Index room = (message_bytes - used) / size;
            if (room == 0) {
              flush();
              continue;
            }
            const auto count = std::min<std::size_t>(span.size(), static_cast<std::size_t>(room));
            segments.push_back({span.first(count), used});
            used += (static_cast<Index>(count) * size + 7) / 8 * 8;
            span = span.subspan(count);
          }
        },
        part);
  flush();
}

/// use(array, the array's bytes in the message) for all segments.
template <class Use>
void for_each_segment(const std::vector<Segment>& segments, std::byte* message, Use&& use) {
  parallel_for(static_cast<Index>(segments.size()), [&](Index i) {
    const Segment& segment = segments[static_cast<std::size_t>(i)];
    std::visit([&](auto span) { use(span, message + segment.offset); }, segment.values);
  });
}

/// The message buffer is made of 8-byte words: aligned for every type of part.
std::vector<double> message_buffer(const SumParts& parts) {
  const Index bytes =
      std::min(message_bytes, bytes_of_parts(parts) + 8 * static_cast<Index>(parts.size()));
  return std::vector<double>(static_cast<std::size_t>(bytes / 8 + 1));
}
std::byte* start_of(std::vector<double>& buffer) {
  return reinterpret_cast<std::byte*>(buffer.data());
}

template <class T>
void add_arrays(T* into, const T* from, Index count) {
  for (Index i = 0; i < count; ++i) into[i] += from[i];
}

void pack(const std::vector<Segment>& segments, std::byte* message) {
  for_each_segment(segments, message, [](auto span, std::byte* at) {
    std::memcpy(at, span.data(), span.size_bytes());
  });
}
void unpack(const std::vector<Segment>& segments, std::byte* message) {
  for_each_segment(segments, message, [](auto span, std::byte* at) {
    std::memcpy(span.data(), at, span.size_bytes());
  });
}

/// The arrays cut every `add_width` elements: work for threads whose shape no thread count changes.
std::vector<std::pair<SumPart, Index>> pieces_of(const SumParts& parts) {
  std::vector<std::pair<SumPart, Index>> cut;  // piece, first element in its part
  for (const SumPart& part : parts)
    std::visit(
        [&](auto span) {
          const auto size = static_cast<Index>(span.size());
          for (Index i = 0; i < pieces(size, add_width); ++i) {
            const Piece p = piece(size, add_width, i);
            cut.emplace_back(
                span.subspan(static_cast<std::size_t>(p.first), static_cast<std::size_t>(p.size())),
                p.first);
          }
        },
        part);
  return cut;
}

}  // namespace

Index bytes_of_parts(const SumParts& parts) {
  Index bytes = 0;
  for (const SumPart& part : parts) bytes += bytes_of_part(part);
  return bytes;
}

void set_zero(const SumParts& parts) {
  const auto cut = pieces_of(parts);
  parallel_for(static_cast<Index>(cut.size()), [&](Index i) {
    std::visit([](auto span) { std::fill(span.begin(), span.end(), 0); },
               cut[static_cast<std::size_t>(i)].first);
  });
}

void add(const SumParts& into, const SumParts& from) {
  CONSTRICTOR_REQUIRE(into.size() == from.size(), into.size(), from.size());
  for (std::size_t i = 0; i < into.size(); ++i)
    CONSTRICTOR_REQUIRE(
        into[i].index() == from[i].index() && bytes_of_part(into[i]) == bytes_of_part(from[i]), i,
        bytes_of_part(into[i]), bytes_of_part(from[i]));
  const auto to_cut = pieces_of(into), from_cut = pieces_of(from);
  parallel_for(static_cast<Index>(to_cut.size()), [&](Index i) {
    const auto at = static_cast<std::size_t>(i);
    std::visit(
        [&](auto span) {
          const auto other = std::get<decltype(span)>(from_cut[at].first);
          add_arrays(span.data(), other.data(), static_cast<Index>(span.size()));
        },
        to_cut[at].first);
  });
}

void send_parts(const Communicator& ranks, const SumParts& parts, int to) {
  auto buffer = message_buffer(parts);
  for_each_message(parts, [&](const std::vector<Segment>& segments, Index bytes) {
    pack(segments, start_of(buffer));
    ranks.send_bytes(buffer.data(), bytes, to);
  });
}

void receive_and_add(const Communicator& ranks, const SumParts& into, int from) {
  auto buffer = message_buffer(into);
  for_each_message(into, [&](const std::vector<Segment>& segments, Index bytes) {
    ranks.receive_bytes(buffer.data(), bytes, from);
    for_each_segment(segments, start_of(buffer), [](auto span, std::byte* at) {
      using T = typename decltype(span)::element_type;
      add_arrays(span.data(), reinterpret_cast<const T*>(at), static_cast<Index>(span.size()));
    });
  });
}

void receive_parts(const Communicator& ranks, const SumParts& into, int from) {
  auto buffer = message_buffer(into);
  for_each_message(into, [&](const std::vector<Segment>& segments, Index bytes) {
    ranks.receive_bytes(buffer.data(), bytes, from);
    unpack(segments, start_of(buffer));
  });
}

void broadcast_parts(const Communicator& ranks, const SumParts& parts, int root) {
  if (ranks.size() == 1) return;
  auto buffer = message_buffer(parts);
  for_each_message(parts, [&](const std::vector<Segment>& segments, Index bytes) {
    if (ranks.rank() == root) pack(segments, start_of(buffer));
    ranks.broadcast_bytes(buffer.data(), bytes, root);
    if (ranks.rank() != root) unpack(segments, start_of(buffer));
  });
}

void fast_sum(const Communicator& ranks, const SumParts& parts) {
  for (const SumPart& part : parts) std::visit([&](auto span) { ranks.sum(span); }, part);
}

}  // namespace constrictor::comm
