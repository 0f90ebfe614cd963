// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace constrictor::pipeline {

/// What the user sees. The pipeline says what, the app how (terminal, log file, nothing on ranks
/// other than 0); so every rank may call it.
class Screen {
 public:
  using Row = std::vector<std::string>;

  virtual ~Screen() = default;
  /// The facts of the run, before the work: "model      demo-llama, 4 blocks, ...".
  virtual void header(const std::vector<std::string>& lines) = 0;
  /// What is going on now, on a terminal only: one line that the next output replaces.
  /// `fraction` of the whole run that is done, 0..1; negative when unknown.
  virtual void progress(const std::string& text, double fraction) = 0;
  /// A line that stays.
  virtual void line(const std::string& text) = 0;
  /// A line that stays, marked and on stderr.
  virtual void warning(const std::string& text) = 0;
  /// Aligned columns; the first row holds the column names. Numbers are set flush right.
  virtual void table(const std::vector<Row>& rows) = 0;
};

/// Says nothing: tests.
class SilentScreen : public Screen {
 public:
  void header(const std::vector<std::string>&) override {}
  void progress(const std::string&, double) override {}
  void line(const std::string&) override {}
  void warning(const std::string&) override {}
  void table(const std::vector<Row>&) override {}
};

}  // namespace constrictor::pipeline
