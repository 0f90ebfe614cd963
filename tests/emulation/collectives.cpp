// SPDX-License-Identifier: Apache-2.0
// NCCL over MPI: a communicator is a copy of MPI_COMM_WORLD, a collective is posted when its stream
// gets there and tested for whenever somebody looks, so that nothing here waits for another rank.
//   CONSTRICTOR_EMULATED_NCCL   the version (22809)
#include <mpi.h>

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "nccl.h"
#include "runtime.hpp"

using namespace emulation;

struct ncclComm {
  enum class Stage { copying, comparing, ready, failed, aborted };
  MPI_Comm mpi = MPI_COMM_NULL;
  MPI_Request request = MPI_REQUEST_NULL;
  bool blocking = true;
  int ranks = 0;
  long long id[2] = {0, 0},
            highest[2] = {0, 0};  // the id's hash and its negative, and their maxima
  Stage stage = Stage::copying;
};

namespace {

thread_local std::string last_error;
thread_local int group_depth = 0;

struct Collective {
  std::shared_ptr<ncclComm> comm;
  const void* from;
  void* to;
  int count;
  MPI_Datatype type;
  int root;  // of a broadcast; -1: a sum
  cudaStream_t stream;
  MPI_Request request = MPI_REQUEST_NULL;
  bool posted = false;

