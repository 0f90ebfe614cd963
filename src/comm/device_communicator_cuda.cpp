// SPDX-License-Identifier: Apache-2.0
// NCCL never blocks here (blocking = 0): calls that are in progress are asked for until they are
// done, so that a rank that has died is noticed wherever the others are.
#include <cuda_runtime.h>
#include <nccl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/agree.hpp"
#include "comm/device_communicator.hpp"
#include "comm/rank_watch.hpp"
#include "core/timer.hpp"
#include "device/check_cuda.hpp"

namespace constrictor::comm {
namespace {

/// Seconds without end or error after which ranks count as stuck. A collective takes seconds; the
/// rest is for ranks that come late to it, with more lanes or a slower device.
constexpr double patience = 300;
/// Seconds between two looks at the other ranks.
constexpr double between_looks = 1;

/// What one rank tells the others before NCCL starts.
struct Facts {
  int nccl_version = 0;
  std::array<char, 16> device_id{};  // the same for everybody who sees the device
  std::array<char, 256> device_name{};
};

std::string nccl_text(int version) {
  const int major = version >= 10000 ? version / 10000 : version / 1000;
  const int rest = version >= 10000 ? version % 10000 : version % 1000;
  return std::to_string(major) + "." + std::to_string(rest / 100) + "." +
         std::to_string(rest % 100);
}

const char* hint_of(ncclResult_t code) {
  switch (code) {
    case ncclSystemError:
      return "; the network, or a full /dev/shm: NCCL_DEBUG=INFO says more, NCCL_SOCKET_IFNAME "
             "chooses the interface";
    case ncclRemoteError:
      return "; another rank has ended or cannot be reached: see its message";
    case ncclUnhandledCudaError:
      return "; NCCL_DEBUG=INFO says which call of CUDA failed";
    default:
      return "; NCCL_DEBUG=INFO says more";
  }
}
std::string nccl_words(const std::string& what, ncclResult_t code) {
  const char* last = ncclGetLastError(nullptr);  // of this process
  const std::string more = last != nullptr && *last != '\0' ? std::string(" (") + last + ")" : "";
  return what + ": NCCL: " + ncclGetErrorString(code) + more + hint_of(code);
}
/// For calls that concern this rank alone.
void nccl_check(ncclResult_t code, const char* call) {
  if (code != ncclSuccess) throw LibraryError(nccl_words(call, code));
}

Facts facts_of(const device::Context& gpu) {
  Facts facts;
  nccl_check(ncclGetVersion(&facts.nccl_version), "ncclGetVersion");
  cudaDeviceProp properties{};
  CONSTRICTOR_CUDA(cudaGetDeviceProperties(&properties, gpu.number()));
  static_assert(sizeof properties.uuid.bytes == sizeof facts.device_id);
  std::memcpy(facts.device_id.data(), properties.uuid.bytes, facts.device_id.size());
  gpu.name().copy(facts.device_name.data(), facts.device_name.size() - 1);
  return facts;
}

/// Collective; the same answer on all ranks.
void require_fit(const Communicator& ranks, const Facts& mine) {
  const auto gathered = ranks.all_gather(bytes_of(std::span<const Facts>(&mine, 1)));
  std::vector<Facts> all;
  for (const Bytes& bytes : gathered) all.push_back(values_of<Facts>(bytes).at(0));
  agree(ranks, [&] {
    for (std::size_t b = 1; b < all.size(); ++b) {
      if (all[b].nccl_version != all[0].nccl_version)
        throw UserError("run.device: cuda: rank 0 on " + ranks.hosts()[0] + " runs NCCL " +
                        nccl_text(all[0].nccl_version) + ", rank " + std::to_string(b) + " on " +
                        ranks.hosts()[b] + " runs NCCL " + nccl_text(all[b].nccl_version) +
                        ": load the same libraries on all nodes (LD_LIBRARY_PATH)");
      for (std::size_t a = 0; a < b; ++a)
        if (ranks.hosts()[a] == ranks.hosts()[b] && all[a].device_id == all[b].device_id)
          throw UserError("run.device: cuda: more ranks than devices on this node: ranks " +
                          std::to_string(a) + " and " + std::to_string(b) + " on " +
                          ranks.hosts()[a] + " share one device (" + all[a].device_name.data() +
                          "), and one rank drives one device; start one rank a device, each bound "
                          "to its own (slurm/bind_gpu.sh), or run on the CPU with --set "
                          "run.device=cpu");
    }
  });
}

}  // namespace

struct DeviceCommunicator::State {
  const Communicator& ranks;
  int version = 0;
  std::optional<RankWatch> watch;  // empty with one rank
  ncclComm_t comm = nullptr;       // null with one rank, and after a failure
  int exceptions_at_start = std::uncaught_exceptions();

  explicit State(const Communicator& all_ranks) : ranks(all_ranks) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (comm == nullptr) return;
    if (std::uncaught_exceptions() > exceptions_at_start) {
      ncclCommAbort(comm);  // the others may wait in a collective that this rank never enters
      return;
    }
    ncclResult_t code = ncclCommFinalize(comm);
    for (Patience waiting; code == ncclInProgress && waiting.seconds() < patience;) {
      waiting.pause();
      if (waiting.time_to_look() && watch->lost()) break;
      if (ncclCommGetAsyncError(comm, &code) != ncclSuccess) code = ncclInternalError;
    }
    if (code == ncclSuccess)
      ncclCommDestroy(comm);
    else
      ncclCommAbort(comm);
  }

