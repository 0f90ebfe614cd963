// SPDX-License-Identifier: Apache-2.0
#include "export/export_run.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <future>

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/memory.hpp"
#include "core/stop_flag.hpp"
#include "core/timer.hpp"
#include "export/export_plan.hpp"
#include "export/runtimes.hpp"
#include "io/block_reader.hpp"
#include "io/export_file.hpp"
#include "io/export_folder.hpp"
#include "io/run_file.hpp"
#include "pipeline/finished_run.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::exports {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t copied_together = std::size_t{16} << 20;

/// One folder in the making.
struct Target {
  std::unique_ptr<LayerFormat> format;
  fs::path path;
  std::vector<Verdict> verdicts;
  std::unique_ptr<io::ExportFolder> folder;
  std::unique_ptr<io::SafetensorsWriter> writer;
  std::vector<Rounding> roundings;  // of the plan's layers
};

void leave_when_asked() {
  if (stop_requested())
    throw Preempted("stopped by " + stop_signal() + "; nothing was written, run it again");
}

std::string relative_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return text;
}

std::string column(const std::string& head) {
  return head + std::string(head.size() < 13 ? 13 - head.size() : 1, ' ');
}

std::vector<Target> targets_for(const ExportOptions& options, const ExportPlan& plan,
                                const io::Checkpoint& checkpoint) {
  std::vector<Target> targets;
  auto formats = formats_for(options.format, plan, checkpoint.spec().dtype);
  const bool several = formats.size() > 1;
  for (auto& format : formats) {
    Target target;
    target.path = several ? fs::path(options.to) / format->word() : fs::path(options.to);
    io::require_replaceable(target.path);
    target.verdicts = verdicts(format->word(), plan.layers);
    target.format = std::move(format);
    targets.push_back(std::move(target));
  }
  return targets;
}

void announce(const ExportOptions& options, const RunSpec& spec, const ExportPlan& plan,
              const std::vector<Target>& targets, pipeline::Screen& screen) {
  screen.header({column("run") + options.run_dir, column("model") + spec.model.path,
                 column("layers") + scheme_words(plan)});
  for (const Target& target : targets) {
    std::string head = target.format->word();
    if (head.size() >= 13) {
      screen.line(head);
      head.clear();
    }
    for (const Verdict& verdict : target.verdicts) {
      std::string name = verdict.runtime;
      name.resize(std::max<std::size_t>(name.size(), 12), ' ');
      screen.line(column(head) + name + "  " + (verdict.opens ? "yes" : "no") +
                  (verdict.words.empty() ? "" : ": ") + verdict.words);
      head.clear();
    }
  }
}

/// Byte by byte, in pieces, so that neither file counts as memory of this process for long.
void copy_raw(const ExportPlan& plan, const io::Checkpoint& checkpoint,
              std::vector<Target>& targets) {
  for (const std::string& name : plan.raw) {
    const io::StoredTensor tensor = checkpoint.files().at(name);
    const auto bytes = tensor.bytes();
    for (std::size_t at = 0; at < bytes.size(); at += copied_together) {
      const auto part = bytes.subspan(at, std::min(copied_together, bytes.size() - at));
      for (Target& target : targets) target.writer->write(name, part, at);
      tensor.file->release(part);
    }
    leave_when_asked();
  }
}

/// Layers in order, each read (by a thread of its own: HDF5 inflates on one) while the one before
/// it is packed and written.
void write_layers(const ExportOptions& options, const ExportPlan& plan,
                  std::vector<Target>& targets, pipeline::Screen& screen) {
  const auto read = [&](std::size_t i) {
    const LayerPlan& layer = plan.layers[i];
    return io::BlockReader(fs::path(options.run_dir) / "blocks" / io::block_file_name(layer.block))
        .layer(layer.name);
  };
  const std::size_t count = plan.layers.size();
  auto next = std::async(std::launch::async, read, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const QuantizedLayer layer = next.get();
    if (i + 1 < count) next = std::async(std::launch::async, read, i + 1);
    screen.progress("writing " + plan.layers[i].words(),
                    static_cast<double>(i) / static_cast<double>(count));
    for (Target& target : targets)
      target.roundings.push_back(target.format->write(plan.layers[i], layer, *target.writer));
    leave_when_asked();
  }
}

