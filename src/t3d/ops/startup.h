#pragma once

#include <string>
#include <vector>

namespace t3d::ops {

/// Settings that make LibTorch fast on this CPU, done before the first tensor exists (measured effects: see
/// docs/performance.md). Called first thing in main, by the programs of bench/ too. May replace the process
/// by itself once (exec with a corrected environment), because OpenBLAS reads its variables before main.
/// T3D_NO_TUNING=1 leaves everything as it is.
void tune_process(char** argv);

/// One line per setting, for `t3d doctor`: name, value in force, remark.
struct TuningLine {
  std::string name, value, remark;
};
std::vector<TuningLine> describe_tuning();

/// Cores this process may use: the affinity mask, cut down by the control group's quota.
int usable_cores();

}  // namespace t3d::ops