  void post() {
    posted = true;
    if (root < 0) {
      MPI_Iallreduce(from == to ? MPI_IN_PLACE : from, to, count, type, MPI_SUM, comm->mpi,
                     &request);
      return;
    }
    int size = 0, rank = 0;
    MPI_Type_size(type, &size);
    MPI_Comm_rank(comm->mpi, &rank);
    if (rank == root && from != to)
      std::memcpy(to, from, static_cast<std::size_t>(count) * static_cast<std::size_t>(size));
    MPI_Ibcast(to, count, type, root, comm->mpi, &request);
  }
  bool done() {
    if (comm->stage == ncclComm::Stage::aborted) return true;
    if (!posted) post();
    int finished = 0;
    MPI_Test(&request, &finished, MPI_STATUS_IGNORE);
    return finished != 0;
  }
};
thread_local std::vector<Collective> group;

// Handles that exist; collectives keep what they need alive.
std::vector<std::shared_ptr<ncclComm>> communicators;
std::shared_ptr<ncclComm> owner_of(ncclComm_t comm) {
  for (const auto& one : communicators)
    if (one.get() == comm) return one;
  return nullptr;
}
void forget(ncclComm_t comm) {
  std::erase_if(communicators, [comm](const auto& one) { return one.get() == comm; });
}

ncclResult_t fail(ncclResult_t code, const std::string& words) {
  last_error = words;
  return code;
}

/// One step further in the start of a communicator.
void advance(ncclComm& comm) {
  using Stage = ncclComm::Stage;
  if (comm.stage != Stage::copying && comm.stage != Stage::comparing) return;
  int finished = 0;
  MPI_Test(&comm.request, &finished, MPI_STATUS_IGNORE);
  if (finished == 0) return;
  if (comm.stage == Stage::copying) {
    MPI_Iallreduce(comm.id, comm.highest, 2, MPI_LONG_LONG, MPI_MAX, comm.mpi, &comm.request);
    comm.stage = Stage::comparing;
    return;
  }
  const bool same = comm.highest[0] == comm.id[0] && comm.highest[1] == comm.id[1];
  comm.stage = same ? Stage::ready : Stage::failed;
  if (!same) last_error = "the ranks do not share one unique id";
}

ncclResult_t queue_group() {
  ncclResult_t result = ncclSuccess;
  for (const Collective& one : group) {
    auto collective = std::make_shared<Collective>(one);
    submit_when(one.stream, [collective] { return collective->done(); });
    if (!one.comm->blocking) result = ncclInProgress;
  }
  group.clear();
  return result;
}

ncclResult_t collective(const void* from, void* to, std::size_t count, ncclDataType_t type,
                        int root, ncclComm_t comm, cudaStream_t stream) {
  const auto owner = owner_of(comm);
  if (owner == nullptr || owner->stage != ncclComm::Stage::ready)
    return fail(ncclInvalidArgument, "the communicator is not ready");
  if (type != ncclFloat32 && type != ncclFloat64)
    return fail(ncclInvalidArgument, "not an emulated type");
  const std::size_t bytes = count * (type == ncclFloat32 ? 4 : 8);
  if (count > INT_MAX || root >= owner->ranks)
    return fail(ncclInvalidArgument, "a wrong count or root");
  if (!stream_exists(stream) || (bytes > 0 && (!allocated(from, bytes) || !allocated(to, bytes))))
    return fail(ncclInvalidArgument, "memory that is not on the device, or an unknown stream");
  if (device_state() != cudaSuccess)
    return fail(ncclUnhandledCudaError, cudaGetErrorString(device_state()));
  group.push_back({owner, from, to, static_cast<int>(count),
                   type == ncclFloat32 ? MPI_FLOAT : MPI_DOUBLE, root, stream});
  return group_depth > 0 ? ncclSuccess : queue_group();
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) {
  *version = static_cast<int>(number_setting("CONSTRICTOR_EMULATED_NCCL", NCCL_VERSION_CODE));
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::random_device random;
  for (char& byte : id->internal) byte = static_cast<char>(random());
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
    case ncclSystemError:
      return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
    case ncclInternalError:
      return "internal error - please report this issue to the NCCL developers";
    case ncclInvalidArgument:
      return "invalid argument (run with NCCL_DEBUG=WARN for details)";
    case ncclInvalidUsage:
      return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
  }
  return "unknown result code";
}
const char* ncclGetLastError(ncclComm_t) { return last_error.c_str(); }

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  return ncclCommInitRankConfig(comm, ranks, id, rank, nullptr);
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  int world = 0, world_rank = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &world);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  if (ranks != world || rank != world_rank)
    return fail(ncclInvalidArgument,
                "the emulation knows one communicator: all ranks, in the order of MPI_COMM_WORLD");
  if (config != nullptr && config->magic != 0xcafebeef)
    return fail(ncclInvalidArgument, "a configuration without its initializer");
  if (device_state() != cudaSuccess)
    return fail(ncclUnhandledCudaError, cudaGetErrorString(device_state()));
  auto made = std::make_shared<ncclComm>();
  made->ranks = ranks;
  made->blocking = config == nullptr || config->blocking != 0;
  const auto hash = std::hash<std::string_view>()({id.internal, sizeof id.internal});
  made->id[0] = static_cast<long long>(hash >> 1);
  made->id[1] = -made->id[0];
  MPI_Comm_idup(MPI_COMM_WORLD, &made->mpi, &made->request);
  communicators.push_back(made);
  *comm = made.get();
  ncclResult_t state = ncclInProgress;
  while (made->blocking && state == ncclInProgress) ncclCommGetAsyncError(*comm, &state);
  return made->blocking ? state : ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  const auto owner = owner_of(comm);
  if (owner == nullptr) return fail(ncclInvalidArgument, "no such communicator");
  advance(*owner);
  switch (owner->stage) {
    case ncclComm::Stage::ready:
      *error = ncclSuccess;
      break;
    case ncclComm::Stage::failed:
      *error = ncclInvalidArgument;
      break;
    case ncclComm::Stage::aborted:
      *error = ncclInternalError;
      break;
    default:
      *error = ncclInProgress;
  }
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  return owner_of(comm) == nullptr ? fail(ncclInvalidArgument, "no such communicator")
                                   : ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const auto owner = owner_of(comm);
  if (owner == nullptr) return fail(ncclInvalidArgument, "no such communicator");
  int ended = 0;
  MPI_Finalized(&ended);
  if (ended == 0 && owner->stage == ncclComm::Stage::ready) MPI_Comm_free(&owner->mpi);
  forget(comm);
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const auto owner = owner_of(comm);
  if (owner == nullptr) return fail(ncclInvalidArgument, "no such communicator");
  owner->stage =
      ncclComm::Stage::aborted;  // its collectives count as done; MPI's copy is left alone
  forget(comm);
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++group_depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (group_depth == 0) return fail(ncclInvalidUsage, "a group ends that has not begun");
  return --group_depth == 0 ? queue_group() : ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream) {
  if (operation != ncclSum) return fail(ncclInvalidArgument, "only sums are emulated");
  return collective(from, to, count, type, -1, comm, stream);
}
ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  if (root < 0) return fail(ncclInvalidArgument, "a wrong root");
  return collective(from, to, count, type, root, comm, stream);
}
