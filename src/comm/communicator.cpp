// SPDX-License-Identifier: Apache-2.0
#include "comm/communicator.hpp"

#include <algorithm>

#include "comm/mpi_check.hpp"

namespace constrictor::comm {

struct Communicator::State {
  MPI_Comm comm = MPI_COMM_NULL;  // null: alone, without MPI
  int rank = 0;
  int size = 1;
  int node_rank = 0;
  int node_size = 1;
  std::vector<std::string> hosts = {"localhost"};
  Index piece = default_piece;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (comm != MPI_COMM_NULL) MPI_Comm_free(&comm);
  }
};

namespace {

/// call(first, count) for pieces that fit MPI's int counts.
template <class Call>
void in_pieces(Index count, Index piece, Call&& call) {
  for (Index first = 0; first < count; first += piece)
    call(first, static_cast<int>(std::min(piece, count - first)));
}

template <class T>
MPI_Datatype datatype();
template <>
MPI_Datatype datatype<float>() {
  return MPI_FLOAT;
}
template <>
MPI_Datatype datatype<double>() {
  return MPI_DOUBLE;
}
template <>
MPI_Datatype datatype<Index>() {
  return MPI_INT64_T;
}

template <class T, class State>
void reduce(const State& state, std::span<T> values, MPI_Op operation) {
  if (state.size == 1) return;
  in_pieces(static_cast<Index>(values.size()), state.piece, [&](Index first, int count) {
    CONSTRICTOR_MPI(MPI_Allreduce(MPI_IN_PLACE, values.data() + first, count, datatype<T>(),
                                  operation, state.comm));
  });
}

template <class T, class State>
T reduce_one(const State& state, T value, MPI_Op operation) {
  reduce(state, std::span<T>(&value, 1), operation);
  return value;
}

std::string host_name() {
  char name[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  CONSTRICTOR_MPI(MPI_Get_processor_name(name, &length));
  return std::string(name, static_cast<std::size_t>(length));
}

}  // namespace

Communicator::Communicator() : state_(std::make_unique<State>()) {}
Communicator::Communicator(std::unique_ptr<State> state) : state_(std::move(state)) {}
Communicator::~Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;

Communicator Communicator::world(Index piece) {
  CONSTRICTOR_REQUIRE(piece > 0 && piece <= Index{1} << 30, piece);
  auto state = std::make_unique<State>();
  state->piece = piece;
  CONSTRICTOR_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &state->comm));
  CONSTRICTOR_MPI(MPI_Comm_set_errhandler(state->comm, MPI_ERRORS_RETURN));
  CONSTRICTOR_MPI(MPI_Comm_rank(state->comm, &state->rank));
  CONSTRICTOR_MPI(MPI_Comm_size(state->comm, &state->size));

  MPI_Comm node = MPI_COMM_NULL;
  CONSTRICTOR_MPI(
      MPI_Comm_split_type(state->comm, MPI_COMM_TYPE_SHARED, state->rank, MPI_INFO_NULL, &node));
  CONSTRICTOR_MPI(MPI_Comm_rank(node, &state->node_rank));
  CONSTRICTOR_MPI(MPI_Comm_size(node, &state->node_size));
  CONSTRICTOR_MPI(MPI_Comm_free(&node));

  const std::string host = host_name();
  Communicator all(std::move(state));
  all.state_->hosts.clear();
  for (const Bytes& name : all.all_gather(bytes_of(std::span<const char>(host)))) {
    const auto letters = values_of<char>(name);
    all.state_->hosts.emplace_back(letters.begin(), letters.end());
  }
  return all;
}

int Communicator::rank() const { return state_->rank; }
int Communicator::size() const { return state_->size; }
int Communicator::node_rank() const { return state_->node_rank; }
int Communicator::node_size() const { return state_->node_size; }
const std::vector<std::string>& Communicator::hosts() const { return state_->hosts; }

void Communicator::barrier() const {
  if (size() > 1) CONSTRICTOR_MPI(MPI_Barrier(state_->comm));
}

void Communicator::broadcast_bytes(void* data, Index bytes, int root) const {
  if (size() == 1) return;
  auto* start = static_cast<std::byte*>(data);
  in_pieces(bytes, state_->piece, [&](Index first, int count) {
    CONSTRICTOR_MPI(MPI_Bcast(start + first, count, MPI_BYTE, root, state_->comm));
  });
}

void Communicator::broadcast(std::string& text, int root) const {
  Index count = static_cast<Index>(text.size());
  broadcast(count, root);
  text.resize(static_cast<std::size_t>(count));
  broadcast_bytes(text.data(), count, root);
}

void Communicator::sum(std::span<float> values) const { reduce(*state_, values, MPI_SUM); }
void Communicator::sum(std::span<double> values) const { reduce(*state_, values, MPI_SUM); }
void Communicator::sum(std::span<Index> values) const { reduce(*state_, values, MPI_SUM); }
double Communicator::max(double value) const { return reduce_one(*state_, value, MPI_MAX); }
Index Communicator::max(Index value) const { return reduce_one(*state_, value, MPI_MAX); }
double Communicator::min(double value) const { return reduce_one(*state_, value, MPI_MIN); }
Index Communicator::min(Index value) const { return reduce_one(*state_, value, MPI_MIN); }

std::vector<Bytes> Communicator::gather(std::span<const std::byte> mine, int root) const {
  Index length = static_cast<Index>(mine.size());
  if (rank() != root) {
    send_bytes(&length, sizeof(length), root);
    send_bytes(mine.data(), length, root);
    return {};
  }
  std::vector<Bytes> all(static_cast<std::size_t>(size()));
  for (int from = 0; from < size(); ++from) {
    Bytes& buffer = all[static_cast<std::size_t>(from)];
    if (from == root) {
      buffer.assign(mine.begin(), mine.end());
      continue;
    }
    receive_bytes(&length, sizeof(length), from);
    buffer.resize(static_cast<std::size_t>(length));
    receive_bytes(buffer.data(), length, from);
  }
  return all;
}

std::vector<Bytes> Communicator::all_gather(std::span<const std::byte> mine) const {
  std::vector<Bytes> all(static_cast<std::size_t>(size()));
  for (int from = 0; from < size(); ++from) {
    Bytes& buffer = all[static_cast<std::size_t>(from)];
    if (from == rank()) buffer.assign(mine.begin(), mine.end());
    broadcast(buffer, from);
  }
  return all;
}

void Communicator::send_bytes(const void* data, Index bytes, int to) const {
  CONSTRICTOR_REQUIRE(to != rank() && to >= 0 && to < size(), to, rank(), size());
  const auto* start = static_cast<const std::byte*>(data);
  in_pieces(bytes, state_->piece, [&](Index first, int count) {
    CONSTRICTOR_MPI(MPI_Send(start + first, count, MPI_BYTE, to, 0, state_->comm));
  });
}

void Communicator::receive_bytes(void* data, Index bytes, int from) const {
  CONSTRICTOR_REQUIRE(from != rank() && from >= 0 && from < size(), from, rank(), size());
  auto* start = static_cast<std::byte*>(data);
  in_pieces(bytes, state_->piece, [&](Index first, int count) {
    CONSTRICTOR_MPI(
        MPI_Recv(start + first, count, MPI_BYTE, from, 0, state_->comm, MPI_STATUS_IGNORE));
  });
}

}  // namespace constrictor::comm