  /// Time spent waiting; a job that was suspended meanwhile has not waited.
  class Patience {
   public:
    double seconds() const { return waited_; }
    void pause() {
      std::this_thread::sleep_for(std::chrono::microseconds(waited_ < 1 ? 50 : 1000));
      const double now = wall_seconds();
      waited_ += std::min(now - last_, between_looks);
      last_ = now;
    }
    /// True once every `between_looks` seconds.
    bool time_to_look() {
      if (waited_ - looked_ < between_looks) return false;
      looked_ = waited_;
      return true;
    }

   private:
    double last_ = wall_seconds(), waited_ = 0, looked_ = 0;
  };

  /// The others may wait inside NCCL, where no agreement reaches them: NCCL's kernels end here,
  /// and main() ends the job.
  [[noreturn]] void give_up(const std::string& sentence) {
    if (comm != nullptr) ncclCommAbort(comm);
    comm = nullptr;
    throw LostRank(sentence);
  }

  [[noreturn]] void give_up_device(cudaError_t code, const std::string& what) {
    std::string sentence = what;
    try {
      device::cuda_check(code, what.c_str());
    } catch (const std::exception& error) {
      sentence = error.what();
    }
    give_up(sentence);
  }

  void look(const std::string& what, Patience& waiting) {
    if (!waiting.time_to_look()) return;
    if (const auto lost = watch->lost())
      give_up(what + ": rank " + std::to_string(*lost) + " on " +
              ranks.hosts()[static_cast<std::size_t>(*lost)] + " has died");
    if (waiting.seconds() > patience)
      give_up(what + ": no end after " + std::to_string(static_cast<int>(patience)) +
              " s: another rank hangs or cannot be reached; NCCL_DEBUG=INFO says more");
  }

  /// Waits until a call that was in progress has been taken.
  void settle(ncclResult_t code, const char* call) {
    for (Patience waiting; code == ncclInProgress;) {
      waiting.pause();
      look(call, waiting);
      const ncclResult_t asked = ncclCommGetAsyncError(comm, &code);
      if (asked != ncclSuccess) code = asked;
    }
    if (code != ncclSuccess) give_up(nccl_words(call, code));
  }

  void start() {
    ncclUniqueId id{};
    agree_on_root(ranks, [&] { nccl_check(ncclGetUniqueId(&id), "ncclGetUniqueId"); });
    ranks.broadcast(id);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    // Not agreed upon: while one rank fails here, the others wait for it inside NCCL.
    settle(ncclCommInitRankConfig(&comm, ranks.size(), id, ranks.rank(), &config),
           "ncclCommInitRankConfig");
  }

  /// One group of calls, call(view) each; a rank must not leave between start and end.
  template <class Call>
  void grouped(std::span<const DeviceView<float>> values, const char* name, Call&& call) {
    CONSTRICTOR_REQUIRE(comm != nullptr);
    for (const auto& view : values)
      CONSTRICTOR_REQUIRE(view.rows <= 1 || view.stride == view.cols, view.rows, view.cols,
                          view.stride);
    ncclResult_t failed = ncclGroupStart();
    for (const auto& view : values) {
      if (view.size() == 0) continue;
      const ncclResult_t code = call(view);
      if (failed == ncclSuccess && code != ncclInProgress) failed = code;
    }
    const ncclResult_t ended = ncclGroupEnd();
    settle(failed == ncclSuccess ? ended : failed, name);
  }
};

DeviceCommunicator::DeviceCommunicator(const Communicator& ranks, const device::Context& gpu)
    : state_(std::make_unique<State>(ranks)) {
  if (ranks.size() == 1) return;
  const Facts mine = agree(ranks, [&] { return facts_of(gpu); });
  require_fit(ranks, mine);
  state_->version = mine.nccl_version;
  state_->watch.emplace(ranks);
  state_->start();
}

DeviceCommunicator::~DeviceCommunicator() = default;

void DeviceCommunicator::sum(std::span<const DeviceView<float>> values,
                             const device::Stream& stream) const {
  if (state_->ranks.size() == 1) return;
  state_->grouped(values, "ncclAllReduce", [&](const DeviceView<float>& view) {
    return ncclAllReduce(view.data, view.data, static_cast<std::size_t>(view.size()), ncclFloat32,
                         ncclSum, state_->comm, stream.raw());
  });
}

void DeviceCommunicator::broadcast(std::span<const DeviceView<float>> values, int root,
                                   const device::Stream& stream) const {
  CONSTRICTOR_REQUIRE(root >= 0 && root < state_->ranks.size(), root);
  if (state_->ranks.size() == 1) return;
  state_->grouped(values, "ncclBroadcast", [&](const DeviceView<float>& view) {
    return ncclBroadcast(view.data, view.data, static_cast<std::size_t>(view.size()), ncclFloat32,
                         root, state_->comm, stream.raw());
  });
}

void DeviceCommunicator::finish(const device::Stream& stream) const {
  if (state_->ranks.size() == 1) return stream.synchronize();
  CONSTRICTOR_REQUIRE(state_->comm != nullptr);
  const std::string what = "waiting for stream " + stream.name();
  for (State::Patience waiting;; waiting.pause()) {
    const cudaError_t code = cudaStreamQuery(stream.raw());
    if (code == cudaSuccess) return;
    if (code != cudaErrorNotReady) state_->give_up_device(code, what);
    ncclResult_t of_nccl = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(state_->comm, &of_nccl);
    if (asked != ncclSuccess) of_nccl = asked;
    if (of_nccl != ncclSuccess && of_nccl != ncclInProgress)
      state_->give_up(nccl_words(what, of_nccl));
    state_->look(what, waiting);
  }
}

std::string DeviceCommunicator::library() const {
  return state_->version == 0 ? "none (one rank)" : "NCCL " + nccl_text(state_->version);
}

}  // namespace constrictor::comm
