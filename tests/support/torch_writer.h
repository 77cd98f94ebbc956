#pragma once

#include <ATen/ATen.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "t3d/core/atomic_file.h"

/// Files as PyTorch Lightning writes them, for tests that read checkpoints of Python programs: a zip archive
/// without compression, whose data.pkl has the dict {"epoch", "global_step", "state_dict"} in protocol 2.
namespace t3d::testing {
namespace torch_writer {

inline std::string number(uint64_t value, int n_bytes) {
  std::string out;
  for (int i = 0; i < n_bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}
inline std::string text(const std::string& value) {
  return "X" + number(value.size(), 4) + value;
}
inline std::string whole(int64_t value) {
  return std::string("\x8a\x08", 2) + number(static_cast<uint64_t>(value), 8);
}
inline std::string real(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  std::string out = number(bits, 8);  // the one big-endian number
  return "G" + std::string(out.rbegin(), out.rend());
}
inline std::string tuple(at::IntArrayRef values) {
  std::string out = "(";
  for (const int64_t value : values) out += whole(value);
  return out + "t";
}
/// torch._utils._rebuild_tensor_v2 of a whole storage: floats, halves, 64-bit integers, booleans.
inline std::string tensor(const at::Tensor& t, const std::string& key) {
  const auto type = t.scalar_type();
  const std::string name = type == at::kBool   ? "Bool"
                           : type == at::kLong ? "Long"
                           : type == at::kHalf ? "Half"
                                               : "Float";
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + name + "Storage\n" +
         text(key) + text("cpu") + whole(t.numel()) + "tQ" + whole(0) + tuple(t.sizes()) +
         tuple(t.strides()) +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}

struct Entry {
  std::string name, data;
};

inline std::string zip(const std::vector<Entry>& entries) {
  std::string body, directory;
  for (const Entry& e : entries) {
    const uint64_t header = body.size();
    body += number(0x04034b50, 4) + std::string(22, '\0') + number(e.name.size(), 2) + number(0, 2) + e.name +
            e.data;
    directory += number(0x02014b50, 4) + std::string(16, '\0') + number(e.data.size(), 4) +
                 number(e.data.size(), 4) + number(e.name.size(), 2) + std::string(12, '\0') +
                 number(header, 4) + e.name;
  }
  return body + directory + number(0x06054b50, 4) + number(0, 4) + number(entries.size(), 2) +
         number(entries.size(), 2) + number(directory.size(), 4) + number(body.size(), 4) + number(0, 2);
}

}  // namespace torch_writer

/// Float and bool tensors.
inline void write_lightning_file(const std::string& path, int64_t step,
                                 const std::map<std::string, at::Tensor>& tensors) {
  namespace w = torch_writer;
  std::vector<w::Entry> entries(1);
  std::string state;
  for (const auto& [name, given] : tensors) {
    const at::Tensor t = given.detach().cpu().contiguous();
    const std::string key = std::to_string(entries.size() - 1);
    state += w::text(name) + w::tensor(t, key);
    std::string bytes(t.nbytes(), '\0');
    if (!bytes.empty()) std::memcpy(bytes.data(), t.data_ptr(), bytes.size());
    entries.push_back({"archive/data/" + key, bytes});
  }
  entries[0] = {"archive/data.pkl", "\x80\x02}(" + w::text("epoch") + w::whole(0) + w::text("global_step") +
                                        w::whole(step) + w::text("state_dict") +
                                        "ccollections\nOrderedDict\n)R(" + state + "u" + "u."};
  write_file_atomically(path, w::zip(entries));
}

}  // namespace t3d::testing
