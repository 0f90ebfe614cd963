// SPDX-License-Identifier: Apache-2.0
#pragma once
// `bits: {average, choices}`: a walk over the blocks that measures what every layer costs at every
// width, and the choice made of it.

#include "backend/backend.hpp"
#include "comm/communicator.hpp"
#include "pipeline/job.hpp"
#include "pipeline/run_record.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

/// Layers whose width is open, of all blocks; UserError when the widths that the deck sets and the
/// narrowest choice of the others take more than the budget.
void require_budget_can_be_met(const Job& job);

/// Collective: gives every open layer of the job its width. The choice is kept in the run folder
/// (widths.json, written at once when all is measured), so that a run that goes on has the same.
void settle_widths(const comm::Communicator& ranks, backend::Backend& backend, Job& job,
                   SecondsByPhase& seconds, Screen& screen, RunRecord& record);

}  // namespace constrictor::pipeline