io::ExportFacts facts_of(const ExportOptions& options, const ExportPlan& plan,
                         const io::Checkpoint& checkpoint, const Target& target) {
  io::ExportFacts facts;
  facts.format = target.format->word();
  facts.run = fs::absolute(options.run_dir).lexically_normal().string();
  const auto provenance = io::read_run_file(fs::path(options.run_dir) / "run.h5").provenance;
  if (const auto id = provenance.find("run_id"); id != provenance.end())
    facts.run_id = std::get<std::string>(id->second);
  facts.model_sha256 = checkpoint.model_sha256();
  facts.sample_sha256 = checkpoint.sample_sha256();
  facts.stored_as = target.format->stored_as();
  for (std::size_t i = 0; i < plan.layers.size(); ++i)
    facts.layers.push_back(
        {plan.layers[i].module, plan.layers[i].scheme, target.roundings[i].relative()});
  for (const Verdict& verdict : target.verdicts)
    facts.runtimes.push_back({verdict.runtime, verdict.opens, verdict.words});
  return facts;
}

/// "rounding     scales as bfloat16 change Q by 0.0017 of its norm, most in block 3 mlp.up_proj:
/// 0.0021"
void show_rounding(const ExportPlan& plan, const Target& target, pipeline::Screen& screen) {
  Rounding sum;
  std::size_t worst = 0;
  for (std::size_t i = 0; i < target.roundings.size(); ++i) {
    sum.error += target.roundings[i].error;
    sum.size += target.roundings[i].size;
    if (target.roundings[i].relative() > target.roundings[worst].relative()) worst = i;
  }
  screen.line(column("rounding") + target.format->word() + ": storing as " +
              target.format->stored_as() + " changes Q by " + relative_text(sum.relative()) +
              " of its norm, at most " + relative_text(target.roundings[worst].relative()) + " (" +
              plan.layers[worst].words() + ")");
}

}  // namespace

void export_run(const RunSpec& spec, const ExportOptions& options, pipeline::Screen& screen) {
  const double start = wall_seconds();
  const io::Checkpoint checkpoint(spec.model.path);
  pipeline::require_complete(options.run_dir, checkpoint);
  const ExportPlan plan = plan_export(options.run_dir, checkpoint);
  std::vector<Target> targets = targets_for(options, plan, checkpoint);
  announce(options, spec, plan, targets, screen);

  std::vector<std::string> not_copied;
  for (Target& target : targets) {
    target.folder = std::make_unique<io::ExportFolder>(target.path);
    const fs::path& folder = target.folder->partial();
    target.writer = std::make_unique<io::SafetensorsWriter>(
        folder, planned_tensors(plan, *target.format, checkpoint));
    io::write_model_config(checkpoint.folder(), folder,
                           target.format->config(plan.layers, plan.linear_unquantized),
                           {"constrictor:" + build_info().version, plan.damping});
    not_copied = io::copy_other_files(checkpoint.folder(), folder);
  }
  copy_raw(plan, checkpoint, targets);
  write_layers(options, plan, targets, screen);

  for (const std::string& name : not_copied)
    screen.line(column("not copied") + name + " of the model folder");
  for (Target& target : targets) {
    target.writer->finish();
    io::ExportFacts facts = facts_of(options, plan, checkpoint, target);
    facts.not_copied = not_copied;
    io::write_export_file(target.folder->partial(), facts);
    show_rounding(plan, target, screen);
  }
  double bytes = 0;
  for (Target& target : targets) {
    target.folder->commit();
    const auto size = static_cast<double>(target.writer->bytes());
    bytes += size;
    screen.line(column("written") + target.path.string() + ": " + bytes_text(size) + " in " +
                std::to_string(target.writer->files()) +
                (target.writer->files() == 1 ? " file" : " files"));
  }
  const double seconds = wall_seconds() - start;
  screen.line(column("seconds") + pipeline::duration_text(seconds) + ", " +
              bytes_text(bytes / std::max(seconds, 1e-3)) + "/s, peak memory " +
              bytes_text(static_cast<double>(peak_memory())));
}

}  // namespace constrictor::exports
